"""Operators that move or rename data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np
from onnx import TensorProto

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob, Site, with_pads
from bmnetu.frontend.onnx.node import Refusal
from dialects.ufw.shapes import Shape, show


def identity(site: Site) -> Blob:
    return site.padded(0)


def cast(site: Site) -> Blob:
    if site.node.integer("to", 0) != TensorProto.FLOAT:
        raise Refusal("only numbers of FLOAT can be compiled")
    return site.padded(0)


def dropout(site: Site) -> Blob:
    training = site.constant(2)
    if training is not None and training.any():
        raise Refusal("training_mode")
    return site.layer("Dropout", site.blob(0))


def flatten(site: Site) -> Blob:
    x = site.blob(0)
    rank = len(x.shape)
    axis = site.node.integer("axis", 1)
    axis = rank if axis == rank else site.axis(axis, rank)
    return site.reshaped(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


def reshape(site: Site) -> Blob:
    """0 copies a dimension unless ``allowzero``, one -1 is what remains."""
    x, required = site.blob(0), site.integers("shape", 1)
    if required is None:
        raise InputFileError(site.node.fault("has no shape"))
    shape = list(required)
    if not site.node.integer("allowzero", 0):
        copied = [i for i, size in enumerate(shape) if size == 0]
        if copied and copied[-1] >= len(x.shape):
            raise InputFileError(site.node.fault(f"shape {shape} copies more than there is"))
        for i in copied:
            shape[i] = x.shape[i]
    known = prod(size for size in shape if size != -1)
    if shape.count(-1) == 1 and known > 0:
        shape[shape.index(-1)] = prod(x.shape) // known
    if min(shape, default=1) < 1 or prod(shape) != prod(x.shape):
        raise Refusal(f"{show(x.shape)} cannot be reshaped to {list(required)}")
    return site.reshaped(x, shape)


def squeeze(site: Site) -> Blob:
    x, given = site.blob(0), site.integers("axes", 1)
    rank = len(x.shape)
    axes = {site.axis(axis, rank) for axis in given or ()}
    if given is None:
        axes = {axis for axis in range(rank) if x.shape[axis] == 1}
    if any(x.shape[axis] != 1 for axis in axes):
        raise InputFileError(site.node.fault(f"axes {sorted(axes)} of {show(x.shape)} are not 1"))
    return site.reshaped(x, [size for axis, size in enumerate(x.shape) if axis not in axes])


def unsqueeze(site: Site) -> Blob:
    x, given = site.blob(0), site.integers("axes", 1) or ()
    rank = len(x.shape) + len(given)
    axes = {site.axis(axis, rank) for axis in given}
    if len(axes) != len(given) or rank > 8:
        raise Refusal(f"axes {list(given)}")
    rest = iter(x.shape)
    return site.reshaped(x, [1 if axis in axes else next(rest) for axis in range(rank)])


def transpose(site: Site) -> Blob:
    x = site.blob(0)
    rank = len(x.shape)
    order = site.node.integers("perm") or tuple(reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise InputFileError(site.node.fault(f"perm is {list(order)} for {rank} dimensions"))
    if order == tuple(range(rank)):
        return x
    return site.layer("Permute", x, permute_param={"order": order})


def concat(site: Site) -> Blob:
    blobs = site.blobs()
    axis = site.axis(site.node.integer("axis", 1), len(blobs[0].shape))
    return site.layer("Concat", blobs, concat_param={"axis": axis})


def split(site: Site) -> list[Blob]:
    x, node = site.blob(0), site.node
    axis = site.axis(node.integer("axis", 0), len(x.shape))
    size, count = x.shape[axis], len(node.outputs)
    sizes = site.integers("split", 1)
    if sizes is None:
        step = -(-size // count)
        sizes = tuple(min(step, size - i * step) for i in range(count))
    if len(sizes) == count and 0 in sizes:
        raise Refusal("a piece has no numbers")
    if len(sizes) != count or sum(sizes) != size or min(sizes) < 1:
        raise InputFileError(node.fault(f"{size} cannot be cut into {list(sizes)}"))
    if count == 1:
        return [x]
    tops = [name or f"{node.name}_rest" for name in node.outputs]
    required = site.graph.read | site.graph.outputs
    keep = {i for i, name in enumerate(node.outputs) if name in required - {""}}
    return site.pieces(x, axis, sizes, tops, keep)


def slices(site: Site) -> Blob:
    """One axis after the other."""
    node, x = site.node, site.blob(0)
    starts, ends = site.integers("starts", 1), site.integers("ends", 2)
    if starts is None or ends is None:
        raise InputFileError(node.fault("has no starts or ends"))
    axes = site.integers("axes", 3)
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = site.integers("steps", 4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise InputFileError(node.fault("starts, ends, axes and steps are not equally many"))
    if set(steps) != {1}:
        raise Refusal(f"steps {list(steps)}")
    cuts: dict[int, tuple[int, int]] = {}
    for start, end, given in zip(starts, ends, axes, strict=True):
        axis = site.axis(given, len(x.shape))
        first, last, _ = slice(start, end).indices(x.shape[axis])
        if first >= last:
            raise Refusal("nothing is left")
        if (first, last) != (0, x.shape[axis]):
            cuts[axis] = (first, last)
    for axis, (first, last) in cuts.items():
        final = axis == list(cuts)[-1]
        x = _cut(site, x, axis, first, last, "" if final else f"axis{axis}")
    return x


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
    """Neighbours, in their order."""
    node, x, indices = site.node, site.blob(0), site.constant(1)
    axis = site.axis(node.integer("axis", 0), len(x.shape))
    if indices is None or indices.dtype.kind not in "iu" or indices.ndim > 1 or not indices.size:
        raise Refusal("its indices are no list")
    size = x.shape[axis]
    places = [int(i) + (size if i < 0 else 0) for i in indices.ravel()]
    first, last = places[0], places[-1] + 1
    in_order = all(after - before == 1 for before, after in pairwise(places))
    if not in_order or not 0 <= first < last <= size:
        raise Refusal("its indices are no neighbours in order")
    scalar = indices.ndim == 0
    if (first, last) != (0, size):
        x = _cut(site, x, axis, first, last, "piece" if scalar else "")
    return site.reshaped(x, [*x.shape[:axis], *x.shape[axis + 1 :]]) if scalar else x


def pad(site: Site) -> Blob:
    """Zeros around height and width, for the Conv that reads them."""
    node, x = site.node, site.padded(0)
    rank = len(x.shape)
    pads, axes = site.integers("pads", 1), site.integers("axes", 3)
    value = site.constant(2)
    filled = node.number_of("value", 0.0) if value is None else float(np.ravel(value)[0])
    if pads is None:
        raise InputFileError(node.fault("has no pads"))
    begins, ends = _around(site, pads, rank, axes)
    if not any((*begins, *ends)):
        return x
    if node.text("mode", "constant") != "constant" or filled != 0 or min(*begins, *ends) < 0:
        raise Refusal("only zeros around a tensor can be compiled")
    if rank != 4 or any((*begins[:2], *ends[:2])):
        raise Refusal("only height and width of N x C x H x W can be padded")
    return with_pads(x, (begins[2], begins[3], ends[2], ends[3]))


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
