"""Host layers of YOLO: the activation of its heads, and the boxes that they say."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.c_struct import FLOAT, INT, CStruct, Values, floats
from dialects.host.base import Array, HostLayer, HostOp
from dialects.host.boxes import batch_rows, check_overlap
from dialects.ufw.shapes import Shape, require, show

MOST_HEADS, MOST_ANCHORS = 3, 9
"""What the struct of the YOLOv3 layer holds."""
KEPT = 200
"""Boxes of an image at most."""


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), rounded to float32 once."""
    return (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32)


@irdl_op_definition
class YoloActivationOp(HostOp):
    """The activation of a YOLO head: sigmoid for the centre, the objectness and the classes.

    x [N, num*(5+classes), H, W], for each of ``num`` boxes x, y, w, h, objectness and ``classes``
    scores; the result has the same shape. w and h stay as they are.
    """

    name = "host.yolo_activation"
    LAYER: ClassVar = HostLayer(
        number=7, struct=CStruct(classes=INT, num=INT), inputs=("input",)
    )

    @classmethod
    def check(cls, p: Values) -> None:
        require(p["classes"] >= 0 and p["num"] > 0,
                f"{p['num']} boxes of {p['classes']} classes; num must be positive")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        channels = p["num"] * (5 + p["classes"])
        require(len(inputs[0]) == 4 and inputs[0][1] == channels,
                f"the input is {show(inputs[0])}, four dimensions with {channels} channels are"
                " required")
        return [inputs[0]]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        (x,) = inputs
        boxes = x.reshape(len(x), p["num"], 5 + p["classes"], *x.shape[2:])
        found = sigmoid(boxes)
        found[:, :, 2:4] = boxes[:, :, 2:4]
        return [found.reshape(x.shape)]


@irdl_op_definition
class YoloV3DetectionOutputOp(HostOp):
    """The boxes of YOLOv3 that do not overlap, from its raw heads.

    One to three heads [N, num_boxes*(5+num_classes), H, W] without activation, for each box x, y,
    w, h, objectness and the scores of the classes. The result is [1, 1, rows, 7]: image, class,
    score, centre x, centre y, width, height, all relative to the image.
    Box n of head t has the anchor k = ``mask[n + t*mask_group_size]``, ``biases[2k]`` pixels wide
    and ``biases[2k+1]`` high; the image is ``anchors_scale[t]`` times as large as the head. Its
    class is the first with the largest score, its score sigmoid(objectness) * sigmoid(of the
    class), which must be above ``confidence_threshold``. x = (column + sigmoid(x)) / W, w =
    exp(w) * bias / (W * scale), alike for y and h. Of boxes of any class that overlap by
    ``nms_threshold`` or more the best stays; of an image the best 200. A batch without any has
    rows of -1.
    """

    name = "host.yolov3_detection_output"
    LAYER: ClassVar = HostLayer(
        number=13,
        struct=CStruct(
            num_inputs=INT, num_classes=INT, num_boxes=INT, confidence_threshold=FLOAT,
            nms_threshold=FLOAT, mask_group_size=INT, biases=floats(2 * MOST_ANCHORS),
            anchors_scale=floats(MOST_HEADS), mask=floats(MOST_ANCHORS),
        ),
        inputs=("head0", "head1", "head2"),
        optional=2,
        is_detection=True,
        centred=True,
    )  # fmt: skip

    @classmethod
    def check(cls, p: Values) -> None:
        require(1 <= p["num_inputs"] <= MOST_HEADS,
                f"num_inputs is {p['num_inputs']}, the host library takes 1 to {MOST_HEADS} heads")
        require(p["num_classes"] > 0 and p["num_boxes"] > 0,
                f"{p['num_boxes']} boxes of {p['num_classes']} classes, both must be positive")
        check_overlap(p["nms_threshold"])
        require(p["mask_group_size"] >= 0, "mask_group_size must not be negative")
        last = (p["num_inputs"] - 1) * p["mask_group_size"] + p["num_boxes"]
        require(last <= MOST_ANCHORS,
                f"the heads read {last} numbers of mask, the host library has {MOST_ANCHORS}")
        for t in range(p["num_inputs"]):
            for k in p["mask"][t * p["mask_group_size"]:][: p["num_boxes"]]:
                require(0 <= k < MOST_ANCHORS, f"mask names anchor {k:g}, there are 0 to 8")
                width, height = p["biases"][2 * int(k) :][:2]
                require(width > 0 and height > 0,
                        f"biases of anchor {k:g} are {width:g} and {height:g}, both must be"
                        " positive")
            require(p["anchors_scale"][t] > 0, "anchors_scale must be positive")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        require(len(inputs) == p["num_inputs"],
                f"{len(inputs)} heads, num_inputs is {p['num_inputs']}")
        channels = p["num_boxes"] * (5 + p["num_classes"])
        for head in inputs:
            require(len(head) == 4 and head[:2] == (inputs[0][0], channels),
                    f"a head is {show(head)}, {inputs[0][0]}x{channels}xHxW is required")
        each = sum(p["num_boxes"] * prod(head[2:]) for head in inputs)
        return [(1, 1, inputs[0][0] * min(each, KEPT), 7)]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        rows = [_image(p, [head[n] for head in inputs]) for n in range(len(inputs[0]))]
        return [batch_rows(rows)]


def _image(p: Values, heads: Sequence[Array]) -> list[list[float]]:
    found = np.concatenate([_candidates(p, t, head) for t, head in enumerate(heads)])
    found = found[np.argsort(-found[:, 1], kind="stable")]
    left, kept = np.ones(len(found), bool), list[int]()
    for i in range(len(found)):
        if left[i] and len(kept) < KEPT:
            kept.append(i)
            left[i:] &= ~(centre_overlap(found[i, 2:], found[i:, 2:])
                          >= np.float32(p["nms_threshold"]))
    return found[kept].tolist()


def _candidates(p: Values, t: int, head: Array) -> Array:
    """Class, score and box of the cells [n, 6] of a head that have a good score."""
    height, width = head.shape[1:]
    head = head.reshape(p["num_boxes"], 5 + p["num_classes"], height, width)
    threshold = np.float32(p["confidence_threshold"])
    scores, label = head[:, 5:].max(axis=1), head[:, 5:].argmax(axis=1)
    score = sigmoid(head[:, 4]) * sigmoid(scores)
    least = -np.log(np.float32(1) / threshold - np.float32(1))
    n, y, x = np.nonzero((score > threshold) & ~(head[:, 4] <= least))
    mask = np.array(p["mask"], np.float32)[n + t * p["mask_group_size"]].astype(int)
    bias = np.array(p["biases"], np.float32).reshape(-1, 2)[mask]
    scale = np.float32(p["anchors_scale"][t])
    image = [int(np.float32(side) * scale) for side in (width, height)]
    cells = head[n, :4, y, x]
    centre = (np.stack([x, y], axis=1) + sigmoid(cells[:, :2])).astype(np.float32)
    middle = centre / np.array([width, height], np.float32)
    size = np.exp(cells[:, 2:].astype(np.float64)) * bias / image
    columns = [label[n, y, x][:, None], score[n, y, x][:, None], middle, size]
    return np.concatenate([np.asarray(c, np.float32) for c in columns], axis=1)


def centre_overlap(box: Array, others: Array) -> Array:
    """The intersection over the union of a box [4] with each of others [n, 4]; centre and size."""
    half = np.float32(0.5)
    low = np.maximum(box[:2] - box[2:] * half, others[:, :2] - others[:, 2:] * half)
    high = np.minimum(box[:2] + box[2:] * half, others[:, :2] + others[:, 2:] * half)
    size = np.maximum(high - low, 0)
    common = size[:, 0] * size[:, 1]
    return common / (box[2] * box[3] + others[:, 2] * others[:, 3] - common)
