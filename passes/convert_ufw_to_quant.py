"""convert-ufw-to-quant: layers become exact integer (or float32) arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from dialects.constant import ConstantAttr
from dialects.quant import types
from dialects.quant.compute import LookupOp
from dialects.ufw.layer import LayerOp
from passes.base import NpuFunctionPass
from passes.kernels.elementwise.piecewise import fast_table
from passes.layers import Converter, lower
from passes.module.functions import named_inputs, named_outputs, replace_body
from passes.module.locations import layer_name

FAST_FUNCTIONS = "fast_functions"
"""The attribute with a line of each function that was changed."""


@dataclass(frozen=True)
class ConvertUfwToQuantPass(NpuFunctionPass):
    """Replaces every layer by quant ops and settles the arithmetic.

    Before: ufw ops; INT8 tensors have scales. After: quant ops; multipliers, shifts and tables are
    fixed, converters stand between float and 8-bit tensors, layers that compute nothing are gone.
    The network inputs in ``float_inputs`` and outputs in ``float_outputs`` are float32 at the
    border. With ``fast_functions`` a function of 8 bits becomes another that differs by one unit at
    most, where that takes fewer cycles; the function's attribute ``fast_functions`` has a line of
    each. ``dynamic``: the same ops come out at every shape; nothing depends on what a command
    costs, or on what changes nothing at one shape.
    """

    name = "convert-ufw-to-quant"
    level = "ufw"

    float_inputs: tuple[str, ...] = ()
    float_outputs: tuple[str, ...] = ()
    dynamic: bool = False
    fast_functions: bool = False

    def apply_to(self, function: FuncOp) -> None:
        body = function.body.block
        converter = Converter(Block(), function.location, dynamic=self.dynamic)
        for value, name in named_inputs(function):
            self._input(converter, value, name)
        floats = {v: name for v, name in named_outputs(function) if name in self.float_outputs}
        for inner in body.ops:
            if isinstance(inner, LayerOp):
                converter.location = inner.location
                converter.top = inner.top_names[0] if inner.top_names else ""
                lower(converter, inner)
                for result in inner.results:
                    if result in floats:  # so that it is stored while later layers compute
                        converter.top = floats[result]
                        converter.as_float(converter.value(result))
        converter.block.add_op(ReturnOp(*self._outputs(converter, function)))
        if self.fast_functions:
            lines = [line for op in converter.block.ops for line in _made_fast(op)]
            function.attributes[FAST_FUNCTIONS] = ArrayAttr(map(StringAttr, lines))
        replace_body(function, converter.block)

    def _input(self, c: Converter, value: SSAValue, name: str) -> None:
        kind = types.tensor_type(value)
        if name in self.float_inputs and not types.is_float(kind):
            plain = types.float_like(kind)
            c.top = name
            c.values[value] = c.fit(c.block.insert_arg(plain, len(c.block.args)), kind, "quantize")
        else:
            c.values[value] = c.block.insert_arg(kind, len(c.block.args))

    def _outputs(self, c: Converter, function: FuncOp) -> list[SSAValue]:
        returned = function.body.block.last_op
        if not isinstance(returned, ReturnOp):
            raise PassFailedException("the function does not end with a return")
        results: list[SSAValue] = []
        for value, name in named_outputs(function):
            found = c.value(value)
            c.top = name
            results.append(c.as_float(found) if name in self.float_outputs else found)
        return results


def _made_fast(op: Operation) -> Iterator[str]:
    """Puts a faster table in the place of a slow one; a line that says so."""
    if not isinstance(op, LookupOp):
        return
    unsigned = types.is_unsigned(op.x), types.is_unsigned(op.y)
    old = op.table.array
    made = fast_table(old, not unsigned[0], not unsigned[1])
    if made is None:
        return
    changed = int(np.count_nonzero(made.table != old))
    op.table = ConstantAttr.of(made.table)
    yield (
        f"{layer_name(op)}: a fast function, {made.cycles} cycles a step instead of"
        f" {made.exact_cycles}; {changed} of its 256 results differ by 1 from the exact ones"
    )
