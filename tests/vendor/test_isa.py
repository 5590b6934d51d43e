"""Every kind of instruction: the model against the vendor's simulator, whole memories compared.

``BMNETU_CASES``: random cases of every kind (6).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import Npu, execute
from tests.dialects.bm1684.cases import GENERATORS
from tests.dialects.bm1684.fields import DDR_BYTES, INTEGER, POSITIVE, Case
from tests.vendor.simulator import Simulator

CASES = int(os.environ.get("BMNETU_CASES", "6"))
TOLERANCE = 1e-5
Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    sim = Simulator(DDR_BYTES)
    yield sim
    sim.close()


@pytest.fixture(scope="module")
def npu() -> Npu:
    return Npu(DDR_BYTES)


def fill(npu: Npu, contents: str, rng: np.random.Generator) -> None:
    """New contents of local memory, DDR and the L2 below the fixed tables."""
    for memory in (npu.lmem, npu.ddr, npu.l2[:0x300000]):
        flat = memory.reshape(-1)
        if contents == INTEGER:
            block = rng.integers(0, 256, 1 << 22, np.uint8)
        else:
            numbers = rng.standard_normal(1 << 20, np.float32)
            block = (np.abs(numbers) if contents == POSITIVE else numbers).view(np.uint8)
        repeats = -(-flat.size // block.size)
        flat[:] = np.tile(block, repeats)[: flat.size]


def worst(before: Bytes, ours: Bytes, theirs: Bytes) -> float:
    """The largest error of the float32 words written, relative to the largest one (at least 1);
    infinite when only one side has a finite number."""
    was, mine, ref = (m.reshape(-1).view(np.uint32) for m in (before, ours, theirs))
    written = np.flatnonzero((was != ref) | (mine != ref))
    a, b = (m[written].view(np.float32).astype(np.float64) for m in (mine, ref))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not np.isfinite(a[~same]).all() or not np.isfinite(b[~same]).all():
        return np.inf
    scale = np.abs(b[np.isfinite(b)]).max(initial=1.0)
    return float(np.abs(a[~same] - b[~same]).max(initial=0.0) / scale)


@pytest.mark.parametrize("name", GENERATORS)
def test_model_equals_simulator(name: str, npu: Npu, simulator: Simulator):
    rng = np.random.default_rng(list(name.encode()))
    simulator.l2[:0x300000] = npu.l2[:0x300000]
    for _ in range(CASES):
        case: Case = GENERATORS[name](rng)
        fill(npu, case.contents, rng)
        ours = (npu.lmem, npu.l2, npu.ddr)
        theirs = (simulator.lmem, simulator.l2, simulator.ddr)
        npu.l2[0x300000:] = simulator.l2[0x300000:]
        for mine, other in zip(ours, theirs, strict=True):
            other[...] = mine
        before = [memory.copy() for memory in ours]
        execute(npu, case.inst)
        simulator.execute(int(case.inst.engine is isa.Engine.GDMA), case.inst.pack())
        for was, mine, other in zip(before, ours, theirs, strict=True):
            if case.bits_must_agree:
                assert np.array_equal(mine, other), case.inst
            else:
                limit = TOLERANCE if case.reordered else 0
                assert worst(was, mine, other) <= limit, case.inst


def test_fixed_tables_equal_the_simulators(simulator: Simulator):
    tables = BM1684.tables
    ours = Npu(1).l2[tables.start : tables.end].view(np.float32)
    theirs = simulator.l2[tables.start : tables.end].view(np.float32)
    # The simulator leaves not-a-number behind arcsin's coefficients; small numbers are denormal.
    same = (ours.view(np.uint32) == theirs.view(np.uint32)) | np.isnan(theirs)
    np.testing.assert_allclose(ours[~same], theirs[~same], rtol=1e-6, atol=2e-38)
    assert (~same).sum() < 64
