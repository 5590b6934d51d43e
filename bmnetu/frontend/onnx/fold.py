"""Nodes whose inputs are known: their results, computed by the onnx package.

Exporters compute shapes and weights with nodes. Any operator is computed of which onnx says before
how large its result is, up to a size that takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, TensorProto, ValueInfoProto, defs, helper
from onnx.reference import ReferenceEvaluator

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.nodes.infer import inferred
from bmnetu.frontend.onnx.nodes.node import NO_OPERATOR, Node, Refusal
from bmnetu.frontend.onnx.reading.file import NUMBERS
from dialects.constant import Array
from dialects.ufw.shapes import Shape

Inputs = Sequence[Array | None]

SHAPE_ONLY = ("Shape", "Size")
"""They ask for the shape of their input only, which is known of every tensor."""

QUICK = {
    "Abs", "Add", "And", "BatchNormalization", "Cast", "CastLike", "Ceil", "Clip", "Concat",
    "Constant", "ConstantOfShape", "Cos", "CumSum", "DepthToSpace", "DequantizeLinear", "Div",
    "Dropout", "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "Greater", "GreaterOrEqual",
    "Identity", "Less", "LessOrEqual", "Log", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pad",
    "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "Relu", "Reshape", "Round", "ScatterND", "Shape", "Sigmoid", "Sign",
    "Sin", "Size", "Slice", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh",
    "Tile", "Transpose", "Unsqueeze", "Where", "Xor",
}  # fmt: skip
"""Operators that numpy computes at once: their results may be as large as the limit."""

HEAVY = {
    "AffineGrid", "AveragePool", "Col2Im", "Conv", "ConvInteger", "ConvTranspose", "DFT",
    "DeformConv", "Einsum", "GRU", "GridSample", "LSTM", "LpPool", "MaxPool", "MaxRoiPool",
    "MaxUnpool", "NonMaxSuppression", "QLinearConv", "RNN", "RoiAlign", "STFT", "TfIdfVectorizer",
}  # fmt: skip
"""Operators that the package computes number by number, or with a loop over other numbers."""

MOST_BYTES = 8
NUMBERS_OF_OTHERS = 1 << 20
NUMBERS_OF_HEAVY = 1 << 16
PRODUCTS_OF_HEAVY = 1 << 26
"""Inputs and results, and the product of all sizes that a heavy operator may loop over."""
NUMBERS_OF_PRODUCT = 1 << 24

NEW_ALONE = ("DequantizeLinear", "QuantizeLinear")
"""Operators that the package computes of new operator sets alone, as they were in old ones."""
MISTAKEN: Mapping[str, Callable[[Node], bool]] = {
    "AveragePool": lambda node: bool(node.integer("ceil_mode", 0)),
    "ConvTranspose": lambda node: node.integer("group", 1) != 1,
    "LRN": lambda node: True,
}
"""What the package computes wrongly."""

RANDOM = {
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
}  # fmt: skip


def fold(node: Node, inputs: Inputs, limit: int) -> list[Array]:
    """The results of a node, of ``limit`` bytes at most; a left-out input is None.

    Raises :class:`Refusal` where they are too large or cannot be computed, :class:`InputFileError`
    for inputs that do not fit the operator.
    """
    _check(node, inputs, limit)
    proto = node.anonymous([x is not None for x in inputs])
    feeds = {name: x for name, x in zip(proto.input, inputs, strict=True) if x is not None}
    graph = GraphProto(node=[proto])
    graph.input.extend(ValueInfoProto(name=name) for name in feeds)
    graph.output.extend(ValueInfoProto(name=name) for name in proto.output if name)
    try:
        with np.errstate(all="ignore"):
            opset = defs.onnx_opset_version() if node.op in NEW_ALONE else node.opset
            evaluator: Any = ReferenceEvaluator(graph, {"": opset})
            results: list[object] = evaluator.run(None, feeds)
            arrays = [np.asarray(each) for each in results]
    except Exception as error:  # whatever numpy and the evaluator raise about hostile numbers
        raise Refusal(f"its inputs are constants, and it cannot be computed ({_short(error)})") \
            from error
    if any(array.dtype not in _DTYPES for array in arrays):
        raise Refusal("it makes something that is no tensor of numbers")
    found = iter(arrays)
    return [next(found) if name else np.empty(0, np.float32) for name in proto.output]


def _check(node: Node, inputs: Inputs, limit: int) -> None:
    """Raises unless the results are known to be small enough, and the same at every run."""
    training = node.op == "Dropout" and len(inputs) > 2 and inputs[2] is not None
    if node.op in RANDOM or (training and np.any(inputs[2])):
        raise Refusal("it gives other numbers at every run")
    if node.op in MISTAKEN and MISTAKEN[node.op](node):
        raise Refusal("its inputs are constants, and the onnx package computes it wrongly")
    for each in node.proto.attribute:
        if each.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            raise Refusal("it has a graph of its own")
        if any(t.data_location == TensorProto.EXTERNAL for t in (each.t, *each.tensors)):
            raise InputFileError(node.fault(f"its attribute {each.name} lies in another file"))
    try:
        kinds = inferred(node, inputs)
    except Exception as error:  # whatever onnx raises about a node that breaks a rule
        raise InputFileError(node.fault(f"cannot be computed ({_short(error)})")) from error
    if kinds is None:
        raise Refusal(NO_OPERATOR)
    sizes = [x.size for x in inputs if x is not None]
    results = [_size(node, inputs, kind.shape) for kind in kinds]
    if node.op not in QUICK:
        _check_work(node, sizes, results)
    required = sum(n * _item_bytes(kind.element) for n, kind in zip(results, kinds, strict=True))
    if required > limit:
        raise Refusal(f"it makes {sum(results)} numbers, more than the file's size allows")


def _check_work(node: Node, sizes: Sequence[int], results: Sequence[int]) -> None:
    """Raises for a node that would take more than seconds."""
    limit = NUMBERS_OF_OTHERS
    if node.op in ("Gemm", "MatMul"):
        limit = NUMBERS_OF_PRODUCT
    if node.op in HEAVY:
        limit = NUMBERS_OF_HEAVY
        kernel = prod(max(n, 1) for n in node.integers("kernel_shape") or ())
        if prod(max(n, 1) for n in sizes) * kernel > PRODUCTS_OF_HEAVY:
            raise Refusal(f"it computes more than {PRODUCTS_OF_HEAVY} products")
    if max(sum(results), sum(sizes)) > limit:
        raise Refusal(f"it makes more than {limit} numbers")


def _item_bytes(element: int) -> int:
    known = element in NUMBERS
    return helper.tensor_dtype_to_np_dtype(element).itemsize if known else MOST_BYTES


def _size(node: Node, inputs: Inputs, shape: Shape | None) -> int:
    """How many numbers a result has at most."""
    if shape is not None:
        return prod(shape)
    if node.op in ("Compress", "NonZero", "Unique"):
        return sum(x.size * max(x.ndim, 1) for x in inputs if x is not None)
    if node.op in SHAPE_ONLY:
        return 1
    raise Refusal("the size of its result is not known before it is computed")


_DTYPES = {helper.tensor_dtype_to_np_dtype(kind) for kind in NUMBERS}


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
