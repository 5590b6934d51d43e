"""Layers of the host that pick numbers by what a net computes: indices are int32 there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators import indexing
from bmnetu.frontend.onnx.operators.arithmetic import binary
from bmnetu.frontend.onnx.operators.functions import power_layer
from bmnetu.frontend.onnx.site import Made, Site
from dialects.constant import Array
from dialects.quant.compute import MOST_INDEX
from dialects.quant.types import is_index
from dialects.ufw.shapes import show

INT32 = {"to": "INT32"}
LEAST_SCORE = -3e38
"""A threshold that every score is above."""
TO_CORNERS = np.array(
    [[0, 1, 0, -0.5], [1, 0, -0.5, 0], [0, 1, 0, 0.5], [1, 0, 0.5, 0]], np.float32
)
"""Centre x, y, width, height of a box as y1, x1, y2, x2."""


def integers(site: Site, blob: Blob, part: str) -> Blob:
    """Whole numbers from 0 on as int32."""
    return blob if is_index(blob.value) else site.layer("Cast", blob, part=part, cast_param=INT32)


def indices(site: Site, index: int, size: int) -> Blob:
    """An input that holds places along an axis of this size, as int32: negative ones count from
    the end, others outside are put to the end that they lie beyond."""
    found, name = site.given(index), site.node.inputs[index]
    if not isinstance(found, Blob):
        array = site.constant(index)
        if array is None or array.dtype.kind not in "iu" or not array.size:
            raise InputFileError(site.node.fault(f"input {index + 1} holds no indices"))
        places = np.where(array < 0, array + size, array)
        if places.min() < 0 or places.max() >= size:
            raise InputFileError(site.node.fault(f"its indices are outside a dimension of {size}"))
        return integers(site, site.parameter(places, f"{name}_places"), "indices")
    if is_index(found.value):
        return found
    return integers(site, _inside(site, site.blob(index), size), "indices")


def _inside(site: Site, blob: Blob, size: int) -> Blob:
    """Places along an axis of this size, see :func:`indices`."""
    steps = f"a = lt(x, 0.0); b = mul(a, {size}.0); c = add(x, b); d = max(c, 0.0);" \
        f" min(d, {size - 1}.0)"  # fmt: skip
    param = {"function": steps}
    return site.layer("ComposedFunction", blob, part="inside", composed_function_param=param)


# -- the largest -----------------------------------------------------------------------------------


def top_k(site: Site) -> Made:
    """Values and indices; of the smallest by the largest of what is negated."""
    node, x = site.node, site.blob(0)
    axis = site.axis(node.integer("axis", -1), len(x.shape))
    k = node.integer("k", 0) if node.opset < 10 else int(_number(site, 1, 0))
    largest = node.integer("largest", 1)
    if not 0 < k <= x.shape[axis]:
        raise Refusal(f"k is {k} of {x.shape[axis]} numbers")
    wanted = [bool(site.graph.used([name])) for name in node.outputs]
    if not largest:
        x = power_layer(site, x, "negated", scale=-1.0)
    values = node.outputs[0] if wanted[0] and largest else f"{node.name}_values"
    tops = [values, f"{node.name}_indices"][: 1 + any(wanted[1:])]
    found = site.layers("TopK", x, tops, topk_param={"k": k, "axis": axis})
    if not wanted[0]:
        site.layers("Silence", found[:1], [], part="silence")
    elif not largest:
        found[0] = power_layer(site, found[0], scale=-1.0)
    return found


# -- by index --------------------------------------------------------------------------------------


def gather(site: Site) -> Blob:
    """Along an axis: slices where the places are known and few, else on the host, which has the
    axis in front."""
    data, given = site.tensor(0), site.given(1)
    axis = site.axis(site.node.integer("axis", 0), len(data.shape))
    if not isinstance(given, Blob) and given is not None and _is_cut(given, data.shape[axis]):
        return indexing.gather(site)
    rank = len(data.shape)
    places = indices(site, 1, data.shape[axis])
    count = len(places.shape)
    if prod(data.shape[:axis]) == 1:
        return site.layer("Gather", [data, places], gather_param={"axis": axis})
    order = [axis, *range(axis), *range(axis + 1, rank)]
    turned = site.layer("Permute", data, part="axis_first", permute_param={"order": order})
    found = site.layer("Gather", [turned, places], part="slices", gather_param={"axis": 0})
    order = [*range(count, count + axis), *range(count), *range(count + axis, count + rank - 1)]
    return site.layer("Permute", found, permute_param={"order": order})


def _is_cut(places: Array, size: int) -> bool:
    """Whether slices pick known places along an axis of this size, or find what is wrong."""
    if places.dtype.kind not in "iu" or not places.size:
        return True
    numbers = [int(n) + (size if n < 0 else 0) for n in places.ravel()]
    return len(indexing.spans_of(numbers)) <= indexing.MOST_PIECES


def gather_nd(site: Site) -> Blob:
    """By places in the rows of all dimensions that an index goes over."""
    node, data, given = site.node, site.tensor(0), site.either(1)
    batch, depth = node.integer("batch_dims", 0), given.shape[-1]
    sizes, rest = data.shape[: batch + depth], data.shape[batch + depth :]
    if len(sizes) != batch + depth or given.shape[:batch] != sizes[:batch]:
        raise InputFileError(node.fault(f"indices {show(given.shape)} for {show(data.shape)}"))
    rows = site.reshaped(data, (prod(sizes), *rest), "rows")
    if prod(sizes) > MOST_INDEX:
        raise Refusal(f"it picks from {prod(sizes)} rows; {MOST_INDEX} can be compiled")
    steps = [prod(sizes[k + 1 :]) for k in range(len(sizes))]
    begins = np.zeros(sizes[:batch], np.int64)
    for k, step in enumerate(steps[:batch]):
        begins += np.arange(sizes[k]).reshape(-1, *(1,) * (batch - k - 1)) * step
    begins = begins.reshape(*sizes[:batch], *(1,) * (len(given.shape) - batch))
    if isinstance(given, Blob):
        places = _places(site, given, sizes[batch:], steps[batch:], begins)
    else:
        limits = np.array(sizes[batch:])
        inside = np.where(given < 0, given + limits, given)
        if ((inside < 0) | (inside >= limits)).any():
            raise InputFileError(node.fault(f"its indices are outside {show(data.shape)}"))
        numbers = inside @ np.array(steps[batch:])[:, None] + begins
        places = site.parameter(numbers, f"{node.inputs[1]}_rows_of_{node.name}")
    places = integers(site, places, "places")
    found = site.layer("Gather", [rows, places], part="picked", gather_param={"axis": 0})
    return site.reshaped(found, (*given.shape[:-1], *rest))


def _places(
    site: Site, given: Blob, sizes: Sequence[int], steps: Sequence[int], begins: Array
) -> Blob:
    """The places [..., 1] of indices [..., K] into dimensions of these sizes and steps."""
    last, count = len(given.shape) - 1, len(sizes)
    parts = [given]
    if count > 1:
        names = [f"{site.node.name}_index{k}" for k in range(count)]
        parts = site.pieces(given, last, [1] * count, names, set(range(count)))
    parts = [_inside(site, part, size) for part, size in zip(parts, sizes, strict=True)]
    found = parts[0]
    if count > 1:
        param = {"operation": "SUM", "coeff": [float(step) for step in steps]}
        found = site.layer("Eltwise", parts, part="row", eltwise_param=param)
    if begins.any():
        first = site.parameter(begins, f"{site.node.name}_begins")
        found = binary(site, found, first, "ADD", "row_of_all")
    return found


def gather_elements(site: Site) -> Blob:
    data = site.tensor(0)
    axis = site.axis(site.node.integer("axis", 0), len(data.shape))
    places = indices(site, 1, data.shape[axis])
    return site.layer("GatherElements", [data, places], gather_elements_param={"axis": axis})


# -- boxes that do not overlap ---------------------------------------------------------------------


def non_max_suppression(site: Site) -> Made:
    """It makes as many rows as there are boxes, so that nothing can stand behind it."""
    node, scores = site.node, site.tensor(1)
    if node.outputs[0] in site.graph.read:
        raise Refusal(
            "it finds as many boxes as there are, so nothing behind it has a known size; end the"
            f' net with "{node.outputs[0]}", or before it'
        )
    if len(scores.shape) != 3:
        raise InputFileError(node.fault(f"its scores are {show(scores.shape)}"))
    count = scores.shape[2]
    most = _number(site, 2, 0)
    if most <= 0:
        raise Refusal("max_output_boxes_per_class is 0")
    most = min(int(most), count)
    numbers = (most, _number(site, 3, 0.0), _number(site, 4, LEAST_SCORE))
    names = ("most", "overlap", "score")
    constants = [
        site.parameter(np.array([n], np.float32), f"{node.name}_{name}")
        for n, name in zip(numbers, names, strict=True)
    ]
    constants[0] = integers(site, constants[0], "most")
    param = {"max_output_boxes": most}
    bottoms = [_corners(site), scores, *constants]
    return site.layer("NonMaxSuppression", bottoms, non_max_suppression_param=param)


def _number(site: Site, index: int, default: float) -> float:
    array = site.constant(index)
    if array is not None and array.size != 1:
        raise InputFileError(site.node.fault(f"input {index + 1} is no single number"))
    return default if array is None else float(array.ravel()[0])


def _corners(site: Site) -> Blob:
    """The boxes by their corners; centres and sizes become these."""
    boxes = site.tensor(0)
    if not site.node.integer("center_point_box", 0):
        return boxes
    settings = {"num_output": 4, "bias_term": False, "axis": 2}
    site = replace(site, in_float=True)
    return site.layer(
        "InnerProduct", boxes, TO_CORNERS, part="corners", inner_product_param=settings
    )

