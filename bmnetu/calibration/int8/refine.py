"""Refines rounded weights and biases, layer by layer, on what the integer net itself computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from bmnetu.calibration.int8.int8_module import int8_module
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.int8.quantized_net import QuantizedNet
from bmnetu.calibration.int8.rounding import round_weights
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.run.progress import progress
from bmnetu.calibration.run.walk import Walk
from bmnetu.calibration.thresholds.coefficients import (
    BIAS_RANGE,
    LARGEST_WEIGHT,
    IntegerCoefficients,
)
from dialects.constant import Array, ConstantAttr
from dialects.meaning import evaluate_whole
from dialects.quant import compute, types
from dialects.quant.base import ints
from dialects.quant.windows import padded, windows
from dialects.ufw.layer import LayerOp, shape_of

SAMPLE_BATCHES = 32
SAMPLE_BYTES = 1 << 29
"""At most so many batches are refined on, and as many as hold their largest blobs in this."""
FLOAT_BYTES = 4
MOST_WINDOWS = 4096
"""Windows of one image whose products are taken."""
LARGEST_PIECE = 1152
"""Weights of an output whose rounding is chosen together: the products of all pairs are held."""


def sample_batches(function: FuncOp) -> int:
    """How many batches the refinement holds at once: at least one."""
    peak = live = 0
    block = function.body.block
    uses: Counter[SSAValue] = Counter(x for op in block.ops for x in op.operands)
    live = sum(prod(shape_of(arg)) for arg in block.args)
    for op in block.ops:
        live += sum(prod(shape_of(y)) for y in op.results)
        peak = max(peak, live)
        for x in op.operands:
            uses[x] -= 1
            live -= 0 if uses[x] else prod(shape_of(x))
    return max(1, min(SAMPLE_BATCHES, SAMPLE_BYTES // (FLOAT_BYTES * max(1, peak))))


def refine(
    net: FloatNet,
    quantized: QuantizedNet,
    batches: Sequence[Mapping[str, Array]],
    *,
    rounding: bool,
    correction: bool,
    only: Container[LayerOp] | None = None,
) -> None:
    """Chooses the rounding of weights and corrects biases in the order of the layers.

    Every layer is seen as the net runs it: with the integers that the refined layers before it
    compute. ``rounding``: the weights are rounded so that their errors cancel in its sums.
    ``correction``: the bias takes up the mean difference from the float net. The BLAS library gets
    one thread, as the last bits of its sums depend on their number. ``only``: these layers alone.
    """
    with threadpool_limits(1, "blas"):
        int8 = Int8Net(int8_module(net, quantized))
        held = Walk(int8.function, [int8.held(batch) for batch in batches], evaluate_whole)
        real = Walk(net.function, batches, evaluate_whole)
        layers = {op.location: op for op in net.layers}
        for op in progress(held.ops, len(held.ops), "rounding"):
            layer = layers.get(op.location)
            found = None if layer is None else quantized.coefficients.get(layer)
            if layer is None or (only is not None and layer not in only):
                found = None
            if isinstance(op, compute.ConvOp) and layer is not None and found is not None:
                x, y = (quantized.numbers[v].scale for v in (layer.operands[0], layer.results[0]))
                unit = y / 2.0**found.shift
                images = [image for batch in held.values[op.x] for image in batch]
                if rounding:
                    found = _rounded(layer, op, found, x / unit, images)
                if correction:
                    expected = real.run_to(layer.results[0])
                    found = _corrected(layer, op, found, unit, images, expected)
                quantized.coefficients[layer] = found
            held.step()


def _rounded(
    layer: LayerOp,
    op: compute.ConvOp,
    found: IntegerCoefficients,
    ratio: float,
    images: Sequence[Array],
) -> IntegerCoefficients:
    """With weights ``w * ratio`` rounded together. A layer that repeats one weight, or has its
    weights in another order where it computes, keeps them."""
    real = layer.real_coefficients()
    shape = op.weight.array.shape
    if real is None or not np.array_equal(op.weight.array.ravel(), found.weight.ravel()):
        return found
    groups = op.group.value.data
    outputs, channels = shape[0] // groups, shape[1]
    pieces = _pieces(channels, prod(shape[2:]))
    row = channels * prod(shape[2:]) // pieces
    products, count = np.zeros((groups * pieces, row, row)), 0
    for columns in _columns(op, images):
        some = columns[..., :: -(-columns.shape[-1] // MOST_WINDOWS)]
        some = some.reshape(groups * pieces, row, -1)
        products += some @ some.transpose(0, 2, 1)
        count += some.shape[-1]
    ideal = (real[0] * ratio).reshape(groups, outputs, pieces, row).swapaxes(1, 2)
    integers = round_weights(
        ideal.reshape(groups * pieces, outputs, row), products / count, LARGEST_WEIGHT
    )
    integers = integers.reshape(groups, pieces, outputs, row).swapaxes(1, 2).astype(np.int8)
    op.weight = ConstantAttr.of(integers.reshape(shape))
    return replace(found, weight=integers.reshape(found.weight.shape))


def _pieces(channels: int, taps: int) -> int:
    """Into how many equal pieces a row of weights is cut, between channels."""
    fits = (n for n in range(1, channels) if channels % n == 0)
    return next((n for n in fits if channels // n * taps <= LARGEST_PIECE), channels)


def _corrected(
    layer: LayerOp,
    op: compute.ConvOp,
    found: IntegerCoefficients,
    unit: float,
    images: Sequence[Array],
    expected: Sequence[Array],
) -> IntegerCoefficients:
    """With a bias that takes up the mean difference of each output from ``expected``.

    ``unit`` is what one step of the sum is worth. As far as the difference varies from image to
    image its mean is chance: it counts by mean^2 / (mean^2 + variance of the mean).
    """
    weight = op.weight.array
    outputs, groups = weight.shape[0], op.group.value.data
    real = layer.real_coefficients()
    bias = np.zeros(outputs) if real is None or real[1] is None else real[1].ravel() / unit
    if bias.size != outputs or len(images) < 2 or expected[0].size != prod(types.shape_of(op.y)):
        return found
    rows = weight.reshape(groups, outputs // groups, -1).astype(np.float64)
    sums = [
        (rows @ columns.mean(axis=2, keepdims=True, dtype=np.float64)).ravel()
        for columns in _columns(op, images)
    ]
    means = np.concatenate(
        [y.reshape(types.shape_of(op.y)).mean(axis=(2, 3), dtype=np.float64) for y in expected]
    )
    errors = means / unit - bias - np.stack(sums)
    mean = errors.mean(axis=0)
    chance = errors.var(axis=0, ddof=1) / len(errors)
    bias = bias + mean**3 / np.maximum(mean**2 + chance, np.finfo(np.float64).tiny)
    integers = np.clip(np.rint(bias), *BIAS_RANGE).astype(np.int16)
    op.bias = ConstantAttr.of(integers)
    shape = (outputs,) if found.bias is None else found.bias.shape
    return replace(found, bias=integers.reshape(shape))


def _columns(op: compute.ConvOp, images: Sequence[Array]) -> Iterator[Array]:
    """What meets the weights, in steps: [G, K, windows] of each image, float32."""
    groups, kernel = op.group.value.data, op.weight.shape[2:]
    for image in images:
        whole = padded(image[None].astype(np.float32), ints(op.pad), 0)
        view = windows(whole, kernel, ints(op.stride), ints(op.dilation))[0]
        yield view.transpose(0, 3, 4, 1, 2).reshape(groups, -1, prod(view.shape[1:3]))
