"""The reported accesses cover what a command really touches."""

from __future__ import annotations

import numpy as np
import pytest

from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import Access, Npu, Space, accesses, execute
from tests.dialects.bm1684.cases import GENERATORS
from tests.dialects.bm1684.fields import DDR_BYTES, INTEGER

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@pytest.fixture(scope="module")
def npus() -> tuple[Npu, Npu]:
    return Npu(DDR_BYTES), Npu(DDR_BYTES)


def cover(npu: Npu, found: list[Access]) -> tuple[Mask, Mask, Mask]:
    """Which bytes of lmem, L2 and DDR the accesses cover."""
    lmem, l2, ddr = (np.zeros(m.shape, bool) for m in (npu.lmem, npu.l2, npu.ddr))
    for access in found:
        match access.space:
            case Space.LMEM:
                lanes = np.arange(access.first_lane, access.first_lane + access.lanes) % 64
                lmem[lanes, access.start : access.stop] = True
            case Space.L2:
                l2[access.start : access.stop] = True
            case Space.DDR:
                start = access.start - BM1684.context_start
                ddr[start : access.stop - BM1684.context_start] = True
    return lmem, l2, ddr


@pytest.mark.parametrize("name", GENERATORS)
def test_accesses_cover_reads_and_writes(name: str, npus: tuple[Npu, Npu]):
    rng = np.random.default_rng(list(name.encode()))
    for _ in range(2):
        case = GENERATORS[name](rng)
        found = accesses(case.inst)
        written = cover(npus[0], [access for access in found if access.write])
        touched = cover(npus[0], found)
        for memory in ("lmem", "l2", "ddr"):
            first, second = (getattr(npu, memory) for npu in npus)
            if case.contents != INTEGER:
                numbers = rng.standard_normal(1 << 14, np.float32).view(np.uint8)
                first.reshape(-1, numbers.size)[:] = numbers
            second[...] = first ^ 1
        for mask, memory in zip(touched, ("lmem", "l2", "ddr"), strict=True):
            first, second = (getattr(npu, memory) for npu in npus)
            second[mask] = first[mask]
        before = [memory.copy() for memory in (npus[0].lmem, npus[0].l2, npus[0].ddr)]
        for npu in npus:
            execute(npu, case.inst)
        for was, mask, memory in zip(before, written, ("lmem", "l2", "ddr"), strict=True):
            first, second = (getattr(npu, memory) for npu in npus)
            assert not (first != was)[~mask].any()
            assert np.array_equal(first[mask], second[mask])
