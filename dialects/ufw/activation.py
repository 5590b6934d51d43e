"""Activations: ReLU, PReLU, the pointwise functions, Softmax."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import I64, Float32Type, FloatAttr, IntegerAttr, f32, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def, traits_def
from xdsl.traits import Pure

from dialects.composed import Step, steps_of
from dialects.constant import ConstantAttr
from dialects.function_properties import FunctionProperties, function_properties
from dialects.functions import FUNCTIONS
from dialects.ufw import shapes
from dialects.ufw.facts import Array, CarriesOn, FloatArray, GivesProbabilities
from dialects.ufw.layer import (
    Coefficients,
    Top,
    UnaryLayerOp,
    per_axis,
    shape_of,
    verify_coefficients,
)
from dialects.ufw.shapes import require


def leaky(x: FloatArray, slope: FloatArray | np.float32) -> FloatArray:
    """x where it is positive, else slope * x."""
    return np.where(x > 0, x, slope * x)


@irdl_op_definition
class ReLUOp(UnaryLayerOp):
    """``y = x if x > 0 else negative_slope * x``; with ``upper``, ``min(max(x, 0), upper)``."""

    name = "ufw.relu"

    negative_slope = prop_def(FloatAttr[Float32Type], default_value=FloatAttr(0.0, f32))
    upper = opt_prop_def(FloatAttr[Float32Type])

    traits = traits_def(Pure(), CarriesOn())
    assembly_format = (
        "$tops $bottom (`negative_slope` $negative_slope^)? (`upper` $upper^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self, bottom: SSAValue, top: Top, negative_slope: float = 0.0, upper: float | None = None
    ) -> None:
        limit = None if upper is None else float(upper)
        self.setup([bottom], [top], {"negative_slope": float(negative_slope), "upper": limit})

    def verify_layer(self) -> None:
        if self.upper is not None:
            plain = self.negative_slope.value.data == 0 and self.upper.value.data > 0
            require(plain, "an upper limit must be positive, and goes with a negative_slope of 0")

    @property
    def has_integers(self) -> bool:
        return True

    @property
    def is_relu(self) -> bool:
        return self.negative_slope.value.data == 0

    @property
    def slopes(self) -> Array:
        return np.array([self.negative_slope.value.data])

    @property
    def upper_limit(self) -> float:
        return np.inf if self.upper is None else self.upper.value.data

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0] or (not self.is_relu and self.largest_slope <= 1)

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return self.is_relu or nonnegative[0]

    @property
    def operand_factors(self) -> list[float]:
        return [self.largest_slope]

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return self.upper is None  # min(s x, 6) is not s min(x, 6)

    def steps(self, operands: Sequence[str]) -> list[Step]:
        (x,), slope = operands, self.negative_slope.value.data
        if self.upper is not None:
            bounds = ("min", 0.0), ("max", self.upper.value.data)
            return [Step("", "clip", (x,), bounds)]
        if not slope:
            return [Step("", "max", (x, 0.0))]
        return [
            Step("_above", "max", (x, 0.0)),
            Step("_below", "min", (x, 0.0)),
            Step("_scaled", "mul", ("_below", slope)),
            Step("", "add", ("_above", "_scaled")),
        ]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        x, slope = inputs[0], self.negative_slope.value.data
        if self.upper is not None:
            return [np.clip(x, np.float32(0), np.float32(self.upper.value.data))]
        return [leaky(x, np.float32(slope)) if slope else np.maximum(x, 0)]


@irdl_op_definition
class PReLUOp(UnaryLayerOp):
    """``y = x if x > 0 else slope * x``; ``slope`` is [C], or [1] for all channels.

    INT8: ``y = (slope x) >> right_shift`` for negative x: where the result has another scale than
    the input, the slopes lead from one to the other.
    """

    name = "ufw.prelu"

    slope = prop_def(ConstantAttr)
    right_shift = opt_prop_def(IntegerAttr[I64])

    traits = traits_def(Pure(), CarriesOn())
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

    @property
    def has_integers(self) -> bool:
        return True

    @property
    def slopes(self) -> Array:
        return self.slope.array.astype(np.float64)

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0] or self.largest_slope <= 1

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]

    @property
    def operand_factors(self) -> list[float]:
        return [self.largest_slope]

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return True

    def real_coefficients(self) -> tuple[Array, Array | None]:
        return self.slopes, None

    def meet_weights(self, channels: Array) -> float:
        return 1.0

    def set_integers(self, weight: Array, bias: Array | None, shift: int) -> None:
        self.slope, self.right_shift = ConstantAttr.of(weight), IntegerAttr(shift, i64)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        x, slope = inputs[0], self.slope.array
        return [leaky(x, slope if slope.size == 1 else per_axis(slope, 1, x.ndim))]


@irdl_op_definition
class PointwiseOp(FunctionProperties, UnaryLayerOp):
    """A function of :mod:`dialects.functions` of every number: Sigmoid, TanH, Power ..."""

    name = "ufw.pointwise"
    traits = traits_def(Pure(), CarriesOn())
    assembly_format = (
        "$function $tops $bottom (`with` $parameters^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, function: str, **parameters: float) -> None:
        self.setup([bottom], [top], function_properties(function, parameters))

    def verify_layer(self) -> None:
        settings = self.settings  # raises for an unknown function or parameter
        fault = self.row.fault(settings) if self.row.fault else ""
        require(not fault, f"{self.row.layer}: {fault}")

    @property
    def has_integers(self) -> bool:
        return True

    @property
    def is_bounded(self) -> bool:
        return self.row.is_bounded(self.settings)

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return self.row.range_of(self.settings)[0] >= 0

    def steps(self, operands: Sequence[str]) -> list[Step]:
        (x,), name = operands, self.function.data
        if name in FUNCTIONS:
            settings = self.settings
            given = tuple((key, settings[key]) for key in self.parameters.data)
            return [Step("", name, (x,), given)]
        own = {step.target: f"_{step.target}" for step in steps_of(name) if step.target} | {"x": x}
        return [step.renamed(own) for step in steps_of(name)]

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        return [self.row.of(inputs[0], self.settings)]


@irdl_op_definition
class LogSoftmaxOp(UnaryLayerOp):
    """``y = x - max - log(sum(exp(x - max)))`` along ``axis``."""

    name = "ufw.log_softmax"

    axis = prop_def(IntegerAttr[I64], default_value=IntegerAttr(1, i64))

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom (`axis` $axis^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, axis: int = 1) -> None:
        self.setup([bottom], [top], {"axis": axis})

    def verify_layer(self) -> None:
        shapes.check_axis(self.axis.value.data, len(shape_of(self.bottom)))

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        axis = self.axis.value.data
        shifted = inputs[0] - inputs[0].max(axis=axis, keepdims=True)
        return [shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))]


@irdl_op_definition
class SoftmaxOp(UnaryLayerOp):
    """``y = exp(x - max) / sum(exp(x - max))`` along ``axis``."""

    name = "ufw.softmax"

    axis = prop_def(IntegerAttr[I64], default_value=IntegerAttr(1, i64))

    traits = traits_def(Pure(), GivesProbabilities())
    assembly_format = (
        "$tops $bottom (`axis` $axis^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(self, bottom: SSAValue, top: Top, axis: int = 1) -> None:
        self.setup([bottom], [top], {"axis": axis})

    def verify_layer(self) -> None:
        shapes.check_axis(self.axis.value.data, len(shape_of(self.bottom)))

    @property
    def is_bounded(self) -> bool:
        return True

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return True

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        axis = self.axis.value.data
        shifted = np.exp(inputs[0] - inputs[0].max(axis=axis, keepdims=True))
        return [shifted / shifted.sum(axis=axis, keepdims=True)]
