"""Ops that cut one 8-bit image into four horizontal strips, the four images of a word, and back.

The chip computes four 8-bit images in the time of one. Strip k of an image holds its rows
``k * rows`` to ``(k + 1) * rows``; rows below the image hold any values until a halo exchange
fills them.
"""

from __future__ import annotations

import numpy as np
from xdsl.ir import Operation
from xdsl.irdl import irdl_op_definition, prop_def, traits_def

from dialects.quant import types
from dialects.quant.arithmetic import quantize
from dialects.quant.base import (
    I64,
    ZERO,
    Array,
    Strided,
    UnaryOp,
    require,
    require_floats,
    same_scale,
)

STRIPS = 4
"""Strips of an image: the 8-bit images of a 32-bit word."""
IMAGE_HEIGHT = "quant.image_height"
"""An attribute of ops whose result is an image in strips: the rows of the whole image."""


def join_strips(x: Array, height: int) -> Array:
    """Strips [4, C, rows, W] as one image [1, C, height, W]."""
    image = x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1, x.shape[3])
    return np.ascontiguousarray(image[None, :, :height])


def split_strips(x: Array, rows: int) -> Array:
    """An image [1, C, H, W] as strips [4, C, rows, W], zeros below the image."""
    _, c, height, w = x.shape
    image = np.zeros((c, STRIPS * rows, w), x.dtype)
    image[:, :height] = x[0]
    return np.ascontiguousarray(image.reshape(c, STRIPS, rows, w).transpose(1, 0, 2, 3))


def with_halos(image: Array, rows: int, above: int, below: int, fill: int) -> Array:
    """An image [1, C, H, W] as strips [4, C, above + rows + below, W], ``fill`` outside of it."""
    _, c, height, w = image.shape
    whole = np.full((c, above + STRIPS * rows + below, w), fill, image.dtype)
    whole[:, above : above + height] = image[0]
    return np.stack([whole[:, k * rows : (k + 1) * rows + above + below] for k in range(STRIPS)])


class StripOp(UnaryOp):
    """Moves rows of 8-bit data between an image and its strips."""

    def verify_(self) -> None:
        super().verify_()
        x, y = types.shape_of(self.x), types.shape_of(self.y)
        require(len(x) == len(y) == 4, self, "operand and result must have rank 4")
        same = (x[1], x[3]) == (y[1], y[3]) and not types.is_float(self.x)
        require(same, self, "keeps C and W of an 8-bit tensor")
        same_scale(self)


def _require_cover(op: Operation, image: tuple[int, ...], strips: tuple[int, ...]) -> None:
    require(image[0] == 1 and strips[0] == STRIPS, op, "one image has four strips")
    require(STRIPS * strips[2] >= image[2], op, "the strips are to cover the image")


@irdl_op_definition
class SplitStripsOp(StripOp):
    """[1, C, H, W] to [4, C, above + rows + below, W] with 4*rows >= H: every strip with the rows
    around it. Rows above and below the image hold ``fill``.
    """

    name = "quant.split_strips"
    above = prop_def(I64, default_value=ZERO)
    below = prop_def(I64, default_value=ZERO)
    fill = prop_def(I64, default_value=ZERO)
    traits = traits_def(Strided())
    assembly_format = (
        "$x (`above` $above^)? (`below` $below^)? (`fill` $fill^)?"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        x, y = types.shape_of(self.x), types.shape_of(self.y)
        above, below = self.above.value.data, self.below.value.data
        rows = y[2] - above - below
        _require_cover(self, x, (*y[:2], rows, y[3]))
        require(0 <= above <= rows and 0 <= below <= rows, self, "halos are 0 to a strip's rows")
        low = 0 if types.is_unsigned(self.x) else -128
        require(low <= self.fill.value.data <= low + 255, self, "fill must be of the tensor's type")

    def result_of(self, x: Array) -> Array:
        above, below = self.above.value.data, self.below.value.data
        rows = types.shape_of(self.y)[2] - above - below
        return with_halos(x, rows, above, below, self.fill.value.data)


@irdl_op_definition
class JoinStripsOp(StripOp):
    """[4, C, rows, W] to [1, C, H, W] with H <= 4*rows: the inverse of split_strips."""

    name = "quant.join_strips"
    traits = traits_def(Strided())

    def verify_(self) -> None:
        super().verify_()
        _require_cover(self, types.shape_of(self.y), types.shape_of(self.x))

    def result_of(self, x: Array) -> Array:
        return join_strips(x, types.shape_of(self.y)[2])


@irdl_op_definition
class ExchangeHaloOp(StripOp):
    """Every strip with the rows around it: [4, C, rows, W] to [4, C, above + rows + below, W].

    ``height``: rows of the image; rows above and below it hold ``fill``. A halo is no higher than
    a strip.
    """

    name = "quant.exchange_halo"
    height = prop_def(I64)
    above = prop_def(I64)
    below = prop_def(I64)
    fill = prop_def(I64)
    assembly_format = (
        "$x `height` $height `above` $above `below` $below `fill` $fill"
        " `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        super().verify_()
        x, y = types.shape_of(self.x), types.shape_of(self.y)
        top, bottom = self.above.value.data, self.below.value.data
        require(x[0] == STRIPS and y[0] == STRIPS, self, "one image has four strips")
        require(0 <= top <= x[2] and 0 <= bottom <= x[2], self, "halos are 0 to a strip's rows")
        require(y[2] == top + x[2] + bottom, self, "the result has the strip's rows and its halos")
        height = self.height.value.data
        require(0 < height <= STRIPS * x[2], self, "the strips are to cover the image")
        low = 0 if types.is_unsigned(self.x) else -128
        require(low <= self.fill.value.data <= low + 255, self, "fill must be of the tensor's type")

    def result_of(self, x: Array) -> Array:
        image = join_strips(x, self.height.value.data)
        above, below = self.above.value.data, self.below.value.data
        return with_halos(image, x.shape[2], above, below, self.fill.value.data)


@irdl_op_definition
class QuantizeStripsOp(UnaryOp):
    """float32 [1, C, H, W] to the strips [4, C, above + rows + below, W] of its 8-bit image, as
    quantize and split_strips would make them, zeros outside of it."""

    name = "quant.quantize_strips"
    above = prop_def(I64, default_value=ZERO)
    below = prop_def(I64, default_value=ZERO)
    traits = traits_def(Strided())
    assembly_format = (
        "$x (`above` $above^)? (`below` $below^)? `tops` $tops attr-dict `:` type($x) `->` type($y)"
    )

    @property
    def rows(self) -> int:
        """Rows of a strip without its halo."""
        return types.shape_of(self.y)[2] - self.above.value.data - self.below.value.data

    def verify_(self) -> None:
        super().verify_()
        require_floats(self, True, False)
        x, y = types.shape_of(self.x), types.shape_of(self.y)
        require(len(x) == len(y) == 4, self, "operand and result must have rank 4")
        require((x[1], x[3]) == (y[1], y[3]), self, "keeps C and W")
        _require_cover(self, x, (*y[:2], self.rows, y[3]))
        halos = self.above.value.data, self.below.value.data
        require(0 <= min(halos) and max(halos) <= self.rows, self, "halos are 0 to a strip's rows")

    def result_of(self, x: Array) -> Array:
        whole = quantize(x, types.scale_of(self.y) or 1.0, types.dtype_of(self.y))
        return with_halos(whole, self.rows, self.above.value.data, self.below.value.data, 0)


STRIP_OPS = [SplitStripsOp, JoinStripsOp, ExchangeHaloOp, QuantizeStripsOp]
