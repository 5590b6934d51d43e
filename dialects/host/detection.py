"""Host layers that pick boxes out of a network's results."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.host.base import Array, HostLayer, HostOp
from dialects.host.boxes import batch_rows, overlap
from dialects.host.parameters import BOOL, FLOAT, INT, CStruct, Values
from dialects.ufw.shapes import Shape, require, show

CORNER, CENTER_SIZE, CORNER_SIZE = 1, 2, 3
"""``code_type``: how locations are relative to prior boxes."""
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

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        loc, conf, prior = inputs
        batch, classes = loc[0], p["num_classes"]
        priors = prod(loc[1:]) // 4
        require(prior == (1, 2, priors * 4),
                f"prior is {show(prior)}, the locations require {show((1, 2, priors * 4))}")
        require(prod(loc[1:]) == priors * 4 and conf[0] == batch
                and prod(conf[1:]) == priors * classes,
                f"conf is {show(conf)}, {priors} prior boxes of {classes} classes are required")
        most = p["keep_top_k"]
        if most < 0:
            each = priors if p["top_k"] < 0 else min(p["top_k"], priors)
            shown = classes - (0 <= p["background_label_id"] < classes)
            most = each * shown
        return [(1, 1, max(1, batch * max(most, 1)), 7)]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        loc, conf, prior = inputs
        batch = loc.shape[0]
        loc = loc.reshape(batch, -1, 4)
        conf = conf.reshape(batch, loc.shape[1], -1)
        corners, variances = prior.reshape(2, -1, 4)
        rows = [_image(p, decoded(p, loc[n], corners, variances), conf[n]) for n in range(batch)]
        return [batch_rows(rows)]


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
    return np.argsort(-scores.astype(np.float32), kind="stable")


def _image(p: Values, boxes: Array, conf: Array) -> list[list[float]]:
    found: list[tuple[int, int]] = []
    for label in range(conf.shape[1]):
        if label != p["background_label_id"]:
            kept = _of_class(p, boxes, conf[:, label])
            found += [(label, box) for box in kept]
    if -1 < p["keep_top_k"] < len(found):
        scores = np.array([conf[box, label] for label, box in found])
        best = sorted(descending(scores)[: p["keep_top_k"]].tolist())
        found = [found[i] for i in best]
    return [[label, conf[box, label], *boxes[box]] for label, box in found]


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
