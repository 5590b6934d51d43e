"""Every host op: its struct, its shapes, its text, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects import test as xdsl_test
from xdsl.dialects.builtin import Builtin, ModuleOp, TensorType, f32, i32
from xdsl.ir import Operation
from xdsl.parser import Parser
from xdsl.utils.exceptions import VerifyException

from dialects.host import ops
from dialects.host.base import HostOp
from dialects.ufw.layer import Top, shape_of, tensor_type
from tests.dialects.host.host_layers import (
    DEFORM,
    NMS,
    ONNX_NMS,
    PADDLE,
    POOLED,
    PSROI,
    RESIZE,
    RPN,
    SOUND,
    SSD,
    TOP_K,
    TOP_K_MXNET,
    YOLO,
    Shape,
    Sound,
    Values,
    op_of,
    operand,
)

SSD_STRUCT = (
    52, "0 i32 num_classes, 4 bool share_location, 8 i32 background_label_id, 12 f32 nms_threshold,"
    " 16 i32 top_k, 20 i32 code_type, 24 i32 keep_top_k, 28 f32 confidence_threshold,"
    " 32 i32 num_priors, 36 i32 num_loc_classes, 40 bool variance_encoded_in_target, 44 f32 eta,"
    " 48 f32 objectness_score",
)  # fmt: skip
STRUCTS: dict[int, tuple[int, str]] = {
    0: SSD_STRUCT,
    1: SSD_STRUCT,
    2: (76, "0 i32 feat_stride, 4 i32 min_size, 8 i32 pre_nms_topN, 12 i32 post_nms_topN,"
        " 16 f32 nms_thresh, 20 f32 score_thresh, 24 i32 base_size, 28 i32 scales_num,"
        " 32 i32 ratios_num, 36 i32 scales[5], 56 f32 ratios[5]"),
    4: (12, "0 i32 pooled_h, 4 i32 pooled_w, 8 f32 spatial_scale"),
    5: (20, "0 i32 pooled_h, 4 i32 pooled_w, 8 f32 spatial_scale, 12 i32 sampling_ratio,"
        " 16 i32 position_sensitive"),
    7: (8, "0 i32 classes, 4 i32 num"),
    9: (4, "0 i32 axis"),
    10: (12, "0 f32 iou_threshold, 4 f32 score_threshold, 8 i32 max_output_size"),
    11: (8, "0 i32 axis, 4 bool is_ascend"),
    13: (144, "0 i32 num_inputs, 4 i32 num_classes, 8 i32 num_boxes, 12 f32 confidence_threshold,"
         " 16 f32 nms_threshold, 20 i32 mask_group_size, 24 f32 biases[18],"
         " 96 f32 anchors_scale[3], 108 f32 mask[9]"),
    14: (0, ""),
    17: (12, "0 i32 k, 4 i32 axis, 8 bool sorted, 9 bool descending, 10 bool values_used_only"),
    18: (28, "0 i32 align_corners, 4 i32 half_pixel_centers, 8 i32 method, 12 i32 ifmt,"
         " 16 i32 ofmt, 20 i32 oh, 24 i32 ow"),
    20: (8, "0 i32 dim, 4 bool is_argsort, 5 bool stable, 6 bool descending"),
    23: (4, "0 i32 unary_op"),
    25: (20, "0 i32 k, 4 i32 axis, 8 i32 ret_type, 12 i32 is_ascend, 16 i32 dtype"),
    29: (4, "0 i32 axis"),
    38: (20, "0 i32 pooled_h, 4 i32 pooled_w, 8 f32 spatial_scale, 12 i32 sampling_ratio,"
         " 16 bool aligned"),
    40: (12, "0 i32 mode, 4 i32 padding, 8 bool align_corners"),
    46: (8, "0 i32 center_point_box, 4 i32 max_output_size"),
    47: (52, "0 bool modulated, 4 i32 deform_groups, 8 i32 kh, 12 i32 kw, 16 i32 pad[4],"
         " 32 i32 stride[2], 40 i32 dilation[2], 48 i32 mode"),
    48: (32, "0 f32 spatial_scale, 4 i32 output_dim, 8 i32 group_size, 12 i32 pooled_size,"
         " 16 i32 part_size, 20 i32 sample_per_part, 24 f32 trans_std, 28 bool no_trans"),
    51: (48, "0 bool modulated, 4 i32 groups, 8 i32 deform_groups, 12 i32 kh, 16 i32 kw,"
         " 20 i32 pad[2], 28 i32 stride[2], 36 i32 dilation[2], 44 i32 im2col_step"),
}  # fmt: skip


def test_the_structs() -> None:
    found = {n: (op.LAYER.struct.size, op.LAYER.struct.text()) for n, op in ops.BY_NUMBER.items()}
    assert found == STRUCTS


def test_every_op_is_tried() -> None:
    assert {layer for layer, *_ in SOUND} == set(ops.ALL_OPS)
    assert len(ops.BY_NUMBER) == len(ops.ALL_OPS)


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case[0].name)
def test_shapes_and_text(case: Sound) -> None:
    layer, parameters, inputs, results = case
    op = op_of(layer, parameters, inputs, len(results))
    assert [shape_of(x) for x in op.results] == results
    assert layer.LAYER.struct.unpack(op.packed).keys() == parameters.keys()
    owners = [x.owner for x in op.operands]
    module = ModuleOp([x for x in owners if isinstance(x, Operation)] + [op])
    context = Context()
    for dialect in (Builtin, xdsl_test.Test, ops.HOST):
        context.load_dialect(dialect)
    found = Parser(context, str(module)).parse_module()
    found.verify()
    assert str(found) == str(module)


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case[0].name)
def test_noise_computes_within_the_shapes(case: Sound) -> None:
    layer, parameters, inputs, results = case
    random = np.random.default_rng(1)
    op = op_of(layer, parameters, inputs, len(results))
    arrays = [np.zeros(s, np.int32) + 1 if i in layer.LAYER.integers
              else random.uniform(0, 1, s).astype(np.float32) for i, s in enumerate(inputs)]
    if layer is ops.ResizeOp:
        arrays[1] = np.array([4, 6], np.int32)
    if layer in (ops.RoiPoolingOp, ops.RoiAlignOp, ops.PsRoiPoolingOp):
        arrays[1][:, 0] = 0
    found = op.meaning(arrays)
    assert [x.shape for x in found] == results
    assert [x.dtype.kind for x in found] == [
        "i" if tensor_type(x).element_type == i32 else "f" for x in op.results
    ]


L = [(2, 32), (2, 24), (1, 2, 32)]
L1 = [(1, 32), (1, 24), (1, 2, 32)]
R = [(1, 18, 4, 5), (1, 36, 4, 5), (1, 3)]
ROIS = [(2, 12, 8, 9), (10, 5)]
ALIGN = {**POOLED, "sampling_ratio": 2, "position_sensitive": 0}
HEADS = [(2, 27, 13, 13), (2, 27, 26, 26)]
D = [(2, 4, 5, 7), (2, 36, 5, 7), (2, 18, 5, 7)]
NAN = float("nan")
PSROIS = [(1, 18, 8, 9), (10, 5)]
Wrong = tuple[str, type[HostOp], Values, list[Shape], int]
WRONG: list[Wrong] = [
    ("share_location is false", ops.DetectionOutputOp, {**SSD, "share_location": False}, L, 1),
    ("background_label_id is negative", ops.DetectionOutputOp,
     {**SSD, "background_label_id": -1}, L, 1),
    ("no code_type 4", ops.DetectionOutputOp, {**SSD, "code_type": 4}, L, 1),
    ("eta is 0", ops.DetectionOutputOp, {**SSD, "eta": 0.0}, L, 1),
    ("keep_top_k is 0", ops.DetectionOutputOp, {**SSD, "keep_top_k": 0}, L, 1),
    ("keep_top_k is -2", ops.RefineDetDetectionOutputOp, {**SSD, "keep_top_k": -2}, L1, 1),
    ("top_k is -2", ops.DetectionOutputOp, {**SSD, "top_k": -2}, L, 1),
    ("nms_threshold is -0.1", ops.DetectionOutputOp, {**SSD, "nms_threshold": -0.1}, L, 1),
    ("nms_threshold is 45", ops.DetectionOutputOp, {**SSD, "nms_threshold": 45.0}, L, 1),
    ("nms_threshold is nan", ops.DetectionOutputOp, {**SSD, "nms_threshold": NAN}, L, 1),
    ("confidence_threshold is no", ops.DetectionOutputOp, {**SSD, "confidence_threshold": NAN},
     L, 1),
    ("prior is 1x2x16, the locations require 1x2x32", ops.DetectionOutputOp, SSD,
     [L[0], L[1], (1, 2, 16)], 1),
    ("conf is 2x16, 8 prior boxes of 3 classes", ops.DetectionOutputOp, SSD,
     [L[0], (2, 16), L[2]], 1),
    ("2 inputs, it takes loc, conf, prior", ops.DetectionOutputOp, SSD, L[:2], 1),
    ("2 results, it makes output", ops.DetectionOutputOp, SSD, L, 2),
    ("a batch of 2", ops.RefineDetDetectionOutputOp, SSD, L, 1),
    ("share_location is false", ops.RefineDetDetectionOutputOp, {**SSD, "share_location": False},
     L1, 1),
    ("arm_loc is missing", ops.RefineDetDetectionOutputOp, SSD, [*L1, (1, 16)], 1),
    ("conf is 1x24, it must be 1xCxP", ops.RefineDetDetectionOutputOp, SSD, L1[:2], 1),
    ("arm_conf is 1x8", ops.RefineDetDetectionOutputOp, SSD, [*L1, (1, 8), (1, 32)], 1),
    ("background_label_id is not 0", ops.RefineDetDetectionOutputOp,
     {**SSD, "background_label_id": 1}, [*L1, (1, 16), (1, 32)], 1),
    ("6 scales", ops.ProposalOp, {**RPN, "scales_num": 6}, R, 1),
    ("0 ratios", ops.ProposalOp, {**RPN, "ratios_num": 0}, R, 1),
    ("ratios must be positive", ops.ProposalOp, {**RPN, "ratios": (1, 0, 1, 0, 0)}, R, 1),
    ("feat_stride is 0", ops.ProposalOp, {**RPN, "feat_stride": 0}, R, 1),
    ("post_nms_topn is -1", ops.ProposalOp, {**RPN, "post_nms_topN": -1}, R, 1),
    ("base_size is 0", ops.ProposalOp, {**RPN, "base_size": 0}, R, 1),
    ("a batch of 1 in four", ops.ProposalOp, RPN, [(2, 18, 4, 5), (2, 36, 4, 5), (1, 3)], 1),
    ("9 anchors require 18 and 36", ops.ProposalOp, RPN, [R[0], (1, 18, 4, 5), R[2]], 1),
    ("im_info is 3", ops.ProposalOp, RPN, [*R[:2], (3,)], 1),
    ("0x3 bins", ops.RoiPoolingOp, {**POOLED, "pooled_h": 0}, ROIS, 1),
    ("spatial_scale is 0", ops.RoiPoolingOp, {**POOLED, "spatial_scale": 0.0},
     [ROIS[0], (10, 5, 1, 1)], 1),
    ("spatial_scale is -1", ops.RoiAlignMxnetOp, {**ALIGN, "spatial_scale": -1.0}, ROIS, 1),
    ("spatial_scale is 0", ops.RoiAlignOp,
     {**POOLED, "sampling_ratio": 2, "aligned": True, "spatial_scale": 0.0}, ROIS, 1),
    ("spatial_scale is 0", ops.PsRoiPoolingOp, {**PSROI, "spatial_scale": 0.0}, PSROIS, 1),
    ("Rx5x1x1 is required", ops.RoiPoolingOp, POOLED, ROIS, 1),
    ("rois are 10x4", ops.RoiPoolingOp, POOLED, [ROIS[0], (10, 4)], 1),
    ("the feature map is 2x3", ops.RoiPoolingOp, POOLED, [(2, 3), (10, 5, 1, 1)], 1),
    ("rois are 10x6, Rx4 or Rx5", ops.RoiAlignMxnetOp, ALIGN, [ROIS[0], (10, 6)], 1),
    ("13 channels, position_sensitive requires 6", ops.RoiAlignMxnetOp,
     {**ALIGN, "position_sensitive": 1}, [(2, 13, 8, 9), (10, 5)], 1),
    ("2x0 bins", ops.RoiAlignMxnetOp, {**ALIGN, "pooled_w": 0}, ROIS, 1),
    ("rois are 10x4, Rx5", ops.RoiAlignOp,
     {**POOLED, "sampling_ratio": 2, "aligned": True}, [ROIS[0], (10, 4)], 1),
    ("12 channels, 18 are required", ops.PsRoiPoolingOp, PSROI, ROIS, 1),
    ("group_size is 0", ops.PsRoiPoolingOp, {**PSROI, "group_size": 0}, ROIS, 1),
    ("part_size is 0", ops.PsRoiPoolingOp, {**PSROI, "no_trans": False, "part_size": 0}, ROIS, 1),
    ("no_trans is False: it takes 3", ops.PsRoiPoolingOp, {**PSROI, "no_trans": False},
     [(1, 18, 8, 9), (10, 5)], 1),
    ("trans is 10x6x3x3", ops.PsRoiPoolingOp, {**PSROI, "no_trans": False},
     [(1, 18, 8, 9), (10, 5), (10, 6, 3, 3)], 1),
    ("num must be positive", ops.YoloActivationOp, {"classes": 4, "num": 0}, [(1, 27, 2, 2)], 1),
    ("27 channels", ops.YoloActivationOp, {"classes": 4, "num": 3}, [(1, 26, 2, 2)], 1),
    ("num_inputs is 4", ops.YoloV3DetectionOutputOp, {**YOLO, "num_inputs": 4}, HEADS, 1),
    ("1 heads, num_inputs is 2", ops.YoloV3DetectionOutputOp, YOLO, HEADS[:1], 1),
    ("a head is 2x24x13x13", ops.YoloV3DetectionOutputOp, YOLO, [(2, 24, 13, 13), HEADS[1]], 1),
    ("both must be positive", ops.YoloV3DetectionOutputOp, {**YOLO, "num_classes": 0}, HEADS, 1),
    ("read 10 numbers of mask", ops.YoloV3DetectionOutputOp, {**YOLO, "mask_group_size": 7},
     HEADS, 1),
    ("mask names anchor 9", ops.YoloV3DetectionOutputOp,
     {**YOLO, "mask": (0, 1, 9, 0, 0, 0, 0, 0, 0)}, HEADS, 1),
    ("biases of anchor 4 are 18 and 0", ops.YoloV3DetectionOutputOp,
     {**YOLO, "biases": (*range(10, 19), 0, *range(20, 28))}, HEADS, 1),
    ("nms_threshold is 1.5", ops.YoloV3DetectionOutputOp, {**YOLO, "nms_threshold": 1.5}, HEADS,
     1),
    ("anchors_scale must be positive", ops.YoloV3DetectionOutputOp,
     {**YOLO, "anchors_scale": (32, 0, 0)}, HEADS, 1),
    ("mask_group_size must not", ops.YoloV3DetectionOutputOp, {**YOLO, "mask_group_size": -1},
     HEADS, 1),
    ("descending is false", ops.TopKOp, {**TOP_K, "descending": False}, [(3, 7)], 1),
    ("axis is -2", ops.TopKOp, {**TOP_K, "axis": -2}, [(3, 7)], 1),
    ("axis is 2, the input is 3x7", ops.TopKOp, {**TOP_K, "axis": 2}, [(3, 7)], 1),
    ("k is 8, the axis has 7", ops.TopKOp, {**TOP_K, "k": 8}, [(3, 7)], 1),
    ("k is -1, the axis has 7", ops.TopKOp, {**TOP_K, "k": -1}, [(3, 7)], 1),
    ("k is 2, one number", ops.TopKOp, TOP_K, [(3, 7), (2,)], 2),
    ("values and indices are required", ops.TopKOp, TOP_K, [(3, 7), (1,)], 1),
    ("no ret_type 4", ops.TopKMxnetOp, {**TOP_K_MXNET, "ret_type": 4}, [(3, 7)], 1),
    ("dtype is 1", ops.TopKMxnetOp, {**TOP_K_MXNET, "dtype": 1}, [(3, 7)], 1),
    ("1 results, ret_type 2 makes 2", ops.TopKMxnetOp, TOP_K_MXNET, [(3, 7)], 1),
    ("axis -3 is outside", ops.TopKMxnetOp, {**TOP_K_MXNET, "axis": -3}, [(3, 7)], 2),
    ("k is 8, the axis has 7", ops.TopKMxnetOp, {**TOP_K_MXNET, "k": 8}, [(3, 7)], 2),
    ("axis is -1", ops.ArgsortOp, {"axis": -1, "is_ascend": True}, [(3, 7)], 1),
    ("dim is 2", ops.SortOp,
     {"dim": 2, "is_argsort": True, "stable": True, "descending": True}, [(3, 7)], 1),
    ("2 results, is_argsort is True: it makes 1", ops.SortOp,
     {"dim": 1, "is_argsort": True, "stable": True, "descending": True}, [(3, 7)], 2),
    ("mixes up the dimensions", ops.GatherOp, {"axis": 1}, [(3, 7), (2,)], 1),
    ("axis 2 is outside", ops.GatherOp, {"axis": 2}, [(3, 7), (2,)], 1),
    ("1 to 4 dimensions", ops.GatherElementsOp, {"axis": 0}, [(1,) * 5, (1,) * 5], 1),
    ("axis is -1", ops.GatherElementsOp, {"axis": -1}, [(3, 7), (3, 2)], 1),
    ("indices are 4x2", ops.GatherElementsOp, {"axis": 1}, [(3, 7), (4, 2)], 1),
    ("indices are 3", ops.GatherElementsOp, {"axis": 1}, [(3, 7), (3,)], 1),
    ("1 to 5 dimensions", ops.WhereOp, {}, [(1,) * 6], 1),
    ("iou_threshold is 1.5", ops.NonMaxSuppressionOp, {**NMS, "iou_threshold": 1.5},
     [(9, 4), (9,)], 1),
    ("Bx4 and B are required", ops.NonMaxSuppressionOp, NMS, [(9, 4), (8,)], 1),
    ("the third input is 2", ops.NonMaxSuppressionOp, NMS, [(9, 4), (9,), (2,)], 1),
    ("max_output_size is 0", ops.NonMaxSuppressionOp, {**NMS, "max_output_size": 0},
     [(9, 4), (9,), (1,)], 1),
    ("center_point_box is not 0", ops.OnnxNonMaxSuppressionOp,
     {**ONNX_NMS, "center_point_box": 1}, [(2, 9, 4), (2, 4, 9), (1,)], 1),
    ("2 inputs, it takes boxes", ops.OnnxNonMaxSuppressionOp, ONNX_NMS, [(2, 9, 4), (2, 4, 9)], 1),
    ("NxBx4 and NxCxB", ops.OnnxNonMaxSuppressionOp, ONNX_NMS, [(2, 9, 4), (1, 4, 9), (1,)], 1),
    ("iou_threshold is 3", ops.OnnxNonMaxSuppressionOp, ONNX_NMS,
     [(2, 9, 4), (2, 4, 9), (1,), (3,)], 1),
    ("no method 4", ops.ResizeOp, {**RESIZE, "method": 4}, [(2, 3, 5, 7), (2,)], 1),
    ("set one of them", ops.ResizeOp, {**RESIZE, "align_corners": 1}, [(2, 3, 5, 7), (2,)], 1),
    ("ofmt is 2", ops.ResizeOp, {**RESIZE, "ofmt": 2}, [(2, 3, 5, 7), (2,)], 1),
    ("the size is 0x6", ops.ResizeOp, {**RESIZE, "oh": 0}, [(2, 3, 5, 7), (2,)], 1),
    ("four dimensions are required", ops.ResizeOp, RESIZE, [(3, 5, 7), (2,)], 1),
    ("height and width are required", ops.ResizeOp, RESIZE, [(2, 3, 5, 7), (4,)], 1),
    ("no unary_op 6", ops.UnaryOp, {"unary_op": 6}, [(3, 7)], 1),
    ("mode is 2", ops.GridSamplerOp, {"mode": 2, "padding": 0, "align_corners": False},
     [(2, 3, 5, 7), (2, 4, 6, 2)], 1),
    ("no padding 3", ops.GridSamplerOp, {"mode": 0, "padding": 3, "align_corners": False},
     [(2, 3, 5, 7), (2, 4, 6, 2)], 1),
    ("the grid 1x4x6x2", ops.GridSamplerOp, {"mode": 0, "padding": 0, "align_corners": False},
     [(2, 3, 5, 7), (1, 4, 6, 2)], 1),
    ("no mode 3", ops.DeformGatherOp, {**DEFORM, "mode": 3}, D, 1),
    ("must be positive", ops.DeformGatherOp, {**DEFORM, "stride": (1, 0)}, D, 1),
    ("pad must not be negative", ops.DeformGatherOp, {**DEFORM, "pad": (0, 0, -1, 0)}, D, 1),
    ("a multiple of 3 channels", ops.DeformGatherOp, {**DEFORM, "deform_groups": 3}, D, 1),
    ("the kernel is larger", ops.DeformGatherOp, {**DEFORM, "kh": 9}, D, 1),
    ("offsets are 2x18x5x7, 2x36x5x7", ops.DeformGatherOp, DEFORM, [D[0], (2, 18, 5, 7), D[2]], 1),
    ("modulated is true", ops.DeformGatherOp, DEFORM, D[:2], 1),
    ("mask is 2x9x5x7", ops.DeformGatherOp, DEFORM, [*D[:2], (2, 9, 5, 7)], 1),
    ("modulated is false: the host library reads a mask", ops.DeformConvOp,
     {**PADDLE, "modulated": False}, D, 1),
    ("groups is 2", ops.DeformConvOp, {**PADDLE, "groups": 2}, D, 1),
    ("im2col_step is 64", ops.DeformConvOp, {**PADDLE, "im2col_step": 64}, D, 1),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=lambda case: f"{case[1].name}: {case[0]}")
def test_refused(case: Wrong) -> None:
    message, layer, parameters, shapes, results = case
    with pytest.raises(VerifyException) as caught:
        op_of(layer, parameters, shapes, results)
    assert message in str(caught.value)


@pytest.mark.parametrize(("kinds", "message"), [
    ("ff", "indices holds f32, i32 is required"), ("ii", "data holds i32, i32 is not required"),
])
def test_nothing_converts(kinds: str, message: str) -> None:
    op = ops.GatherOp([operand((3, 7), kinds[0]), operand((2,), kinds[1])], [Top("top")],
                      {"axis": 0})
    with pytest.raises(VerifyException, match=message):
        op.verify()


def test_a_result_of_the_other_type() -> None:
    op = ops.WhereOp([operand((3, 7))], [Top("top")], {})
    changed: Any = op.clone()
    changed.results[0]._type = TensorType(f32, [21, 2])
    with pytest.raises(VerifyException, match="its result holds i32, not f32"):
        changed.verify()
