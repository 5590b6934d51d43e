"""Call the runtime's host library, ``lib/libcpuop.so`` in the folder BM1684_VENDOR.

A failed assertion of the library ends the process, so it lives in a process of its own:
``python -m tests.vendor.host_library`` reads pickled cases from its standard input and writes
what each returned to its standard output. All cases of a test run share one, as the layers of a
net do.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from ctypes import c_int, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import IO, Any, cast

import numpy as np

from tests.vendor.runtime import ROOT, Array, VendorError, vendor_library

GUARD = 4096
"""Elements behind an output that the layer must leave alone."""
UNTOUCHED = 0x5A5A5A5A
"""What an element is that the layer has not written."""


@dataclass(frozen=True)
class Case:
    """One call: outputs have the shapes that the bmodel declares, and their element types."""

    number: int
    parameters: bytes
    inputs: Sequence[Array]
    shapes: Sequence[tuple[int, ...]]
    types: Sequence[str]


class Library:
    """The library in this process."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None)
        self.libc.malloc.argtypes, self.libc.malloc.restype = [c_size_t], c_void_p
        self.libc.free.argtypes = [c_void_p]
        found = ctypes.CDLL(str(vendor_library("libcpuop.so")))
        found.bmcpu_init.restype = c_void_p
        self.handle = found.bmcpu_init()
        self.process: Any = found.bmcpu_process
        self.process.argtypes = [c_void_p, c_int, c_void_p, c_int, *[c_void_p] * 4]

    def memory(self, data: bytes, spare: int = 0) -> int:
        """Memory of the C library's with these bytes, which C++ may free."""
        address = self.libc.malloc(max(len(data) + spare, 1))
        ctypes.memmove(address, data, len(data))
        return address

    def vector(self, data: bytes) -> bytes:
        """A std::vector: begin, end and the end of its memory."""
        begin = self.memory(data)
        end = begin + len(data)
        return bytes((c_void_p * 3)(begin, end, end))

    def shape_vector(self, shapes: Sequence[tuple[int, ...]]) -> int:
        """The address of a vector of vectors of ints."""
        inner = b"".join(self.vector(bytes((c_int * len(s))(*s))) for s in shapes)
        return self.memory(self.vector(inner))

    def run(self, case: Case) -> list[Array]:
        """The outputs in their actual shapes."""
        inputs = [self.memory(x.tobytes(), 64) for x in case.inputs]
        sizes = [int(np.prod(s)) + GUARD for s in case.shapes]
        outputs = [self.memory(np.full(n, UNTOUCHED, np.int32).tobytes()) for n in sizes]
        shapes = self.shape_vector(case.shapes)
        parameters = self.memory(case.parameters, 64)
        status = self.process(
            self.handle, case.number, parameters, len(case.parameters),
            self.memory(self.vector(bytes((c_void_p * len(inputs))(*inputs)))),
            self.shape_vector([x.shape for x in case.inputs]),
            self.memory(self.vector(bytes((c_void_p * len(outputs))(*outputs)))),
            shapes,
        )  # fmt: skip
        if status != 0:
            raise VendorError(f"the layer returned {status}")
        made: list[Array] = []
        for address, size, kind, shape in zip(
            outputs, sizes, case.types, actual(shapes), strict=True
        ):
            held = np.frombuffer(ctypes.string_at(address, size * 4), np.int32)
            if (held[-GUARD:] != UNTOUCHED).any():
                raise VendorError("the layer wrote behind its output")
            count = int(np.prod(shape))
            if count > size - GUARD:
                raise VendorError(f"the layer returned {shape}, more than its output has")
            made.append(held[:count].view(kind).reshape(shape))
        for address in (*inputs, *outputs, parameters):
            self.libc.free(address)
        return made


def actual(address: int) -> list[tuple[int, ...]]:
    """The shapes in a vector of vectors."""
    begin, end, _ = (c_void_p * 3).from_address(address)
    count = ((end or 0) - (begin or 0)) // 24
    shapes: list[tuple[int, ...]] = []
    for i in range(count):
        first, last, _ = (c_void_p * 3).from_address((begin or 0) + 24 * i)
        length = ((last or 0) - (first or 0)) // 4
        shapes.append(tuple((c_int * length).from_address(first)) if first and length else ())
    return shapes


class Server:
    """The library in a process of its own, which is begun again when it died."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, case: Case) -> list[Array]:
        """The outputs in their actual shapes; raises VendorError when the library refuses."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__], cwd=ROOT,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        send, receive = self.process.stdin, self.process.stdout
        assert send is not None
        assert receive is not None
        try:
            pickle.dump(case, send)
            send.flush()
            found = pickle.load(receive)
        except (EOFError, BrokenPipeError) as error:
            with self.process as ended:
                self.process, status = None, ended.wait()
            raise VendorError(f"the library ended its process, status {status}") from error
        if isinstance(found, Exception):
            raise found
        return cast(list[Array], found)


@cache
def server() -> Server:
    """The one of this test run."""
    return Server()


def run_layer(case: Case) -> list[Array]:
    """The outputs of one layer in their actual shapes. Raises VendorError when the library ends
    its process, or writes more than the outputs hold."""
    return server().run(case)


def serve(receive: IO[bytes], send: IO[bytes]) -> None:
    """Answer cases until there are no more."""
    library = Library()
    while True:
        try:
            case = pickle.load(receive)
        except EOFError:
            return
        try:
            answer: object = library.run(case)
        except VendorError as error:
            answer = error
        pickle.dump(answer, send)
        send.flush()


if __name__ == "__main__":
    # The library prints: what it says must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)
