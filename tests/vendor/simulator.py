"""The vendor's simulator in a process of its own: a failed assertion of the library ends that
process, not the test.

The memories live in one shared file; a command is 128 bytes on the worker's standard input, and
one byte comes back when it has been executed.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LANES, LANE_BYTES, L2_BYTES = 64, 512 << 10, 4 << 20
LMEM_BYTES = LANES * LANE_BYTES
DDR_OFFSET = 0x510_0000
"""First byte of DDR that is shared: the simulator's DDR starts at 0x1_0000_0000."""

Bytes = NDArray[np.uint8]


def library() -> Path:
    """The simulator's library below the folder that BM1684_VENDOR names."""
    return Path(os.environ["BM1684_VENDOR"]) / "lib" / "libcmodel_bm1684.so"


class SimulatorAbort(Exception):
    """The simulator refused the command and ended its process."""


class Simulator:
    """Memories as arrays (``lmem`` [64, lane bytes], ``l2``, ``ddr``) and :meth:`execute`."""

    def __init__(self, ddr_bytes: int):
        size = LMEM_BYTES + L2_BYTES + ddr_bytes
        with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)
            self._worker = subprocess.Popen(
                [sys.executable, __file__, str(library()), file.name, str(ddr_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert self._worker.stdout is not None
            self._wait()
        memory = np.frombuffer(self._map, np.uint8)
        self.lmem = memory[:LMEM_BYTES].reshape(LANES, LANE_BYTES)
        self.l2 = memory[LMEM_BYTES : LMEM_BYTES + L2_BYTES]
        self.ddr = memory[LMEM_BYTES + L2_BYTES :]

    def execute(self, engine: int, command: bytes) -> None:
        """Perform one command; engine 0 is the TIU, 1 the GDMA. Raises :class:`SimulatorAbort`."""
        assert self._worker.stdin is not None
        try:
            self._worker.stdin.write(bytes([engine]) + command)
            self._worker.stdin.flush()
        except BrokenPipeError:
            raise SimulatorAbort(command.hex()) from None
        self._wait()

    def close(self) -> None:
        """End the process."""
        self._worker.kill()
        self._worker.wait()
        for stream in (self._worker.stdin, self._worker.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def _wait(self) -> None:
        assert self._worker.stdout is not None
        # The library prints to standard output; the worker's answer is the byte 0.
        while True:
            got = self._worker.stdout.read(1)
            if got == b"\0":
                return
            if not got:
                raise SimulatorAbort("the simulator's process ended")


def _array(address: int, size: int) -> Bytes:
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def _load(path: str, ddr_bytes: int) -> tuple[Any, list[Bytes]]:
    lib = ctypes.CDLL(path)
    lib.cmodel_init.argtypes = [ctypes.c_int32, ctypes.c_int64]
    for name in ("get_global_memaddr", "get_l2_sram"):
        getattr(lib, name).argtypes = [ctypes.c_int32]
        getattr(lib, name).restype = ctypes.c_void_p
    lib.get_local_mem.argtypes = [ctypes.c_int32]
    lib.get_local_mem.restype = ctypes.POINTER(ctypes.c_void_p)
    lib.get_atomic_function.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    lib.get_atomic_function.restype = ctypes.CFUNCTYPE(
        ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p
    )
    lib.cmodel_init(0, DDR_OFFSET + ddr_bytes)
    return lib, [
        _array(lib.get_local_mem(0)[0], LMEM_BYTES),
        _array(lib.get_l2_sram(0), L2_BYTES),
        _array(lib.get_global_memaddr(0) + DDR_OFFSET, ddr_bytes),
    ]


def _serve(path: str, shared: str, ddr_bytes: int) -> None:
    lib, memories = _load(path, ddr_bytes)
    with open(shared, "r+b") as file:
        whole = np.frombuffer(mmap.mmap(file.fileno(), 0), np.uint8)
    pieces = np.split(whole, np.cumsum([memory.size for memory in memories])[:-1])
    for piece, memory in zip(pieces, memories, strict=True):
        piece[:] = memory
    while True:
        sys.stdout.buffer.write(b"\0")
        sys.stdout.buffer.flush()
        request = sys.stdin.buffer.read(129)
        if len(request) < 129:
            return
        for piece, memory in zip(pieces, memories, strict=True):
            memory[:] = piece
        command = ctypes.create_string_buffer(request[1:], 128)
        lib.get_atomic_function(command, request[0])(0, command)
        for piece, memory in zip(pieces, memories, strict=True):
            piece[:] = memory


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
