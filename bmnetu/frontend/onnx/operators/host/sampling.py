"""Layers of the host that read between the pixels of maps: regions, grids, moved kernels."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators.arithmetic import linear
from bmnetu.frontend.onnx.operators.functions import clamped, power_layer
from bmnetu.frontend.onnx.site import Site
from dialects.ufw.shapes import show

MODES = {"bilinear": "BILINEAR", "linear": "BILINEAR", "nearest": "NEAREST"}
PADDINGS = {"zeros": "ZEROS", "border": "BORDER", "reflection": "REFLECTION"}


def grid_sample(site: Site) -> Blob:
    """Of images, bilinear or nearest."""
    node, x, grid = site.node, site.tensor(0), site.tensor(1)
    mode, padding = node.text("mode", "linear"), node.text("padding_mode", "zeros")
    if len(x.shape) != 4:
        raise Refusal(f"its input is {show(x.shape)}; 2-D images can be sampled")
    if mode not in MODES or padding not in PADDINGS:
        raise Refusal(f"mode {mode} with padding_mode {padding}")
    aligned = bool(node.integer("align_corners", 0))
    if MODES[mode] == "NEAREST":
        grid = _rounded(replace(site, in_float=True), grid, (x.shape[3], x.shape[2]), aligned)
    settings = {
        "mode": MODES[mode], "padding": PADDINGS[padding], "align_corners": aligned,
    }  # fmt: skip
    return site.layer("GridSampler", [x, grid], grid_sampler_param=settings)


def _rounded(site: Site, grid: Blob, size: tuple[int, int], aligned: bool) -> Blob:
    """A grid that points to the middle of pixels; between two of them to the even one, where the
    host takes the one that is further from 0. It is rounded as onnxruntime rounds on the way there.
    ``size`` is width, height."""
    extent = np.array(size, np.float32)
    last = (extent - 1) / 2
    step = last if aligned else extent / 2
    moved = power_layer(site, grid, "moved", shift=1.0)
    pixels = linear(site, moved, step if aligned else extent, np.float32(0), "pixels")
    if not aligned:
        pixels = power_layer(site, pixels, "middle", scale=0.5, shift=-0.5)
    whole = site.layer("Round", pixels, part="whole")
    inverse = np.divide(1, step, out=np.zeros_like(step), where=step > 0)
    return linear(site, whole, inverse, -last * inverse, "middles")


def roi_align(site: Site) -> Blob:
    """The means of samples; the layer reads image and corners of a region together."""
    node, x, rois = site.node, site.tensor(0), site.tensor(1)
    if node.text("mode", "avg") != "avg":
        raise Refusal("mode is not avg")
    usual = "half_pixel" if node.opset >= 16 else "output_half_pixel"
    moved = node.text("coordinate_transformation_mode", usual) == "half_pixel"
    given = site.tensor(2)
    if isinstance(site.given(2), Blob):
        given = clamped(site, given, 0.0, x.shape[0] - 1.0, "inside")
    images = site.reshaped(given, (rois.shape[0], 1), "images")
    joined = site.layer("Concat", [images, rois], part="regions", concat_param={"axis": 1})
    settings = {
        "pooled_h": node.integer("output_height", 1), "pooled_w": node.integer("output_width", 1),
        "spatial_scale": node.number_of("spatial_scale", 1.0),
        "sampling_ratio": node.integer("sampling_ratio", 0), "aligned": moved,
    }  # fmt: skip
    return site.layer("ROIAlign", [x, joined], roi_align_param=settings)


def deform_conv(site: Site) -> Blob:
    """The pixels of all kernels as channels, then a convolution of one pixel."""
    node, x, offsets = site.node, site.tensor(0), site.tensor(2)
    weight, bias, mask = site.weights(1), site.coefficients(3), site.given(4)
    if len(x.shape) != 4 or weight.ndim != 4:
        raise Refusal(f"its input is {show(x.shape)}; 2-D images can be convolved")
    kernel = tuple(node.integers("kernel_shape") or weight.shape[2:])
    if kernel != weight.shape[2:]:
        raise InputFileError(node.fault(f"kernel_shape is {show(kernel)}"))
    top, left, bottom, right = node.several("pads", 4, 0, 0)
    strides, dilations = node.several("strides", 2, 1), node.several("dilations", 2, 1)
    settings = {
        "kernel_h": kernel[0], "kernel_w": kernel[1],
        "pad_t": top, "pad_b": bottom, "pad_l": left, "pad_r": right,
        "stride_h": strides[0], "stride_w": strides[1],
        "dilation_h": dilations[0], "dilation_w": dilations[1],
        "deformable_group": node.integer("offset_group", 1),
    }  # fmt: skip
    bottoms = [x, offsets] if mask is None else [x, offsets, site.tensor(4)]
    pixels = site.layer("DeformGather", bottoms, part="pixels", deform_gather_param=settings)
    count, group = len(weight), node.integer("group", 1)
    if pixels.shape[1] != group * prod(weight.shape[1:]):
        raise InputFileError(node.fault(f"weights {show(weight.shape)} of {show(x.shape)}"))
    flat = np.ascontiguousarray(weight.reshape(count, -1, 1, 1))
    param = {"num_output": count, "kernel_size": [1], "group": group,
             "bias_term": bias is not None}  # fmt: skip
    return site.layer("Convolution", pixels, flat, bias, convolution_param=param)
