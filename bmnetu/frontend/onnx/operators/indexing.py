"""Slice and Gather: places along axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.site import Site
from dialects.constant import Array

MOST_PIECES = 256
"""What is picked along an axis is at most so many slices."""


def slices(site: Site) -> Blob | Array:
    """Along one axis after the other; with steps all at once. One without numbers is an array."""
    node, x = site.node, site.blob(0)
    starts, ends = site.integers("starts", 1), site.integers("ends", 2)
    if starts is None or ends is None:
        raise InputFileError(node.fault("has no starts or ends"))
    axes = site.integers("axes", 3)
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = site.integers("steps", 4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise InputFileError(node.fault("starts, ends, axes and steps are not equally many"))
    cuts: dict[int, range] = {}
    for start, end, given, step in zip(starts, ends, axes, steps, strict=True):
        axis = site.axis(given, len(x.shape))
        span = range(x.shape[axis])[start:end:step]
        if not span:
            shape = list(x.shape)
            shape[axis] = 0
            return np.empty(shape, np.float32)
        if span != range(x.shape[axis]):
            cuts[axis] = span
    return sliced(site, x, cuts)


def sliced(site: Site, x: Blob, cuts: Mapping[int, range], part: str = "") -> Blob:
    """These places along these axes."""
    if any(span.step != 1 for span in cuts.values() if len(span) > 1):
        return _strided(site, x, cuts, part)
    for axis, span in cuts.items():
        final = axis == list(cuts)[-1]
        more = part if final else f"{part}axis{axis}"
        x = _cut(site, x, axis, span[0], span[-1] + 1, more)
    return x


def _strided(site: Site, x: Blob, cuts: Mapping[int, range], part: str) -> Blob:
    """A StrideSlice; where it ends before place 0, its end is left out."""
    ends = [span.stop for span in cuts.values()]
    settings = {
        "axis": list(cuts),
        "begin": [span.start for span in cuts.values()],
        "end": [max(end, 0) for end in ends],
        "stride": [span.step for span in cuts.values()],
        "end_mask": sum(1 << i for i, end in enumerate(ends) if end < 0),
    }
    return site.layer("StrideSlice", x, part=part, stride_slice_param=settings)


def _cut(site: Site, x: Blob, axis: int, first: int, last: int, part: str) -> Blob:
    """What lies between two places along an axis."""
    size, name = x.shape[axis], site.node.outputs[0]
    required = f"{name}_{part}" if part else name
    before, after = [first] * (first > 0), [size - last] * (last < size)
    rest = f"{required}_rest"
    tops = [*[rest] * len(before), required, *[rest] * len(after)]
    kept = len(before)
    return site.pieces(x, axis, [*before, last - first, *after], tops, {kept})[kept]


def gather(site: Site) -> Blob:
    """Places that are known, along an axis: slices, one after the other."""
    node, x, indices = site.node, site.blob(0), site.constant(1)
    axis = site.axis(node.integer("axis", 0), len(x.shape))
    if indices is None or indices.dtype.kind not in "iu" or not indices.size:
        raise Refusal("its indices are no list")
    size = x.shape[axis]
    places = [int(i) + (size if i < 0 else 0) for i in indices.ravel()]
    if not 0 <= min(places) <= max(places) < size:
        raise InputFileError(node.fault(f"its indices are outside a dimension of {size}"))
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    part = "" if indices.ndim == 1 else "pieces"
    return site.reshaped(picked(site, x, axis, places, part), shape)


def picked(site: Site, x: Blob, axis: int, places: Sequence[int], part: str) -> Blob:
    """These places along an axis, in this order."""
    spans = spans_of(places)
    if len(spans) > MOST_PIECES:
        raise Refusal(f"its indices are {len(spans)} pieces; {MOST_PIECES} can be compiled")
    if spans == [range(x.shape[axis])]:
        return x
    if len(spans) == 1:
        return sliced(site, x, {axis: spans[0]}, part)
    pieces = {
        span: x if span == range(x.shape[axis])
        else _strided(site, x, {axis: span}, f"{part}from{span.start}")
        for span in dict.fromkeys(spans)
    }  # fmt: skip
    param = {"axis": axis}
    return site.layer("Concat", [pieces[span] for span in spans], part=part, concat_param=param)


def spans_of(places: Sequence[int]) -> list[range]:
    """The places as few ranges, by taking the longest one each time."""
    found: list[range] = []
    at = 0
    while at < len(places):
        end = at + 1
        step = places[end] - places[at] if end < len(places) else 1
        while step and end < len(places) and places[end] - places[end - 1] == step:
            end += 1
        if end - at == 2 and step not in (1, -1):
            end = at + 1
        step = step if end - at > 1 else 1
        found.append(range(places[at], places[end - 1] + (1 if step > 0 else -1), step))
        at = end
    return found
