"""Host layers that pick boxes out of a network's results."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, prod
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.c_struct import BOOL, FLOAT, INT, CStruct, Values
from dialects.host.base import Array, HostLayer, HostOp
from dialects.host.boxes import batch_rows, check_overlap, overlap
from dialects.ufw.shapes import Shape, require, show

CORNER, CENTER_SIZE, CORNER_SIZE = 1, 2, 3
"""``code_type``: how locations are relative to prior boxes."""
NEAR_SCORES = 1e-5
"""Scores of different classes that are nearer are equal to the RefineDet layer."""
EQUAL_SCORES = np.float32(1.19209e-07)
"""Scores that are nearer than this are in the order of their boxes."""


@irdl_op_definition
class DetectionOutputOp(HostOp):
    """Decodes the locations of SSD, and picks for each class the boxes that do not overlap.

    loc [N, P*4], conf [N, P*C] (probabilities, box by box), prior [1, 2, P*4] (corners, then four
    variances a box). The result is [1, 1, rows, 7]: image, class, score, left, top, right, bottom.
    For each class but ``background_label_id``: boxes with a score above ``confidence_threshold``,
    the best ``top_k`` of them (-1: all), those that overlap no better one by more than
    ``nms_threshold`` (which shrinks by ``eta`` after each box while it is above 0.5); then the best
    ``keep_top_k`` of the image (-1: all). A batch without any has rows of -1.
    """

    name = "host.detection_output"
    LAYER: ClassVar = HostLayer(
        number=0,
        struct=CStruct(
            num_classes=INT, share_location=BOOL, background_label_id=INT, nms_threshold=FLOAT,
            top_k=INT, code_type=INT, keep_top_k=INT, confidence_threshold=FLOAT, num_priors=INT,
            num_loc_classes=INT, variance_encoded_in_target=BOOL, eta=FLOAT,
            objectness_score=FLOAT,
        ),
        inputs=("loc", "conf", "prior"),
        is_detection=True,
    )  # fmt: skip

    @classmethod
    def check(cls, p: Values) -> None:
        check_detection(p)

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        return [detection_rows(p, inputs)]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        loc, conf, prior = inputs
        batch = loc.shape[0]
        loc = loc.reshape(batch, -1, 4)
        conf = conf.reshape(batch, loc.shape[1], -1)
        corners, variances = prior.reshape(2, -1, 4)
        rows = [_image(p, decoded(p, loc[n], corners, variances), conf[n]) for n in range(batch)]
        return [batch_rows(rows)]


def check_detection(p: Values) -> None:
    """Raises for parameters with which both SSD layers are wrong."""
    require(
        p["share_location"] and p["num_loc_classes"] == 1,
        "share_location is false: the host library of the runtime finds the locations of all"
        " classes alone; train with shared locations",
    )
    require(p["background_label_id"] >= 0, "background_label_id is negative: the host library"
            " then decodes garbage; a class that no box has (num_classes) stands for none")
    require(p["code_type"] in (1, 2, 3), f"there is no code_type {p['code_type']}")
    require(0 < p["eta"] <= 1, f"eta is {p['eta']}, it must be above 0 and at most 1")
    require(p["num_classes"] >= 1, "num_classes must be positive")
    require(p["keep_top_k"] > 0 or p["keep_top_k"] == -1,
            f"keep_top_k is {p['keep_top_k']}, it must be positive, or -1 for all")
    require(p["top_k"] >= -1, f"top_k is {p['top_k']}, it must not be below -1, which is all")
    check_overlap(p["nms_threshold"])
    require(not isnan(p["confidence_threshold"]), "confidence_threshold is no number")


def detection_rows(p: Values, inputs: Sequence[Shape]) -> Shape:
    """The largest result of loc, conf and, where the boxes are not decoded yet, prior."""
    loc, conf, *others = inputs
    batch, classes = loc[0], p["num_classes"]
    priors = prod(loc[1:]) // 4
    for prior in others:
        require(prior == (1, 2, priors * 4),
                f"prior is {show(prior)}, the locations require {show((1, 2, priors * 4))}")
    require(prod(loc[1:]) == priors * 4 and conf[0] == batch
            and prod(conf[1:]) == priors * classes,
            f"conf is {show(conf)}, {priors} prior boxes of {classes} classes are required")
    each = priors if p["top_k"] < 0 else min(p["top_k"], priors)
    shown = classes - (0 <= p["background_label_id"] < classes)
    most = each * shown
    if p["keep_top_k"] > 0:
        most = min(most, p["keep_top_k"])
    return (1, 1, max(1, batch * max(most, 1)), 7)


def decoded(p: Values, loc: Array, corners: Array, variances: Array) -> Array:
    """The boxes [P, 4] that locations say, as corners."""
    if p["variance_encoded_in_target"]:
        variances = np.ones_like(variances)
    size = corners[:, 2:] - corners[:, :2]
    moved = variances * loc
    if p["code_type"] == CORNER:
        return corners + moved
    if p["code_type"] == CORNER_SIZE:
        return corners + moved * np.concatenate([size, size], axis=1)
    centre = (corners[:, :2] + corners[:, 2:]) * np.float32(0.5)
    middle = moved[:, :2] * size + centre
    half = np.exp(moved[:, 2:]) * size * np.float32(0.5)
    return np.concatenate([middle - half, middle + half], axis=1)


def descending(scores: Array) -> Array:
    """The order of the scores, largest first; nearly equal ones stay as they are."""
    order = np.argsort(-scores.astype(np.float32), kind="stable")
    steps = scores[order][:-1] - scores[order][1:] > EQUAL_SCORES
    run = np.concatenate([[0], np.cumsum(steps)])[: len(order)]
    return order[np.lexsort((order, run))]


def _image(p: Values, boxes: Array, conf: Array, inserted: bool = False) -> list[list[float]]:
    """The rows of an image with boxes [P, 4] and scores [P, C]; ``inserted``: the best of all
    classes are found by insertion."""
    found: list[tuple[int, int]] = []
    for label in range(conf.shape[1]):
        if label != p["background_label_id"]:
            kept = _of_class(p, boxes, conf[:, label])
            found += [(label, box) for box in kept]
    if -1 < p["keep_top_k"] < len(found):
        scores = np.array([conf[box, label] for label, box in found])
        best = (inserted_order(scores) if inserted else descending(scores))[: p["keep_top_k"]]
        # the rows of a class are in that order
        found = sorted([found[int(i)] for i in best], key=lambda row: row[0])
    return [[label, conf[box, label], *boxes[box]] for label, box in found]


def inserted_order(scores: Array) -> Array:
    """The order of an insertion that moves a score before those that are smaller by more than
    1e-5, until one is not."""
    placed, order = np.empty_like(scores), np.empty(len(scores), int)
    for i, score in enumerate(scores):
        stays = np.flatnonzero(~(score - placed[:i] > NEAR_SCORES))
        at = int(stays[-1]) + 1 if len(stays) else 0
        placed[at + 1 : i + 1], order[at + 1 : i + 1] = placed[at:i].copy(), order[at:i].copy()
        placed[at], order[at] = score, i
    return order


def _of_class(p: Values, boxes: Array, scores: Array) -> list[int]:
    """The boxes of one class that are kept, best first."""
    candidates = np.flatnonzero(scores > np.float32(p["confidence_threshold"]))
    candidates = candidates[descending(scores[candidates])]
    if p["top_k"] > -1:
        candidates = candidates[: p["top_k"]]
    limit, kept = np.float32(p["nms_threshold"]), list[int]()
    chosen = np.empty((0, 4), np.float32)
    for box in candidates.tolist():
        if len(kept) and (overlap(boxes[box], chosen) > limit).any():
            continue
        kept.append(box)
        chosen = np.concatenate([chosen, boxes[box][None]])
        if p["eta"] < 1 and limit > 0.5:
            limit *= np.float32(p["eta"])
    return kept


@irdl_op_definition
class RefineDetDetectionOutputOp(HostOp):
    """The boxes of SSD or RefineDet that do not overlap (DetectionOutput of Anakin).

    For a batch of 1. With three inputs as host.detection_output, but that of an image with more
    than ``keep_top_k`` rows those are left whose scores an insertion puts first, which takes
    scores of a distance up to 1e-5 as equal. With two inputs the boxes are decoded: loc [1, P*4]
    are corners, and conf [1, C, P] has its classes apart. With five it is RefineDet: arm_conf
    [1, P*2] and arm_loc [1, P*4] are of the first stage. Its locations move the prior boxes
    before; where its second score is below ``objectness_score`` a box is background. The result
    is [1, 1, rows, 7]: image, class, score, left, top, right, bottom; without any box it is a row
    of -1.
    """

    name = "host.refinedet_detection_output"
    LAYER: ClassVar = HostLayer(
        number=1,
        struct=DetectionOutputOp.LAYER.struct,
        inputs=("loc", "conf", "prior", "arm_conf", "arm_loc"),
        optional=3,
        is_detection=True,
    )

    @classmethod
    def check(cls, p: Values) -> None:
        check_detection(p)

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        require(len(inputs) != 4, "4 inputs: arm_loc is missing")
        loc, conf = inputs[:2]
        require(loc[0] == 1, f"a batch of {loc[0]}: the host library of the runtime writes the"
                " boxes of other images for all but the first; use host.detection_output, or a"
                " batch of 1")
        found = detection_rows(p, inputs[:3])
        if len(inputs) == 2:
            require(conf == (loc[0], p["num_classes"], prod(loc[1:]) // 4),
                    f"conf is {show(conf)}, it must be 1xCxP for decoded boxes")
        if len(inputs) == 5:
            arm_conf, arm_loc = inputs[3:]
            priors = prod(loc[1:]) // 4
            require(arm_conf[0] == 1 and prod(arm_conf) == priors * 2 and arm_loc[0] == 1
                    and prod(arm_loc) == priors * 4,
                    f"arm_conf is {show(arm_conf)} and arm_loc {show(arm_loc)}, {priors} prior"
                    f" boxes require 1x{priors * 2} and 1x{priors * 4}")
            require(p["background_label_id"] == 0,
                    "background_label_id is not 0, the class that the host library gives to boxes"
                    " without an object")
        return [found]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        loc, conf, *others = inputs
        batch = len(loc)
        loc = loc.reshape(batch, -1, 4)
        if not others:
            conf = conf.reshape(batch, -1, loc.shape[1]).swapaxes(1, 2)
            return [batch_rows([_image(p, loc[n], conf[n], True) for n in range(batch)])]
        conf = conf.reshape(batch, loc.shape[1], -1)
        corners, variances = others[0].reshape(2, -1, 4)
        if len(others) == 3:
            nothing = others[1].reshape(-1, 2)[:, 1] < np.float32(p["objectness_score"])
            background = np.arange(conf.shape[2]) == 0
            conf = np.where(nothing[:, None], background, conf).astype(np.float32)
            corners = decoded(p, others[2].reshape(-1, 4), corners, variances)
        boxes = [decoded(p, each, corners, variances) for each in loc]
        return [batch_rows([_image(p, boxes[n], conf[n], True) for n in range(batch)])]
