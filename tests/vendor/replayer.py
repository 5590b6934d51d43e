"""Execute a bmodel's commands one by one on the vendor's simulator, without the runtime.

Weights and tensors stay at their compile-time addresses. Each engine takes its commands in order; a
command may start when the other engine has done as many commands as its wait id says.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import POINTER, c_int32, c_int64, c_uint, c_void_p
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel import (
    COMMAND_BYTES,
    CommandGroup,
    HostCall,
    Net,
    Stage,
    StoreMode,
    Subnet,
    Tensor,
    read,
)
from dialects.host.base import defined_part
from dialects.host.ops import BY_NUMBER
from tests.vendor.runtime import Array, leave, load_arrays, save_arrays, vendor_library

DDR_BASE = 0x1_0000_0000
LOCAL_BYTES = 64 * 512 * 1024
L2_BYTES = 4 << 20
L2_TABLES = slice(0x300000, 0x323800)
"""Constant tables in L2 that the simulator itself puts there."""

TIU, GDMA = 0, 1

Bytes = NDArray[np.uint8]

MARGIN = 1 << 26
"""DDR behind the context: the simulator checks n * nstride bytes of a source, used or not."""
NOISE_BYTES = (1 << 20) - 3
"""After so many the noise begins again: lanes and tensors begin at other places of it."""


def view(address: int, size: int) -> Bytes:
    """Memory of the simulator as an array of bytes."""
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


class Simulator:
    """The simulator's memories and engines; all memory holds noise at the start."""

    def __init__(self, ddr_bytes: int, noise_seed: int) -> None:
        lib = self.library = ctypes.CDLL(str(vendor_library("libcmodel_bm1684.so")))
        lib.cmodel_init.argtypes = [c_int32, c_int64]
        lib.get_global_memaddr.restype = c_void_p
        lib.get_local_mem.restype = POINTER(c_void_p)
        lib.get_l2_sram.restype = c_void_p
        lib.get_atomic_function.argtypes = [c_void_p, c_uint]
        lib.get_atomic_function.restype = ctypes.CFUNCTYPE(c_int32, c_int32, c_void_p)
        if lib.cmodel_init(0, ddr_bytes):
            sys.exit("the simulator does not start")
        self.ddr = view(lib.get_global_memaddr(0), ddr_bytes)
        l2 = view(lib.get_l2_sram(0), L2_BYTES)
        noise = np.frombuffer(np.random.default_rng(noise_seed).bytes(NOISE_BYTES), np.uint8)
        for memory in (self.ddr, view(lib.get_local_mem(0)[0], LOCAL_BYTES),
                       l2[: L2_TABLES.start], l2[L2_TABLES.stop :]):
            for begin in range(0, memory.size, noise.size):
                part = memory[begin : begin + noise.size]
                part[:] = noise[: part.size]

    def at(self, address: int, size: int) -> Bytes:
        """DDR bytes at an address."""
        return self.ddr[address - DDR_BASE : address - DDR_BASE + size]

    def execute(self, engine: int, command: bytes) -> None:
        """Execute one command."""
        buffer = ctypes.create_string_buffer(command, COMMAND_BYTES)
        self.library.get_atomic_function(buffer, engine)(0, buffer)

    def run(self, group: CommandGroup, choose: np.random.Generator) -> None:
        """Execute a group; ``choose`` picks the engine where both may go on."""
        queues = [commands(group.tiu), commands(group.gdma)]
        waits = [[tiu_wait(c) for c in queues[TIU]], [gdma_wait(c) for c in queues[GDMA]]]
        done = [0, 0]
        while done != [len(queues[TIU]), len(queues[GDMA])]:
            ready = [
                engine for engine in (TIU, GDMA)
                if done[engine] < len(queues[engine])
                and waits[engine][done[engine]] <= done[1 - engine]
            ]
            if not ready:
                sys.exit(f"deadlock after {done[TIU]} TIU and {done[GDMA]} GDMA commands")
            engine = ready[int(choose.integers(len(ready)))]
            self.execute(engine, queues[engine][done[engine]])
            done[engine] += 1


def commands(content: bytes) -> list[bytes]:
    """The single commands."""
    return [content[i : i + COMMAND_BYTES] for i in range(0, len(content), COMMAND_BYTES)]


def tiu_wait(command: bytes) -> int:
    """The GDMA id that a TIU command waits for: bits 19 to 34."""
    return int.from_bytes(command[:8], "little") >> 19 & 0xFFFF


def gdma_wait(command: bytes) -> int:
    """The TIU id that a GDMA command waits for: bits 48 to 63."""
    return int.from_bytes(command[6:8], "little")


def to_device(array: Array, tensor: Tensor) -> Bytes:
    """The bytes of an array in the layout that the commands expect."""
    if array.dtype != tensor.data_type.numpy or array.shape != tensor.shape:
        sys.exit(f"input {tensor.name!r} is {array.dtype} {array.shape}")
    if tensor.store_mode == StoreMode.N4:
        flat = array.reshape(array.shape[0], -1)
        flat = np.pad(flat, ((0, -flat.shape[0] % 4), (0, 0)))
        array = flat.reshape(-1, 4, flat.shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(array).view(np.uint8).ravel()


def from_device(content: Bytes, tensor: Tensor) -> Array:
    """The array in bytes that the commands wrote."""
    array: NDArray[Any] = content.copy().view(tensor.data_type.numpy)
    if tensor.store_mode == StoreMode.N4:
        groups = -(-tensor.shape[0] // 4)
        array = array.reshape(groups, -1, 4).transpose(0, 2, 1).reshape(groups * 4, -1)
    return array.ravel()[: np.prod(tensor.shape)].reshape(tensor.shape)


def find_stage(nets: tuple[Net, ...], name: str, inputs: dict[str, Array]) -> Stage:
    """The stage that the runtime would choose for these inputs."""
    net = next((net for net in nets if net.name == name), None) if name else nets[0]
    for stage in net.stages if net else ():
        if all(t.name in inputs and inputs[t.name].shape == t.shape for t in stage.inputs):
            return stage
    sys.exit(f"no stage of net {name!r} for { {k: v.shape for k, v in inputs.items()} }")


def main(model: str, given: str, outputs: str, net: str, order_seed: str, noise_seed: str) -> None:
    """Replay a bmodel once on the arrays of a file and save the outputs in another."""
    inputs = load_arrays(Path(given))
    stage = find_stage(read(Path(model).read_bytes(), model).nets, net, inputs)
    end = stage.context_address + stage.context_size
    simulator = Simulator((end - DDR_BASE + MARGIN) & ~0xFFFFF, int(noise_seed))
    simulator.at(stage.coeff_address, len(stage.coeff))[:] = np.frombuffer(stage.coeff, np.uint8)
    for tensor in stage.inputs:
        simulator.at(tensor.address, tensor.size)[:] = to_device(inputs[tensor.name], tensor)
    choose = np.random.default_rng(int(order_seed))
    made: dict[str, Array] = {}
    groups = iter(stage.groups)
    for subnet in stage.subnets or (Subnet((), (), len(stage.groups)),):
        for group in islice(groups, subnet.group_count):
            simulator.run(group, choose)
        if subnet.host is not None:
            made |= run_host(simulator, subnet, subnet.host, made)
    save_arrays(Path(outputs), {
        tensor.name: defined_part(made[tensor.name]) if tensor.name in made
        else from_device(simulator.at(tensor.address, tensor.size), tensor)
        for tensor in stage.outputs
    })
    leave()


def run_host(
    simulator: Simulator, subnet: Subnet, host: HostCall, made: dict[str, Array]
) -> dict[str, Array]:
    """The results of a host layer, whose defined rows are copied to the device, as numpy has it:
    the simulator has no host."""
    inputs = [
        made[t.name] if t.name in made else from_device(simulator.at(t.address, t.size), t)
        for t in subnet.inputs
    ]
    shapes = [t.shape for t in subnet.outputs]
    found = BY_NUMBER[host.number].run(host.params, inputs, shapes)
    for tensor, array in zip(subnet.outputs, found, strict=True):
        data = np.ascontiguousarray(defined_part(array)).view(np.uint8).ravel()
        simulator.at(tensor.address, data.size)[:] = data
    return {tensor.name: array for tensor, array in zip(subnet.outputs, found, strict=True)}
