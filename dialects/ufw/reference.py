"""What each ufw op means in float32: Caffe's arithmetic in numpy, one function an op.

Integer layers have their meaning in the quant dialect and are refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from dialects.blob import BlobAttr
from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import four_pads, sides
from dialects.ufw.windows import FloatArray, average_divisors, convolve, pool

Inputs = Sequence[FloatArray]


class EvaluationError(ValueError):
    """The op has no meaning in float32."""


def evaluate(op: Operation, inputs: Sequence[NDArray[Any]]) -> list[FloatArray]:
    """The results of one ufw op on float32 inputs, in the order of its results.

    Raises :class:`EvaluationError` for an op of another dialect or one with integer coefficients.
    """
    meaning = MEANING.get(type(op))
    if meaning is None:
        raise EvaluationError(f"{op.name} has no meaning in float32")
    if "right_shift" in op.properties:
        raise EvaluationError(f"{op.name} has integer coefficients: convert it to quant first")
    with np.errstate(all="ignore"):
        results = meaning(op, [np.asarray(x, dtype=np.float32) for x in inputs])
    results = results if isinstance(results, list) else [results]
    return [np.asarray(result, dtype=np.float32) for result in results]


def _per_axis(blob: BlobAttr | FloatArray, axis: int, rank: int) -> FloatArray:
    """The operand with ones around its dimensions, so that numpy broadcasts it from ``axis``."""
    array = blob.array if isinstance(blob, BlobAttr) else blob
    before, after = (1,) * axis, (1,) * (rank - axis - array.ndim)
    return array.reshape(*before, *array.shape, *after)


def _convolution(op: ops.ConvolutionOp, inputs: Inputs) -> FloatArray:
    y = convolve(
        inputs[0],
        op.weight.array,
        op.stride.get_values(),
        four_pads(op.pad.get_values()),
        op.dilation.get_values(),
        op.group.value.data,
    )
    return y if op.bias is None else y + _per_axis(op.bias, 1, 4)


def _inner_product(op: ops.InnerProductOp, inputs: Inputs) -> FloatArray:
    weight = op.weight.array
    y = inputs[0].reshape(-1, weight.shape[1]) @ weight.T
    if op.bias is not None:
        y = y + op.bias.array
    return y.reshape(shape_of(op.top))


def _batch_norm(op: ops.BatchNormOp, inputs: Inputs) -> FloatArray:
    x = inputs[0]
    assert op.mean is not None
    assert op.variance is not None
    assert op.eps is not None
    deviation = np.sqrt(op.variance.array + np.float32(op.eps.value.data))
    return (x - _per_axis(op.mean, 1, x.ndim)) / _per_axis(deviation, 1, x.ndim)


def _scale(op: ops.ScaleOp, inputs: Inputs) -> FloatArray:
    x, axis = inputs[0], op.axis.value.data
    factor = inputs[1] if op.weight is None else op.weight
    y = x * _per_axis(factor, axis, x.ndim)
    return y if op.bias is None else y + _per_axis(op.bias, axis, x.ndim)


def _bias(op: ops.BiasOp, inputs: Inputs) -> FloatArray:
    addend = inputs[1] if op.bias is None else op.bias
    return inputs[0] + _per_axis(addend, op.axis.value.data, inputs[0].ndim)


def _leaky(x: FloatArray, slope: FloatArray | np.float32) -> FloatArray:
    return np.where(x > 0, x, slope * x)


def _prelu(op: ops.PReLUOp, inputs: Inputs) -> FloatArray:
    x, slope = inputs[0], op.slope.array
    return _leaky(x, slope if slope.size == 1 else _per_axis(slope, 1, x.ndim))


def _relu(op: ops.ReLUOp, inputs: Inputs) -> FloatArray:
    slope = op.negative_slope.value.data
    if op.upper is not None:
        return np.clip(inputs[0], np.float32(0), np.float32(op.upper.value.data))
    return _leaky(inputs[0], np.float32(slope)) if slope else np.maximum(inputs[0], 0)


def _pointwise(op: ops.PointwiseOp, inputs: Inputs) -> FloatArray:
    return op.row.of(inputs[0], op.settings)


def _softmax(op: ops.SoftmaxOp, inputs: Inputs) -> FloatArray:
    axis = op.axis.value.data
    shifted = np.exp(inputs[0] - inputs[0].max(axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


def _pooling(op: ops.PoolingOp, inputs: Inputs) -> FloatArray:
    x, counts = inputs[0], shape_of(op.top)[2:]
    kernel, stride, pad = op.kernel.get_values(), op.stride.get_values(), op.pad.get_values()
    pad = four_pads(pad)
    if op.kind.data == ops.PoolingKind.MAX:
        return pool(x, np.maximum, -np.inf, counts, kernel, stride, pad)
    total = pool(x, np.add, 0.0, counts, kernel, stride, pad)
    rows, columns = (
        average_divisors(*window)
        for window in zip(x.shape[2:], counts, kernel, stride, sides(pad), strict=True)
    )
    return total / np.outer(rows, columns)


def _eltwise(op: ops.EltwiseOp, inputs: Inputs) -> FloatArray:
    if op.operation.data == ops.EltwiseOperation.MAX:
        return np.maximum.reduce(list(inputs))
    if op.operation.data == ops.EltwiseOperation.PRODUCT:
        return np.multiply.reduce(list(inputs))
    factors = [1.0] * len(inputs) if op.coefficients is None else op.coefficients.get_values()
    terms = [x * np.float32(factor) for x, factor in zip(inputs, factors, strict=True)]
    return np.add.reduce(terms)


def _concat(op: ops.ConcatOp, inputs: Inputs) -> FloatArray:
    return np.concatenate(inputs, axis=op.axis.value.data)


def _slice(op: ops.SliceOp, inputs: Inputs) -> list[FloatArray]:
    axis = op.axis.value.data
    cuts = np.cumsum([shape_of(piece)[axis] for piece in op.pieces])[:-1]
    return np.split(inputs[0], cuts, axis=axis)


def _split(op: ops.SplitOp, inputs: Inputs) -> list[FloatArray]:
    return [inputs[0]] * len(op.copies)


def _same(op: ops.DropoutOp, inputs: Inputs) -> FloatArray:
    return inputs[0]


def _reshape(op: ops.FlattenOp | ops.ReshapeOp, inputs: Inputs) -> FloatArray:
    return inputs[0].reshape(shape_of(op.top))


def _permute(op: ops.PermuteOp, inputs: Inputs) -> FloatArray:
    return np.ascontiguousarray(inputs[0].transpose(op.order.get_values()))


def _silence(op: ops.SilenceOp, inputs: Inputs) -> list[FloatArray]:
    return []


MEANING: dict[type[Operation], Callable[[Any, Inputs], FloatArray | list[FloatArray]]] = {
    ops.ConvolutionOp: _convolution,
    ops.InnerProductOp: _inner_product,
    ops.BatchNormOp: _batch_norm,
    ops.ScaleOp: _scale,
    ops.BiasOp: _bias,
    ops.PReLUOp: _prelu,
    ops.ReLUOp: _relu,
    ops.PointwiseOp: _pointwise,
    ops.DropoutOp: _same,
    ops.SoftmaxOp: _softmax,
    ops.PoolingOp: _pooling,
    ops.EltwiseOp: _eltwise,
    ops.ConcatOp: _concat,
    ops.SliceOp: _slice,
    ops.SplitOp: _split,
    ops.FlattenOp: _reshape,
    ops.ReshapeOp: _reshape,
    ops.PermuteOp: _permute,
    ops.SilenceOp: _silence,
}
