"""Imports the layers of SSD: prior boxes and the choice of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

import numpy as np

from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.ufw_pb2 import DetectionOutputParameter, PriorBoxParameter
from dialects.host.ops import DetectionOutputOp, RefineDetDetectionOutputOp
from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import require, show

SAME_RATIO = 1e-6
"""Aspect ratios that are nearer than this are one."""
CELL_VARIANCE = 0.1
"""Caffe's variance where none is given."""
TF_LOWEST, TF_MARGIN = 60.0, 0.05
"""With ``tf``, the first box of this size is cut by this part of the image at each side: the lowest
layer of TensorFlow's detector has smaller boxes."""
EVERY_SCORE = float(np.finfo(np.float32).min)
"""The confidence_threshold that is below every score."""

Sizes = list[tuple[float, float]]
"""Width and height of each box of a cell, in pixels."""


# -- prior boxes -----------------------------------------------------------------------------------


def prior_box(site: LayerSite) -> ops.LayerOp:
    """Caffe's: for each min_size its square, with a max_size that of the geometric mean of both,
    and a box an aspect ratio (and its inverse, with flip). ``tf`` puts the square of the mean last.
    """
    param = site.param.prior_box_param
    for name in ("fixed_size", "fixed_ratio", "density", "keras", "faceboxes"):
        if getattr(param, name):
            raise UnsupportedSetting(
                f"{name}, whose boxes are those of another framework: write them as width and"
                " height of a PriorBoxClustered where they stand around the centres of the cells;"
                " else it"
            )
    if param.box_width or param.box_height or param.width or param.height:
        return prior_box_clustered(site)
    image = _image(site, param)
    return _prior_box(site, param, _sizes(param, _image_of(site, image)), image)


def prior_box_clustered(site: LayerSite) -> ops.LayerOp:
    """Intel's: the boxes of a cell are given."""
    param = site.param.prior_box_param
    widths, heights = list(param.width or param.box_width), list(param.height or param.box_height)
    require(
        len(widths) == len(heights) > 0,
        f"{len(widths)} width and {len(heights)} height; as many of both, and at least 1, are"
        " required",
    )
    sizes = list(zip(widths, heights, strict=True))
    return _prior_box(site, param, sizes, _image(site, param))


def _prior_box(
    site: LayerSite, param: PriorBoxParameter, sizes: Sizes, image: tuple[int, int] | None
) -> ops.LayerOp:
    variance = list(param.variance) or [CELL_VARIANCE]
    require(len(variance) in (1, 4), f"{len(variance)} variances; 1 or 4 are required")
    return ops.PriorBoxOp(
        site.bottoms,
        site.top,
        [width for width, _ in sizes],
        [height for _, height in sizes],
        variance * (1 if len(variance) == 4 else 4),
        offset=param.offset,
        step=_step(param),
        image=image,
        clip=param.clip,
        yx_order=param.yx_order,
        denser=param.denser_prior_boxes,
    )


def _sizes(param: PriorBoxParameter, image: tuple[int, int]) -> Sizes:
    least, most = list(param.min_size), list(param.max_size)
    require(bool(least) and min(least) > 0, "min_size is required, and must be positive")
    require(
        len(most) in (0, len(least)),
        f"{len(most)} max_size for {len(least)} min_size; as many or none are required",
    )
    ratios = _ratios(param)
    found: Sizes = []
    for i, size in enumerate(least):
        first = (size, size)
        if param.tf and size == TF_LOWEST:
            first = (size - 2 * TF_MARGIN * image[1], size - 2 * TF_MARGIN * image[0])
            require(min(first) > 0, "tf: the image is too large for its boxes of 60 pixels")
        means: Sizes = []
        if most:
            require(most[i] > size, f"max_size {most[i]:g} is not above min_size {size:g}")
            mean = sqrt(size * most[i])
            means = [(mean, mean)]
        others = [(size * sqrt(ratio), size / sqrt(ratio)) for ratio in ratios]
        found += [first, *others, *means] if param.tf else [first, *means, *others]
    return found


def _ratios(param: PriorBoxParameter) -> list[float]:
    """The aspect ratios but 1, each once; with flip its inverse behind it."""
    found = [1.0]
    for ratio in param.aspect_ratio:
        require(ratio > 0, f"aspect_ratio {ratio:g} is not positive")
        if all(abs(ratio - other) >= SAME_RATIO for other in found):
            found += [ratio, 1 / ratio] if param.flip else [ratio]
    return found[1:]


def _image(site: LayerSite, param: PriorBoxParameter) -> tuple[int, int] | None:
    """Height and width as given; None where the second bottom has them."""
    both = param.img_size and (param.img_h or param.img_w)
    require(not both, "has both img_size and img_h or img_w")
    size = (param.img_h or param.img_size, param.img_w or param.img_size)
    if all(size):
        return size
    require(not any(size), "img_h and img_w are required together")
    require(
        len(site.bottoms) == 2,
        "its second bottom is missing, which is the image; or give img_h and img_w",
    )
    return None


def _image_of(site: LayerSite, image: tuple[int, int] | None) -> tuple[int, int]:
    if image is not None:
        return image
    shape = shape_of(site.bottoms[1])
    require(len(shape) == 4, f"the image is {show(shape)}, four axes are required")
    return shape[2], shape[3]


def _step(param: PriorBoxParameter) -> Sequence[float] | None:
    """Height and width of a cell in pixels as given."""
    require(
        not (param.step and (param.step_h or param.step_w)), "has both step and step_h or step_w"
    )
    step = (param.step_h or param.step, param.step_w or param.step)
    require(all(step) or not any(step), "step_h and step_w are required together")
    return step if all(step) else None


# -- the choice of boxes ---------------------------------------------------------------------------


def detection_output(site: LayerSite) -> ops.LayerOp:
    """Caffe's: bottoms are locations, confidences and prior boxes; RefineDet's has the confidences
    and locations of its first stage, too."""
    param = site.param.detection_output_param
    require(
        len(site.bottoms) != 4,
        "has 4 bottoms: locations, confidences and prior boxes are required, and for RefineDet the"
        " confidences and locations of the first stage behind them",
    )
    _check(site, param)
    op = DetectionOutputOp if len(site.bottoms) == 3 else RefineDetDetectionOutputOp
    return op(site.bottoms, site.tops, values_of(param))


def values_of(param: DetectionOutputParameter) -> dict[str, int | float | bool]:
    """The message as the parameters of the host layer."""
    background = param.background_label_id
    return {
        "num_classes": param.num_classes,
        "share_location": param.share_location,
        "background_label_id": param.num_classes if background < 0 else background,
        "nms_threshold": param.nms_param.nms_threshold,
        "top_k": param.nms_param.top_k if param.nms_param.HasField("top_k") else -1,
        "code_type": int(param.code_type),
        "keep_top_k": param.keep_top_k,
        "confidence_threshold": param.confidence_threshold
        if param.HasField("confidence_threshold")
        else EVERY_SCORE,
        "num_priors": 0,
        "num_loc_classes": 1,
        "variance_encoded_in_target": param.variance_encoded_in_target,
        "eta": param.nms_param.eta,
        "objectness_score": param.objectness_score,
    }


def _check(site: LayerSite, param: DetectionOutputParameter) -> None:
    require(param.num_classes >= 1, "num_classes is required")
    none = param.nms_param.HasField("top_k") and param.nms_param.top_k == 0
    require(not none, "top_k is 0, so it finds nothing: leave it out for all boxes")
    if not param.share_location:
        raise UnsupportedSetting(
            "share_location: false, locations a class, which the host library of the runtime"
            " does not decode,"
        )
    if not param.normalized:
        raise UnsupportedSetting("normalized: false, prior boxes in pixels,")
    if param.clip:
        raise UnsupportedSetting(
            "clip: true (the host library does not cut boxes at the image's edge; leave it out)"
        )
    shapes = [shape_of(x) for x in site.bottoms]
    for shape, what in zip(shapes, ("locations", "confidences"), strict=False):
        require(len(shape) >= 2, f"its {what} are {show(shape)}, an axis of images is required")
    boxes = prod(shapes[0][1:]) // 4
    denser = (
        "; TextBoxes' PriorBox has each box twice, denser_prior_boxes: true in each prior_box_param"
        " says so"
    )
    hint = denser if shapes[2] == (1, 2, boxes * 2) else ""
    require(
        shapes[2] == (1, 2, boxes * 4),
        f"its prior boxes are {show(shapes[2])}, {show((1, 2, boxes * 4))} is required for"
        f" locations of {show(shapes[0])}: a Concat of the PriorBox layers along axis 2{hint}",
    )
