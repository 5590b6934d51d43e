"""A stream as text: what a line says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialects.bm1684.record.base import RecordOp
from dialects.bm1684.record.local import LocalGroup
from dialects.bm1684.record.movement import ReshapeOp, SliceOp
from dialects.bm1684.record.pointwise import BinaryOp
from dialects.bm1684.record.stream import Neuron, RecordCode
from passes.image.record_text import record_lines
from tests.dialects.record.streams import sample

LINES = list(record_lines(sample(3)))


@pytest.mark.parametrize(
    "line",
    [
        "network t1 <- t0 batch=4",
        "0 conv t2@0x105102000 <- t0, weight@0x105100040, bias@0x105100080 8bit 4N>4N"
        " channels=3:4 kernel=3:3 has_bias=1",
        "3 concat t5@0x105105000 <- t2@0x105102000, t3@0x105103000 8bit 4N>4N count=2 rank=4"
        " axis=1 extra=(4,4)",
        "4 eltwise t6@0x105106000 <- t2@0x105102000*0x64, t3@0x105103000*0x1b 8bit 4N>4N op=1"
        " count=2 relu=1",
        "10 lookup t1 <- t10@0x10510a000, table@0x105100040 8bit 4N>4N rank=2",
        "11 local t9 readers=2 <- t0, t6 steps=2 stages=3 batch=4",
        "11.0 conv t9@L0x4000 <- t20@L0x0, weight@L0x100, bias@L0x200 8bit 4N>4N channels=3:4"
        " has_bias=1 readers=2 stage=2",
        "11.0 concat t9@L0x4000 <- t20@L0x0, t21@L0x100, t22@L0x200 8bit 4N>4N axis=1"
        " extra=(3,4,5) readers=2 stage=2",
        "11.0 eltwise t9@L0x4000 <- t20@L0x0*0x3, t21@L0x100*0x4, buffer@L0x8000 8bit 4N>4N op=1"
        " count=2 readers=2 stage=2",
        "11.0 convert t9@L0x4000 <- t20@L0x0, buffer@L0x8000 8bit 4N>4N source=2 readers=2"
        " stage=2",
        "11.1 load_coefficient address=0x1 offset=0x2 c=3 n=4 w=5 h=6 once=7 winograd=8 groups=9"
        " data_size=10 double_buffer=11 depth=12 layer_type=13 stage=2",
    ],
)
def test_a_line(line: str) -> None:
    assert line in [" ".join(each.split()) for each in LINES]


@pytest.mark.parametrize(
    ("kind", "changed", "text"),
    [
        (BinaryOp, {"a_rank": 2, "a_shape": (4, 8, 7, 7, 7, 7, -98375856, 7)}, " a_shape=(4,8)"),
        (ReshapeOp, {"rank": 3, "shape": (4, 8, -1, 7, 7, 7, 7, 7)}, " shape=(4,8,-1)"),
        (SliceOp, {"rank": 1, "begin": (3, 7, 7, 7, 7, 7, 7, 7)}, " begin=(3)"),
    ],
)
def test_nothing_beyond_the_rank_is_shown(
    kind: type[RecordOp], changed: dict[str, object], text: str
) -> None:
    stream = sample(1)
    values = kind.RECORD.struct.defaults | changed
    sources = tuple(map(Neuron, range(len(kind.sources(values, ())))))
    record = RecordCode(kind, values, (), 0, 0, 0, sources, (Neuron(9),))
    line = [*record_lines(replace(stream, groups=(record,)))][1]
    assert f"{text} " in f"{line} "


def test_every_layer_and_transfer_has_a_line() -> None:
    stream = sample(3)
    group = stream.groups[-1]
    assert isinstance(group, LocalGroup)
    assert len(LINES) == 1 + len(stream.groups) + sum(
        len(step.layers) + len(step.transfers) for step in group.steps
    )


def test_split_rows_are_shown() -> None:
    rows = "rows=9 stride=2 kernel=5 pads=(1,2) least=3"
    line = next(line for line in record_lines(sample(1)) if " local " in line)
    assert line == f"11 local t9 readers=2 <- t0 {rows}, t6 {rows} steps=2 stages=1 batch=4"
