"""Layers that cut, pad, repeat and resize."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import (
    I64,
    DenseArrayBase,
    Float32Type,
    FloatAttr,
    IntegerAttr,
    TensorType,
    f32,
    i64,
)
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import SpacedOpaqueSyntaxAttribute, SSAValue
from xdsl.irdl import (
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure
from xdsl.utils.str_enum import StrEnum

from dialects.positions import linear_taps, nearest_taps
from dialects.ufw.facts import CarriesOn, FloatArray, FollowsOperand, MovesData, PassesOn
from dialects.ufw.layer import LayerOp, Top, UnaryLayerOp, pairs, shape_of
from dialects.ufw.movement.whole import MovementOp
from dialects.ufw.shapes import Shape, check_axis, checked, require, show

Indices = NDArray[np.int32]
I64S = DenseArrayBase.constr(i64)


@irdl_op_definition
class StridedSliceOp(LayerOp):
    """``y[i, j ...] = x[begin[0] + i * step[0], begin[1] + j * step[1] ...]``, ``extent`` elements
    along each axis; steps may be negative. Axes in ``shrink`` have extent 1 and are left out of the
    result. Further operands only had a say in the settings (Crop, SliceLike)."""

    name = "ufw.strided_slice"

    bottoms = var_operand_def(TensorType)
    begin = prop_def(I64S)
    extent = prop_def(I64S)
    step = prop_def(I64S)
    shrink = prop_def(I64S, default_value=pairs(()))
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottoms `begin` $begin `extent` $extent `step` $step (`shrink` $shrink^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottoms: Sequence[SSAValue],
        top: Top,
        begin: Sequence[int],
        extent: Sequence[int],
        step: Sequence[int] | None = None,
        shrink: Sequence[int] = (),
    ) -> None:
        settings = {
            "begin": begin, "extent": extent, "step": step or [1] * len(begin), "shrink": shrink,
        }  # fmt: skip
        self.setup([bottoms], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        require(bool(self.bottoms), "a slice needs an input")
        shape = shape_of(self.bottoms[0])
        begins, extents, steps = (
            each.get_values() for each in (self.begin, self.extent, self.step)
        )
        for values in (begins, extents, steps):
            require(
                len(values) == len(shape),
                f"a slice of {show(shape)} needs {len(shape)} numbers, has {len(values)}",
            )
        for axis, size in enumerate(shape):
            begin, extent, step = begins[axis], extents[axis], steps[axis]
            require(extent > 0, f"the slice of axis {axis} of {show(shape)} is empty")
            require(step != 0, f"the step along axis {axis} is 0")
            last = begin + (extent - 1) * step
            require(
                0 <= begin < size and 0 <= last < size,
                f"elements {begin} to {last} are outside axis {axis} of {show(shape)}",
            )
        dropped = set(self.shrink.get_values())
        for axis in dropped:
            check_axis(axis, len(shape))
            require(extents[axis] == 1, f"axis {axis} has {extents[axis]} elements, not 1")
        kept = [extent for axis, extent in enumerate(extents) if axis not in dropped]
        return [checked(kept or [1])]

    @property
    def has_integers(self) -> bool:
        return True

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return True

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]

    def indices(self, axis: int) -> Indices:
        """The elements taken along an axis."""
        begin, extent, step = (
            each.get_values()[axis] for each in (self.begin, self.extent, self.step)
        )
        return np.arange(begin, begin + extent * step, step, dtype=np.int32)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        grid = np.ix_(*(self.indices(axis) for axis in range(inputs[0].ndim)))
        return [inputs[0][grid].reshape(shape_of(self.top))]


class PadMode(StrEnum):
    CONSTANT = "constant"
    REFLECT = "reflect"
    EDGE = "edge"
    SYMMETRIC = "symmetric"


@irdl_attr_definition
class PadModeAttr(EnumAttribute[PadMode], SpacedOpaqueSyntaxAttribute):
    name = "ufw.pad_mode"


@irdl_op_definition
class PadOp(UnaryLayerOp):
    """Elements around a tensor: ``before`` and ``after`` each axis; negative ones are cut off.

    They hold ``value`` (constant), or the elements mirrored at the border without it (reflect) or
    with it (symmetric), or the border's (edge).
    """

    name = "ufw.pad"

    mode = prop_def(PadModeAttr)
    before = prop_def(I64S)
    after = prop_def(I64S)
    value = prop_def(FloatAttr[Float32Type], default_value=FloatAttr(0.0, f32))

    traits = traits_def(Pure(), PassesOn(), CarriesOn())
    assembly_format = (
        "$mode $tops $bottom `before` $before `after` $after (`value` $value^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        before: Sequence[int],
        after: Sequence[int],
        mode: PadMode = PadMode.CONSTANT,
        value: float = 0.0,
    ) -> None:
        settings = {
            "mode": PadModeAttr(mode), "before": before, "after": after, "value": float(value)
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        shape = shape_of(self.bottom)
        before, after = self.before.get_values(), self.after.get_values()
        require(
            len(before) == len(after) == len(shape),
            f"pads of {len(before)} and {len(after)} axes for a tensor of {show(shape)}",
        )
        sizes = [b + size + a for b, size, a in zip(before, shape, after, strict=True)]
        require(min(sizes) > 0, f"the pads leave nothing of {show(shape)}")
        most = {PadMode.REFLECT: 1, PadMode.SYMMETRIC: 0}.get(self.mode.data)
        if most is not None:
            fits = all(max(b, a) <= s - most for b, s, a in zip(before, shape, after, strict=True))
            require(fits, f"a {self.mode.data} pad is larger than the tensor of {show(shape)}")
        return [checked(sizes)]

    @property
    def has_integers(self) -> bool:
        return True

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return self.mode.data != PadMode.CONSTANT or self.value.value.data == 0

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0] and self.value.value.data >= 0

    def indices(self, axis: int) -> Indices:
        """The element that stands at each place along an axis; -1 for the value."""
        size = shape_of(self.bottom)[axis]
        before, after = (each.get_values()[axis] for each in (self.before, self.after))
        places = np.arange(-before, size + after, dtype=np.int32)
        last = np.int32(size - 1)
        match self.mode.data:
            case PadMode.EDGE:
                return np.clip(places, 0, last)
            case PadMode.REFLECT:
                return np.abs(last - np.abs(last - places))
            case PadMode.SYMMETRIC:
                folded = np.where(places < 0, -1 - places, places)
                return np.where(folded > last, 2 * last + 1 - folded, folded)
            case _:
                return np.where((places < 0) | (places > last), np.int32(-1), places)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        x = inputs[0]
        before, after = self.before.get_values(), self.after.get_values()
        kept = tuple(
            slice(max(0, -b), size - max(0, -a))
            for b, size, a in zip(before, x.shape, after, strict=True)
        )
        grown = [(max(0, b), max(0, a)) for b, a in zip(before, after, strict=True)]
        match self.mode.data:
            case PadMode.CONSTANT:
                return [np.pad(x[kept], grown, constant_values=self.value.value.data)]
            case PadMode.REFLECT:
                return [np.pad(x[kept], grown, "reflect")]
            case PadMode.SYMMETRIC:
                return [np.pad(x[kept], grown, "symmetric")]
            case _:
                return [np.pad(x[kept], grown, "edge")]


@irdl_op_definition
class TileOp(MovementOp, UnaryLayerOp):
    """``tiles`` copies of the tensor one after the other along ``axis``."""

    name = "ufw.tile"

    axis = prop_def(IntegerAttr[I64])
    tiles = prop_def(IntegerAttr[I64])

    traits = traits_def(Pure(), MovesData(), CarriesOn())
    assembly_format = (
        "$tops $bottom `axis` $axis `tiles` $tiles attr-dict `:` "
        "functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, axis: int, tiles: int) -> None:
        self.setup([bottom], [top], {"axis": axis, "tiles": tiles})

    def infer_shapes(self) -> list[Shape]:
        shape, axis = list(shape_of(self.bottom)), self.axis.value.data
        tiles = self.tiles.value.data
        check_axis(axis, len(shape))
        require(tiles >= 1, f"{tiles} tiles are not at least 1")
        shape[axis] *= tiles
        return [checked(shape)]

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return self.axis.value.data > 1

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [np.concatenate(list(inputs) * self.tiles.value.data, self.axis.value.data)]


class ResizeMode(StrEnum):
    NEAREST = "nearest"
    LINEAR = "linear"


class Positions(StrEnum):
    """Where the centre of result i lies, of I elements made O."""

    ALIGN_CORNERS = "align_corners"  # i (I - 1) / (O - 1)
    HALF_PIXEL = "half_pixel"  # (i + 1/2) I / O - 1/2
    ASYMMETRIC = "asymmetric"  # i I / O


@irdl_attr_definition
class ResizeModeAttr(EnumAttribute[ResizeMode], SpacedOpaqueSyntaxAttribute):
    name = "ufw.resize_mode"


@irdl_attr_definition
class PositionsAttr(EnumAttribute[Positions], SpacedOpaqueSyntaxAttribute):
    name = "ufw.positions"


@irdl_op_definition
class ResizeOp(UnaryLayerOp):
    """Height and width resized to ``size``, after ``crop`` (top, bottom, left, right) is cut off.

    linear: the mean of the neighbours of each position, by their distances, along W and then along
    H. nearest: the element below the position (align_corners: the nearest, the later one of two;
    half_pixel: that whose cell the position lies in). Positions are exact; those outside of the
    map move to its border.
    """

    name = "ufw.resize"

    mode = prop_def(ResizeModeAttr)
    positions = prop_def(PositionsAttr)
    size = prop_def(I64S)
    crop = opt_prop_def(I64S)

    traits = traits_def(Pure(), FollowsOperand(), CarriesOn())
    assembly_format = (
        "$mode $positions $tops $bottom `size` $size (`crop` $crop^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        size: Sequence[int],
        mode: ResizeMode,
        positions: Positions,
        crop: Sequence[int] | None = None,
    ) -> None:
        settings = {
            "mode": ResizeModeAttr(mode), "positions": PositionsAttr(positions), "size": size,
            "crop": crop if crop and any(crop) else None,
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    @property
    def crops(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """What is cut off before and after, of height and of width."""
        top, bottom, left, right = (0,) * 4 if self.crop is None else self.crop.get_values()
        return (top, bottom), (left, right)

    def infer_shapes(self) -> list[Shape]:
        shape, size = shape_of(self.bottom), self.size.get_values()
        require(len(shape) == 4, f"a resize requires an N x C x H x W tensor, has {show(shape)}")
        require(self.crop is None or len(self.crop) == 4, "crop requires 4 numbers")
        require(len(size) == 2 and min(size) > 0, f"cannot resize to {show(size)}")
        for extent, both in zip(shape[2:], self.crops, strict=True):
            require(min(both) >= 0 and sum(both) < extent, f"cannot cut {both} off {extent}")
        return [checked((*shape[:2], *size))]

    @property
    def has_integers(self) -> bool:
        return True

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return True

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return True

    def taps(self, axis: int) -> tuple[Indices, FloatArray]:
        """Of each result along axis 2 or 3 the first neighbour, and the weight of the second."""
        before, after = self.crops[axis - 2]
        size = shape_of(self.bottom)[axis] - before - after
        out = self.size.get_values()[axis - 2]
        if self.mode.data == ResizeMode.LINEAR:
            indices, weights = linear_taps(self.positions.data.value, size, out)
            return indices + np.int32(before), weights
        found = nearest_taps(self.positions.data.value, size, out)
        return found + np.int32(before), np.zeros(out, np.float32)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        y = inputs[0]
        for axis in (3, 2):
            s, w = self.taps(axis)
            w = w.reshape(-1, *(1,) * (3 - axis))
            first = np.take(y, s, axis)
            second = np.take(y, np.minimum(s + 1, y.shape[axis] - 1), axis)
            y = np.where(w == 0, first, first * (1 - w) + second * w)
        return [y]
