"""Tensor types of the quant level: float32, or 8-bit integers with their scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import Float32Type, IntegerType, Signedness, TensorType, f32, i32
from xdsl.ir import Attribute, SSAValue

from dialects.quant.scale import ScaleAttr

si8 = IntegerType(8, Signedness.SIGNED)
ui8 = IntegerType(8, Signedness.UNSIGNED)

_DTYPES: dict[Attribute, type[np.generic]] = {
    si8: np.int8, ui8: np.uint8, f32: np.float32, i32: np.int32
}  # fmt: skip


def tensor_type(value: SSAValue | Attribute) -> TensorType[Attribute]:
    """The value's type as a tensor type. Raises TypeError when it is none."""
    kind = value.type if isinstance(value, SSAValue) else value
    if not isinstance(kind, TensorType):
        raise TypeError(f"a tensor is required, this is {kind}")
    return cast(TensorType[Attribute], kind)


def shape_of(value: SSAValue | Attribute) -> tuple[int, ...]:
    """The shape of a tensor value."""
    return tensor_type(value).get_shape()


def scale_ratio(x: SSAValue, y: SSAValue) -> float:
    """The scale of x over that of y; 1 where they are one or one of both has none."""
    a, b = scale_of(x), scale_of(y)
    return a / b if a and b and a != b else 1.0


def scale_of(value: SSAValue | Attribute) -> float | None:
    """The real value of one integer step, or None when the tensor carries no scale."""
    encoding = tensor_type(value).encoding
    return encoding.data.scale if isinstance(encoding, ScaleAttr) else None


def is_index(value: SSAValue | Attribute) -> bool:
    """True for int32 tensors, which only host layers make and read."""
    return tensor_type(value).element_type == i32


def is_float(value: SSAValue | Attribute) -> bool:
    """True for float32 tensors."""
    return isinstance(tensor_type(value).element_type, Float32Type)


def is_unsigned(value: SSAValue | Attribute) -> bool:
    """True for uint8 tensors."""
    return tensor_type(value).element_type == ui8


def becomes_unsigned(value: SSAValue | Attribute) -> bool:
    """True for uint8 tensors, and for float ones that become uint8 where they are quantised."""
    encoding = tensor_type(value).encoding
    return is_unsigned(value) or (isinstance(encoding, ScaleAttr) and encoding.data.unsigned)


def is_valid(value: SSAValue | Attribute) -> bool:
    """True for float32 tensors, and for 8-bit ones with a scale that is positive and finite."""
    kind = tensor_type(value)
    if kind.element_type == f32 and not isinstance(kind.encoding, ScaleAttr):
        return True
    scale = scale_of(kind)
    return kind.element_type in (si8, ui8, f32) and scale is not None and 0 < scale < np.inf


def dtype_of(value: SSAValue | Attribute) -> type[np.generic]:
    """The numpy element type of a tensor value."""
    return _DTYPES[tensor_type(value).element_type]


def numpy_of(element: Attribute) -> type[np.generic]:
    """The numpy type of an element type."""
    return _DTYPES[element]


def dtype_name(element: Attribute) -> str:
    """numpy's name of an element type: "float32", "int8" or "uint8"."""
    return np.dtype(_DTYPES[element]).name


def float_tensor(shape: Sequence[int]) -> TensorType[Any]:
    """``tensor<...xf32>``, without a scale."""
    return TensorType(f32, list(shape))


def float_like(value: SSAValue | Attribute, shape: Sequence[int] | None = None) -> TensorType[Any]:
    """``tensor<...xf32>`` with the scale and the sign that the value has, or gets."""
    scale = scale_of(value)
    shape = shape_of(value) if shape is None else shape
    if scale is None:
        return float_tensor(shape)
    return TensorType(f32, list(shape), ScaleAttr.of(scale, becomes_unsigned(value)))


def int_tensor(shape: Sequence[int], scale: float, unsigned: bool) -> TensorType[Any]:
    """``tensor<...xsi8 or ui8, #quant.scale<scale>>``."""
    return TensorType(ui8 if unsigned else si8, list(shape), ScaleAttr.of(scale))


def like(value: SSAValue | Attribute, shape: Sequence[int]) -> TensorType[Any]:
    """The same element type and scale with another shape."""
    kind = tensor_type(value)
    return TensorType(kind.element_type, list(shape), kind.encoding)
