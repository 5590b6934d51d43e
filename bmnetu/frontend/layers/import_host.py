"""Imports layers of the host that pick and sample, and the cast of their indices."""

from __future__ import annotations

from bmnetu.frontend.layers.site import LayerSite
from bmnetu.frontend.ufw_pb2 import CastParameter
from dialects.host.deform import TORCHVISION
from dialects.host.ops import (
    DeformGatherOp,
    GatherElementsOp,
    GatherOp,
    GridSamplerOp,
    OnnxNonMaxSuppressionOp,
)
from dialects.ufw import ops


def cast(site: LayerSite) -> ops.LayerOp:
    """Indices as floats, or floats as indices."""
    return ops.CastOp(site.bottom, site.top, site.param.cast_param.to == CastParameter.INT32)


def gather(site: LayerSite) -> ops.LayerOp:
    return GatherOp(site.bottoms, site.tops, {"axis": site.axis(site.param.gather_param.axis)})


def gather_elements(site: LayerSite) -> ops.LayerOp:
    axis = site.axis(site.param.gather_elements_param.axis)
    return GatherElementsOp(site.bottoms, site.tops, {"axis": axis})


def grid_sampler(site: LayerSite) -> ops.LayerOp:
    param = site.param.grid_sampler_param
    values = {
        "mode": param.mode, "padding": param.padding, "align_corners": param.align_corners,
    }  # fmt: skip
    return GridSamplerOp(site.bottoms, site.tops, values)


def non_max_suppression(site: LayerSite) -> ops.LayerOp:
    """ONNX's: boxes, scores, and constants: the most boxes of a class, and the two thresholds."""
    most = site.param.non_max_suppression_param.max_output_boxes
    values = {"center_point_box": 0, "max_output_size": most}
    return OnnxNonMaxSuppressionOp(site.bottoms, site.tops, values)


def deform_gather(site: LayerSite) -> ops.LayerOp:
    """The pixels that a deformable convolution reads, as torchvision and ONNX define it; with a
    third bottom times a mask."""
    param = site.param.deform_gather_param
    values = {
        "modulated": len(site.bottoms) == 3, "deform_groups": param.deformable_group,
        "kh": param.kernel_h, "kw": param.kernel_w,
        "pad": [param.pad_t, param.pad_b, param.pad_l, param.pad_r],
        "stride": [param.stride_h, param.stride_w],
        "dilation": [param.dilation_h, param.dilation_w], "mode": TORCHVISION,
    }  # fmt: skip
    return DeformGatherOp(site.bottoms, site.tops, values)
