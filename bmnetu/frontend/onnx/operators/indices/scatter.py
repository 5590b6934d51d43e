"""Writing into a tensor at places that are known: those of a box, as a slice is assigned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators.arithmetic import binary
from bmnetu.frontend.onnx.operators.indexing import picked
from bmnetu.frontend.onnx.site import Site
from dialects.constant import Array
from dialects.ufw.shapes import show

REDUCTIONS = {"add": "ADD", "mul": "MUL", "max": "MAX", "min": "MIN"}
Box = Mapping[int, Sequence[int]]
"""The places along each axis that is not taken whole, in the order of what is written there."""


def scatter_nd(site: Site) -> Blob:
    """Where the indices go over a box of places."""
    data, updates, indices = site.tensor(0), site.tensor(2), _indices(site)
    depth = indices.shape[-1]
    sizes, rest = data.shape[:depth], data.shape[depth:]
    if len(sizes) != depth or updates.shape != (*indices.shape[:-1], *rest):
        raise InputFileError(site.node.fault(f"updates {show(updates.shape)} at {indices.shape}"))
    rows = _within(site, indices.reshape(-1, depth), sizes)
    axes = [list(dict.fromkeys(rows[:, k].tolist())) for k in range(depth)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, depth)
    if grid.shape != rows.shape or (grid != rows).any():
        raise Refusal("its indices are no box of places, as a slice has")
    box = {k: places for k, places in enumerate(axes) if places != list(range(sizes[k]))}
    shape = (*(len(places) for places in axes), *rest)
    return _written(site, data, site.reshaped(updates, shape, "box"), box)


def scatter_elements(site: Site) -> Blob:
    """Where all rows along the axis are written at the same places."""
    data, updates, indices = site.tensor(0), site.tensor(2), _indices(site)
    axis = site.axis(site.node.integer("axis", 0), len(data.shape))
    if updates.shape != indices.shape or indices.ndim != len(data.shape):
        raise InputFileError(site.node.fault(f"updates {show(updates.shape)} at {indices.shape}"))
    line = np.moveaxis(indices, axis, 0).reshape(indices.shape[axis], -1)
    places = _within(site, line[:, :1], [data.shape[axis]])[:, 0].tolist()
    if (line != line[:, :1]).any() or len({*places}) < len(places):
        raise Refusal("its indices are no box of places, as a slice has")
    box = {
        k: places if k == axis else list(range(n))
        for k, n in enumerate(updates.shape)
    }  # fmt: skip
    box = {k: at for k, at in box.items() if at != list(range(data.shape[k]))}
    return _written(site, data, updates, box)


def _indices(site: Site) -> Array:
    found = site.constant(1)
    if found is None or found.dtype.kind not in "iu" or not found.size or not found.ndim:
        raise InputFileError(site.node.fault("it has no indices"))
    return found


def _within(site: Site, rows: Array, sizes: Sequence[int]) -> Array:
    """Indices [N, K] that count from the front."""
    limits = np.array(sizes)
    found = np.where(rows < 0, rows + limits, rows)
    if ((found < 0) | (found >= limits)).any():
        raise InputFileError(site.node.fault(f"its indices are outside {show(sizes)}"))
    return found


def _written(site: Site, data: Blob, updates: Blob, box: Box, part: str = "") -> Blob:
    """The data with the updates in the box: along one axis after the other."""
    reduction = site.node.text("reduction", "none")
    if not box:
        if reduction == "none":
            return updates
        return binary(site, data, updates, REDUCTIONS[reduction], part)
    axis, places = next(iter(box.items()))
    rest = {k: at for k, at in box.items() if k != axis}
    inner = updates
    if rest or reduction != "none":
        old = picked(site, data, axis, places, f"{part}old{axis}")
        inner = _written(site, old, updates, rest, f"{part}new{axis}")
    size = data.shape[axis]
    joined = site.layer(
        "Concat", [data, inner], part=f"{part}both{axis}", concat_param={"axis": axis}
    )
    at = {place: size + i for i, place in enumerate(places)}
    return picked(site, joined, axis, [at.get(i, i) for i in range(size)], part)
