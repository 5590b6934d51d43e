"""The host layer that proposes regions of interest."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.c_struct import FLOAT, INT, CStruct, Values, floats, ints
from dialects.host.arrays import rounded
from dialects.host.base import Array, HostLayer, HostOp
from dialects.host.boxes import overlap
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import Shape, require, show

MOST_ROIS = 200
"""No more regions come out of the RPN layer, whatever ``post_nms_topN`` says."""
MOST_ANCHOR_SETTINGS = 5
"""``scales`` and ``ratios`` of the struct hold so many."""


@irdl_op_definition
class ProposalOp(HostOp):
    """The regions that a region proposal network (RPN) suggests, best first.

    score [1, 2A, H, W] (channels A.. are the foreground), deltas [1, 4A, H, W] (dx, dy, dw, dh of
    each anchor), im_info [1, 3] (height, width, scale); A = ``scales_num`` * ``ratios_num``. The
    results are rois [R, 5, 1, 1], rows of 0, left, top, right, bottom in pixels of the image, and
    scores [R, 1, 1, 1]; R is at most ``post_nms_topN`` (0: no limit) and at most 200.
    An anchor is a box of ``base_size`` with its width w = round(sqrt(base_size^2 / ratio)), height
    round(w * ratio), both times a scale, ratios outside; its corners are cut to integers. The box
    has the centre (dx*w + cx, dy*h + cy) and the size (exp(dw)*w, exp(dh)*h) with w = right - left
    + 1 and cx = left + w/2, moved by ``feat_stride`` for each cell. Boxes with a side smaller than
    ``min_size`` * scale or a score below ``score_thresh`` fall away; the others are clipped to
    [0, width] and [0, height]. The best ``pre_nms_topN`` (0: all) stay; of two that overlap by
    ``nms_thresh`` or more (sides + 1) the better one. Without any box there are 0 rows.
    """

    name = "host.proposal"
    LAYER: ClassVar = HostLayer(
        number=2, varies=True,
        struct=CStruct(
            feat_stride=INT, min_size=INT, pre_nms_topN=INT, post_nms_topN=INT, nms_thresh=FLOAT,
            score_thresh=FLOAT, base_size=INT, scales_num=INT, ratios_num=INT,
            scales=ints(MOST_ANCHOR_SETTINGS), ratios=floats(MOST_ANCHOR_SETTINGS),
        ),
        inputs=("score", "deltas", "im_info"),
        outputs=("rois", "scores"),
        optional_outputs=1,
    )  # fmt: skip

    @classmethod
    def check(cls, p: Values) -> None:
        for name in ("scales", "ratios"):
            count = p[f"{name}_num"]
            require(1 <= count <= MOST_ANCHOR_SETTINGS,
                    f"{count} {name}, the host library takes 1 to {MOST_ANCHOR_SETTINGS}")
            require(all(x > 0 for x in p[name][:count]), f"{name} must be positive")
        require(p["feat_stride"] > 0, f"feat_stride is {p['feat_stride']}, it must be positive")
        require(p["post_nms_topN"] >= 0,
                f"post_nms_topn is {p['post_nms_topN']}, it must not be negative")
        require(p["base_size"] > 0, f"base_size is {p['base_size']}, it must be positive")

    @property
    def note(self) -> str | None:
        asked = self.values["post_nms_topN"]
        if 0 < asked <= MOST_ROIS or shape_of(self.results[0])[0] < MOST_ROIS:
            return None
        more = f"{asked} asks for more" if asked else "0 asks for all"
        return f"the host library finds {MOST_ROIS} regions at most, post_nms_topn: {more}"

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        score, deltas, info = inputs
        count = p["scales_num"] * p["ratios_num"]
        require(len(score) == 4 and len(deltas) == 4 and score[0] == 1 and deltas[0] == 1,
                f"score is {show(score)} and deltas {show(deltas)}: the host library proposes for"
                " one image, a batch of 1 in four dimensions is required")
        require(score[1] == 2 * count and deltas == (1, 4 * count, *score[2:]),
                f"score is {show(score)} and deltas {show(deltas)}, {count} anchors require"
                f" {2 * count} and {4 * count} channels of the same size")
        require(info == (1, 3), f"im_info is {show(info)}, 1x3 is required")
        rows = min(most_rois(p), count * prod(score[2:]))
        return [(rows, 5, 1, 1), (rows, 1, 1, 1)]

    def made_up(self, index: int, rng: np.random.Generator) -> Array | None:
        if index != 2:
            return None
        height, width = shape_of(self.operands[0])[2:]
        stride = self.values["feat_stride"]
        found = np.zeros(shape_of(self.operands[2]), np.float32)
        found.reshape(-1)[:3] = height * stride, width * stride, 1
        return found

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        score, deltas, info = inputs
        boxes, scores = candidates(p, score[0], deltas[0], info.reshape(-1))
        order = np.argsort(-scores, kind="stable")
        if p["pre_nms_topN"] > 0:
            order = order[: p["pre_nms_topN"]]
        boxes, scores = boxes[order], scores[order]
        kept = list[int]()
        left = np.ones(len(boxes), bool)
        for i in range(len(boxes)):
            if left[i] and len(kept) < most_rois(p):
                kept.append(i)
                left[i:] &= overlap(boxes[i], boxes[i:], 1) < np.float32(p["nms_thresh"])
        rois = np.zeros((len(kept), 5, 1, 1), np.float32)
        rois[:, 1:, 0, 0] = boxes[kept]
        return [rois, scores[kept].reshape(-1, 1, 1, 1)][:results]


def most_rois(p: Values) -> int:
    """How many regions the RPN layer returns at most."""
    return min(p["post_nms_topN"], MOST_ROIS) if p["post_nms_topN"] > 0 else MOST_ROIS


def anchors(p: Values) -> Array:
    """The anchors [A, 4] of the cell at 0: left, top, right, bottom, whole pixels."""
    one, half, base = np.float32(1), np.float32(0.5), np.float32(p["base_size"])
    found: list[list[Array]] = []
    for ratio in p["ratios"][: p["ratios_num"]]:
        width = rounded(np.sqrt(np.float64(base * base / np.float32(ratio))))
        height = rounded(width * np.float32(ratio))
        centre = (base - one) / np.float32(2)
        low = [centre - half * (side - one) for side in (width, height)]
        high = [centre + half * (side - one) for side in (width, height)]
        for scale in p["scales"][: p["scales_num"]]:
            size = [(b - a + one) * np.float32(scale) for a, b in zip(low, high, strict=True)]
            middle = [(a + b) / np.float32(2) for a, b in zip(low, high, strict=True)]
            found.append([m - half * (s - one) for m, s in zip(middle, size, strict=True)]
                         + [m + half * (s - one) for m, s in zip(middle, size, strict=True)])
    return np.trunc(np.array(found, np.float32))


def candidates(p: Values, score: Array, deltas: Array, info: Array) -> tuple[Array, Array]:
    """The clipped boxes [n, 4] of one image, and their scores, anchor by anchor."""
    base = anchors(p)
    count, (height, width) = len(base), score.shape[1:]
    stride = np.float32(p["feat_stride"])
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    shift = np.stack(np.broadcast_arrays(x * stride, (y * stride)[:, None]))
    low = base[:, :2, None, None] + shift
    size = base[:, 2:, None, None] + shift - low + np.float32(1)
    centre = low + np.float32(0.5) * size
    moved = deltas.reshape(count, 4, height, width)
    middle = size * moved[:, :2] + centre
    side = size * np.exp(moved[:, 2:], dtype=np.float64).astype(np.float32)
    half = np.float32(0.5) * side
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    boxes = np.moveaxis(boxes, 1, -1).reshape(-1, 4)
    scores = score[count:].reshape(-1)
    smallest = np.float32(p["min_size"]) * info[2]
    falls = (np.min(side, axis=1).reshape(-1) < smallest) | (scores < np.float32(p["score_thresh"]))
    image = np.array([info[1], info[0], info[1], info[0]], np.float32)
    clipped = np.minimum(np.maximum(boxes, np.float32(0)), image)
    return clipped[~falls], scores[~falls]
