"""Layers that put elements into another order."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, prop_def, traits_def
from xdsl.traits import Pure

from dialects.quant.windows import windows
from dialects.ufw import shapes
from dialects.ufw.facts import CarriesOn, FloatArray, MovesData, PassesOn
from dialects.ufw.layer import Top, UnaryLayerOp, pairs, shape_of
from dialects.ufw.movement.whole import MovementOp
from dialects.ufw.shapes import Shape, four_pads, require, show, sides

I64S = DenseArrayBase.constr(i64)


@irdl_op_definition
class RearrangeOp(MovementOp, UnaryLayerOp):
    """The elements under the shape ``split``, its dimensions reordered (result dimension i is
    ``order[i]``), under the result's shape: ShuffleChannel, PixelShuffle, SpaceToDepth, Reorg."""

    name = "ufw.rearrange"

    split = prop_def(I64S)
    order = prop_def(I64S)

    traits = traits_def(Pure(), MovesData(), CarriesOn())
    assembly_format = (
        "$tops $bottom `split` $split `order` $order attr-dict `:` "
        "functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        split: Sequence[int],
        order: Sequence[int],
        shape: Sequence[int],
    ) -> None:
        self.setup([bottom], [top], {"split": split, "order": order}, shapes=[tuple(shape)])

    def infer_shapes(self) -> list[Shape]:
        split = shapes.reshape(shape_of(self.bottom), self.split.get_values())
        shapes.permute(split, self.order.get_values())
        return [shapes.reshape(split, shape_of(self.top))]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        moved = inputs[0].reshape(self.split.get_values()).transpose(self.order.get_values())
        return [np.ascontiguousarray(moved).reshape(shape_of(self.top))]


@irdl_op_definition
class Im2colOp(MovementOp, UnaryLayerOp):
    """The windows of a convolution as channels: [N, C, H, W] to [N, C kh kw, oh, ow], a kernel's
    elements together. Padding holds 0; pad is top, bottom, left, right (or h, w)."""

    name = "ufw.im2col"

    kernel = prop_def(I64S)
    stride = prop_def(I64S, default_value=pairs((1, 1)))
    pad = prop_def(I64S, default_value=pairs((0, 0, 0, 0)))
    dilation = prop_def(I64S, default_value=pairs((1, 1)))

    traits = traits_def(Pure(), PassesOn(), CarriesOn())
    assembly_format = (
        "$tops $bottom `kernel` $kernel (`stride` $stride^)? (`pad` $pad^)? "
        "(`dilation` $dilation^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] = (1, 1),
        pad: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
    ) -> None:
        settings = {
            "kernel": kernel, "stride": stride, "pad": four_pads(pad), "dilation": dilation
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        shape, kernel = shape_of(self.bottom), self.kernel.get_values()
        require(len(shape) == 4, f"im2col requires an N x C x H x W tensor, has {show(shape)}")
        outputs = shape[1] * prod(kernel)
        weights = (outputs, shape[1], *kernel)
        stride, pad, dilation = (
            each.get_values() for each in (self.stride, self.pad, self.dilation)
        )
        return [shapes.convolution(shape, weights, stride, pad, dilation, 1)]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        whole = np.pad(inputs[0], ((0, 0), (0, 0), *sides(self.pad.get_values())))
        kernel, stride, dilation = (
            each.get_values() for each in (self.kernel, self.stride, self.dilation)
        )
        view = windows(whole, kernel, stride, dilation)
        moved = np.ascontiguousarray(view.transpose(0, 1, 4, 5, 2, 3))
        return [moved.reshape(shape_of(self.top))]
