"""The whole of what the runtime gets: the commands of every function, host layers, the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import align
from passes.image.groups import CodedGroup, command_groups
from passes.image.host import HostCall, host_call, host_tensors
from passes.image.tensors import NetworkTensor, network_tensors
from passes.module.functions import functions, network_names, runs_on_host

MAX_CONTEXT = 1 << 34
"""Bytes: more than a board has."""


@dataclass(frozen=True)
class NpuCall:
    """A function of the NPU: its groups of commands, and the tensors that it shares."""

    groups: tuple[CodedGroup, ...]
    inputs: tuple[NetworkTensor, ...]
    outputs: tuple[NetworkTensor, ...]


Call = NpuCall | HostCall
"""What the runtime does in one step."""


@dataclass(frozen=True)
class Program:
    """What the runtime gets. ``calls``: the functions in the order in which they run; ``coeff``:
    the weights, from ``coeff_address`` on; ``ddr_bytes``: the size of the network's memory with the
    tensors behind them."""

    calls: tuple[Call, ...]
    coeff: bytes
    ddr_bytes: int
    coeff_address: int = BM1684.context_start

    @staticmethod
    def of(module: ModuleOp) -> Program:
        """Encodes a module of npu ops."""
        found = functions(module)
        calls = tuple(_call(function) for function in found)
        coeff = weights_image(found)
        size = integer(found[0], "context_size")
        if not 0 < size <= MAX_CONTEXT:
            raise PassFailedException(f"context_size is {size}, no board has so much memory")
        return Program(calls, coeff, len(coeff) + size)

    @property
    def groups(self) -> tuple[CodedGroup, ...]:
        """The groups of all functions of the NPU."""
        npu = [call for call in self.calls if isinstance(call, NpuCall)]
        return tuple(group for call in npu for group in call.groups)

    def with_groups(self, groups: Sequence[CodedGroup]) -> Program:
        """The same with other commands, of as many groups."""
        rest, calls = iter(groups), list[Call]()
        for call in self.calls:
            if isinstance(call, NpuCall):
                call = replace(call, groups=tuple(islice(rest, len(call.groups))))
            calls.append(call)
        return replace(self, calls=tuple(calls))

    def holds(self, tensor: NetworkTensor) -> bool:
        """Whether a tensor lies in the program's memory."""
        end = BM1684.context_start + self.ddr_bytes
        return BM1684.context_start <= tensor.address <= end - tensor.nbytes


def _call(function: FuncOp) -> Call:
    if runs_on_host(function):
        return host_call(function)
    return NpuCall(
        tuple(group.encode() for group in command_groups(function)),
        tuple(network_tensors(function, tile.InputOp)),
        tuple(network_tensors(function, tile.OutputOp)),
    )


def module_tensors(module: ModuleOp) -> tuple[list[NetworkTensor], list[NetworkTensor]]:
    """The network's inputs and outputs, in their order."""
    inputs: dict[str, NetworkTensor] = {}
    outputs: dict[str, NetworkTensor] = {}
    for function in functions(module):
        if runs_on_host(function):
            call = host_call(function)
            read, made = call.inputs, call.outputs
        else:
            read, made = (network_tensors(function, kind) for kind in (tile.InputOp, tile.OutputOp))
        inputs |= {t.name: t for t in reversed(read) if t.name not in inputs}
        outputs |= {t.name: t for t in made}
    return (
        list(_named(inputs, network_names(module, "input_names"), "reads")),
        list(_named(outputs, network_names(module, "output_names"), "makes")),
    )


def _named(
    found: dict[str, NetworkTensor], names: Sequence[str], verb: str
) -> Iterator[NetworkTensor]:
    for name in names:
        if name not in found:
            raise PassFailedException(f'no function {verb} the network\'s tensor "{name}"')
        yield found[name]


def integer(function: FuncOp, name: str) -> int:
    """An integer attribute of a function."""
    found = function.attributes.get(name)
    if not isinstance(found, IntegerAttr):
        raise PassFailedException(f"function @{function.sym_name.data} lacks {name}")
    return found.value.data


def weights_image(found: Sequence[FuncOp]) -> bytes:
    """The weights part of DDR, from the start of the network's memory on.

    Raises PassFailedException when ``coeff_size`` is not what the constants need.
    """
    parts = [part for function in found for part in _constants(function)]
    ends = [begin + part.size for begin, part in parts]
    size, used = integer(found[0], "coeff_size"), max(ends, default=0)
    first = min((begin for begin, _ in parts), default=0)
    if first < 0 or not used <= size <= align(max(used, 1), BM1684.ddr_alignment):
        raise PassFailedException(f"coeff_size is {size}, the constants end at {used}")
    image = np.zeros(size, np.uint8)
    for begin, part in parts:
        image[begin : begin + part.size] = part
    return image.tobytes()


def _constants(function: FuncOp) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Where each constant begins, from the start of the network's memory on, and its bytes."""
    if runs_on_host(function):
        for place, tensor in zip(host_call(function).inputs, host_tensors(function), strict=False):
            if tensor.constant is not None:
                data = np.ascontiguousarray(tensor.constant.array)
                yield place.address - BM1684.context_start, data.view(np.uint8).reshape(-1)
        return
    for op in function.body.block.ops:
        if isinstance(op, tile.ConstantOp):
            data = np.ascontiguousarray(op.value.array)
            yield op.located - BM1684.context_start, data.view(np.uint8).reshape(-1)
