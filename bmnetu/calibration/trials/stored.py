"""A calibration that was stored: the INT8 prototxt and the int8umodel of a float net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
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

ALIKE = 1.2
"""Units fit the integers where these are hardly further from the weights, in squares, than with any
others."""
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
    twins: Layers,
    numbers: Mapping[SSAValue, Numbers],
    channels: Channels,
) -> None:
    """Scales the channels of the float net as those of the files are: as equalising on these data
    does, or not at all, where the integers agree; else by the factors that fit them best, which are
    known to a part of a step."""
    floats = [op for op, twin in twins.items()
              if _integers(twin) is None and op.real_coefficients() is not None]  # fmt: skip

    def tried(change: Callable[[FloatNet, Channels, Layers], None]) -> _Tried:
        new, measured = net.copy(), deepcopy(channels)
        layers = dict(zip(net.layers, new.layers, strict=True))
        change(new, measured, layers)
        return _Tried(layers, measured, _noise(layers, twins, numbers))

    def equalized(new: FloatNet, measured: Channels, layers: Layers) -> None:
        equalize(new, measured)

    def beside_floats(new: FloatNet, measured: Channels, layers: Layers) -> None:
        new.floats |= {layers[op] for op in floats}
        equalize(new, measured)

    def as_it_is(new: FloatNet, measured: Channels, layers: Layers) -> None:
        pass

    def fitted(new: FloatNet, measured: Channels, layers: Layers) -> None:
        old = {after: before for before, after in layers.items()}
        equalize_by(new, measured, lambda link: _factors(link, old[link.before], twins, numbers))

    every = [tried(change) for change in (equalized, beside_floats, as_it_is, fitted)]
    least = min(each.noise for each in every)
    best = next(each for each in every if each.noise <= ALIKE * least)
    for old, new in best.layers.items():
        if isinstance(old, WeightedLayerOp) and isinstance(new, WeightedLayerOp):
            old.weight, old.bias = new.weight, new.bias
    channels.peaks, channels.squares = best.channels.peaks, best.channels.squares


Layers = Mapping[LayerOp, LayerOp]
"""A layer of a copy for each of a net."""


@dataclass(frozen=True)
class _Tried:
    """A copy of a net in other units, and how far its weights are from the integers."""

    layers: Layers
    channels: Channels
    noise: float


def _noise(layers: Layers, twins: Layers, numbers: Mapping[SSAValue, Numbers]) -> float:
    """The sum of squares of what rounding would have changed."""
    found = 0.0
    for key, op in layers.items():
        pair = _ideal(op, twins[key], numbers, key)
        if pair is not None and pair[0].shape == pair[1].shape:
            ideal, integers = pair
            off = np.clip(ideal, -LARGEST_WEIGHT, LARGEST_WEIGHT) - integers
            found += float(np.square(off).sum())
    return found


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
    link: Link, key: LayerOp, twins: Layers, numbers: Mapping[SSAValue, Numbers]
) -> Array:
    """By what each channel of a link was divided: the least squares of the weights before it."""
    pair = _ideal(link.before, twins[key], numbers, key)
    assert pair is not None
    ideal, stored = pair
    if ideal.shape != stored.shape:
        raise InputFileError(f"layer {quoted(layer_name(key))} has other weights in both nets")
    ideal = np.where(np.abs(stored) < LARGEST_WEIGHT, ideal, 0.0)  # the others may be clipped
    power, product = np.square(ideal).sum(axis=1), (ideal * stored).sum(axis=1)
    usable = (power > 0) & (product > 0)
    return np.where(usable, power / np.where(usable, product, 1.0), 1.0)
