"""Functions and reductions as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import f32

from dialects.bm1684.record import reductions
from dialects.quant.base import QuantOp
from dialects.quant.compute import SoftmaxOp
from passes.records.recorder import Recorder


def softmax(c: Recorder, ops: Sequence[SoftmaxOp]) -> None:
    op = ops[0]
    place = op.axis.value.data << reductions.AXIS_BITS
    c.values[op.y] = c.one(reductions.SoftmaxOp, [c.value(op.x)], f32, place=place)


FUNCTIONS: dict[type[QuantOp], Any] = {SoftmaxOp: softmax}
