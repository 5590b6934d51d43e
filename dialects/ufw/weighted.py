"""UFW layers with coefficients: Convolution, InnerProduct, BatchNorm, Scale, Bias, PReLU.

In a float net the coefficients are float32. In an INT8 net weights are int8, biases int16 and
``right_shift`` gives the one shift of the layer: ``y = sat((acc + bias + 2^(r-1)) >> r)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import (
    I64,
    BoolAttr,
    DenseArrayBase,
    Float32Type,
    FloatAttr,
    IntegerAttr,
    TensorType,
    i64,
)
from xdsl.ir import SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure

from dialects.blob import Array, BlobAttr
from dialects.ufw import shapes
from dialects.ufw.layer import (
    LayerOp,
    Top,
    UnaryLayerOp,
    pairs,
    shape_of,
    verify_bias,
    verify_coefficients,
)
from dialects.ufw.shapes import Shape, four_pads, require

Coefficients = BlobAttr | Array
ONE = IntegerAttr(1, i64)


@irdl_op_definition
class ConvolutionOp(UnaryLayerOp):
    """2-d convolution with groups; depthwise when ``group`` equals the channels.

    ``weight`` is [O, I / group, kh, kw], ``bias`` [O]; stride and dilation are (h, w), pad is top,
    bottom, left, right (or h, w). Result:
    [N, O, (H + top + bottom - dilation (kh - 1) - 1) / stride + 1 rounded down, ...].
    ``use_winograd`` is present only when the prototxt has it.
    """

    name = "ufw.convolution"

    weight = prop_def(BlobAttr)
    bias = opt_prop_def(BlobAttr)
    stride = prop_def(DenseArrayBase.constr(i64), default_value=pairs((1, 1)))
    pad = prop_def(DenseArrayBase.constr(i64), default_value=pairs((0, 0, 0, 0)))
    dilation = prop_def(DenseArrayBase.constr(i64), default_value=pairs((1, 1)))
    group = prop_def(IntegerAttr[I64], default_value=ONE)
    right_shift = opt_prop_def(IntegerAttr[I64])
    use_winograd = opt_prop_def(BoolAttr)

    traits = traits_def(Pure())
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

    def verify_layer(self) -> None:
        verify_bias(self.bias, self.weight.shape[0])
        verify_coefficients(self.weight, self.bias, self.right_shift)


@irdl_op_definition
class InnerProductOp(UnaryLayerOp):
    """Fully connected layer: ``y = W x + b`` over the dimensions from ``axis`` on.

    ``weight`` is [N, K], ``bias`` [N]. Result: the dimensions before ``axis``, then N.
    """

    name = "ufw.inner_product"

    weight = prop_def(BlobAttr)
    bias = opt_prop_def(BlobAttr)
    axis = prop_def(IntegerAttr[I64], default_value=ONE)
    right_shift = opt_prop_def(IntegerAttr[I64])

    traits = traits_def(Pure())
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

    def verify_layer(self) -> None:
        verify_bias(self.bias, self.weight.shape[0])
        verify_coefficients(self.weight, self.bias, self.right_shift)


@irdl_op_definition
class BatchNormOp(UnaryLayerOp):
    """Normalisation with stored statistics; channels are dimension 1.

    Float: ``y = (x - mean) / sqrt(variance + eps)``, mean and variance [C], already divided by
    the scale factor of Caffe's third blob. INT8: ``y = (weight x + bias) >> right_shift`` with one
    multiplier a channel. It has either the one set of coefficients or the other.
    """

    name = "ufw.batch_norm"

    mean = opt_prop_def(BlobAttr)
    variance = opt_prop_def(BlobAttr)
    eps = opt_prop_def(FloatAttr[Float32Type])
    weight = opt_prop_def(BlobAttr)
    bias = opt_prop_def(BlobAttr)
    right_shift = opt_prop_def(IntegerAttr[I64])

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom (`mean` $mean^)? (`variance` $variance^)? (`eps` $eps^)? "
        "(`weight` $weight^)? (`bias` $bias^)? (`right_shift` $right_shift^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        *,
        mean: Coefficients | None = None,
        variance: Coefficients | None = None,
        eps: float | None = None,
        weight: Coefficients | None = None,
        bias: Coefficients | None = None,
        right_shift: int | None = None,
    ) -> None:
        settings = {
            "mean": mean, "variance": variance, "eps": eps,
            "weight": weight, "bias": bias, "right_shift": right_shift,
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    def verify_layer(self) -> None:
        floats = (self.mean, self.variance, self.eps)
        integers = (self.weight, self.bias, self.right_shift)
        require(
            (None not in floats and integers == (None,) * 3)
            or (None not in integers and floats == (None,) * 3),
            "a batch norm has mean, variance and eps, or weight, bias and right_shift",
        )
        for blob in (self.mean, self.variance, self.weight, self.bias):
            if blob is not None:
                require(len(blob.shape) == 1, "coefficients of a batch norm have one dimension")
                shapes.channels(shape_of(self.bottom), blob.shape[0], "a coefficient")
        verify_coefficients(self.mean or self.weight, self.variance or self.bias, self.right_shift)


class BroadcastLayerOp(LayerOp):
    """A layer whose operand, from a blob or from a second bottom, covers axes of the first."""

    bottom = operand_def(TensorType)
    operand = opt_operand_def(TensorType)
    weight = opt_prop_def(BlobAttr)
    bias = opt_prop_def(BlobAttr)
    axis = prop_def(IntegerAttr[I64], default_value=ONE)
    right_shift = opt_prop_def(IntegerAttr[I64])
    top = result_def(TensorType)

    FORMAT: ClassVar[str] = (
        "$tops $bottom (`,` $operand^)? (`weight` $weight^)? (`bias` $bias^)? (`axis` $axis^)? "
        "(`right_shift` $right_shift^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        operand: SSAValue | None = None,
        *,
        weight: Coefficients | None = None,
        bias: Coefficients | None = None,
        axis: int = 1,
        right_shift: int | None = None,
    ) -> None:
        settings = {"weight": weight, "bias": bias, "axis": axis, "right_shift": right_shift}
        self.setup([bottom, operand], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        bottom = shape_of(self.bottom)
        operands = [blob.shape for blob in (self.weight, self.bias) if blob is not None]
        if self.operand is not None:
            operands.append(shape_of(self.operand))
        for operand in operands:
            shapes.broadcast(bottom, operand, self.axis.value.data)
        return [bottom]


@irdl_op_definition
class ScaleOp(BroadcastLayerOp):
    """``y = x * factor + bias``; the factor is ``weight`` or the second bottom.

    Factor and bias have the shape of the first bottom's dimensions from ``axis`` on, as many as
    they have. INT8: ``y = (weight x + bias) >> right_shift``.
    """

    name = "ufw.scale"
    traits = traits_def(Pure())
    assembly_format = BroadcastLayerOp.FORMAT

    def verify_layer(self) -> None:
        require(
            (self.weight is None) != (self.operand is None),
            "a scale layer has either a weight or a second input",
        )
        verify_coefficients(self.weight, self.bias, self.right_shift)


@irdl_op_definition
class BiasOp(BroadcastLayerOp):
    """``y = x + addend``; the addend is ``bias`` or the second bottom.

    The addend has the shape of the first bottom's dimensions from ``axis`` on, as many as it has.
    INT8: ``y = (weight x + bias) >> right_shift``, the weight being the multiplier that brings x
    to the result's scale.
    """

    name = "ufw.bias"
    traits = traits_def(Pure())
    assembly_format = BroadcastLayerOp.FORMAT

    def verify_layer(self) -> None:
        require(
            (self.bias is None) != (self.operand is None),
            "a bias layer has either a bias or a second input",
        )
        require(
            (self.weight is None) or (self.right_shift is not None),
            "only an INT8 bias layer has a weight",
        )
        require(
            (self.bias is None) or (self.weight is None) == (self.right_shift is None),
            "an INT8 bias layer has a weight",
        )
        verify_coefficients(self.weight, self.bias, self.right_shift)


@irdl_op_definition
class PReLUOp(UnaryLayerOp):
    """``y = x if x > 0 else slope * x``; ``slope`` is [C], or [1] for all channels.

    INT8: ``y = (slope x) >> right_shift`` for negative x: where the result has another scale than
    the input, the slopes lead from one to the other.
    """

    name = "ufw.prelu"

    slope = prop_def(BlobAttr)
    right_shift = opt_prop_def(IntegerAttr[I64])

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom `slope` $slope (`right_shift` $right_shift^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        slope: Coefficients,
        *,
        right_shift: int | None = None,
    ) -> None:
        self.setup([bottom], [top], {"slope": slope, "right_shift": right_shift})

    def verify_layer(self) -> None:
        require(len(self.slope.shape) == 1, "the slope of a PReLU has one dimension")
        if self.slope.shape != (1,):
            shapes.channels(shape_of(self.bottom), self.slope.shape[0], "the slope")
        verify_coefficients(self.slope, None, self.right_shift)
