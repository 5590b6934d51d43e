"""MVN, GroupNorm, InstanceNorm, LayerNorm, Normalize: by statistics of the operand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import (
    I64,
    BoolAttr,
    DenseArrayBase,
    Float32Type,
    FloatAttr,
    IntegerAttr,
    f32,
    i64,
)
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def, traits_def
from xdsl.traits import Pure

from dialects.constant import ConstantAttr
from dialects.ufw import shapes
from dialects.ufw.facts import Array, FloatArray
from dialects.ufw.layer import Coefficients, Top, UnaryLayerOp, per_axis, shape_of
from dialects.ufw.shapes import Shape, require

TRUE = BoolAttr.from_bool(True)
FALSE = BoolAttr.from_bool(False)


def _check_affine(op: StandardizeOp | NormalizeOp) -> None:
    for blob in (op.weight, op.bias if isinstance(op, StandardizeOp) else None):
        if blob is not None:
            require(blob.data.dtype == "float32", "factors and addends must be float32")
            axis = op.affine_axis.value.data if isinstance(op, StandardizeOp) else 1
            if blob.shape != (1,):
                shapes.broadcast(shape_of(op.bottom), blob.shape, axis)


@irdl_op_definition
class StandardizeOp(UnaryLayerOp):
    """``y = (x - mean) / deviation * weight + bias``, the statistics over ``axes``.

    deviation: ``sqrt(variance + eps)``, or ``sqrt(variance) + eps`` with ``eps_outside``; without
    ``divide`` it is 1. With ``groups``, the channels (dimension 1) are split into so many, and the
    statistics are those of each group of an image; there are no axes then. ``weight`` and ``bias``
    cover the dimensions from ``affine_axis`` on, as many as they have.
    """

    name = "ufw.standardize"

    axes = prop_def(DenseArrayBase.constr(i64))
    groups = prop_def(IntegerAttr[I64], default_value=IntegerAttr(0, i64))
    eps = prop_def(FloatAttr[Float32Type], default_value=FloatAttr(1e-5, f32))
    eps_outside = prop_def(BoolAttr, default_value=FALSE)
    divide = prop_def(BoolAttr, default_value=TRUE)
    weight = opt_prop_def(ConstantAttr)
    bias = opt_prop_def(ConstantAttr)
    affine_axis = prop_def(IntegerAttr[I64], default_value=IntegerAttr(1, i64))

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom `axes` $axes (`groups` $groups^)? (`eps` $eps^)? "
        "(`eps_outside` $eps_outside^)? (`divide` $divide^)? (`weight` $weight^)? (`bias` $bias^)? "
        "(`affine_axis` $affine_axis^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        axes: Sequence[int] = (),
        *,
        groups: int = 0,
        eps: float = 1e-5,
        eps_outside: bool = False,
        divide: bool = True,
        weight: Coefficients | None = None,
        bias: Coefficients | None = None,
        affine_axis: int = 1,
    ) -> None:
        settings = {
            "axes": axes, "groups": groups, "eps": float(eps),
            "eps_outside": BoolAttr.from_bool(eps_outside), "divide": BoolAttr.from_bool(divide),
            "weight": weight, "bias": bias, "affine_axis": affine_axis,
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    @property
    def view(self) -> tuple[Shape, tuple[int, ...]]:
        """The shape under which the statistics are taken, and their axes."""
        shape, groups = shape_of(self.bottom), self.groups.value.data
        if not groups:
            return shape, self.axes.get_values()
        grouped = (shape[0], groups, shape[1] // groups, *shape[2:])
        return grouped, tuple(range(2, len(grouped)))

    def verify_layer(self) -> None:
        shape, axes, groups = shape_of(self.bottom), self.axes.get_values(), self.groups.value.data
        require((groups == 0) != (len(axes) == 0), "statistics are over axes, or over groups")
        require(sorted({*axes}) == [*axes], f"{[*axes]} are no axes in ascending order")
        for axis in axes:
            shapes.check_axis(axis, len(shape))
        if groups:
            fits = len(shape) > 1 and groups > 0 and shape[1] % groups == 0
            require(fits, f"{groups} groups do not divide the channels of {shapes.show(shape)}")
        require(self.eps.value.data >= 0, "eps must not be negative")
        _check_affine(self)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        view, axes = self.view
        x = inputs[0].reshape(view).astype(np.float64)
        y = x - x.mean(axes, keepdims=True)
        if self.divide.value.data:
            variance, eps = np.square(y).mean(axes, keepdims=True), self.eps.value.data
            outside = bool(self.eps_outside.value.data)
            y = y / (np.sqrt(variance) + eps if outside else np.sqrt(variance + eps))
        y, axis = y.reshape(inputs[0].shape), self.affine_axis.value.data
        if self.weight is not None:
            y = y * per_axis(self.weight.array, axis, y.ndim)
        if self.bias is not None:
            y = y + per_axis(self.bias.array, axis, y.ndim)
        return [y.astype(np.float32)]


@irdl_op_definition
class NormalizeOp(UnaryLayerOp):
    """``y = x / sqrt(sum x^2 + eps) * weight``: the sum over the channels of a pixel, or over the
    whole image with ``across_spatial``; the weight is [C], or [1] for all channels."""

    name = "ufw.normalize"

    weight = prop_def(ConstantAttr)
    across_spatial = prop_def(BoolAttr, default_value=TRUE)
    eps = prop_def(FloatAttr[Float32Type], default_value=FloatAttr(1e-10, f32))

    traits = traits_def(Pure())
    assembly_format = (
        "$tops $bottom `weight` $weight (`across_spatial` $across_spatial^)? (`eps` $eps^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        weight: Coefficients,
        *,
        across_spatial: bool = True,
        eps: float = 1e-10,
    ) -> None:
        across = BoolAttr.from_bool(across_spatial)
        self.setup([bottom], [top], {"weight": weight, "across_spatial": across, "eps": float(eps)})

    @property
    def axes(self) -> tuple[int, ...]:
        """What the sum goes over."""
        rank = len(shape_of(self.bottom))
        return tuple(range(1, rank)) if self.across_spatial.value.data else (1,)

    def verify_layer(self) -> None:
        require(len(shape_of(self.bottom)) > 1, "Normalize needs a tensor with channels")
        _check_affine(self)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        x, weight = inputs[0].astype(np.float64), self.weight.array
        sums = np.square(x).sum(self.axes, keepdims=True)
        y = x / np.sqrt(sums + self.eps.value.data)
        return [(y * per_axis(weight, 1, x.ndim) if weight.size > 1 else y * weight.item())]
