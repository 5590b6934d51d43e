"""Resize and Upsample: along each axis the layers that resize where their rules give the same, else
a Convolution with the weights of all results.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import prod

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.chain import Chain
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Node, Refusal
from bmnetu.frontend.onnx.operators.windows.positions import (
    CLOSE,
    LAYERS,
    LINEAR,
    ROUNDINGS,
    TRANSFORMATIONS,
    Axis,
    Taps,
    cubic,
    filtered,
    nearest,
    positions,
    rules_for_linear,
    rules_for_nearest,
)
from bmnetu.frontend.onnx.site import Site
from dialects.constant import Array
from dialects.ufw.shapes import Shape, show

MAX_SIDE = 1 << 16
MAX_WEIGHTS = 1 << 26
"""No axis becomes longer, and no matrix of weights larger."""
ROUNDING = 1e-6
"""By which a size and a size by its scale may differ, relative."""
FIRST = 11
"""The first operator set whose Resize says where its positions lie."""

LAYER_OF = {
    "nearest": ("ResizeNearestNeighbor", "resize_nearest_neighbor_param"),
    "linear": ("ResizeBilinear", "resize_bilinear_param"),
}


def upsample(site: Site) -> Blob:
    """Scales are an attribute before operator set 9."""
    x, mode, given = site.blob(0), site.node.text("mode", "nearest"), site.node.floats("scales")
    scales = site.coefficients(1) if given is None else np.array(given, np.float32)
    rule = Rule.of_old("linear" if mode == "bilinear" else mode)
    return _resized(site, x, rule, _scaled(site, rule, x.shape, scales))


def resize(site: Site) -> Blob:
    x, node = site.blob(0), site.node
    if node.opset < FIRST:
        rule = Rule.of_old(node.text("mode", "nearest"))
        return _resized(site, x, rule, _scaled(site, rule, x.shape, site.coefficients(1)))
    rule, scales = Rule.of(node), site.coefficients(2)
    if scales is not None and scales.size:
        return _resized(site, x, rule, _scaled(site, rule, x.shape, scales))
    return _resized(site, x, rule, _sized(site, rule, x.shape, site.constant(3)))


@dataclass(frozen=True)
class Rule:
    """How results are computed: the node's attributes, named shorter."""

    mode: str
    transformation: str
    rounding: str
    coefficient: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    extrapolation: float = 0.0

    @staticmethod
    def of_old(mode: str) -> Rule:
        """Of operator sets before 11: what lies between two elements is rounded as in onnxruntime,
        down, or up where the axis shrinks."""
        return Rule(_known(mode, ("nearest", "linear"), "mode"), "asymmetric", "")

    @staticmethod
    def of(node: Node) -> Rule:
        modes = ("nearest", "linear", "cubic")
        given = node.text("coordinate_transformation_mode", "half_pixel")
        rounding = node.text("nearest_mode", "round_prefer_floor")
        return Rule(
            _known(node.text("mode", "nearest"), modes, "mode"),
            _known(given, TRANSFORMATIONS, "coordinate_transformation_mode"),
            _known(rounding, ROUNDINGS, "nearest_mode"),
            node.number_of("cubic_coeff_a", -0.75),
            bool(node.integer("exclude_outside", 0)),
            bool(node.integer("antialias", 0)),
            node.number_of("extrapolation_value", 0.0),
        )

    @property
    def crops(self) -> bool:
        return self.transformation == "tf_crop_and_resize"

    def asks_for_length(self, axis: Axis) -> bool:
        """Whether positions depend on how many results there are, which is no whole number for some
        runtimes."""
        several = {"align_corners": True, "pytorch_half_pixel": False}.get(self.transformation)
        return self.crops or several is (axis.out > 1)

    def places(self, axis: Axis) -> Array:
        return positions(self.transformation, axis)

    def outside(self, axis: Axis) -> Array:
        """Which results lie outside of the input, and get another value."""
        places = self.places(axis)
        return ((places < 0) | (places > axis.size - 1)) & self.crops

    def taps(self, axis: Axis) -> Taps:
        """What each result reads."""
        places = self.places(axis)
        if self.mode == "nearest":
            old = "floor" if axis.scale >= 1 else "ceil"
            found = nearest(places, axis.size, ROUNDINGS[self.rounding or old])
        else:
            scale = min(1.0, float(axis.scale)) if self.antialias else 1.0
            by = cubic(self.coefficient) if self.mode == "cubic" else LINEAR
            exclude = self.exclude_outside
            found = filtered(places, axis.size, by, scale, exclude_outside=exclude)
        return found.without(self.outside(axis))

    def layer_rules(self, axis: Axis) -> list[str]:
        """The rules of the layer that give the same."""
        if self.outside(axis).any():
            return []
        if self.mode == "nearest":
            return rules_for_nearest(self.taps(axis))
        plain = self.mode == "linear" and not (self.antialias and axis.scale < 1)
        return rules_for_linear(self.places(axis), axis.size) if plain else []

    def changes_nothing(self, axis: Axis) -> bool:
        if axis.size != axis.out or self.outside(axis).any():
            return False
        same = np.arange(axis.size)
        if self.mode == "nearest":
            return np.array_equal(self.taps(axis).indices[:, 0], same)
        shrinks = self.antialias and axis.scale < 1
        return not shrinks and np.allclose(self.places(axis), same, rtol=0, atol=CLOSE)


def _known(value: str, names: Container[str], what: str) -> str:
    if value not in names:
        raise Refusal(f"{what} {value!r} is not known")
    return value


# -- sizes -----------------------------------------------------------------------------------------


def _scaled(site: Site, rule: Rule, shape: Shape, scales: Array | None) -> list[Axis]:
    """All axes by their scales."""
    which = _axes(site, shape, scales)
    given = dict(zip(which, () if scales is None else scales, strict=True))
    found = {
        axis: Axis(shape[axis], int(scale * np.float32(shape[axis])), scale)
        for axis, scale in given.items()
    }
    return _checked(site, rule, shape, found)


def _sized(site: Site, rule: Rule, shape: Shape, sizes: Array | None) -> list[Axis]:
    """All axes by their sizes; with a policy, all of those by the same scale."""
    which = _axes(site, shape, sizes)
    outs = dict(zip(which, () if sizes is None else map(int, sizes), strict=True))
    scales = {axis: np.float32(out) / np.float32(shape[axis]) for axis, out in outs.items()}
    policy = site.node.text("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        choose = {"not_larger": min, "not_smaller": max}
        scale = choose[_known(policy, choose, "keep_aspect_ratio_policy")](scales.values())
        scales = dict.fromkeys(which, scale)
        outs = {axis: int(float(scale * np.float32(shape[axis])) + 0.5) for axis in which}
    found = {axis: Axis(shape[axis], outs[axis], scales[axis]) for axis in which}
    return _checked(site, rule, shape, found)


def _axes(site: Site, shape: Shape, numbers: Array | None) -> list[int]:
    """The axes to which a list of scales or sizes belongs."""
    node, rank = site.node, len(shape)
    if numbers is None or not numbers.size:
        raise InputFileError(node.fault("has no scales and no sizes"))
    axes = [site.axis(axis, rank) for axis in node.integers("axes") or range(rank)]
    if len(set(axes)) != len(axes) or numbers.shape != (len(axes),):
        raise InputFileError(node.fault(f"{show(numbers.shape)} numbers for axes {axes}"))
    return axes


def _checked(site: Site, rule: Rule, shape: Shape, axes: dict[int, Axis]) -> list[Axis]:
    """All axes, those that are not named, too; with the parts that are cut out."""
    for axis in axes.values():
        if not 1 <= axis.out <= MAX_SIDE:
            raise Refusal(f"it makes {axis.out} elements of {axis.size}")
        fraction = abs(float(axis.scale) * axis.size - axis.out) > ROUNDING * axis.out
        if fraction and rule.asks_for_length(axis):
            raise Refusal(
                f"scale {axis.scale:g} makes no whole number of elements of {axis.size}, and"
                f" runtimes do not agree what {rule.transformation} then is"
            )
    if rule.crops:
        roi = site.weights(1)
        if roi.shape != (2 * len(axes),):
            raise InputFileError(site.node.fault(f"roi is {show(roi.shape)}"))
        begins, ends = roi[: len(axes)], roi[len(axes) :]
        axes = {
            place: replace(axis, begin=begin, end=end)
            for (place, axis), begin, end in zip(axes.items(), begins, ends, strict=True)
        }
    same = [Axis(size, size, np.float32(1)) for size in shape]
    return [axes.get(place, axis) for place, axis in enumerate(same)]


# -- layers ----------------------------------------------------------------------------------------


def _resized(site: Site, x: Blob, rule: Rule, axes: Sequence[Axis]) -> Blob:
    """Height and width together where one layer has both, all other axes one by one, first those
    that shrink."""
    chain = Chain(site, x.shape)
    todo = [place for place, axis in enumerate(axes) if not rule.changes_nothing(axis)]
    kept = x.shape == tuple(axis.out for axis in axes)
    if any(kept or axes[place].scale == 1 for place in todo):
        raise Refusal(
            f"runtimes do not agree whether {rule.transformation} changes axes that keep their size"
        )
    rules = {place: rule.layer_rules(axes[place]) for place in todo}
    maps = [len(axes) - 2, len(axes) - 1]
    common = [each for each in LAYERS if all(each in rules.get(place, ()) for place in maps)]
    if common:
        _by_layer(chain, rule, common[0], maps, [axes[place].out for place in maps])
        todo = todo[:-2]
    for place in sorted(todo, key=lambda place: axes[place].out / axes[place].size):
        axis = axes[place]
        if rules[place]:
            _by_layer(chain, rule, rules[place][0], [place], [axis.out])
        elif axis.size * axis.out > MAX_WEIGHTS:
            raise Refusal(f"{axis.size} elements to {axis.out} are too many weights")
        else:
            chain.mixed(f"axis{place}", place, rule.taps(axis).matrix)
    _extrapolated(chain, rule, axes)
    return chain.run(x)


def _by_layer(
    chain: Chain, rule: Rule, name: str, places: Sequence[int], sizes: Sequence[int]
) -> None:
    """A layer that resizes height and width, for one axis or for two neighbours."""
    whole, (first, last) = chain.shape, (places[0], places[-1])
    n, before = (whole[0], prod(whole[1:first])) if first else (1, 1)
    maps, after = list(whole[first : last + 1]), prod(whole[last + 1 :])
    out = list(sizes)
    if len(places) == 1:
        maps, out = ([1, *maps], [1, *out]) if after == 1 else ([*maps, after], [*out, after])
    chain.reshape((n, before, *maps))
    kind, message = LAYER_OF[rule.mode]
    param = {**LAYERS[name], "output_height": out[0], "output_width": out[1]}
    part = "resized" if len(places) > 1 else f"axis{first}"
    chain.layer(part, (n, before, *out), kind, **{message: param})
    chain.reshape((*whole[:first], *sizes, *whole[last + 1 :]))


def _extrapolated(chain: Chain, rule: Rule, axes: Sequence[Axis]) -> None:
    """The value of what lies outside, where a 0 stands so far."""
    outside = [rule.outside(axis) for axis in axes]
    places = [place for place, each in enumerate(outside) if each.any()]
    if not places or not rule.extrapolation:
        return
    first, count = places[0], places[-1] - places[0] + 1
    inside = reduce(np.multiply.outer, [~each for each in outside[first : first + count]])
    value = np.where(inside, 0, rule.extrapolation).astype(np.float32)
    param = {"axis": first, "num_axes": count}
    chain.layer("outside", chain.shape, "Bias", value, bias_param=param)


# -- blocks ----------------------------------------------------------------------------------------


def depth_to_space(site: Site) -> Blob:
    return _blocks(site, "DepthToSpace", "depth_to_space_param")


def space_to_depth(site: Site) -> Blob:
    return _blocks(site, "SpaceToDepth", "space_to_depth_param")


def _blocks(site: Site, kind: str, message: str) -> Blob:
    """Channels and blocks of pixels; the layers have the names of ONNX for both orders."""
    block, mode = site.node.integer("blocksize", 0), site.node.text("mode", "DCR")
    param = {"block_size": block, "mode": _known(mode, ("DCR", "CRD"), "mode")}
    return site.layer(kind, site.blob(0), part="", **{message: param})
