"""Small networks that end in the layers of detection, with heads of ordinary size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import NameLoc
from xdsl.ir import Block, SSAValue

from bmnetu.frontend import load_network
from bmnetu.frontend.ufw_pb2 import NetParameter
from dialects.execute import execute, names_of
from dialects.host.base import HostOp
from dialects.meaning import evaluate
from dialects.ufw.convolution import WeightedLayerOp
from dialects.ufw.layer import LayerOp, shape_of
from passes.module.functions import main_function
from tests.calibration.harness import data_layer, layer
from tests.networks import random_weights

Array = NDArray[Any]

OFFSETS = ("loc", "deltas")
SPREADS = {True: 0.3, False: 1.5}
"""The standard deviations of heads with offsets, and of those with scores."""


def conv(bottom: str, top: str, channels: int, kernel: int = 3, stride: int = 1) -> str:
    settings = f"num_output: {channels} kernel_size: {kernel} stride: {stride} pad: {kernel // 2}"
    return layer("Convolution", bottom, top, f"convolution_param {{ {settings} }}")


def backbone(*channels: int) -> str:
    """Convolutions with stride 2 from ``data`` on: blobs f1, f2, ..."""
    blobs = ["data", *(f"f{i + 1}" for i in range(len(channels)))]
    text = ""
    for bottom, top, count in zip(blobs, blobs[1:], channels, strict=False):
        text += conv(bottom, f"{top}_conv", count, stride=2) + layer("ReLU", f"{top}_conv", top)
    return text


def ssd(batch: int, classes: int = 3) -> str:
    """Two heads with prior boxes."""
    text = data_layer(batch, 3, 48, 64) + backbone(8, 16, 16)
    for bottom, sizes in (("f2", "min_size: 8 max_size: 14"), ("f3", "min_size: 20")):
        boxes = 4 if "max" in sizes else 3
        for what, count in (("loc", 4), ("conf", classes)):
            top = f"{bottom}_{what}"
            text += conv(bottom, top, boxes * count)
            text += layer("Permute", top, f"{top}_p", "permute_param { " + "".join(
                f"order: {axis} " for axis in (0, 2, 3, 1)) + "}")  # fmt: skip
            text += layer("Flatten", f"{top}_p", f"{top}_f")
        settings = f"{sizes} aspect_ratio: 2 flip: true variance: 0.1 variance: 0.1 variance: 0.2"
        text += layer("PriorBox", f"{bottom} data", f"{bottom}_prior",
                      f"prior_box_param {{ {settings} variance: 0.2 }}")  # fmt: skip
    text += layer("Concat", "f2_loc_f f3_loc_f", "loc")
    text += layer("Concat", "f2_conf_f f3_conf_f", "conf")
    text += layer("Concat", "f2_prior f3_prior", "prior", "concat_param { axis: 2 }")
    shape = f"shape {{ dim: 0 dim: -1 dim: {classes} }}"
    text += layer("Reshape", "conf", "conf_r", f"reshape_param {{ {shape} }}")
    text += layer("Softmax", "conf_r", "prob", "softmax_param { axis: 2 }")
    text += layer("Flatten", "prob", "prob_f")
    settings = (
        f"num_classes: {classes} keep_top_k: 30 confidence_threshold: 0.4 code_type: CENTER_SIZE"
        " nms_param { nms_threshold: 0.45 top_k: 60 }"
    )
    return text + layer(
        "DetectionOutput", "loc prob_f prior", "found", f"detection_output_param {{ {settings} }}"
    )


def yolo_v3(batch: int, classes: int = 4) -> str:
    """Two heads of YOLOv3-tiny, an upsampling between them."""
    channels = 3 * (5 + classes)
    text = data_layer(batch, 3, 64, 64) + backbone(8, 16, 16, 32)
    text += conv("f4", "big", channels, 1) + conv("f4", "narrow", 16, 1)
    text += layer("Upsample", "narrow", "wide", "upsample_param { scale: 2 }")
    text += layer("Concat", "f3 wide", "joined") + conv("joined", "small", channels, 1)
    pairs = ("10 14", "23 27", "37 58", "81 82", "135 169", "344 319")
    biases = " ".join(f"biases: {x}" for pair in pairs for x in pair.split())
    mask = " ".join(f"mask: {n}" for n in (3, 4, 5, 0, 1, 2))
    settings = (
        f"num_classes: {classes} num_box: 3 confidence_threshold: 0.3 nms_threshold: 0.45 {biases}"
        f" {mask} anchors_scale: 16 anchors_scale: 8 mask_group_num: 2"
    )
    return text + layer(
        "Yolov3DetectionOutput", "big small", "found",
        f"yolov3_detection_output_param {{ {settings} }}",
    )  # fmt: skip


def yolo_v2(batch: int, classes: int = 3) -> str:
    """One head of YOLOv2, whose boxes the NPU decodes."""
    text = data_layer(batch, 3, 64, 48) + backbone(8, 16, 16) + conv("f3", "head", 2 * 8, 1)
    biases = " ".join(f"biases: {x}" for x in (1.5, 1.0, 3.0, 4.0))
    settings = f"num_classes: {classes} num_box: 2 {biases} confidence_threshold: 0.4"
    return text + layer(
        "YoloDetectionOutput", "head", "found",
        f"yolo_detection_output_param {{ {settings} nms_threshold: 0.45 }}",
    )  # fmt: skip


def region(batch: int, settings: str, classes: int = 3) -> str:
    """The activated head of YOLOv2, for boxes that the user's program picks."""
    text = data_layer(batch, 3, 64, 48) + backbone(8, 16, 16) + conv("f3", "head", 2 * 8, 1)
    param = f"region_param {{ classes: {classes} {settings} }}"
    return text + layer("Region", "head", "map", param)


def _regions() -> str:
    """A region proposal network on stride 16, and an image's information."""
    text = data_layer(1, 3, 96, 128) + data_layer(1, 3, name="im_info") + backbone(8, 16, 16, 24)
    text += conv("f4", "rpn", 16) + layer("ReLU", "rpn", "rpn_r")
    text += conv("rpn_r", "score", 18, 1) + conv("rpn_r", "deltas", 36, 1)
    pair = "shape { dim: 0 dim: 2 dim: -1 dim: 0 }"
    text += layer("Reshape", "score", "score_r", f"reshape_param {{ {pair} }}")
    text += layer("Softmax", "score_r", "prob")
    all_ = "shape { dim: 0 dim: 18 dim: -1 dim: 0 }"
    text += layer("Reshape", "prob", "prob_r", f"reshape_param {{ {all_} }}")
    return text


def faster_rcnn(python: bool = False) -> str:
    """Regions, their parts of the map, and layers of the NPU on these."""
    settings = 'python_param { module: "rpn.proposal_layer" layer: "ProposalLayer"'
    settings += " param_str: \"'feat_stride': 16\" }"
    ratios = "feat_stride: 16 min_size: 8 pre_nms_topn: 100 post_nms_topn: 20 nms_thresh: 0.6"
    text = _regions() + (
        layer("Python", "prob_r deltas im_info", "rois", settings) if python
        else layer("Proposal", "prob_r deltas im_info", "rois", f"proposal_param {{ {ratios} }}")
    )  # fmt: skip
    text += layer("ROIPooling", "f4 rois", "pool",
                  "roi_pooling_param { pooled_h: 3 pooled_w: 4 spatial_scale: 0.0625 }")
    text += layer("InnerProduct", "pool", "fc", "inner_product_param { num_output: 32 }")
    text += layer("ReLU", "fc", "fc_r")
    text += layer("InnerProduct", "fc_r", "cls", "inner_product_param { num_output: 5 }")
    text += layer("InnerProduct", "fc_r", "bbox", "inner_product_param { num_output: 20 }")
    return text + layer("Softmax", "cls", "cls_prob")


def r_fcn(classes: int = 3, group: int = 3) -> str:
    """Regions, and position-sensitive maps that are averaged over them."""
    settings = "feat_stride: 16 min_size: 8 pre_nms_topn: 100 post_nms_topn: 20 nms_thresh: 0.6"
    text = _regions()
    text += layer("Proposal", "prob_r deltas im_info", "rois", f"proposal_param {{ {settings} }}")
    for what, count in (("cls", classes), ("box", 8)):
        text += conv("f4", f"{what}_map", count * group * group, 1)
        size = f"spatial_scale: 0.0625 output_dim: {count} group_size: {group}"
        text += layer("PSROIPooling", f"{what}_map rois", f"{what}_bins",
                      f"psroi_pooling_param {{ {size} }}")  # fmt: skip
        text += layer("Pooling", f"{what}_bins", f"{what}_mean",
                      f"pooling_param {{ pool: AVE kernel_size: {group} }}")  # fmt: skip
    return text + layer("Softmax", "cls_mean", "cls_prob")


def calm_weights(model: Path, seed: int = 0) -> NetParameter:
    """Random weights for a prototxt, those of the heads so that these are of ordinary size."""
    net = random_weights(model, seed)
    weight = model.with_suffix(".calm")
    weight.write_bytes(net.SerializeToString())
    function = main_function(load_network(model, weight).module)
    heads = {op: spread for op, spread in _heads(list(function.body.block.ops))}
    seen: dict[str, float] = {}
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=shape_of(x)).astype(np.float32) for x in function.body.block.args]
    execute(function, inputs, evaluate, lambda name, x: seen.__setitem__(name, float(np.nanstd(x))))
    layers = {each.name: each for each in net.layer}
    for op, spread in heads.items():
        assert isinstance(op.location, NameLoc)
        for blob in layers[op.location.desc.data].blobs:
            factor = spread / max(seen[names_of(op, "tops")[0]], 1e-9)
            blob.data[:] = [x * factor for x in blob.data]
    weight.unlink()
    return net


def _heads(ops: list[Any]) -> Iterator[tuple[WeightedLayerOp, float]]:
    """The layers with weights whose results host layers read, with nothing that has weights
    between, and how far these should spread."""
    for op in ops:
        if isinstance(op, HostOp):
            for name, value in zip(op.LAYER.inputs, op.operands, strict=False):
                for head in _makers(value):
                    yield head, SPREADS[name in OFFSETS]


def _makers(value: SSAValue) -> Iterator[WeightedLayerOp]:
    owner = value.owner
    if isinstance(owner, Block):
        return
    if isinstance(owner, WeightedLayerOp):
        yield owner
    elif isinstance(owner, LayerOp) and not isinstance(owner, HostOp):
        for x in owner.operands:
            yield from _makers(x)
