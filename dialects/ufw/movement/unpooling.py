"""Maximum pooling that tells where its maxima stand, and its inverse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, TensorType, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def, traits_def
from xdsl.traits import Pure

from dialects.ufw import shapes
from dialects.ufw.facts import FloatArray
from dialects.ufw.layer import LayerOp, Top, pairs, shape_of
from dialects.ufw.shapes import Shape, four_pads, require, show, sides

I64S = DenseArrayBase.constr(i64)


@irdl_op_definition
class MaxPoolMaskOp(LayerOp):
    """Maximum over windows, as ``ufw.pooling max``, and its ``mask``: where it stands in its map,
    ``h * W + w``; the first of equal ones in the order of the map. Numbers, not bits: floats, also
    in an INT8 net."""

    name = "ufw.max_pool_mask"

    bottom = operand_def(TensorType)
    kernel = prop_def(I64S)
    stride = prop_def(I64S, default_value=pairs((1, 1)))
    pad = prop_def(I64S, default_value=pairs((0, 0, 0, 0)))
    ceil_mode = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))
    top = result_def(TensorType)
    mask = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom `kernel` $kernel (`stride` $stride^)? (`pad` $pad^)? "
        "(`ceil` $ceil_mode^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        tops: Sequence[Top],
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1),
        pad: Sequence[int] = (0, 0),
        ceil_mode: bool = True,
    ) -> None:
        settings = {
            "kernel": kernel, "stride": stride, "pad": four_pads(pad), "ceil_mode": ceil_mode
        }  # fmt: skip
        self.setup([bottom], tops, settings)

    def infer_shapes(self) -> list[Shape]:
        shape = shape_of(self.bottom)
        pooled = shapes.pooling(
            shape,
            self.kernel.get_values(),
            self.stride.get_values(),
            self.pad.get_values(),
            self.ceil_mode.value.data != 0,
        )
        require(
            shape[2] * shape[3] <= 1 << 24,
            f"a map of {show(shape[2:])} has more places than a float32 counts",
        )
        return [pooled, pooled]

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return False

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        x, (rows, columns) = inputs[0], shape_of(self.top)[2:]
        (kh, kw), (sh, sw) = self.kernel.get_values(), self.stride.get_values()
        pad, (height, width) = four_pads(self.pad.get_values()), x.shape[2:]
        after = [
            max(0, (count - 1) * step + k - before - size)
            for count, step, k, before, size in (
                (rows, sh, kh, pad[0], height), (columns, sw, kw, pad[2], width)
            )
        ]  # fmt: skip
        around = ((0, 0), (0, 0), (pad[0], after[0]), (pad[2], after[1]))
        whole = np.pad(x, around, constant_values=-np.inf)
        best = np.full((*x.shape[:2], rows, columns), -np.inf, np.float32)
        mask = np.zeros(best.shape, np.float32)
        at = (
            (np.arange(rows) * sh - pad[0])[:, None] * width + np.arange(columns) * sw - pad[2]
        )
        for i in range(kh):
            for j in range(kw):
                down, across = i + (rows - 1) * sh + 1, j + (columns - 1) * sw + 1
                tap = whole[:, :, i:down:sh, j:across:sw]
                larger = tap > best
                best = np.where(larger, tap, best)
                mask = np.where(larger, (at + i * width + j).astype(np.float32), mask)
        return [best, mask]


@irdl_op_definition
class UnpoolOp(LayerOp):
    """Numbers put where a mask says, ``h * W + w`` in maps of ``size``; 0 elsewhere. The mask is
    that of a pooling with these windows: a place outside of its window counts for nothing. Where
    two numbers fall on one place the later one stays."""

    name = "ufw.unpool"

    bottom = operand_def(TensorType)
    mask = operand_def(TensorType)
    size = prop_def(I64S)
    kernel = prop_def(I64S)
    stride = prop_def(I64S, default_value=pairs((1, 1)))
    pad = prop_def(I64S, default_value=pairs((0, 0, 0, 0)))
    top = result_def(TensorType)

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom `,` $mask `size` $size `kernel` $kernel (`stride` $stride^)? "
        "(`pad` $pad^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        mask: SSAValue,
        top: Top,
        size: Sequence[int],
        *,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1),
        pad: Sequence[int] = (0, 0),
    ) -> None:
        settings = {"size": size, "kernel": kernel, "stride": stride, "pad": four_pads(pad)}
        self.setup([bottom, mask], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        shape, mask, size = shape_of(self.bottom), shape_of(self.mask), self.size.get_values()
        require(len(shape) == 4, f"unpooling requires an N x C x H x W tensor, has {show(shape)}")
        require(shape == mask, f"a mask of {show(mask)} for a tensor of {show(shape)}")
        require(len(size) == 2 and min(size) > 0, f"cannot unpool to {show(size)}")
        window = zip(
            shape[2:], size, self.stride.get_values(), sides(self.pad.get_values()), strict=True
        )
        for count, extent, step, (before, _) in window:
            require(
                (count - 1) * step - before < extent,
                f"windows of {show(shape)} begin outside of maps of {show(size)}",
            )
        return [shapes.checked((*shape[:2], *size))]

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return True

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        x, mask = inputs
        n, channels = shape_of(self.bottom)[:2]
        height, width = self.size.get_values()
        places = np.floor(mask).astype(np.int64)
        good = (mask == places) & (mask >= 0) & (mask < height * width)
        (kh, kw), (sh, sw) = self.kernel.get_values(), self.stride.get_values()
        top, _, left, _ = self.pad.get_values()
        rows, columns = shape_of(self.bottom)[2:]
        down = places // width - (np.arange(rows) * sh - top)[:, None]
        across = places % width - (np.arange(columns) * sw - left)
        good = good & (down >= 0) & (down < kh) & (across >= 0) & (across < kw)
        y = np.zeros((n * channels, height * width), np.float32)
        maps = np.arange(n * channels).reshape(n, channels, 1, 1)
        maps = np.broadcast_to(maps, x.shape)
        y[maps[good], places[good]] = x[good]
        return [y.reshape(n, channels, height, width)]
