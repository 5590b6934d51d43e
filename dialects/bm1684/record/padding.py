"""Numbers around a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.bm1684.record.base import Array, Call, Record, RecordOp, Shape, needs
from dialects.c_struct import FLOAT, INT, U8, U32, U64, CStruct, Values, ints


@irdl_op_definition
class PadOp(RecordOp):
    """``value`` around a tensor of rank 4: ``pads`` before and after each axis."""

    name = "record.pad"
    RECORD: ClassVar = Record(
        number=26,
        struct=CStruct(
            channels=U32, value=FLOAT, mode=INT, pads=ints(8), unused_44=INT, input_scratch=U64,
            output_scratch=U64, unused_64=U8,
        ).with_defaults(),
    )  # fmt: skip

    @classmethod
    def check(cls, v: Values) -> None:
        needs(v["mode"] == 0, f"there is no mode {v['mode']}")
        needs(min(v["pads"]) >= 0, "pads are not negative")

    @classmethod
    def shapes(cls, v: Values, extra: Sequence[int], xs: Sequence[Shape]) -> list[Shape]:
        needs(len(xs[0]) == 4, f"a tensor of rank 4 is needed, it is {xs[0]}")
        pads = v["pads"]
        return [tuple(s + pads[2 * i] + pads[2 * i + 1] for i, s in enumerate(xs[0]))]

    @classmethod
    def compute(cls, call: Call) -> list[Array]:
        x, pads = call.xs[0], call.values["pads"]
        value = call.values["value"] if x.dtype == np.float32 else int(call.values["value"]) & 0xFF
        widths = [(pads[2 * axis], pads[2 * axis + 1]) for axis in range(4)]
        return [np.pad(x, widths, constant_values=value)]


PADDING_OPS: list[type[RecordOp]] = [PadOp]
