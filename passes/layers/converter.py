"""Builds quant ops: keeps the value that each ufw value became, inserts the converters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xdsl.dialects.builtin import ArrayAttr, LocationAttr, StringAttr, TensorType
from xdsl.ir import Attribute, Block, SSAValue

from dialects.c_struct import Values
from dialects.host.base import HostOp
from dialects.quant import compute, movement, types
from dialects.quant.arithmetic import fixed_point
from dialects.quant.base import QuantOp, int_attr
from dialects.ufw.layer import Top
from passes.module.locations import LayerError

SAME_SCALE = 1e-6
"""Scales that differ by less (relative) are one scale."""


@dataclass
class Converter:
    """The function being built. ``values`` maps each ufw value to its quant value."""

    block: Block
    location: LocationAttr
    top: str = ""
    values: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    dynamic: bool = False
    """Whether the ops must be the same at every shape of the network."""
    _floats: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    _names: set[str] = field(default_factory=set[str])

    def error(self, message: str) -> LayerError:
        """An error that names the current layer."""
        return LayerError(self.location, message)

    # -- building ----------------------------------------------------------------------------------

    def add(
        self,
        op_type: type[QuantOp],
        operands: Sequence[SSAValue | Sequence[SSAValue]],
        result: TensorType[Any],
        step: str = "",
        /,
        **properties: Attribute | None,
    ) -> SSAValue:
        """Appends an op; its result is named after the layer's top, helpers get ``top/step``."""
        name = self.top if not step else f"{self.top}/{step}"
        while name in self._names:
            name += "'"
        self._names.add(name)
        variadic = op_type in (compute.EltwiseOp, movement.ConcatOp, movement.InterleaveOp)
        given: list[Any] = [list(operands)] if variadic else list(operands)
        op = op_type.build(
            operands=given,
            result_types=[result],
            properties={
                "tops": ArrayAttr([StringAttr(name)]),
                **{k: v for k, v in properties.items() if v is not None},
            },
        )
        op.location = self.location
        self.block.add_op(op)
        return op.results[0]

    def add_host(
        self,
        op_type: type[HostOp],
        operands: Sequence[SSAValue],
        results: Sequence[Top],
        parameters: Values,
    ) -> list[SSAValue]:
        """Appends a layer that the host computes, from floats."""
        op = op_type([self.as_float(x) for x in operands], results, parameters)
        self._names.update(top.name for top in results)
        op.location = self.location
        self.block.add_op(op)
        return list(op.results)

    def value(self, value: SSAValue) -> SSAValue:
        """The quant value of a ufw value."""
        return self.values[value]

    # -- types -------------------------------------------------------------------------------------

    def as_float(self, value: SSAValue) -> SSAValue:
        """The value as float32, dequantised when it holds integers (once for all readers)."""
        if types.is_float(value) or types.is_index(value):
            return value
        if value not in self._floats:
            result = types.float_like(value)
            self._floats[value] = self.add(compute.DequantizeOp, [value], result, "dequantize")
        return self._floats[value]

    def as_integer(self, value: SSAValue) -> SSAValue:
        """The value as 8-bit integers; a float is quantised with the scale and sign it carries."""
        if not types.is_float(value):
            return value
        scale = types.scale_of(value)
        if scale is None:
            raise self.error(
                "an INT8 layer reads a float tensor without a scale; calibrate the network again"
            )
        result = types.int_tensor(types.shape_of(value), scale, types.becomes_unsigned(value))
        return self.add(compute.QuantizeOp, [value], result, "quantize")

    def fit(self, value: SSAValue, required: TensorType[Any], step: str = "fit") -> SSAValue:
        """The value brought to another scale, sign or to (from) float."""
        if types.is_float(required):
            return self.as_float(value)
        scale = types.scale_of(required)
        assert scale is not None
        target = types.int_tensor(types.shape_of(value), scale, types.is_unsigned(required))
        if types.is_float(value):
            return self.add(compute.QuantizeOp, [value], target, step)
        source = types.scale_of(value) or 1.0
        same_sign = types.is_unsigned(value) == types.is_unsigned(required)
        if same_sign and abs(source / scale - 1) < SAME_SCALE:
            return value
        multiplier, shift = self.ratio(source / scale)
        return self.add(
            compute.RequantizeOp,
            [value],
            target,
            step,
            multiplier=int_attr(multiplier),
            shift=int_attr(shift),
        )

    def ratio(self, ratio: float) -> tuple[int, int]:
        """A ratio of two scales as multiplier and shift. Raises LayerError when it is too large."""
        try:
            return fixed_point(ratio)
        except ValueError as error:
            raise self.error(
                f"{error}: the thresholds of its blobs do not fit each other"
            ) from None

    def finish(self, op: Any, value: SSAValue) -> None:
        """Sets the layer's result, brought to its declared type. What the layer made last gets its
        name, if nothing of it has that yet: the compare knows it by that."""
        result = op.results[0]
        value = self.fit(value, types.tensor_type(result), "requantize")
        if isinstance(value.owner, QuantOp) and value.owner.top.startswith(f"{self.top}/"):
            self.rename(value)
        self.values[result] = value

    def rename(self, value: SSAValue) -> None:
        """Gives a value the current layer's name when it is read by that layer alone."""
        owner = value.owner
        if isinstance(owner, QuantOp) and self.top not in self._names:
            owner.tops = ArrayAttr([StringAttr(self.top)])
            self._names.add(self.top)

    def reshape(self, value: SSAValue, shape: Sequence[int], step: str = "") -> SSAValue:
        """The value under another shape (itself when it has that shape)."""
        if types.shape_of(value) == tuple(shape):
            return value
        return self.add(movement.ReshapeOp, [value], types.like(value, shape), step)
