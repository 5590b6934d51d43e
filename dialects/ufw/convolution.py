"""Convolution and InnerProduct.

In a float net the coefficients are float32. In an INT8 net weights are int8, biases int16 and
``right_shift`` gives the one shift of the layer: ``y = sat((acc + bias + 2^(r-1)) >> r)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import I64, BoolAttr, DenseArrayBase, IntegerAttr, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def, traits_def
from xdsl.traits import Pure

from dialects.constant import ConstantAttr
from dialects.ufw import shapes
from dialects.ufw.facts import Array, FloatArray, TakesReLU
from dialects.ufw.layer import (
    Coefficients,
    Top,
    UnaryLayerOp,
    pairs,
    per_axis,
    real,
    set_integers,
    shape_of,
    verify_bias,
    verify_coefficients,
)
from dialects.ufw.shapes import Shape, four_pads
from dialects.ufw.windows import convolve

ONE = IntegerAttr(1, i64)


class WeightedLayerOp(UnaryLayerOp, ABC):
    """Every output channel is a sum of weighted inputs. ``weight`` is [O, ...]."""

    weight = prop_def(ConstantAttr)
    bias = opt_prop_def(ConstantAttr)
    right_shift = opt_prop_def(IntegerAttr[I64])

    @property
    @abstractmethod
    def groups(self) -> int:
        """In how many groups the channels are: each output reads the inputs of its group."""

    @property
    def output_axis(self) -> int:
        """The dimension of the outputs."""
        return 1

    @property
    def is_along_channels(self) -> bool:
        """Whether inputs and outputs are the channels, dimension 1."""
        return self.output_axis == 1

    @property
    def has_integers(self) -> bool:
        return True

    def real_coefficients(self) -> tuple[Array, Array | None]:
        return real(self.weight, self.bias)

    def set_integers(self, weight: Array, bias: Array | None, shift: int) -> None:
        set_integers(self, weight, bias, shift)

    def stored_blobs(self) -> list[Array]:
        weight, *rest = super().stored_blobs()
        return [self.stored_weight(weight), *rest]

    def verify_layer(self) -> None:
        verify_bias(self.bias, self.weight.shape[0])
        verify_coefficients(self.weight, self.bias, self.right_shift)


class GroupedOp(WeightedLayerOp, ABC):
    """A convolution of any kind with groups; ``weight`` is [O, I / group, ...]."""

    group = prop_def(IntegerAttr[I64], default_value=ONE)

    @property
    def groups(self) -> int:
        return self.group.value.data

    def meet_weights(self, channels: Array) -> Array:
        outputs, inputs, *kernel = self.weight.shape
        by_group = channels.reshape(self.groups, inputs, *[1] * len(kernel))
        return np.repeat(by_group, outputs // self.groups, axis=0)


@irdl_op_definition
class ConvolutionOp(GroupedOp):
    """2-d convolution with groups; depthwise when ``group`` equals the channels.

    ``weight`` is [O, I / group, kh, kw], ``bias`` [O]; stride and dilation are (h, w), pad is top,
    bottom, left, right (or h, w). Result:
    [N, O, (H + top + bottom - dilation (kh - 1) - 1) / stride + 1 rounded down, ...].
    ``use_winograd`` is present only when the prototxt has it.
    """

    name = "ufw.convolution"

    stride = prop_def(DenseArrayBase.constr(i64), default_value=pairs((1, 1)))
    pad = prop_def(DenseArrayBase.constr(i64), default_value=pairs((0, 0, 0, 0)))
    dilation = prop_def(DenseArrayBase.constr(i64), default_value=pairs((1, 1)))
    use_winograd = opt_prop_def(BoolAttr)

    traits = traits_def(Pure(), TakesReLU())
    assembly_format = (
        "$tops $bottom `weight` $weight (`bias` $bias^)? (`stride` $stride^)? (`pad` $pad^)? "
        "(`dilation` $dilation^)? (`group` $group^)? (`right_shift` $right_shift^)? "
        "(`winograd` $use_winograd^)? attr-dict `:` functional-type(operands, results)"
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
        use_winograd: bool | None = None,
    ) -> None:
        settings = {
            "weight": weight, "bias": bias, "stride": stride, "pad": four_pads(pad),
            "dilation": dilation, "group": group, "right_shift": right_shift,
            "use_winograd": use_winograd,
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        shape = shapes.convolution(
            shape_of(self.bottom),
            self.weight.shape,
            self.stride.get_values(),
            self.pad.get_values(),
            self.dilation.get_values(),
            self.group.value.data,
        )
        return [shape]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        y = convolve(
            inputs[0],
            self.weight.array,
            self.stride.get_values(),
            four_pads(self.pad.get_values()),
            self.dilation.get_values(),
            self.groups,
        )
        return [y if self.bias is None else y + per_axis(self.bias.array, 1, 4)]


@irdl_op_definition
class InnerProductOp(WeightedLayerOp):
    """Fully connected layer: ``y = W x + b`` over the dimensions from ``axis`` on.

    ``weight`` is [N, K], ``bias`` [N]. Result: the dimensions before ``axis``, then N.
    """

    name = "ufw.inner_product"

    axis = prop_def(IntegerAttr[I64], default_value=ONE)

    traits = traits_def(Pure(), TakesReLU())
    assembly_format = (
        "$tops $bottom `weight` $weight (`bias` $bias^)? (`axis` $axis^)? "
        "(`right_shift` $right_shift^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        weight: Coefficients,
        bias: Coefficients | None = None,
        *,
        axis: int = 1,
        right_shift: int | None = None,
    ) -> None:
        settings = {"weight": weight, "bias": bias, "axis": axis, "right_shift": right_shift}
        self.setup([bottom], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        shape = shape_of(self.bottom)
        return [shapes.inner_product(shape, self.weight.shape, self.axis.value.data)]

    @property
    def groups(self) -> int:
        return 1

    @property
    def output_axis(self) -> int:
        return self.axis.value.data

    def meet_weights(self, channels: Array) -> Array | float:
        if not self.is_along_channels:
            return super().meet_weights(channels)
        return np.repeat(channels, self.weight.shape[1] // len(channels))

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        weight = self.weight.array
        y = inputs[0].reshape(-1, weight.shape[1]) @ weight.T
        if self.bias is not None:
            y = y + self.bias.array
        return [y.reshape(shape_of(self.top))]
