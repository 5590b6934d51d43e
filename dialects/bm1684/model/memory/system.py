"""Tensors in DDR and L2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from dialects.bm1684.chip import BM1684
from dialects.bm1684.model.errors import ModelError, limit_elements
from dialects.bm1684.model.memory.access import Access, Space
from dialects.bm1684.model.memory.lanes import Shape
from dialects.bm1684.model.memory.npu import Array, Npu


@dataclass(frozen=True, slots=True)
class SystemTensor:
    """A tensor [n, c, h, w] at a DDR or L2 address; strides in elements of ``unit`` bytes."""

    address: int
    unit: int
    shape: Shape
    strides: Shape

    def __post_init__(self) -> None:
        limit_elements(f"a tensor at {self.address:#x}", *self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes from the first to the last element."""
        steps = sum((i - 1) * stride for i, stride in zip(self.shape, self.strides, strict=True))
        return self.unit * (steps + 1)

    def access(self, write: bool) -> Access:
        """The bytes from the first to the last element."""
        start = self.address
        if BM1684.l2_base <= start < BM1684.l2_end:
            start -= BM1684.l2_base
            return Access(Space.L2, 0, 0, start, start + self.nbytes, write)
        return Access(Space.DDR, 0, 0, start, start + self.nbytes, write)

    def view(self, npu: Npu, dtype: DTypeLike) -> Array:
        """The elements in memory, writable."""
        return np.ndarray(
            self.shape,
            dtype,
            npu.system_view(self.address, self.nbytes),
            0,
            tuple(stride * self.unit for stride in self.strides),
        )

    def read(self, npu: Npu, dtype: DTypeLike) -> Array:
        """A copy of the elements."""
        return self.view(npu, dtype).copy()

    def write(self, npu: Npu, data: Array) -> None:
        """Store ``data`` [n, c, h, w]. Raises :class:`ModelError` for protected addresses."""
        stop = self.address + self.nbytes
        if self.address < npu.protected.stop and npu.protected.start < stop:
            raise ModelError(
                f"dst_start_addr writes {self.address:#x}..{stop - 1:#x}, which holds weights"
            )
        self.view(npu, data.dtype)[...] = data


def l2_table(offset: int, words: int, field: str) -> SystemTensor:
    """``words`` 32-bit entries at a byte offset of L2, as TIU commands address tables."""
    if offset % 4 or offset + 4 * words > BM1684.l2_bytes:
        raise ModelError(f"{field}={offset:#x} is not a table of {words} words inside L2")
    return SystemTensor(BM1684.l2_base + offset, 4, (1, 1, 1, words), (0, 0, 0, 1))
