"""Operators that give data another shape, order or type, and those that join and cut them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from onnx import TensorProto

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import FLOATS, WHOLE, Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.site import Site
from dialects.constant import Array
from dialects.ufw.shapes import Shape, show


def identity(site: Site) -> Blob:
    return site.padded(0)


def cast(site: Site) -> Blob:
    """Numbers are float32 whatever their type: only what changes them is a layer."""
    element, to = site.element(0), site.node.integer("to", TensorProto.FLOAT)
    return _cast(site, element, to)


def cast_like(site: Site) -> Blob:
    return _cast(site, site.element(0), site.element(1))


def _cast(site: Site, element: int, to: int) -> Blob:
    if to in FLOATS or to == element or element == TensorProto.BOOL:
        return site.padded(0)
    if to == TensorProto.BOOL:
        compare = {"operation": "NE", "value": 0.0}
        return site.layer("ConstBinary", site.blob(0), const_binary_param=compare)
    if to not in WHOLE:
        raise Refusal("its result is of a type that cannot be compiled")
    if element not in FLOATS:
        return site.padded(0)
    steps = "a = floor(x); b = max(a, 0.0); c = ceil(x); d = min(c, 0.0); add(b, d)"
    return site.layer("ComposedFunction", site.blob(0), composed_function_param={"function": steps})


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
    x, required = site.blob(0), site.integers("shape", 1)
    return site.reshaped(x, shape_of_view(site, x.shape, required))


def shape_of_view(site: Site, given: Shape, required: Sequence[int] | None) -> Shape:
    """The shape that a Reshape asks for: 0 copies a dimension unless ``allowzero``, one -1 is what
    remains."""
    if required is None:
        raise InputFileError(site.node.fault("has no shape"))
    shape = list(required)
    if not site.node.integer("allowzero", 0):
        copied = [i for i, size in enumerate(shape) if size == 0]
        if copied and copied[-1] >= len(given):
            raise InputFileError(site.node.fault(f"shape {shape} copies more than there is"))
        for i in copied:
            shape[i] = given[i]
    known = prod(size for size in shape if size != -1)
    if shape.count(-1) == 1 and known > 0:
        shape[shape.index(-1)] = prod(given) // known
    if min(shape, default=1) < 1 or prod(shape) != prod(given):
        raise Refusal(f"{show(given)} cannot be reshaped to {list(required)}")
    return tuple(shape)


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
    count = len(site.node.inputs)
    blobs = [site.tensor(i) for i in range(count) if 0 not in site.either(i).shape]
    axis = site.axis(site.node.integer("axis", 1), len(blobs[0].shape))
    if len(blobs) == 1:
        return blobs[0]
    return site.layer("Concat", blobs, concat_param={"axis": axis})


def split(site: Site) -> list[Blob | Array]:
    """A piece without numbers is an array."""
    x, node = site.blob(0), site.node
    axis = site.axis(node.integer("axis", 0), len(x.shape))
    size, count = x.shape[axis], len(node.outputs)
    sizes = site.integers("split", 1)
    if sizes is None:
        step = -(-size // count)
        sizes = tuple(max(min(step, size - i * step), 0) for i in range(count))
    if len(sizes) != count or sum(sizes) != size or min(sizes) < 0:
        raise Refusal(f"{size} cannot be cut into {list(sizes)}")
    full = [i for i in range(count) if sizes[i]]
    found: list[Blob | Array] = [_empty(x.shape, axis)] * count
    if len(full) == 1:
        found[full[0]] = x
        return found
    tops = [node.outputs[i] or f"{node.name}_rest" for i in full]
    required = site.graph.read | site.graph.outputs
    keep = {at for at, i in enumerate(full) if node.outputs[i] in required - {""}}
    pieces = site.pieces(x, axis, [sizes[i] for i in full], tops, keep)
    for i, piece in zip(full, pieces, strict=True):
        found[i] = piece
    return found


def _empty(shape: Shape, axis: int) -> Array:
    """A tensor of this shape but for the axis, which has no extent."""
    return np.empty((*shape[:axis], 0, *shape[axis + 1 :]), np.float32)
