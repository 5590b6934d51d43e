"""Host layers that compute each element alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.c_struct import INT, CStruct, Values
from dialects.host.arrays import rounded
from dialects.host.base import Array, HostLayer, HostOp
from dialects.ufw.shapes import Shape, require

FUNCTIONS: tuple[Callable[[Array], Array], ...] = (
    np.sin, np.cos, np.isfinite, np.ceil, np.floor, rounded,
)  # fmt: skip
"""By ``unary_op``: 0 sin, 1 cos, 2 isfinite, 3 ceil, 4 floor, 5 round."""


@irdl_op_definition
class UnaryOp(HostOp):
    """A function of each element.

    ``unary_op``: 0 sin (radians), 1 cos, 2 isfinite (1 or 0), 3 ceil, 4 floor, 5 round (halves
    away from 0). The result has the input's shape.
    """

    name = "host.unary"
    LAYER: ClassVar = HostLayer(number=23, struct=CStruct(unary_op=INT), inputs=("input",))

    @classmethod
    def check(cls, p: Values) -> None:
        require(0 <= p["unary_op"] < len(FUNCTIONS), f"there is no unary_op {p['unary_op']}")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        return [inputs[0]]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        return [np.asarray(FUNCTIONS[p["unary_op"]](inputs[0]), np.float32)]
