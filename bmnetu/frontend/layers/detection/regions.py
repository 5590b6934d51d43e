"""Imports the layers of two-stage detection: regions of interest and their parts of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bmnetu.frontend.layers.detection.ssd import EVERY_SCORE
from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from dialects.host.ops import (
    ProposalOp,
    RoiAlignMxnetOp,
    RoiAlignOp,
    RoiPoolingOp,
    TopKOp,
)
from dialects.host.proposal import MOST_ANCHOR_SETTINGS
from dialects.ufw import ops
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import require, show

RATIOS, SCALES = (0.5, 1.0, 2.0), (8.0, 16.0, 32.0)
"""The anchors of Faster R-CNN, where none are given."""
SAMPLES = 4
"""Samples on each side of a bin of a position-sensitive pooling."""


def proposal(site: LayerSite) -> ops.LayerOp:
    """The RPN's regions, with the message of minicaffe and of Intel's descendant."""
    param = site.param.proposal_param
    anchors = Anchors(param.base_size, list(param.ratio) or RATIOS, list(param.scale) or SCALES)
    values = {
        "feat_stride": _whole("feat_stride", param.feat_stride),
        "min_size": _whole("min_size", param.min_size),
        "pre_nms_topN": max(param.pre_nms_topn, 0),
        "post_nms_topN": param.post_nms_topn,
        "nms_thresh": param.nms_thresh,
        "score_thresh": EVERY_SCORE,
        **anchors.values(),
    }
    return ProposalOp(site.bottoms, site.tops, values)


def rpn(site: LayerSite) -> ops.LayerOp:
    """The same of a descendant of Caffe, where nothing has a default."""
    param = site.param.rpn_param
    for name in ("feat_stride", "basesize", "nms_thresh", "scale", "ratio"):
        require(bool(getattr(param, name)), f"rpn_param has no {name}, which has no default")
    values = {
        "feat_stride": param.feat_stride,
        "min_size": param.boxminsize,
        "pre_nms_topN": param.per_nms_topn,
        "post_nms_topN": param.post_nms_topn,
        "nms_thresh": param.nms_thresh,
        "score_thresh": EVERY_SCORE,
        **Anchors(param.basesize, list(param.ratio), list(param.scale)).values(),
    }
    return ProposalOp(site.bottoms, site.tops, values)


@dataclass(frozen=True)
class Anchors:
    """The boxes of a cell: the square of ``base_size`` pixels, in all ratios and scales."""

    base_size: float
    ratios: Sequence[float]
    scales: Sequence[float]

    def values(self) -> dict[str, int | list[float]]:
        """As parameters of the host layer. Raises :class:`UnsupportedSetting` where it has no room
        for them."""
        for name, numbers in (("ratio", self.ratios), ("scale", self.scales)):
            if len(numbers) > MOST_ANCHOR_SETTINGS:
                raise UnsupportedSetting(
                    f"{len(numbers)} {name}, where the host library of the runtime takes"
                    f" {MOST_ANCHOR_SETTINGS} at most,"
                )
        return {
            "base_size": _whole("base_size", self.base_size),
            "scales_num": len(self.scales),
            "ratios_num": len(self.ratios),
            "scales": _filled([_whole("scale", x) for x in self.scales]),
            "ratios": _filled(self.ratios),
        }


def _whole(name: str, value: float) -> int:
    if value != int(value):
        raise UnsupportedSetting(
            f"{name}: {value:g}, where the host library of the runtime takes whole numbers,"
        )
    return int(value)


def _filled(values: Sequence[float]) -> list[float]:
    return [*values, *[0] * (MOST_ANCHOR_SETTINGS - len(values))]


def roi_pooling(site: LayerSite) -> ops.LayerOp:
    param, rois = site.param.roi_pooling_param, shape_of(site.bottoms[1])
    require(
        len(rois) == 4,
        f"its regions are {show(rois)}, Rx5x1x1 is required: where they are an input, give it"
        " dim: R dim: 5 dim: 1 dim: 1; else put a Reshape to dim: -1 dim: 5 dim: 1 dim: 1 before",
    )
    values = {
        "pooled_h": param.pooled_h, "pooled_w": param.pooled_w,
        "spatial_scale": param.spatial_scale,
    }  # fmt: skip
    return RoiPoolingOp(site.bottoms, site.tops, values)


def roi_align(site: LayerSite) -> ops.LayerOp:
    """As torchvision's; a ``sampling_ratio`` of 0 or less takes as many samples as a bin has
    cells."""
    param = site.param.roi_align_param
    values = {
        "pooled_h": param.pooled_h, "pooled_w": param.pooled_w,
        "spatial_scale": param.spatial_scale, "sampling_ratio": param.sampling_ratio,
        "aligned": param.aligned,
    }  # fmt: skip
    return RoiAlignOp(site.bottoms, site.tops, values)


def psroi_pooling(site: LayerSite) -> ops.LayerOp:
    """R-FCN's: the mean of bilinear samples in a bin, where Caffe takes that of whole cells."""
    param = site.param.psroi_pooling_param
    channels = param.output_dim * param.group_size**2
    require(
        site.channels == channels,
        f"its map has {site.channels} channels, output_dim and group_size require {channels}",
    )
    values = {
        "pooled_h": param.group_size, "pooled_w": param.group_size,
        "spatial_scale": param.spatial_scale, "sampling_ratio": SAMPLES, "position_sensitive": 1,
    }  # fmt: skip
    return RoiAlignMxnetOp(site.bottoms, site.tops, values)


def top_k(site: LayerSite) -> ops.LayerOp:
    """The k largest along an axis, and where they are; the tops are values and indices, or values
    alone."""
    param = site.param.topk_param
    values = {
        "k": param.k, "axis": site.axis(param.axis), "sorted": True, "descending": True,
        "values_used_only": len(site.tops) == 1,
    }  # fmt: skip
    return TopKOp(site.bottoms, site.tops, values)
