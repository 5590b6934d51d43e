"""Cycles of single commands, as the vendor's estimators give them, and of whole schedules."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles import (
    PEAK_MACS,
    ScheduleError,
    Span,
    Traffic,
    cycles_of,
    macs_of,
    schedule,
    traffic_of,
)
from dialects.bm1684.isa import (
    Direction,
    Engine,
    Eu,
    Format,
    Instruction,
    InstructionKind,
    Precision,
)

LANE_5 = BM1684.local_address(5, 0)
LANE_0 = BM1684.local_address(0, 0)
DDR = 0x1_0600_0000
INT8 = {"opt_res0_prec": Precision.INT8, "opt_opd0_prec": Precision.INT8}
FP32 = {f"opt_{x}_prec": Precision.FP32 for x in ("res0", "opd0", "opd1", "opd2")}
INT16 = {"opt_res0_prec": Precision.INT16, "opt_opd0_prec": Precision.INT16}
BIAS, NO_BIAS = {"tsk_opd_num": 3}, {"tsk_opd_num": 2}
POINTWISE = {"res0_n": 2, "res0_c": 70, "res0_h": 9, "res0_w": 7, "res0_addr": LANE_0}


def result(n: int, c: int, h: int, w: int, address: int = LANE_0) -> dict[str, int]:
    """The fields of a result's shape and place."""
    return {"res0_n": n, "res0_c": c, "res0_h": h, "res0_w": w, "res0_addr": address}


def window(kernel: int, stride: int = 1, depth: int = 1) -> dict[str, int]:
    """The fields of a square window."""
    return {"opd1_h": kernel, "opd1_w": kernel, "res_op_x_str": stride, "res_op_y_str": stride,
            "opd0_c": depth}


def without_depth(kernel: int, stride: int) -> dict[str, int]:
    """A window of a command that takes one channel."""
    fields = window(kernel, stride)
    del fields["opd0_c"]
    return fields


def matrix(rows: int, sections: int, width: int, last: int) -> dict[str, int]:
    """The fields of a matmul's left operand."""
    return {"opd0_n": rows, "opd0_c": sections, "opd0_w": width, "opd1_w": last}


TIU_CASES: list[tuple[InstructionKind, dict[str, int], int]] = [
    (isa.CONV, {**INT8, **BIAS, **result(1, 64, 56, 56), **window(3, 1, 64)}, 30184),
    (isa.CONV, {**INT8, **BIAS, **result(4, 64, 56, 56), **window(3, 1, 64)}, 30184),
    (isa.CONV, {**INT8, **BIAS, **result(5, 64, 56, 56, LANE_5), **window(3, 1, 64)}, 120736),
    (isa.CONV, {**INT8, **NO_BIAS, **result(1, 32, 112, 112), **window(3, 2, 3)}, 61943),
    (isa.CONV, {**INT8, **NO_BIAS, **result(1, 100, 7, 9), **window(1, 12, 70)}, 208),
    (isa.CONV, {**FP32, **BIAS, **result(2, 130, 13, 13, LANE_5), **window(3, 1, 64)}, 19338),
    (isa.CONV, {**FP32, **NO_BIAS, **result(1, 32, 112, 112), **window(3, 2, 3)}, 37632),
    (isa.CONV, {**FP32, **NO_BIAS, **result(1, 16, 20, 20), **window(5, 2, 1)}, 1950),
    (isa.CONV, {**INT8, **BIAS, "opt_winograd": 1, **result(1, 64, 9, 14), **window(4, 1, 30)},
     630),
    (isa.CONV, {**FP32, **BIAS, "opt_winograd": 1, **result(3, 64, 9, 14), **window(4, 1, 30)},
     2257),
    (isa.DEPTHWISE, {**INT8, **BIAS, **result(4, 96, 28, 28), **without_depth(3, 2)}, 2912),
    (isa.DEPTHWISE, {**FP32, **BIAS, **result(4, 96, 28, 28), **without_depth(3, 1)}, 7840),
    (isa.MAX_POOL, {**INT8, **result(1, 64, 55, 55), **without_depth(3, 2)}, 1248),
    (isa.MAX_POOL, {**FP32, **result(1, 64, 55, 55), **without_depth(3, 2)}, 4560),
    (isa.MATMUL, {**INT8, **BIAS, **matrix(3, 5, 128, 10), "res0_c": 70, "res0_w": 100,
                  "res0_addr": LANE_0}, 6348),
    (isa.MATMUL, {**FP32, **NO_BIAS, "opt_res_add": 1, **matrix(1, 18, 32, 32), "res0_c": 4,
                  "res0_w": 32, "res0_addr": LANE_0}, 1168),
    (isa.ARITH, {**FP32, "tsk_eu_typ": Eu.MAC, **POINTWISE}, 80),
    (isa.ARITH, {**FP32, "tsk_eu_typ": Eu.SELECT_GT, **POINTWISE}, 32),
    (isa.ARITH, {**INT16, "tsk_eu_typ": Eu.ADD, **POINTWISE}, 24),
    (isa.ARITH, {**INT16, "opt_res0_prec": 0, "tsk_eu_typ": Eu.ADD, **POINTWISE}, 32),
    (isa.ARITH, {**INT8, "tsk_eu_typ": Eu.MAX, **POINTWISE}, 8),
    (isa.LOOKUP, POINTWISE, 384),
    (isa.SCALAR, {"tsk_eu_typ": Eu.DIV, **POINTWISE}, 480),
    (isa.SFU, {"tsk_eu_typ": Eu.TAYLOR, "opd1_n": 7, **POINTWISE}, 480),
    (isa.SFU, {"tsk_eu_typ": Eu.RSQRT, **POINTWISE}, 432),
    (isa.LINEAR, {"tsk_eu_typ": Eu.MAC, **POINTWISE}, 64),
    (isa.COMPARE, {"tsk_eu_typ": Eu.COMPARE, **POINTWISE}, 32),
    (isa.COMPARE, {"tsk_eu_typ": Eu.SELECT, "res1_addr": LANE_5, "res0_c": 60}, 4),
]


def side(name: str, address: int, sizes: Sequence[int], strides: Sequence[int]) -> dict[str, int]:
    """One side of a transfer."""
    fields = isa.start(name, address)
    for axis, size, stride in zip("nchw", sizes, strides, strict=True):
        fields |= {f"{name}_{axis}size": size, f"{name}_{axis}stride": stride}
    return fields


def dense(sizes: Sequence[int]) -> tuple[int, ...]:
    _, c, h, w = sizes
    return c * h * w, h * w, w, 1


BLOCK = (2, 70, 30, 20)
LOAD = {"direction": Direction.SYSTEM_TO_LOCAL, **side("dst", LANE_0, BLOCK, (1280, 640, 20, 1))}
BYTES = {"src_data_format": Format.INT8, "dst_data_format": Format.INT8}
MANY = (4, 8, 16, 50)
GDMA_CASES: list[tuple[InstructionKind, dict[str, int], int]] = [
    (isa.MOVE, LOAD | side("src", DDR, BLOCK, dense(BLOCK)), 6433),
    (isa.MOVE, LOAD | BYTES | side("src", DDR, BLOCK, dense(BLOCK)), 1711),
    (isa.MOVE, LOAD | side("src", DDR, BLOCK, (84000, 1200, 40, 2)), 34321),
    (isa.MOVE, LOAD | BYTES | {"dst_wstride": 4} | side("src", DDR, BLOCK, dense(BLOCK)), 4459),
    (isa.MOVE, side("src", DDR + 100, MANY, (400000, 50000, 4096, 3))
     | side("dst", LANE_5, MANY, (1024, 1024, 50, 1)), 68456),
    (isa.MOVE, {"direction": Direction.LOCAL_TO_SYSTEM} | side("src", LANE_0, (1, 1000, 1, 1),
     (512, 32, 1, 1)) | side("dst", DDR, (1, 1000, 1, 1), dense((1, 1000, 1, 1))), 599),
    (isa.MOVE, {"direction": Direction.LOCAL_TO_LOCAL} | side("src", LANE_0, BLOCK,
     (1280, 640, 20, 1)) | side("dst", LANE_5, BLOCK, (1280, 640, 20, 1)), 10503),
    (isa.MOVE, {"direction": Direction.SYSTEM_TO_SYSTEM} | side("src", DDR, BLOCK, dense(BLOCK))
     | side("dst", DDR + (1 << 20), BLOCK, dense(BLOCK)), 6433),
    (isa.CONVERT, LOAD | {"src_data_format": Format.INT8} | side("src", DDR, BLOCK, dense(BLOCK)),
     6433),
    (isa.FILL, {"direction": Direction.SYSTEM_TO_LOCAL} | side("dst", LANE_0, BLOCK,
     (1280, 640, 20, 1)), 5257),
    (isa.FILL, {"direction": Direction.LOCAL_TO_LOCAL} | side("dst", LANE_0, BLOCK,
     (1280, 640, 20, 1)), 5257),
    (isa.FILL, {"direction": Direction.SYSTEM_TO_SYSTEM} | side("dst", DDR, BLOCK, dense(BLOCK)),
     6303),
    (isa.MATRIX, side("src", DDR, (1, 1, 256, 256), (1, 1, 256, 1))
     | side("dst", LANE_0, (256, 8, 1, 32), (32, 32, 1, 1)), 6700),
    (isa.MATRIX, BYTES | side("src", DDR, (1, 1, 256, 256), (1, 1, 256, 1))
     | side("dst", LANE_0, (256, 2, 1, 128), (128, 128, 1, 1)), 1784),
]


@pytest.mark.parametrize(("kind", "fields", "cycles"), TIU_CASES + GDMA_CASES)
def test_cycles_of_a_command(kind: InstructionKind, fields: dict[str, int], cycles: int) -> None:
    assert cycles_of(kind.build(**fields)) == cycles


@pytest.mark.parametrize(
    "instruction",
    [
        isa.TRANSPOSE_NC.build(),
        isa.TRANSPOSE_CW.build(),
        isa.COPY_LINEAR.build(src_nstride=100),
        isa.MOVE.build(acc_write_enable=1),
        isa.MOVE.build(src_wshift=1),
        isa.MATRIX.build(special_func=1),
        isa.MATMUL.build(opt_left_tran=1),
        isa.ARITH.build(tsk_eu_typ=Eu.DIV),
    ],
    ids=str,
)
def test_unknown_prices_are_not_guessed(instruction: Instruction) -> None:
    assert cycles_of(instruction) is None
    numbered = instruction.with_ids(1, 0)
    found = schedule([[numbered]])
    assert (found.total, found.unknown) == (0, (numbered,))


def test_products() -> None:
    assert {p: PEAK_MACS[p] for p in (Precision.INT8, Precision.FP32)} == {0: 16384, 2: 2048}
    conv = isa.CONV.build(**result(2, 8, 5, 5), **window(3, 1, 16))
    assert macs_of(conv) == 2 * 8 * 25 * 9 * 16
    assert macs_of(isa.DEPTHWISE.build(**result(2, 8, 5, 5), **without_depth(3, 1))) == 400 * 9
    left = matrix(3, 2, 32, 7)
    assert macs_of(isa.MATMUL.build(**left, res0_c=4, res0_w=16)) == 3 * 39 * 64
    assert macs_of(isa.ARITH.build(**result(2, 8, 5, 5))) == 0


def test_traffic() -> None:
    load = isa.MOVE.build(**BYTES, **LOAD, **side("src", DDR, BLOCK, dense(BLOCK)))
    assert traffic_of(load) == Traffic(read=2 * 70 * 600)
    from_l2 = load.replace(**isa.start("src", BM1684.l2_base))
    assert traffic_of(from_l2) == Traffic()
    fill = isa.FILL.build(direction=Direction.SYSTEM_TO_SYSTEM, chw_copy=1, src_nsize=3,
                          src_csize=1, src_hsize=1, src_wsize=10, **isa.start("dst", DDR))
    assert traffic_of(fill) == Traffic(written=120)
    copy = isa.COPY_LINEAR.build(src_nstride=9, **isa.start("src", DDR), **isa.start("dst", DDR))
    assert traffic_of(copy) == Traffic(36, 36)


def tiu(number: int, wait: int) -> Instruction:
    """A command of 10 cycles."""
    cost = {**FP32, "tsk_eu_typ": Eu.COPY, **result(1, 1, 160, 1)}
    return isa.ARITH.build(**cost).with_ids(number, wait)


def gdma(number: int, wait: int) -> Instruction:
    """A command of 4 cycles."""
    local = {"direction": Direction.LOCAL_TO_LOCAL}
    sizes = (1, 1, 1, 8)
    sides = side("src", LANE_0, sizes, (8, 8, 8, 1)) | side("dst", LANE_5, sizes, (8, 8, 8, 1))
    return isa.MOVE.build(**local, **sides).with_ids(number, wait)


def test_engines_overlap_where_the_waits_let_them() -> None:
    group = [gdma(1, 0), gdma(2, 0), tiu(1, 1), tiu(2, 2), gdma(3, 1)]
    found = schedule([group, group[:1]])
    spans = [(0, 4), (4, 8), (4, 14), (14, 24), (14, 18)]
    assert found.spans == (tuple(Span(*s) for s in spans), (Span(24, 28),))
    assert found.total == 28
    assert found.busy == {Engine.TIU: 20, Engine.GDMA: 16}
    assert found.unknown == ()


def test_no_command_at_all() -> None:
    assert schedule([]).total == schedule([[]]).total == 0


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        ([tiu(1, 1), gdma(1, 1)], "deadlock: tiu command 1 waits for 1"),
        ([tiu(1, 2), gdma(1, 0)], "deadlock: tiu command 1 waits for 2"),
        ([tiu(2, 0)], "tiu command 1 of a group has id 2"),
    ],
)
def test_impossible_waits(group: list[Instruction], sentence: str) -> None:
    with pytest.raises(ScheduleError, match=sentence):
        schedule([group])


@st.composite
def programs(draw: st.DrawFn) -> list[Instruction]:
    """Commands that wait only for earlier ones."""
    count = {Engine.TIU: 0, Engine.GDMA: 0}
    commands: list[Instruction] = []
    for on_tiu in draw(st.lists(st.booleans(), min_size=1, max_size=12)):
        own, other = (Engine.TIU, Engine.GDMA) if on_tiu else (Engine.GDMA, Engine.TIU)
        count[own] += 1
        wait = draw(st.integers(0, count[other]))
        commands.append((tiu if on_tiu else gdma)(count[own], wait))
    return commands


@given(programs())
def test_laws_of_a_schedule(commands: list[Instruction]) -> None:
    found = schedule([commands])
    assert max(found.busy.values()) <= found.total <= sum(found.busy.values())
    ends = {engine: [0] for engine in Engine}
    for command, span in zip(commands, found.spans[0], strict=True):
        other = Engine.GDMA if command.engine is Engine.TIU else Engine.TIU
        assert span.start == max(ends[command.engine][-1], ends[other][command.wait])
        ends[command.engine].append(span.end)
    reordered = sorted(commands, key=lambda c: (c.engine, c.id))
    assert schedule([reordered]).total == found.total
