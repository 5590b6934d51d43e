"""Runs a function op by op on numpy arrays; the meaning of the ops is given by the caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from numpy.typing import NDArray
from xdsl.dialects.builtin import ArrayAttr, StringAttr, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, SSAValue

Array = NDArray[Any]
Evaluate = Callable[[Operation, Sequence[Array]], Sequence[Array]]
"""The results of one op, given its operands."""
Observe = Callable[[str, Array], None]
"""Is shown a named tensor as it becomes final."""


class ExecutionError(ValueError):
    """The inputs do not fit the function."""


def names_of(op: Operation, attribute: str) -> list[str]:
    """The strings of an array attribute or property; none when the op does not have it."""
    found = op.properties.get(attribute) or op.attributes.get(attribute)
    if not isinstance(found, ArrayAttr):
        return []
    names = cast(ArrayAttr[Attribute], found)
    return [name.data for name in names if isinstance(name, StringAttr)]


def execute(
    func: FuncOp,
    inputs: Mapping[str, Array] | Sequence[Array],
    evaluate: Evaluate,
    observe: Observe | None = None,
) -> list[Array]:
    """The function's results; every value is freed after its last use.

    ``inputs`` are in the order of the arguments, or by the names in ``input_names``. ``observe``
    gets the results of every op that has a ``tops`` property. Raises :class:`ExecutionError`.
    """
    block = func.body.block
    values: dict[SSAValue, Array] = {}
    values.update(zip(block.args, _arguments(func, inputs), strict=True))
    uses: Counter[SSAValue] = Counter(operand for op in block.ops for operand in op.operands)
    for op in block.ops:
        operands = [values[operand] for operand in op.operands]
        for operand in op.operands:
            uses[operand] -= 1
            if not uses[operand]:
                values.pop(operand)
        if isinstance(op, ReturnOp):
            return operands
        results = evaluate(op, operands)
        values |= {
            value: array for value, array in zip(op.results, results, strict=True) if uses[value]
        }
        if observe is not None:
            for name, array in zip(names_of(op, "tops"), results, strict=False):
                observe(name, array)
    raise ExecutionError(f"function {func.sym_name.data} has no return")


def _arguments(func: FuncOp, inputs: Mapping[str, Array] | Sequence[Array]) -> list[Array]:
    args = func.body.block.args
    names = names_of(func, "input_names") or [f"argument {i}" for i in range(len(args))]
    if isinstance(inputs, Mapping):
        missing = [name for name in names if name not in inputs]
        if missing:
            raise ExecutionError(f"no data for input {missing[0]}")
        inputs = [inputs[name] for name in names]
    if len(inputs) != len(args):
        raise ExecutionError(f"{len(inputs)} inputs for a function that takes {len(args)}")
    for name, arg, array in zip(names, args, inputs, strict=True):
        _check_shape(name, arg.type, array)
    return list(inputs)


def _check_shape(name: str, kind: Attribute, array: Array) -> None:
    expected = kind.get_shape() if isinstance(kind, TensorType) else array.shape
    if expected != array.shape:
        raise ExecutionError(f"input {name} has shape {array.shape}, {expected} is required")
