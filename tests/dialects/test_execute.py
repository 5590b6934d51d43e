"""The executor: order, names, freed values and clear errors."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.dialects.builtin import ArrayAttr, StringAttr, TensorType, f32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region

from dialects.execute import ExecutionError, execute
from dialects.ufw import ops
from dialects.ufw.ops import Top
from dialects.ufw.reference import evaluate

X = np.array([-1.0, 2.0], np.float32)


def chain(length: int) -> FuncOp:
    """relu -> power (x + 1) -> power ..., which returns the last value twice."""
    kind = TensorType(f32, [2])
    block = Block(arg_types=[kind])
    value = block.args[0]
    for i in range(length):
        power = ops.PointwiseOp(value, Top(f"p{i}"), "power", shift=1)
        op = power if i else ops.ReLUOp(value, Top("relu"))
        block.add_op(op)
        value = op.results[0]
    block.add_op(ReturnOp(value, value))
    func = FuncOp("main", ([kind], [kind, kind]), Region(block))
    func.attributes["input_names"] = ArrayAttr([StringAttr("data")])
    return func


def test_results_and_names() -> None:
    seen: dict[str, list[float]] = {}

    def observe(name: str, array: NDArray[Any]) -> None:
        seen[name] = array.tolist()

    for inputs in ([X], {"data": X}):
        results = execute(chain(3), inputs, evaluate, observe)
        assert [r.tolist() for r in results] == [[2.0, 4.0]] * 2
    assert seen == {"relu": [0.0, 2.0], "p1": [1.0, 3.0], "p2": [2.0, 4.0]}


def test_values_are_freed_after_their_last_use() -> None:
    made: list[weakref.ref[NDArray[Any]]] = []
    counts: list[int] = []

    def watched(op: Operation, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        results = [array.copy() for array in evaluate(op, inputs)]
        counts.append(sum(array() is not None for array in made))
        made.extend(weakref.ref(result) for result in results)
        return results

    execute(chain(6), [X], watched)
    assert max(counts) <= 2


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"other": X}, "no data for input data"),
        ([X, X], "2 inputs for a function that takes 1"),
        ([X[:1]], r"input data has shape \(1,\), \(2,\) is required"),
    ],
)
def test_wrong_inputs(inputs: Any, sentence: str) -> None:
    with pytest.raises(ExecutionError, match=sentence):
        execute(chain(2), inputs, evaluate)
