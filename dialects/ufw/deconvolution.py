"""Deconvolution: every number of the input spreads over a window of the result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, prop_def, traits_def
from xdsl.traits import Pure

from dialects.ufw import shapes
from dialects.ufw.convolution import GroupedOp
from dialects.ufw.facts import Array, FloatArray, TakesReLU
from dialects.ufw.layer import Coefficients, Top, pairs, per_axis, shape_of
from dialects.ufw.shapes import Shape, four_pads


@irdl_op_definition
class DeconvolutionOp(GroupedOp):
    """The transpose of a 2-d convolution with groups; depthwise when ``group`` equals the channels.

    ``y[s i + d t - pad] += w[t] x[i]`` along height and width. ``weight`` is [O, I / group, kh, kw]
    (Caffe stores [I, O / group, kh, kw]), ``bias`` [O]; stride and dilation are (h, w), pad is top,
    bottom, left, right (or h, w). Result:
    [N, O, stride (H - 1) + dilation (kh - 1) + 1 - top - bottom, ...].
    """

    name = "ufw.deconvolution"

    stride = prop_def(DenseArrayBase.constr(i64), default_value=pairs((1, 1)))
    pad = prop_def(DenseArrayBase.constr(i64), default_value=pairs((0, 0, 0, 0)))
    dilation = prop_def(DenseArrayBase.constr(i64), default_value=pairs((1, 1)))

    traits = traits_def(Pure(), TakesReLU())
    assembly_format = (
        "$tops $bottom `weight` $weight (`bias` $bias^)? (`stride` $stride^)? (`pad` $pad^)? "
        "(`dilation` $dilation^)? (`group` $group^)? (`right_shift` $right_shift^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        weight: Coefficients,
        bias: Coefficients | None = None,
        *,
        stride: Sequence[int] = (1, 1),
        pad: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        group: int = 1,
        right_shift: int | None = None,
    ) -> None:
        settings = {
            "weight": weight, "bias": bias, "stride": stride, "pad": four_pads(pad),
            "dilation": dilation, "group": group, "right_shift": right_shift,
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        shape = shapes.deconvolution(
            shape_of(self.bottom),
            self.weight.shape,
            self.stride.get_values(),
            self.pad.get_values(),
            self.dilation.get_values(),
            self.group.value.data,
        )
        return [shape]

    def stored_weight(self, weight: Array) -> Array:
        outputs, inputs = weight.shape[:2]
        split = weight.reshape(self.groups, outputs // self.groups, inputs, *weight.shape[2:])
        stored = split.swapaxes(1, 2).reshape(-1, outputs // self.groups, *weight.shape[2:])
        return np.ascontiguousarray(stored)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        x, weight, group = inputs[0], self.weight.array, self.groups
        (n, _, height, width), (outputs, per_group, kh, kw) = x.shape, weight.shape
        (sh, sw), (dh, dw) = self.stride.get_values(), self.dilation.get_values()
        rows = weight.reshape(group, outputs // group, per_group, kh * kw).transpose(0, 1, 3, 2)
        columns = x.reshape(n, group, per_group, height * width)
        taps = np.matmul(rows.reshape(group, -1, per_group), columns)
        taps = taps.reshape(n, outputs, kh, kw, height, width)
        spread = (sh * (height - 1) + 1, sw * (width - 1) + 1)
        size = (spread[0] + dh * (kh - 1), spread[1] + dw * (kw - 1))
        whole = np.zeros((n, outputs, *size), np.float32)
        for i in range(kh):
            for j in range(kw):
                top, left = i * dh, j * dw
                at = np.s_[:, :, top : top + spread[0] : sh, left : left + spread[1] : sw]
                whole[at] += taps[:, :, i, j]
        top, bottom, left, right = four_pads(self.pad.get_values())
        y = whole[:, :, top : size[0] - bottom, left : size[1] - right]
        return [y if self.bias is None else y + per_axis(self.bias.array, 1, 4)]


def from_stored(stored: Array, group: int) -> Array:
    """Caffe's weights [I, O / group, kh, kw] as [O, I / group, kh, kw]."""
    inputs, outputs = stored.shape[:2]
    split = stored.reshape(group, inputs // group, outputs, *stored.shape[2:])
    weight = split.swapaxes(1, 2).reshape(-1, inputs // group, *stored.shape[2:])
    return np.ascontiguousarray(weight)
