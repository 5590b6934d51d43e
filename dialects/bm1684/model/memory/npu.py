"""The memories of the NPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.chip import BM1684
from dialects.bm1684.model.errors import ModelError
from dialects.bm1684.model.memory.tables import fixed_tables

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
DType = np.dtype[Any]
NOISE_BYTES = 1_000_003
"""Bytes after which noise repeats: a prime, so that no two lanes hold the same."""


class Npu:
    """Local memory, L2 and a piece of DDR.

    ``lmem`` is uint8 [64, 524288], ``l2`` uint8 [4 MiB] with the fixed tables, ``ddr`` uint8
    [ddr_bytes] from address ``BM1684.context_start`` on. Everything else starts as noise drawn
    from ``seed``, so that reading unwritten memory shows; as zeros with None: what is never
    touched of these takes no memory of the machine. Commands may not write DDR addresses in
    ``protected``.
    """

    def __init__(self, ddr_bytes: int, seed: int | None = 0):
        rng = None if seed is None else np.random.default_rng(seed)
        self.lmem = _noise(rng, BM1684.lanes * BM1684.lane_bytes).reshape(BM1684.lanes, -1)
        self.l2 = _noise(rng, BM1684.l2_bytes)
        self.ddr = _noise(rng, ddr_bytes)
        self.protected = range(0)
        tables = fixed_tables()
        start = BM1684.tables.start
        self.l2[start : start + tables.size] = tables

    def ddr_view(self, address: int, nbytes: int) -> Bytes:
        """The bytes of DDR from ``address`` on, writable.

        Raises :class:`ModelError` when they are not all inside ``ddr``.
        """
        start = address - BM1684.context_start
        if nbytes < 0 or start < 0 or start + nbytes > self.ddr.size:
            raise ModelError(
                f"DDR addresses {address:#x}..{address + nbytes - 1:#x} are outside "
                f"{BM1684.context_start:#x}..{BM1684.context_start + self.ddr.size - 1:#x}"
            )
        return self.ddr[start : start + nbytes]

    def system_view(self, address: int, nbytes: int) -> Bytes:
        """As :meth:`ddr_view` for DDR or L2 addresses."""
        if not BM1684.l2_base <= address < BM1684.l2_end:
            return self.ddr_view(address, nbytes)
        start = address - BM1684.l2_base
        if start + nbytes > BM1684.l2_bytes:
            raise ModelError(f"L2 has no bytes {start:#x}..{start + nbytes - 1:#x}")
        return self.l2[start : start + nbytes]


def _noise(rng: np.random.Generator | None, nbytes: int) -> Bytes:
    """Random bytes, repeated: they take a tenth of the time of as many fresh ones."""
    if rng is None:
        return np.zeros(nbytes, np.uint8)
    drawn = np.frombuffer(rng.bytes(min(nbytes, NOISE_BYTES)), np.uint8)
    return np.resize(drawn, nbytes)
