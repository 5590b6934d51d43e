"""What all UFW ops share: named results, inferred shapes and the kinds of numbers they hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    NoneAttr,
    Signedness,
    StringAttr,
    TensorType,
    f32,
    i32,
    i64,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import IRDLOperation, operand_def, prop_def, result_def
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import VerifyException

from dialects.constant import Array, ConstantAttr
from dialects.quant.scale import ScaleAttr
from dialects.ufw.facts import LayerFacts
from dialects.ufw.shapes import Shape, checked, require, show

SI8 = IntegerType(8, Signedness.SIGNED)
UI8 = IntegerType(8, Signedness.UNSIGNED)

MAX_SHIFT = 31
"""The largest right shift of an INT8 layer: the accumulator has 32 bits."""

Tensor = TensorType[Attribute]
Coefficients = ConstantAttr | Array
Setting = Attribute | Array | Sequence[int] | Sequence[float] | str | float | None
"""What a constructor takes for a property: the attribute, or the plain value it stands for."""


def tensor_type(value: SSAValue) -> Tensor:
    """The tensor type of a value; raises :class:`VerifyException` for any other type."""
    kind = value.type
    if not isinstance(kind, TensorType):
        raise VerifyException(f"a tensor is required, the value has type {kind}")
    return cast(Tensor, kind)


def shape_of(value: SSAValue) -> Shape:
    """The shape of a tensor value."""
    return tensor_type(value).get_shape()


@dataclass(frozen=True)
class Top:
    """A result to be: the blob's unique name and what numbers it holds.

    ``element`` is f32, si8 or ui8. ``scale`` is required for the integers; on a float tensor it is
    the scale the tensor gets where it is quantised later.
    """

    name: str
    element: Attribute = f32
    scale: ScaleAttr | None = None

    @staticmethod
    def like(value: SSAValue, name: str) -> Top:
        """A result of the same kind of numbers as an existing value."""
        kind = tensor_type(value)
        scale = kind.encoding if isinstance(kind.encoding, ScaleAttr) else None
        return Top(name, kind.element_type, scale)

    def type(self, shape: Shape) -> Tensor:
        """The tensor type with that shape."""
        return TensorType(self.element, shape, self.scale or NoneAttr())


def verify_tensor(value: SSAValue) -> None:
    """Raises unless the value is a float tensor, or an 8-bit one with its scale."""
    kind = tensor_type(value)
    checked(kind.get_shape())
    require(
        kind.element_type != i32,
        "the indices of a host layer are integers, which no layer of the NPU can read: make them an"
        " output of the network, or put a Cast to FLOAT between",
    )
    if isinstance(kind.encoding, ScaleAttr):
        scale = kind.encoding.data.scale
        require(
            np.isfinite(scale) and scale > 0,
            f"a scale must be positive and finite, it is {scale}",
        )
        require(
            kind.element_type in (f32, SI8, UI8),
            f"a tensor holds f32, si8 or ui8, not {kind.element_type}",
        )
        require(
            kind.element_type == f32 or not kind.encoding.data.unsigned,
            f"the sign of a scale is for f32, {kind.element_type} has its own",
        )
        return
    require(
        kind.element_type == f32,
        f"a tensor without a #quant.scale holds f32, not {kind.element_type}",
    )


def pairs(values: Sequence[int]) -> DenseArrayBase[IntegerType]:
    """Integers as a dense array of i64."""
    return DenseArrayBase.from_list(i64, [int(v) for v in values])


def attribute(value: Setting) -> Attribute | None:
    """The attribute that stands for a plain Python value."""
    match value:
        case None | Attribute():
            return value
        case bool():
            return BoolAttr.from_bool(value)
        case int():
            return IntegerAttr(value, i64)
        case float():
            return FloatAttr(value, f32)
        case str():
            return StringAttr(value)
        case np.ndarray():
            return ConstantAttr.of(value)
        case _:
            if all(isinstance(v, int) for v in value):
                return pairs([int(v) for v in value])
            return DenseArrayBase.from_list(f32, [float(v) for v in value])


class LayerOp(LayerFacts, ABC):
    """One UFW layer.

    Its operands are the layer's bottoms, all of them in their order, and its results the tops;
    ``tops`` names these, unique in the net. Settings and coefficients are properties. What else a
    layer states is in :class:`LayerFacts`.
    """

    tops = prop_def(ArrayAttr[StringAttr])

    def setup(
        self,
        operands: Sequence[SSAValue | Sequence[SSAValue] | None],
        tops: Sequence[Top],
        settings: Mapping[str, Setting],
        *,
        variadic: bool = False,
        shapes: Sequence[Shape] | None = None,
    ) -> None:
        """Builds the op and gives its results their types; the constructors call it.

        The result shapes are inferred where they are not given (``variadic`` says that the op
        has any number of results). Raises :class:`VerifyException` when they do not fit.
        """
        drafts = [NoneAttr() for _ in tops]
        properties = {name: attribute(value) for name, value in settings.items()}
        properties["tops"] = ArrayAttr([StringAttr(top.name) for top in tops])
        IRDLOperation.__init__(
            self,
            operands=operands,
            result_types=[drafts] if variadic else drafts,
            properties=properties,
        )
        known = self.infer_shapes() if shapes is None else shapes
        for result, top, shape in zip(list(self.results), tops, known, strict=True):
            Rewriter.replace_value_with_new_type(result, top.type(shape))
        if shapes is not None:
            self.infer_shapes()

    @abstractmethod
    def infer_shapes(self) -> list[Shape]:
        """The result shapes, from the operands and properties (and, where only the results
        have them, from the results).

        Raises :class:`VerifyException` with one sentence when they do not fit.
        """

    def verify_(self) -> None:
        require(
            len(self.tops.data) == len(self.results),
            f"{len(self.tops.data)} top name(s) for {len(self.results)} result(s)",
        )
        for value in (*self.operands, *self.results):
            verify_tensor(value)
        shapes = self.infer_shapes()
        for result, shape in zip(self.results, shapes, strict=True):
            require(
                shape_of(result) == shape,
                f"the result is {show(shape_of(result))}, its inputs give {show(shape)}",
            )
        self.verify_layer()

    def verify_layer(self) -> None:
        """Checks of one layer beyond its shapes. Raises :class:`VerifyException`."""

    def stored_blobs(self) -> list[Array]:
        blobs = (self.properties.get(name) for name in self.get_irdl_definition().properties)
        return [blob.array for blob in blobs if isinstance(blob, ConstantAttr)]

    @property
    def top_names(self) -> list[str]:
        """The names of the results."""
        return [name.data for name in self.tops.data]


class UnaryLayerOp(LayerOp, ABC):
    """A layer with one bottom and one top of the same shape."""

    bottom = operand_def(TensorType)
    top = result_def(TensorType)

    def infer_shapes(self) -> list[Shape]:
        return [shape_of(self.bottom)]


def verify_coefficients(
    weight: ConstantAttr | None,
    bias: ConstantAttr | None,
    right_shift: IntegerAttr | None,
) -> None:
    """Coefficients are float32 without a shift, or int8 weights and int16 bias with one."""
    dtypes = [blob.data.dtype if blob else None for blob in (weight, bias)]
    if right_shift is None:
        require(
            all(dtype in (None, "float32") for dtype in dtypes),
            f"weights and bias are {dtypes[0]} and {dtypes[1]} but there is no right_shift",
        )
        return
    shift = right_shift.value.data
    require(0 <= shift <= MAX_SHIFT, f"right_shift {shift} is not in 0..{MAX_SHIFT}")
    require(
        dtypes[0] in (None, "int8") and dtypes[1] in (None, "int16"),
        f"with a right_shift weights are int8 and bias int16, not {dtypes[0]} and {dtypes[1]}",
    )


def verify_bias(bias: ConstantAttr | None, outputs: int) -> None:
    """Raises unless the bias is absent or has one value an output channel."""
    require(
        bias is None or bias.shape == (outputs,),
        f"bias is {show(bias.shape) if bias else ''}, {outputs} value(s) are required",
    )


def real(weight: ConstantAttr, bias: ConstantAttr | None) -> tuple[Array, Array | None]:
    """Weight and bias as float64."""
    addend = None if bias is None else bias.array.astype(np.float64)
    return weight.array.astype(np.float64), addend


def set_integers(op: Any, weight: Array, bias: Array | None, shift: int) -> None:
    """Gives a layer with weight, bias and right_shift its integers."""
    op.weight = ConstantAttr.of(weight)
    op.bias = None if bias is None else ConstantAttr.of(bias)
    op.right_shift = IntegerAttr(shift, i64)


def per_axis(array: Array, axis: int, rank: int) -> Array:
    """An array with ones around its dimensions, so that numpy broadcasts it from ``axis`` on to a
    tensor of that rank."""
    before, after = (1,) * axis, (1,) * (rank - axis - array.ndim)
    return array.reshape(*before, *array.shape, *after)
