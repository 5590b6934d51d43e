"""Imports the layers of YOLO."""

from __future__ import annotations

from collections.abc import Iterable

from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.prototxt.rewrite.region import HEADS
from dialects.host.ops import YoloActivationOp, YoloV3DetectionOutputOp
from dialects.host.yolo import MOST_ANCHORS, MOST_HEADS
from dialects.ufw import ops
from dialects.ufw.shapes import require


def region(site: LayerSite) -> ops.LayerOp:
    """Only a layer that was not replaced comes here: its settings are wrong."""
    HEADS[site.param.type](site.param)
    raise UnsupportedSetting("a layer that has not one bottom and one top")


def yolo(site: LayerSite) -> ops.LayerOp:
    """The activation of a head."""
    param = site.param.yolo_param
    values = {"classes": param.classes, "num": param.num}
    return YoloActivationOp(site.bottoms, site.tops, values)


def yolov3_detection_output(site: LayerSite) -> ops.LayerOp:
    """UFW's, with the message of MobileNet-YOLO: the mask has a group of anchors a head."""
    param = site.param.yolov3_detection_output_param
    heads, groups = len(site.bottoms), param.mask_group_num
    require(groups == heads, f"mask_group_num is {groups}, there are {heads} bottoms")
    require(len(param.anchors_scale) == heads,
            f"{len(param.anchors_scale)} anchors_scale for {heads} bottoms")
    require(len(param.mask) > 0 and len(param.mask) % groups == 0,
            f"{len(param.mask)} mask for {groups} groups of one size")
    size = len(param.mask) // groups
    require(param.num_box <= size, f"num_box is {param.num_box}, a group of mask has {size}")
    require(len(param.biases) % 2 == 0 and len(param.biases) > 0,
            f"{len(param.biases)} biases; a width and a height an anchor are required")
    anchors = len(param.biases) // 2
    if max(anchors, len(param.mask)) > MOST_ANCHORS:
        raise UnsupportedSetting(f"more than {MOST_ANCHORS} anchors or mask numbers, as many as the"
                                 " host library of the runtime has room for,")  # fmt: skip
    for number in param.mask:
        require(number < anchors, f"mask {number} names no anchor, biases has {anchors}")
    values = {
        "num_inputs": heads,
        "num_classes": param.num_classes,
        "num_boxes": param.num_box,
        "confidence_threshold": param.confidence_threshold,
        "nms_threshold": param.nms_threshold,
        "mask_group_size": size,
        "biases": _filled(param.biases, 2 * MOST_ANCHORS),
        "anchors_scale": _filled(param.anchors_scale, MOST_HEADS),
        "mask": _filled(param.mask, MOST_ANCHORS),
    }
    return YoloV3DetectionOutputOp(site.bottoms, site.tops, values)


def _filled(values: Iterable[float], count: int) -> list[float]:
    """The numbers, and zeros up to a count."""
    found = [float(x) for x in values]
    return found + [0.0] * (count - len(found))


def yolo_detection_output(site: LayerSite) -> ops.LayerOp:
    """Only one that was not replaced by its layers comes here."""
    param = site.param.yolo_detection_output_param
    require(len(param.biases) == 2 * param.num_box,
            f"{len(param.biases)} biases for num_box {param.num_box}; a width and a height each are"
            " required")
    require(all(x > 0 for x in param.biases), "biases must be positive")
    require(param.num_classes > 0 and param.num_box > 0,
            "num_classes and num_box must be positive")
    raise UnsupportedSetting(f"coords: {param.coords}")
