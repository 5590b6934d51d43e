"""Equalises channels across consecutive layers: one scale a tensor and one shift a layer then fit
all of them.

``conv2(f(conv1(x)))`` stays the same when output channel c of conv1 is divided by s_c and input
channel c of conv2 multiplied by it, for every f with f(a x) = a f(x): ReLU, PReLU, pooling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from xdsl.ir import Operation, SSAValue

from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.thresholds.channels import Channels
from bmnetu.calibration.thresholds.coefficients import LARGEST_WEIGHT
from bmnetu.frontend.weights.scales import FULL_SCALE_SIGNED, FULL_SCALE_UNSIGNED
from dialects.constant import Array, ConstantAttr
from dialects.ufw.convolution import WeightedLayerOp
from dialects.ufw.layer import LayerOp, shape_of

ROUNDS = 3
"""Walks over the net; a depthwise layer ends one link and begins the next."""
LIMIT = 2.0**8
"""No factor is larger, nor smaller than its inverse."""
EXPONENTS = tuple(each for each in product((0, 0.25, 0.5, 0.75, 1), repeat=3) if sum(each) <= 1)
"""How far a factor follows the range of activations, of the weights before and after them."""


@dataclass
class Link:
    """A layer, the values that its channels reach unmixed, and the layers that read them."""

    before: WeightedLayerOp
    values: list[SSAValue] = field(default_factory=list[SSAValue])
    after: list[WeightedLayerOp] = field(default_factory=list[WeightedLayerOp])


def equalize(net: FloatNet, channels: Channels) -> None:
    """Scales the channels of every link to where 8 bits lose least; the outputs stay the same.

    ``channels`` are the statistics of the net and follow. Links with a float layer, and those with
    a threshold from the prototxt, stay as they are.
    """
    for _ in range(ROUNDS):
        equalize_by(net, channels, lambda link: _factors(net, channels, link))


def equalize_by(net: FloatNet, channels: Channels, factors: Callable[[Link], Array]) -> None:
    """Divides the channels of every link by factors, the links in the order of the layers."""
    for link in [link for op in net.layers if (link := _link(net, op)) is not None]:
        _scale(net, link, factors(link), channels)


def _link(net: FloatNet, op: LayerOp) -> Link | None:
    if not isinstance(op, WeightedLayerOp) or op in net.floats or not op.is_along_channels:
        return None
    link = Link(op)
    return link if _follow(net, link, op.results[0]) and link.after else None


def _follow(net: FloatNet, link: Link, value: SSAValue) -> bool:
    """Adds all that a value reaches; False when a reader mixes channels or must see them."""
    link.values.append(value)
    if net.makers[value].HasField("threshold"):
        return False
    for use in value.uses:
        op = use.operation
        if op in net.floats:
            return False
        if isinstance(op, WeightedLayerOp) and op.is_along_channels:
            link.after.append(op)
        elif not _passes(op, link) or not all(_follow(net, link, y) for y in op.results):
            return False
    return True


def _passes(op: Operation, link: Link) -> bool:
    batch, channels = shape_of(link.before.results[0])[:2]
    return isinstance(op, LayerOp) and op.keeps_channel_factors(batch, channels)


def _rows(op: WeightedLayerOp) -> Array:
    """The weights by output channel: [O, the rest]."""
    return op.weight.array.astype(np.float64).reshape(op.weight.shape[0], -1)


def columns_of(op: WeightedLayerOp, channels: int) -> Array:
    """The weights by input channel: [C, the rest]."""
    groups = op.groups
    weight = op.weight.array.astype(np.float64)
    weight = weight.reshape(groups, len(weight) // groups, channels // groups, -1)
    return weight.swapaxes(1, 2).reshape(channels, -1)


def _factors(net: FloatNet, channels: Channels, link: Link) -> Array:
    """s of each channel with the least noise in the sums of the layers behind.

    Noise of numbers rounded to a step is step^2 / 12, the step their largest range over the number
    of steps: that of the activations and of the weights before them arrives multiplied by the
    weights behind, and by slopes above 1; that of the weights behind meets the activations.
    """
    names = [net.names[value] for value in link.values]
    unsigned = _is_relu(link.values[0].get_user_of_unique_use())
    held = names[1:] if unsigned else names
    count = link.before.weight.shape[0]
    peaks = np.max([channels.peaks[name].reshape(count, -1).max(axis=1) for name in held], axis=0)
    power = channels.mean_square(names[-1]).reshape(count, -1).mean(axis=1)
    before = np.abs(_rows(link.before)).max(axis=1)
    columns = np.concatenate([columns_of(op, count) for op in link.after], axis=1)
    after, gain = np.abs(columns).max(axis=1), np.square(columns).sum(axis=1)
    full_scale = FULL_SCALE_UNSIGNED if unsigned else FULL_SCALE_SIGNED
    inputs, stretch = _row_power(link.before, channels, net), _stretch(link, count)
    usable = (peaks > 0) & (before > 0) & (after > 0)
    if not usable.any():
        return np.ones(count)
    with np.errstate(divide="ignore"):
        ranges = np.where(usable, np.log([peaks, before, after]), 0.0)
    signs = np.array([1, 1, -1])
    best, least = np.ones(count), np.inf
    for exponents in EXPONENTS:
        logs = (signs * exponents) @ ranges
        factors = np.exp(np.where(usable, logs - logs[usable].mean(), 0.0))
        factors = np.clip(factors, 1 / LIMIT, LIMIT)
        weighted = factors**2 * gain * stretch
        noise = (
            ((peaks / factors).max() / full_scale) ** 2 * weighted.sum()
            + ((before / factors).max() / LARGEST_WEIGHT) ** 2 * (weighted * inputs).sum()
            + ((after * factors).max() / LARGEST_WEIGHT) ** 2
            * (power / factors**2).sum()
            * columns.shape[1]
        )
        if noise < least * (1 - 1e-9):
            best, least = factors, noise
    return best


def _is_relu(op: Operation | None) -> bool:
    """Whether a layer before it holds its result without a sign."""
    return isinstance(op, LayerOp) and op.is_relu


def _stretch(link: Link, count: int) -> Array:
    """What the noise power of each channel is multiplied by on its way, where that is above 1."""
    found = np.ones(count)
    for op in dict.fromkeys(use.operation for value in link.values for use in value.uses):
        if not isinstance(op, LayerOp) or op.slopes is None:
            continue
        power = np.square(op.slopes)
        power = power.reshape(count, -1).max(axis=1) if power.size > 1 else power
        found = found * np.maximum(1.0, (1 + power) / 2)
    return found


def _row_power(op: WeightedLayerOp, channels: Channels, net: FloatNet) -> Array:
    """``sum_k E x_k^2`` over what meets each output's weights."""
    power = channels.mean_square(net.names[op.operands[0]])
    outputs, row = op.weight.shape[0], op.weight.array[0].size
    groups = op.groups
    return np.repeat(power.reshape(groups, -1).mean(axis=1) * row, outputs // groups)


def _scale(net: FloatNet, link: Link, factors: Array, channels: Channels) -> None:
    before = link.before
    ones = (1,) * (before.weight.array.ndim - 1)
    before.weight = _blob(before.weight.array / factors.reshape(-1, *ones))
    if before.bias is not None:
        before.bias = _blob(before.bias.array / factors)
    for op in link.after:
        weight = op.weight.array
        groups = op.groups
        columns = weight.reshape(groups, len(weight) // groups, len(factors) // groups, -1)
        columns = columns * factors.reshape(groups, 1, -1, 1)
        op.weight = _blob(columns.reshape(weight.shape))
    for value in link.values:
        channels.scale(net.names[value], 1 / factors)


def _blob(array: Array) -> ConstantAttr:
    return ConstantAttr.of(array.astype(np.float32))
