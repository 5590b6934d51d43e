"""What an output is joined of: the operands of a concatenation, wherever moves of data put them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from dialects.constant import Array
from dialects.execute import names_of
from dialects.meaning import evaluate_whole
from dialects.ufw.facts import JoinsOperands, MovesData
from dialects.ufw.layer import LayerOp, shape_of

Regions = Mapping[str, Mapping[str, Array]]
"""By output, by operand: where its numbers are, as booleans of the output's shape."""


def joined_regions(function: FuncOp) -> Regions:
    """The operands of the concatenations that make the outputs of a ufw function; outputs that
    nothing is joined in are left out."""
    arguments = zip(function.body.block.args, names_of(function, "input_names"), strict=True)
    names: dict[SSAValue, str] = dict(arguments)
    for op in function.body.block.ops:
        names |= dict(zip(op.results, names_of(op, "tops"), strict=True))
    returned = function.body.block.last_op
    assert returned is not None
    found: dict[str, Mapping[str, Array]] = {}
    for output, value in zip(names_of(function, "output_names"), returned.operands, strict=True):
        joined: dict[int, str] = {}
        labels = _labels(value, joined, names, count(1))
        if labels is not None:
            found[output] = {
                name: np.isin(labels, [n for n, each in joined.items() if each == name])
                for name in dict.fromkeys(joined.values())
            }
    return found


def _moves(op: LayerOp) -> bool:
    return op.has_trait(JoinsOperands) or op.has_trait(MovesData)


def _labels(
    value: SSAValue, joined: dict[int, str], names: Mapping[SSAValue, str], fresh: Iterator[int]
) -> Array | None:
    """A number for each operand, where its numbers are in the value; None without concatenation."""
    op = value.owner
    if not isinstance(op, LayerOp) or not _moves(op):
        return None
    parts = [_labels(x, joined, names, fresh) for x in op.operands]
    if op.has_trait(JoinsOperands):
        for i, x in enumerate(op.operands):
            if parts[i] is None:
                number = next(fresh)
                joined[number] = names[x]
                parts[i] = np.full(shape_of(x), number, np.float32)
    arrays = [part for part in parts if part is not None]
    if not arrays:
        return None
    results = zip(op.results, evaluate_whole(op, arrays), strict=True)
    return next(array for result, array in results if result is value)


def with_regions(outputs: Mapping[str, Array], regions: Regions) -> dict[str, Array]:
    """The outputs, and what each is joined of as ``output: operand``.

    An output may have fewer samples than its regions.
    """
    found = dict(outputs)
    for output, parts in regions.items():
        array = outputs[output]
        found |= {f"{output}: {name}": array[mask[: len(array)]] for name, mask in parts.items()}
    return found
