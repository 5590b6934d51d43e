"""Our cycles against the vendor's estimators, command by command, to the cycle.

``BMNETU_CASES``: how many times the usual number of random commands (1).
"""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

import numpy as np
import pytest

from bmnetu.bmodel import read
from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles import cycles_of, schedule, traced_cycles_of
from dialects.bm1684.isa import Engine, Instruction
from tests.bench.commands import instructions
from tests.dialects.bm1684.cases import GENERATORS
from tests.dialects.bm1684.fields import Rng
from tests.vendor.estimator import ESTIMATES, Estimator
from tests.vendor.networks import Job, compiled, models

CASES = 250 * int(os.environ.get("BMNETU_CASES", "1"))
UNPRICED = {"transpose_nc", "transpose_cw", "copy_linear"}
JOBS = [Job("caffe/mtcnn_det2", prec, opt, 1) for prec in ("FP32", "INT8") for opt in (0, 1, 2)]
OVERFLOW = 1 << 31


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator()


def differences(estimator: Estimator, commands: list[Instruction]) -> list[tuple[str, int, int]]:
    """(command, our cycles, the vendor's) where they are not equal."""
    pairs = [(c, cycles_of(c), estimator.cycles(c)) for c in commands]
    return [(str(c), own, theirs) for c, own, theirs in pairs if own is not None and own != theirs]


def widened(inst: Instruction, rng: Rng) -> Instruction:
    """The same kind of command with sizes, strides and addresses from a far wider range; it need
    not be legal, the estimators do not ask."""
    fields = tiu_fields(rng) if inst.engine is Engine.TIU else gdma_fields(rng)
    used = {name: value for name, value in fields.items() if name in inst.kind.uses}
    return inst.replace(**used)


def tiu_fields(rng: Rng) -> dict[str, int]:
    top = {"res0_n": 20, "res0_c": 2100, "res0_h": 300, "res0_w": 300, "opd1_h": 12, "opd1_w": 12,
           "opd0_c": 2100, "opd0_w": 200, "opd0_n": 300, "opd1_n": 40, "res_op_x_str": 15,
           "res_op_y_str": 15}
    small = rng.random() < 0.5
    sizes = {
        name: int(rng.integers(1, (min(limit, 9) if small else limit) + 1))
        for name, limit in top.items()
    }
    lanes = rng.integers(0, BM1684.lanes, 2)
    addresses = [BM1684.local_address(int(lane), 128 * 7) for lane in lanes]
    return sizes | {"res0_addr": addresses[0], "res1_addr": addresses[1]}


def gdma_fields(rng: Rng) -> dict[str, int]:
    """Sizes, strides that are often regular, and any address in DDR."""
    fields = {"stride_enable": 1, "chw_copy": 0}
    for side in ("src", "dst"):
        n, c, h, w = (int(rng.choice([1, 2, 5, 16, 31, 64, 200, 500])) for _ in range(4))
        ws = int(rng.choice([1, 1, 1, 0, 2, 4, 100]))
        hs = int(rng.choice([w, w, w + 3, w * ws, 0, 4096]))
        cs = int(rng.choice([h * w, hs * h, h * w + 17, 0, 1 << 14]))
        ns = int(rng.choice([c * cs, c * h * w, 0, 1 << 17]))
        for axis, size, stride in zip("nchw", (n, c, h, w), (ns, cs, hs, ws), strict=True):
            fields |= {f"{side}_{axis}size": size, f"{side}_{axis}stride": stride}
        address = BM1684.ddr_base + int(rng.integers(1 << 30))
        fields |= isa.start(side, address)
    return fields


def fits(inst: Instruction) -> bool:
    """Whether the estimators' 31-bit integers hold what they compute on the way."""
    if inst.engine is Engine.TIU:
        return (cycles_of(inst) or 0) < OVERFLOW // 2
    extents = (
        max(prod(inst[f"{side}_{axis}size"] for axis in "nchw") * inst[f"{side}_wstride"],
            inst[f"{side}_nsize"] * inst[f"{side}_nstride"])
        for side in ("src", "dst")
    )
    return 4 * max(extents) < OVERFLOW


@pytest.mark.parametrize("name", [name for name in GENERATORS if name not in UNPRICED])
def test_random_commands(name: str, estimator: Estimator) -> None:
    rng = np.random.default_rng(list(name.encode()))
    commands = [GENERATORS[name](rng).inst for _ in range(CASES)]
    wide = [c for c in (widened(c, rng) for c in commands) if fits(c)]
    assert len(wide) > CASES // 4
    assert differences(estimator, [c for c in commands + wide if c.kind in ESTIMATES]) == []


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_commands_of_a_compiled_network(
    job: Job, estimator: Estimator, tmp_path: Path
) -> None:
    bmodel = compiled(job, tmp_path).contents
    assert bmodel is not None
    commands = [c for group in instructions(bmodel) for c in group]
    assert [str(c) for c in commands if cycles_of(c) is None] == []
    assert differences(estimator, commands) == []


VENDOR_TOTALS = {
    "convrelu_f32": 1699, "convrelu_int8": 2570, "det2_f32": 15634, "det2_int8": 11111,
    "lenet_int8": 19838,
}
"""Cycles in the trace that the vendor's compiler wrote. It prices a matrix move as a plain one."""


@pytest.mark.parametrize("name", VENDOR_TOTALS)
def test_commands_of_the_vendors_compiler(name: str, estimator: Estimator) -> None:
    path = models() / "vendor_bmodels" / f"{name}_O2.bmodel"
    groups = instructions(read(path.read_bytes(), name))
    commands = [c for group in groups for c in group]
    assert [str(c) for c in commands if cycles_of(c) is None] == []
    assert differences(estimator, commands) == []

    assert schedule(groups, traced_cycles_of).total == VENDOR_TOTALS[name]
