"""BatchNorm, Scale and Bias: a factor and an addend a channel.

In a float net the coefficients are float32. In an INT8 net weights are int8, biases int16 and
``right_shift`` gives the one shift of the layer: ``y = sat((acc + bias + 2^(r-1)) >> r)``.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import I64, Float32Type, FloatAttr, IntegerAttr, TensorType, i64
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

from dialects.constant import ConstantAttr
from dialects.ufw import shapes
from dialects.ufw.facts import Array, CarriesOn, FloatArray, TakesReLU
from dialects.ufw.layer import (
    Coefficients,
    LayerOp,
    Top,
    UnaryLayerOp,
    per_axis,
    real,
    set_integers,
    shape_of,
    verify_coefficients,
)
from dialects.ufw.shapes import Shape, require

ONE = IntegerAttr(1, i64)


@irdl_op_definition
class BatchNormOp(UnaryLayerOp):
    """Normalisation with stored statistics; channels are dimension 1.

    Float: ``y = (x - mean) / sqrt(variance + eps)``, mean and variance [C], already divided by
    the scale factor of Caffe's third blob. INT8: ``y = (weight x + bias) >> right_shift`` with one
    multiplier a channel. It has either the one set of coefficients or the other.
    """

    name = "ufw.batch_norm"

    mean = opt_prop_def(ConstantAttr)
    variance = opt_prop_def(ConstantAttr)
    eps = opt_prop_def(FloatAttr[Float32Type])
    weight = opt_prop_def(ConstantAttr)
    bias = opt_prop_def(ConstantAttr)
    right_shift = opt_prop_def(IntegerAttr[I64])

    traits = traits_def(Pure(), TakesReLU(), CarriesOn())
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

    @property
    def has_integers(self) -> bool:
        return True

    def real_coefficients(self) -> tuple[Array, Array | None] | None:
        return self.channel_affine(shape_of(self.top)[1])

    def meet_weights(self, channels: Array) -> Array:
        return channels

    def set_integers(self, weight: Array, bias: Array | None, shift: int) -> None:
        self.mean = self.variance = self.eps = None
        set_integers(self, weight, bias, shift)

    def stored_blobs(self) -> list[Array]:
        return [*super().stored_blobs(), np.ones(1, np.float32)]  # Caffe's third blob, a factor

    def channel_affine(self, channels: int, axis: int = 1) -> tuple[Array, Array] | None:
        if axis != 1 or self.mean is None or self.variance is None or self.eps is None:
            return None
        factor = 1 / np.sqrt(self.variance.array.astype(np.float64) + self.eps.value.data)
        return factor, -self.mean.array * factor

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        x = inputs[0]
        assert self.mean is not None
        assert self.variance is not None
        assert self.eps is not None
        deviation = per_axis(self.variance.array + np.float32(self.eps.value.data), 1, x.ndim)
        return [(x - per_axis(self.mean.array, 1, x.ndim)) / np.sqrt(deviation)]


class BroadcastLayerOp(LayerOp, ABC):
    """A layer whose operand, from a blob or from a second bottom, covers axes of the first."""

    bottom = operand_def(TensorType)
    operand = opt_operand_def(TensorType)
    weight = opt_prop_def(ConstantAttr)
    bias = opt_prop_def(ConstantAttr)
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

    def set_integers(self, weight: Array, bias: Array | None, shift: int) -> None:
        set_integers(self, weight, bias, shift)

    def channel_affine(self, channels: int, axis: int = 1) -> tuple[Array, Array] | None:
        if self.operand is not None or self.right_shift or self.axis.value.data != axis:
            return None
        if any(blob.shape != (channels,) for blob in (self.weight, self.bias) if blob is not None):
            return None
        factor = np.ones(channels) if self.weight is None else self.weight.array.astype(np.float64)
        addend = np.zeros(channels) if self.bias is None else self.bias.array.astype(np.float64)
        return factor, addend


@irdl_op_definition
class ScaleOp(BroadcastLayerOp):
    """``y = x * factor + bias``; the factor is ``weight`` or the second bottom.

    Factor and bias have the shape of the first bottom's dimensions from ``axis`` on, as many as
    they have. INT8: ``y = (weight x + bias) >> right_shift``.
    """

    name = "ufw.scale"
    traits = traits_def(Pure(), TakesReLU(), CarriesOn())
    assembly_format = BroadcastLayerOp.FORMAT

    def verify_layer(self) -> None:
        require(
            (self.weight is None) != (self.operand is None),
            "a scale layer has either a weight or a second input",
        )
        verify_coefficients(self.weight, self.bias, self.right_shift)

    @property
    def has_integers(self) -> bool:
        return self.operand is None or self.bias is None

    @property
    def is_product(self) -> bool:
        return self.operand is not None

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return self.is_product and self.bias is None and all(nonnegative)

    def real_coefficients(self) -> tuple[Array, Array | None] | None:
        return None if self.weight is None else real(self.weight, self.bias)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        x, axis = inputs[0], self.axis.value.data
        factor = inputs[1] if self.weight is None else self.weight.array
        y = x * per_axis(factor, axis, x.ndim)
        return [y if self.bias is None else y + per_axis(self.bias.array, axis, x.ndim)]


@irdl_op_definition
class BiasOp(BroadcastLayerOp):
    """``y = x + addend``; the addend is ``bias`` or the second bottom.

    The addend has the shape of the first bottom's dimensions from ``axis`` on, as many as it has.
    INT8: ``y = (weight x + bias) >> right_shift``, the weight being the multiplier that brings x
    to the result's scale.
    """

    name = "ufw.bias"
    traits = traits_def(Pure(), TakesReLU(), CarriesOn())
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

    @property
    def has_integers(self) -> bool:
        return True

    @property
    def sum_factors(self) -> list[float] | None:
        return None if self.operand is None else [1.0, 1.0]

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return self.operand is not None and all(nonnegative)

    def real_coefficients(self) -> tuple[Array, Array | None] | None:
        if self.bias is None:
            return None
        return np.ones(self.bias.shape), self.bias.array.astype(np.float64)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        addend = inputs[1] if self.bias is None else self.bias.array
        return [inputs[0] + per_axis(addend, self.axis.value.data, inputs[0].ndim)]
