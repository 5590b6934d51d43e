"""A calibration that was stored: the INT8 prototxt and the int8umodel of a float net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.equalize import Link, equalize, equalize_by
from bmnetu.calibration.int8.gathered import gathered
from bmnetu.calibration.int8.quantized_net import QuantizedNet, layer_name
from bmnetu.calibration.int8.recipe import Recipe
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.thresholds.channels import Channels
from bmnetu.calibration.thresholds.coefficients import LARGEST_WEIGHT, IntegerCoefficients
from bmnetu.calibration.thresholds.thresholds import Numbers
from bmnetu.calibration.trials.settled import Settled
from bmnetu.errors import InputFileError
from bmnetu.frontend import Network
from bmnetu.frontend.weights.scales import FULL_SCALE_SIGNED, FULL_SCALE_UNSIGNED
from dialects.constant import Array
from dialects.names import quoted
from dialects.quant import types
from dialects.ufw.convolution import WeightedLayerOp
from dialects.ufw.layer import LayerOp
from passes.module.functions import main_function

NEAR = 1.01
"""Integer weights are at most so far from the real ones: rounded up or down, and a little for what
is computed in float32."""
TINY = 1e-30


def float_twin(stored: Network, load: Callable[[bool], FloatNet], model: Path) -> FloatNet:
    """The float net with the layers of a stored one: with BatchNorm folded, or kept. ``load`` makes
    either. Raises InputFileError where it is not the same net."""
    expected = [_key(op) for op in _layers(stored)]
    for keep_bn in (False, True):
        net = load(keep_bn)
        if [_key(op) for op in net.layers] == expected:
            return net
    raise InputFileError(f"{model}: has other layers than the float net; both have to be forms of"
                         " one net")


def stored_settings(
    net: FloatNet,
    stored: Network,
    channels: Channels,
    data: CalibrationData,
    recipe: Recipe,
) -> Settled:
    """The thresholds and integers of the files; the float net gets the units that these have, as
    equalising did. ``channels`` follow."""
    twins = dict(zip(net.layers, _layers(stored), strict=True))
    arguments = main_function(stored.module).body.block.args
    values: dict[SSAValue, SSAValue] = dict(zip(net.inputs.values(), arguments, strict=True))
    for op, twin in twins.items():
        values |= dict(zip(op.results, twin.results, strict=True))
    numbers = {value: _numbers(twin) for value, twin in values.items()}
    _take_units(net, twins, numbers, channels)
    plain = Recipe(recipe.method, False, recipe.rounding, recipe.correction)
    quantizer = gathered(net, channels, data, plain, True)
    quantized = QuantizedNet(numbers)
    for op, twin in twins.items():
        integers = _integers(twin)
        if integers is not None:
            quantized.coefficients[op] = integers
        elif op.real_coefficients() is not None or any(numbers[y].is_float for y in op.results):
            quantized.floats.append(op)
    return Settled(quantizer, quantized)


def _layers(network: Network) -> list[LayerOp]:
    ops = main_function(network.module).body.block.ops
    return [op for op in ops if isinstance(op, LayerOp)]


def _key(op: LayerOp) -> tuple[str, tuple[str, ...]]:
    return layer_name(op), tuple(op.top_names)


def _numbers(value: SSAValue) -> Numbers:
    """How a loaded blob is held."""
    if types.is_index(value):
        return Numbers(0.0, is_float=True)
    unsigned, scale = types.becomes_unsigned(value), types.scale_of(value) or 0.0
    full_scale = FULL_SCALE_UNSIGNED if unsigned else FULL_SCALE_SIGNED
    return Numbers(float(np.float32(scale * full_scale)), unsigned, types.is_float(value))


def _integers(op: Any) -> IntegerCoefficients | None:
    """The integers of a loaded layer, if it has any."""
    shift = getattr(op, "right_shift", None)
    if shift is None:
        return None
    weight = op.slope if hasattr(op, "slope") else op.weight
    bias = getattr(op, "bias", None)
    return IntegerCoefficients(weight.array, None if bias is None else bias.array, shift.value.data)


# -- units -----------------------------------------------------------------------------------------


def _take_units(
    net: FloatNet,
    twins: Mapping[LayerOp, LayerOp],
    numbers: Mapping[SSAValue, Numbers],
    channels: Channels,
) -> None:
    """Scales the channels of the float net as those of the files are: as equalising on these data
    does, or not at all, where the integers agree; else by the factors that fit them best."""
    stored_floats = [op for op, twin in twins.items()
                     if _integers(twin) is None and op.real_coefficients() is not None]  # fmt: skip
    for floats in ([], stored_floats):
        tried, measured = net.copy(), deepcopy(channels)
        layers = dict(zip(net.layers, tried.layers, strict=True))
        tried.floats |= {layers[op] for op in floats}
        equalize(tried, measured)
        if _agrees(layers, twins, numbers):
            for old, new in layers.items():
                if isinstance(old, WeightedLayerOp) and isinstance(new, WeightedLayerOp):
                    old.weight, old.bias = new.weight, new.bias
            channels.peaks, channels.squares = measured.peaks, measured.squares
            return
    if not _agrees(dict(zip(twins, twins, strict=True)), twins, numbers):
        equalize_by(net, channels, lambda link: _factors(link, twins, numbers))


def _agrees(
    layers: Mapping[LayerOp, LayerOp],
    twins: Mapping[LayerOp, LayerOp],
    numbers: Mapping[SSAValue, Numbers],
) -> bool:
    """Whether the integers are the rounded weights of ``layers``, a layer of the net each."""
    for key, op in layers.items():
        pair = _ideal(op, twins[key], numbers, key)
        if pair is None:
            continue
        ideal, integers = pair
        ideal = np.clip(ideal, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        if ideal.shape != integers.shape or np.abs(ideal - integers).max(initial=0) > NEAR:
            return False
    return True


def _ideal(
    op: LayerOp, twin: LayerOp, numbers: Mapping[SSAValue, Numbers], key: LayerOp
) -> tuple[Array, Array] | None:
    """The weights before they are rounded, and those of the file, by output channel; those of a
    float layer as if they had been; None for layers without."""
    if not isinstance(op, WeightedLayerOp) or not isinstance(twin, WeightedLayerOp):
        return None
    real, stored = op.weight.array.astype(np.float64), twin.weight.array.astype(np.float64)
    integers = _integers(twin)
    if integers is not None:
        x, y = numbers[key.operands[0]].scale, numbers[key.results[0]].scale
        real = real * (x / y * 2.0**integers.shift)
    else:
        full = LARGEST_WEIGHT / max(np.abs(stored).max(initial=0.0), TINY)
        real, stored = real * full, stored * full
    return real.reshape(len(real), -1), stored.reshape(len(stored), -1)


def _factors(
    link: Link, twins: Mapping[LayerOp, LayerOp], numbers: Mapping[SSAValue, Numbers]
) -> Array:
    """By what each channel of a link was divided: the least squares of the weights before it."""
    op = link.before
    pair = _ideal(op, twins[op], numbers, op)
    assert pair is not None
    ideal, stored = pair
    if ideal.shape != stored.shape:
        raise InputFileError(f"layer {quoted(layer_name(op))} has other weights in both nets")
    power, product = np.square(ideal).sum(axis=1), (ideal * stored).sum(axis=1)
    usable = (power > 0) & (product > 0)
    return np.where(usable, power / np.where(usable, product, 1.0), 1.0)
