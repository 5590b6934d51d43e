"""Where the maxima of windows stand, and numbers put back there: float32."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def, traits_def
from xdsl.traits import Pure

from dialects.quant import types
from dialects.quant.base import (
    I64S,
    AnyTensor,
    Array,
    QuantOp,
    ints,
    require,
    require_floats,
    require_ints,
)

MOST_PLACES = 1 << 23
"""Places of a map whose numbers, and differences, float32 holds."""


class WindowPlacesOp(QuantOp, ABC):
    """An op on windows over maps of rank 4 and the places in the maps; pad is that above and on the
    left."""

    kernel = prop_def(I64S)
    stride = prop_def(I64S)
    pad = prop_def(I64S)
    traits = traits_def(Pure())

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, True, True, True)
        for name, attr, least in (
            ("kernel", self.kernel, 1), ("stride", self.stride, 1), ("pad", self.pad, 0)
        ):  # fmt: skip
            require_ints(self, name, attr, 2, least)
        shapes = [types.shape_of(value) for value in (self.whole, self.pooled)]
        alike = len(shapes[0]) == len(shapes[1]) == 4 and shapes[0][:2] == shapes[1][:2]
        require(alike, self, "works on tensors of rank 4 of the same images and channels")
        height, width = shapes[0][2:]
        require(height * width <= MOST_PLACES, self, f"maps have more than {MOST_PLACES} places")

    @property
    @abstractmethod
    def whole(self) -> AnyTensor:
        """The type of the maps under the windows."""

    @property
    @abstractmethod
    def pooled(self) -> AnyTensor:
        """The type of a tensor with a number a window."""

    def is_image_by_image(self) -> bool:
        return True

    def firsts(self) -> tuple[Array, Array]:
        """The first row, and the first column, of each window."""
        counts = types.shape_of(self.pooled)[2:]
        (down, across), (top, left) = ints(self.stride), ints(self.pad)
        return np.arange(counts[0]) * down - top, np.arange(counts[1]) * across - left

    def corners(self) -> Array:
        """The place of each window's first element, [oh, ow] int64; negative in the padding."""
        rows, columns = self.firsts()
        return rows[:, None] * types.shape_of(self.whole)[3] + columns


@irdl_op_definition
class PoolIndexOp(WindowPlacesOp):
    """The place ``h * W + w`` in x's map of the first element of each window that is y: x [N, C, H,
    W], y [N, C, oh, ow] the maxima of its windows. Where no element is y, the place behind the
    window's last one."""

    name = "quant.pool_index"
    x = operand_def(AnyTensor)
    y = operand_def(AnyTensor)
    index = result_def(AnyTensor)
    assembly_format = (
        "$x `,` $y `kernel` $kernel `stride` $stride `pad` $pad `tops` $tops attr-dict"
        " `:` type($x) `,` type($y) `->` type($index)"
    )

    @property
    def whole(self) -> AnyTensor:
        return types.tensor_type(self.x)

    @property
    def pooled(self) -> AnyTensor:
        return types.tensor_type(self.y)

    def meaning(self, inputs: Sequence[Array]) -> Array:
        x, y = inputs
        height, width = x.shape[2:]
        corners, (kh, kw) = self.corners(), ints(self.kernel)
        behind = (corners + (kh - 1) * width + kw).astype(np.float32)
        found = np.broadcast_to(behind, y.shape)
        rows, columns = self.firsts()
        for i in reversed(range(kh)):
            for j in reversed(range(kw)):
                inside = np.outer((rows + i >= 0) & (rows + i < height),
                                  (columns + j >= 0) & (columns + j < width))  # fmt: skip
                at = np.ix_(
                    np.clip(rows + i, 0, height - 1), np.clip(columns + j, 0, width - 1)
                )
                equal = (x[:, :, at[0], at[1]] == y) & inside
                found = np.where(equal, (corners + i * width + j).astype(np.float32), found)
        return found


@irdl_op_definition
class UnpoolOp(WindowPlacesOp):
    """0, and each number of x at its window's place ``h * W + w`` in y's map, where that is in the
    window; a later window's number stays."""

    name = "quant.unpool"
    x = operand_def(AnyTensor)
    index = operand_def(AnyTensor)
    y = result_def(AnyTensor)
    assembly_format = (
        "$x `,` $index `kernel` $kernel `stride` $stride `pad` $pad `tops` $tops attr-dict"
        " `:` type($x) `,` type($index) `->` type($y)"
    )

    @property
    def whole(self) -> AnyTensor:
        return types.tensor_type(self.y)

    @property
    def pooled(self) -> AnyTensor:
        return types.tensor_type(self.x)

    def meaning(self, inputs: Sequence[Array]) -> Array:
        x, index = inputs
        shape = types.shape_of(self.y)
        height, width = shape[2:]
        y = np.zeros(shape, np.float32)
        offset = index - self.corners()
        (sh, sw), (top, left) = ints(self.stride), ints(self.pad)
        rows, columns = x.shape[2:]
        for i in reversed(range(ints(self.kernel)[0])):
            for j in reversed(range(ints(self.kernel)[1])):
                r = [k for k in range(rows) if 0 <= k * sh - top + i < height]
                c = [k for k in range(columns) if 0 <= k * sw - left + j < width]
                if not r or not c:
                    continue
                window = np.s_[:, :, r[0] : r[-1] + 1, c[0] : c[-1] + 1]
                first = (r[0] * sh - top + i, c[0] * sw - left + j)
                target = y[
                    :, :, first[0] : first[0] + (len(r) - 1) * sh + 1 : sh,
                    first[1] : first[1] + (len(c) - 1) * sw + 1 : sw,
                ]  # fmt: skip
                np.copyto(target, x[window], where=offset[window] == i * width + j)
        return y
