"""Imports the layers of several tensors, number by number, and of a tensor and a constant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import BinaryParameter, EltwiseParameter
from bmnetu.frontend.weights.blobs import Role
from dialects.constant import Array
from dialects.quant.eltwise import BinaryKind
from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import Shape, checked, require

FLOAT_MAX = float(np.finfo(np.float32).max)
_ELTWISE = {
    EltwiseParameter.SUM: ops.EltwiseOperation.SUM,
    EltwiseParameter.SUB: ops.EltwiseOperation.SUM,
    EltwiseParameter.PROD: ops.EltwiseOperation.PRODUCT,
    EltwiseParameter.MAX: ops.EltwiseOperation.MAX,
    EltwiseParameter.MIN: ops.EltwiseOperation.MIN,
}


def eltwise(site: LayerSite) -> ops.LayerOp:
    param, count = site.param.eltwise_param, len(site.bottoms)
    if param.operation == EltwiseParameter.DIV:
        if count != 2:
            raise UnsupportedSetting(f"a quotient of {count} bottoms")
        return ops.BinaryOp(site.bottoms, site.top, BinaryKind.DIV)
    operation = _ELTWISE[param.operation]
    coefficients = list(param.coeff) or None
    if param.operation == EltwiseParameter.SUB:
        require(coefficients is None, "a difference has no coefficients")
        coefficients = [1.0, *[-1.0] * (count - 1)]
    if operation in (ops.EltwiseOperation.MAX, ops.EltwiseOperation.MIN):
        coefficients = None  # Caffe looks at them in a sum alone, and forbids them in a product
    return ops.EltwiseOp(site.bottoms, site.top, operation, coefficients)


_OF_ONE_SHAPE = {
    BinaryKind.ADD: ops.EltwiseOperation.SUM,
    BinaryKind.SUB: ops.EltwiseOperation.SUM,
    BinaryKind.MUL: ops.EltwiseOperation.PRODUCT,
    BinaryKind.MAX: ops.EltwiseOperation.MAX,
    BinaryKind.MIN: ops.EltwiseOperation.MIN,
}


@dataclass(frozen=True)
class Setting:
    """``a KIND b``, or ``b KIND a`` where it is ``swapped``."""

    kind: BinaryKind
    swapped: bool

    @staticmethod
    def of(param: BinaryParameter) -> Setting:
        name = BinaryParameter.Operation.Name(param.operation)
        return Setting(BinaryKind(name.lower()), param.inversed)


def binary(message: str) -> Callable[[LayerSite], ops.LayerOp]:
    """The import of a layer of two tensors, or of one and a number or a blob, with that message."""

    def build(site: LayerSite) -> ops.LayerOp:
        param: BinaryParameter = getattr(site.param, message)
        setting = Setting.of(param)
        if len(site.bottoms) == 2:
            require(not param.HasField("value"), "has two bottoms and a value")
            return _of_two(site, setting)
        if param.HasField("value"):
            return _of_number(site, setting, param.value)
        value = site.coefficients((Role.OPERAND, _only_shape(site))).arrays[0]
        return ops.BinaryOp([site.bottom], site.top, setting.kind, value, setting.swapped)

    return build


def _only_shape(site: LayerSite) -> Shape:
    """The shape of the layer's one blob; a number where it gets what it asks for."""
    shapes = site.blob_shapes
    if shapes is None:
        return (1,)
    require(len(shapes) == 1, f"has {len(shapes)} blobs; it requires one, or a value")
    return checked(shapes[0])


def _of_two(site: LayerSite, setting: Setting) -> ops.LayerOp:
    operation = _OF_ONE_SHAPE.get(setting.kind)
    if operation is None or shape_of(site.bottoms[0]) != shape_of(site.bottoms[1]):
        return ops.BinaryOp(site.bottoms, site.top, setting.kind, swapped=setting.swapped)
    signs = None
    if setting.kind is BinaryKind.SUB:
        signs = [-1.0, 1.0] if setting.swapped else [1.0, -1.0]
    return ops.EltwiseOp(site.bottoms, site.top, operation, signs)


def _of_number(site: LayerSite, setting: Setting, value: float) -> ops.LayerOp:
    """``x KIND value`` as a function of x."""

    def function(name: str, **parameters: float) -> ops.LayerOp:
        return ops.PointwiseOp(site.bottom, site.top, name, **parameters)

    match setting.kind:
        case BinaryKind.ADD:
            return function("power", shift=value)
        case BinaryKind.SUB if setting.swapped:
            return function("power", scale=-1.0, shift=value)
        case BinaryKind.SUB:
            return function("power", shift=-value)
        case BinaryKind.MUL:
            return function("power", scale=value)
        case BinaryKind.DIV if not setting.swapped:
            require(value != 0, "divides by 0")
            return function("power", scale=float(np.float32(1) / np.float32(value)))
        case BinaryKind.POW if setting.swapped:
            require(value > 0 and value != 1, f"a power of the base {value:g}")
            return function("exp", base=value)
        case BinaryKind.POW:
            return function("power", power=value)
        case BinaryKind.MAX if value == 0:
            return ops.ReLUOp(site.bottom, site.top)
        case BinaryKind.MAX:
            return function("clip", min=value, max=FLOAT_MAX)
        case BinaryKind.MIN:
            return function("clip", min=-FLOAT_MAX, max=value)
        case kind:
            first, second = (repr(value), "x") if setting.swapped else ("x", repr(value))
            return function(f"{kind}({first}, {second})")


def select(site: LayerSite) -> ops.LayerOp:
    return ops.SelectOp(site.bottoms, site.top)


def parameter(site: LayerSite) -> ops.LayerOp:
    """A constant, of the shape that is given or of the blob's own."""
    param = site.param.parameter_param
    shape = tuple(param.shape.dim) if param.HasField("shape") else _only_shape(site)
    value: Array = site.coefficients((Role.OPERAND, checked(shape))).arrays[0]
    return ops.ParameterOp(site.top, value)


def axpy(site: LayerSite) -> ops.LayerOp:
    """Only one that was not replaced by its layers comes here."""
    raise UnsupportedSetting(f"{len(site.tops)} tops")
