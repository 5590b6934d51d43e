"""Nodes whose inputs are known: their results, computed by the onnx package.

Exporters compute shapes and weights with nodes. Only the operators of one table are computed, and
only when the table says that the result has a size that can be held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import GraphProto, ValueInfoProto, helper
from onnx.reference import ReferenceEvaluator

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.file import MAX_NUMBERS, NUMBERS
from bmnetu.frontend.onnx.node import Node, Refusal
from dialects.blob import Array

Inputs = Sequence[Array | None]


def _no_more(node: Node, inputs: Inputs) -> int:
    """The result has no more numbers than all inputs together, or than the node itself."""
    return sum(x.size for x in inputs if x is not None)


def _shape_of(node: Node, inputs: Inputs) -> int:
    """At most the number of dimensions."""
    return sum(x.ndim for x in inputs if x is not None) + 1


def _broadcast(node: Node, inputs: Inputs) -> int:
    return prod(np.broadcast_shapes(*(x.shape for x in inputs if x is not None)))


def _filled(node: Node, inputs: Inputs) -> int:
    """The first input is the result's shape."""
    return prod(_integers(inputs[0]))


def _expanded(node: Node, inputs: Inputs) -> int:
    shape = () if inputs[0] is None else inputs[0].shape
    return prod(np.broadcast_shapes(shape, tuple(_integers(inputs[1]))))


def _gathered(node: Node, inputs: Inputs) -> int:
    data, indices = inputs[0], inputs[1]
    if data is None or indices is None:
        return 0
    return indices.size * data.size // data.shape[node.integer("axis", 0)]


def _counted(node: Node, inputs: Inputs) -> int:
    start, limit, delta = (float(x.ravel()[0]) for x in inputs if x is not None)
    return int((limit - start) / delta)


def _integers(array: Array | None) -> list[int]:
    return [] if array is None else [int(number) for number in array.ravel()]


FOLDS: dict[str, Callable[[Node, Inputs], int]] = {
    "Add": _broadcast,
    "And": _broadcast,
    "Cast": _no_more,
    "Ceil": _no_more,
    "Concat": _no_more,
    "Constant": _no_more,
    "ConstantOfShape": _filled,
    "Div": _broadcast,
    "Equal": _broadcast,
    "Exp": _no_more,
    "Expand": _expanded,
    "Flatten": _no_more,
    "Floor": _no_more,
    "Gather": _gathered,
    "Greater": _broadcast,
    "Identity": _no_more,
    "Less": _broadcast,
    "Log": _no_more,
    "Max": _broadcast,
    "Min": _broadcast,
    "Mod": _broadcast,
    "Mul": _broadcast,
    "Neg": _no_more,
    "Not": _no_more,
    "Or": _broadcast,
    "Pow": _broadcast,
    "Range": _counted,
    "Reciprocal": _no_more,
    "ReduceProd": _no_more,
    "ReduceSum": _no_more,
    "Reshape": _no_more,
    "Shape": _shape_of,
    "Size": _shape_of,
    "Slice": _no_more,
    "Split": _no_more,
    "Sqrt": _no_more,
    "Squeeze": _no_more,
    "Sub": _broadcast,
    "Sum": _broadcast,
    "Transpose": _no_more,
    "Unsqueeze": _no_more,
    "Where": _broadcast,
}
"""An operator that is computed where its inputs are known, and how many numbers it makes at most.

``Shape`` and ``Size`` ask for the shape of their input only."""

SHAPE_ONLY = ("Shape", "Size")


def fold(node: Node, inputs: Inputs) -> list[Array]:
    """The results of a node of :data:`FOLDS`; a left-out input is None.

    Raises :class:`Refusal` for a result that is too large, :class:`InputFileError` for inputs
    that do not fit the operator.
    """
    named = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    proto = helper.make_node(node.proto.op_type, named, [f"y{i}" for i in range(len(node.outputs))])
    proto.attribute.extend(node.proto.attribute)
    feeds = {name: x for name, x in zip(named, inputs, strict=True) if x is not None}
    graph = GraphProto(node=[proto])
    graph.input.extend(ValueInfoProto(name=name) for name in feeds)
    graph.output.extend(ValueInfoProto(name=name) for name in proto.output)
    try:
        with np.errstate(all="ignore"):
            if FOLDS[node.op](node, inputs) > MAX_NUMBERS:
                raise Refusal(f"it makes more than {MAX_NUMBERS} numbers")
            evaluator: Any = ReferenceEvaluator(graph, {"": node.opset})
            found: list[object] = evaluator.run(None, feeds)
    except (Refusal, InputFileError):
        raise
    except Exception as error:  # whatever numpy and the evaluator raise about hostile numbers
        raise InputFileError(node.fault(f"cannot be computed ({_short(error)})")) from error
    arrays = [np.asarray(each) for each in found]
    if any(array.dtype not in _DTYPES for array in arrays):
        raise Refusal("it makes something that is no tensor of numbers")
    return arrays


_DTYPES = {helper.tensor_dtype_to_np_dtype(kind) for kind in NUMBERS}


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
