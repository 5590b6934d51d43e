"""Layers of the host that pick numbers by what a net computes: indices are int32 there."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob, Made, Site
from bmnetu.frontend.onnx.node import Refusal
from bmnetu.frontend.onnx.operators import indexing
from bmnetu.frontend.onnx.operators.functions import power_layer
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
    steps = f"a = lt(x, 0.0); b = mul(a, {size}.0); c = add(x, b); d = max(c, 0.0);" \
        f" min(d, {size - 1}.0)"  # fmt: skip
    inside = site.layer(
        "ComposedFunction", site.blob(index), part="inside",
        composed_function_param={"function": steps},
    )  # fmt: skip
    return integers(site, inside, "indices")


# -- the largest -----------------------------------------------------------------------------------


def top_k(site: Site) -> Made:
    """Values and indices; of the smallest by the largest of what is negated."""
    node, x = site.node, site.blob(0)
    axis = site.axis(node.integer("axis", -1), len(x.shape))
    counts = (node.integer("k", 0),) if node.opset < 10 else site.integers("k", 1) or ()
    if len(counts) != 1 or not 0 < counts[0] <= x.shape[axis]:
        raise Refusal(f"k is {list(counts)} of {x.shape[axis]} numbers")
    k, largest = counts[0], node.integer("largest", 1)
    wanted = [bool(site.used([name])) for name in node.outputs]
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
    """Along an axis: slices where the places are known, else on the host, which has the axis in
    front."""
    if not isinstance(site.given(1), Blob):
        return indexing.gather(site)
    data = site.tensor(0)
    rank = len(data.shape)
    axis = site.axis(site.node.integer("axis", 0), rank)
    places = indices(site, 1, data.shape[axis])
    count = len(places.shape)
    if prod(data.shape[:axis]) == 1:
        return site.layer("Gather", [data, places], gather_param={"axis": axis})
    order = [axis, *range(axis), *range(axis + 1, rank)]
    turned = site.layer("Permute", data, part="axis_first", permute_param={"order": order})
    found = site.layer("Gather", [turned, places], part="slices", gather_param={"axis": 0})
    order = [*range(count, count + axis), *range(count), *range(count + axis, count + rank - 1)]
    return site.layer("Permute", found, permute_param={"order": order})


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

