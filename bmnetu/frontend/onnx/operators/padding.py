"""Pad, Tile and Expand: a tensor with more around it, or several times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob, with_pads
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators.indexing import picked, sliced
from bmnetu.frontend.onnx.site import MOST, Site
from dialects.ufw.shapes import Shape, show


def tile(site: Site) -> Blob:
    """Repeated along every axis; before operator set 6 along one."""
    x, repeats = site.blob(0), site.integers("repeats", 1)
    if repeats is None or len(repeats) != len(x.shape):
        raise InputFileError(site.node.fault(f"repeats {repeats} for {show(x.shape)}"))
    return _repeated(site, x, repeats)


def expand(site: Site) -> Blob:
    """The shape and the tensor's own repeat as in numpy."""
    x, shape = site.blob(0), site.integers("shape", 1)
    if shape is None:
        raise InputFileError(site.node.fault("has no shape"))
    try:
        final = np.broadcast_shapes(x.shape, shape)
    except ValueError as error:
        what = f"{show(x.shape)} cannot be repeated to {list(shape)}"
        raise InputFileError(site.node.fault(what)) from error
    x = site.reshaped(x, (1,) * (len(final) - len(x.shape)) + x.shape, "ranked")
    counts = [all_ // one for all_, one in zip(final, x.shape, strict=True)]
    return _repeated(site, x, counts)


def _repeated(site: Site, x: Blob, counts: Sequence[int]) -> Blob:
    if min(counts, default=1) < 1:
        raise Refusal("nothing is left")
    axes = [axis for axis, count in enumerate(counts) if count > 1]
    for axis in axes:
        part = "" if axis == axes[-1] else f"axis{axis}"
        param = {"axis": axis, "tiles": counts[axis]}
        x = site.layer("Tile", x, part=part, tile_param=param)
    return x


MODES = {"reflect": "REFLECT", "edge": "EDGE"}


def pad(site: Site) -> Blob:
    """Around any axes. Zeros around height and width are left to a Conv that reads them."""
    node, x = site.node, site.padded(0)
    rank = len(x.shape)
    pads, axes = site.integers("pads", 1), site.integers("axes", 3)
    value = site.constant(2)
    filled = node.number_of("value", 0.0) if value is None else float(np.ravel(value)[0])
    if pads is None:
        raise InputFileError(node.fault("has no pads"))
    mode = node.text("mode", "constant")
    begins, ends = _around(site, pads, rank, axes)
    if not any((*begins, *ends)):
        return x
    in_map = rank == 4 and not any((*begins[:2], *ends[:2]))
    if mode == "constant" and filled == 0 and in_map and min(*begins, *ends) >= 0:
        return with_pads(x, (begins[2], begins[3], ends[2], ends[3]))
    return _padded(site, begins, ends, mode, filled)


def _padded(site: Site, begins: Shape, ends: Shape, mode: str, filled: float) -> Blob:
    """What is cut off by negative pads, then what is put around."""
    x = site.blob(0)
    cuts = {
        axis: range(max(-before, 0), size - max(-after, 0))
        for axis, (before, after, size) in enumerate(zip(begins, ends, x.shape, strict=True))
        if min(before, after) < 0
    }
    if any(not span for span in cuts.values()):
        raise Refusal("nothing is left")
    around = [(max(before, 0), max(after, 0)) for before, after in zip(begins, ends, strict=True)]
    last = any(any(pair) for pair in around)
    x = sliced(site, x, cuts, "cut" if last else "") if cuts else x
    if not last:
        return x
    if mode == "wrap":
        return _wrapped(site, x, around)
    settings: dict[str, object] = {"pad": [n for pair in around for n in pair]}
    if mode in MODES:
        settings["mode"] = MODES[mode]
    elif mode == "constant":
        settings["value"] = float(np.clip(filled, -MOST, MOST))
    else:
        raise InputFileError(site.node.fault(f"mode is {mode!r}"))
    return site.layer("Pad", x, pad_param=settings)


def _wrapped(site: Site, x: Blob, around: Sequence[tuple[int, int]]) -> Blob:
    """The tensor as one of equal ones side by side."""
    axes = [axis for axis, pair in enumerate(around) if any(pair)]
    for axis in axes:
        (before, after), size = around[axis], x.shape[axis]
        places = [i % size for i in range(-before, size + after)]
        x = picked(site, x, axis, places, "" if axis == axes[-1] else f"axis{axis}")
    return x


def _around(
    site: Site, pads: Sequence[int], rank: int, axes: Sequence[int] | None
) -> tuple[Shape, Shape]:
    """How much is put before and after every dimension."""
    chosen = [site.axis(axis, rank) for axis in (range(rank) if axes is None else axes)]
    if len(pads) != 2 * len(chosen):
        raise InputFileError(site.node.fault(f"{len(pads)} pads for {len(chosen)} dimensions"))
    begins, ends = [0] * rank, [0] * rank
    for axis, before, after in zip(chosen, pads, pads[len(chosen) :], strict=False):
        begins[axis], ends[axis] = before, after
    return tuple(begins), tuple(ends)
