"""Load and launch a bmodel with the real BMRuntime, on the vendor's simulated BM1684.

The library for device memory loads the simulator that TPUKERNEL_FIRMWARE_PATH names.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int, c_size_t, c_uint32, c_uint64
from pathlib import Path

import numpy as np

from bmnetu.bmodel import DataType
from tests.vendor.runtime import (
    Array,
    joined_sets,
    leave,
    load_arrays,
    save_arrays,
    split_sets,
    vendor_library,
)

HANDLE = ctypes.c_void_p


class Shape(ctypes.Structure):
    """bm_shape_t"""

    _fields_ = [("rank", c_int), ("dims", c_int * 8)]

    def tuple(self) -> tuple[int, ...]:
        """The dimensions."""
        return tuple(self.dims[: self.rank])


class Memory(ctypes.Structure):
    """bm_device_mem_t"""

    _fields_ = [("address", c_uint64), ("reserved", c_uint32), ("file", c_int),
                ("flags", c_uint32), ("size", c_uint32)]


class Tensor(ctypes.Structure):
    """bm_tensor_t"""

    _fields_ = [("data_type", c_int), ("shape", Shape), ("memory", Memory), ("store_mode", c_int)]


class StageInfo(ctypes.Structure):
    """bm_stage_info_t"""

    _fields_ = [("input_shapes", POINTER(Shape)), ("output_shapes", POINTER(Shape)),
                ("input_memories", POINTER(Memory)), ("output_memories", POINTER(Memory))]


class NetInfo(ctypes.Structure):
    """The first part of bm_net_info_t."""

    _fields_ = [("name", c_char_p), ("is_dynamic", c_bool),
                ("input_count", c_int), ("input_names", POINTER(c_char_p)),
                ("input_types", POINTER(c_int)), ("input_scales", POINTER(c_float)),
                ("output_count", c_int), ("output_names", POINTER(c_char_p)),
                ("output_types", POINTER(c_int)), ("output_scales", POINTER(c_float)),
                ("stage_count", c_int), ("stages", POINTER(StageInfo)),
                ("max_input_bytes", POINTER(c_size_t)), ("max_output_bytes", POINTER(c_size_t))]


def require(holds: object, what: str) -> None:
    """End the process with a message unless a step of the vendor's went well."""
    if not holds:
        print(f"{what} failed", file=sys.stderr, flush=True)
        leave(1)


class Runtime:
    """One simulated device with one runtime."""

    def __init__(self) -> None:
        os.environ["TPUKERNEL_FIRMWARE_PATH"] = str(vendor_library("libcmodel_bm1684.so"))
        self.device_library = ctypes.CDLL(str(vendor_library("libbmlib.so.0")), ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(str(vendor_library("libbmrt.so.1.0")), ctypes.RTLD_GLOBAL)
        self._declare()
        self.device = HANDLE()
        status = self.device_library.bm_dev_request(ctypes.byref(self.device), 0)
        require(status == 0, "opening the device")
        self.runtime = self.library.bmrt_create(self.device)
        require(self.runtime, "creating the runtime")
        # The simulator's first wait asserts that something was sent before.
        memory = self.allocate(256)
        require(self.device_library.bm_memset_device(self.device, 0, memory) == 0, "memset")
        self.wait()

    def _declare(self) -> None:
        lib, dev = self.library, self.device_library
        dev.bm_malloc_device_byte.argtypes = [HANDLE, POINTER(Memory), c_uint32]
        dev.bm_memset_device.argtypes = [HANDLE, c_int, Memory]
        dev.bm_memcpy_s2d_partial.argtypes = [HANDLE, Memory, HANDLE, c_uint32]
        dev.bm_memcpy_d2s_partial.argtypes = [HANDLE, HANDLE, Memory, c_uint32]
        dev.bm_thread_sync.argtypes = [HANDLE]
        lib.bmrt_create.argtypes, lib.bmrt_create.restype = [HANDLE], HANDLE
        lib.bmrt_load_bmodel.argtypes = [HANDLE, c_char_p]
        lib.bmrt_load_bmodel.restype = c_bool
        lib.bmrt_get_network_names.argtypes = [HANDLE, POINTER(POINTER(c_char_p))]
        lib.bmrt_get_network_info.argtypes = [HANDLE, c_char_p]
        lib.bmrt_get_network_info.restype = POINTER(NetInfo)
        lib.bmrt_launch_tensor_ex.argtypes = [HANDLE, c_char_p, HANDLE, c_int, HANDLE, c_int,
                                              c_bool, c_bool]
        lib.bmrt_launch_tensor_ex.restype = c_bool

    def allocate(self, size: int) -> Memory:
        """Device memory of so many bytes."""
        memory = Memory()
        status = self.device_library.bm_malloc_device_byte(
            self.device, ctypes.byref(memory), size
        )
        require(status == 0, f"allocating {size} bytes")
        return memory

    def wait(self) -> None:
        """Until the device has done all that was sent."""
        require(self.device_library.bm_thread_sync(self.device) == 0, "waiting for the device")

    def load(self, path: str) -> bytes:
        """Load a file; the name of its first net."""
        require(self.library.bmrt_load_bmodel(self.runtime, path.encode()), "loading the bmodel")
        names = POINTER(c_char_p)()
        self.library.bmrt_get_network_names(self.runtime, ctypes.byref(names))
        return names[0] or b""

    def run(self, net: bytes, inputs: dict[str, Array]) -> dict[str, Array]:
        """Launch a net once; inputs and outputs are 1N."""
        found = self.library.bmrt_get_network_info(self.runtime, net)
        require(found, f"finding net {net!r}")
        info: NetInfo = found.contents
        given = (Tensor * info.input_count)()
        for i, tensor in enumerate(given):
            name = (info.input_names[i] or b"").decode()
            require(name in inputs, f"finding input {name!r} among {sorted(inputs)}")
            self._give(tensor, inputs[name], info.input_types[i], info.max_input_bytes[i])
        expected = (Tensor * info.output_count)()
        for i, tensor in enumerate(expected):
            tensor.data_type = info.output_types[i]
            tensor.memory = self.allocate(info.max_output_bytes[i])
        launched = self.library.bmrt_launch_tensor_ex(
            self.runtime, net, given, len(given), expected, len(expected), True, False
        )
        require(launched, "launching")
        self.wait()
        names = [(info.output_names[i] or b"").decode() for i in range(len(expected))]
        return {name: self._take(tensor) for name, tensor in zip(names, expected, strict=True)}

    def _give(self, tensor: Tensor, array: Array, data_type: int, size: int) -> None:
        require(array.dtype == DataType(data_type).numpy,
                f"matching {array.dtype} with data type {data_type}")
        array = np.ascontiguousarray(array)
        tensor.data_type = data_type
        tensor.shape = Shape(array.ndim, (c_int * 8)(*array.shape))
        tensor.memory = self.allocate(max(size, array.nbytes))
        status = self.device_library.bm_memcpy_s2d_partial(
            self.device, tensor.memory, array.ctypes.data, array.nbytes
        )
        require(status == 0, "copying an input")

    def _take(self, tensor: Tensor) -> Array:
        array = np.empty(tensor.shape.tuple(), DataType(tensor.data_type).numpy)
        status = self.device_library.bm_memcpy_d2s_partial(
            self.device, array.ctypes.data, tensor.memory, array.nbytes
        )
        require(status == 0, "copying an output")
        return array


def main(model: str, inputs: str, outputs: str, net: str) -> None:
    """Run a bmodel once an input set of a file and save the outputs in another."""
    runtime = Runtime()
    first = runtime.load(model)
    given = split_sets(load_arrays(Path(inputs)))
    found = [runtime.run(net.encode() or first, arrays) for arrays in given]
    save_arrays(Path(outputs), joined_sets(found))
    leave()
