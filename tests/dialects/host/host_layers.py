"""Host ops with inputs that are shapes or arrays, and sound parameters of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import test as xdsl_test
from xdsl.dialects.builtin import TensorType, f32, i32
from xdsl.ir import Attribute, SSAValue

from dialects.host import ops
from dialects.host.base import HostOp
from dialects.ufw.layer import Top

Array = NDArray[Any]
Shape = tuple[int, ...]
Values = Mapping[str, Any]
ELEMENTS: Mapping[str, Attribute] = {"f": f32, "i": i32}


def operand(shape: Shape, kind: str = "f") -> SSAValue:
    """A tensor from nowhere: kind f or i."""
    return xdsl_test.TestOp(result_types=[TensorType(ELEMENTS[kind], shape)]).results[0]


def op_of(
    layer: type[HostOp], parameters: Values, shapes: Sequence[Shape], results: int = 1
) -> HostOp:
    """The op with inputs of these shapes, i32 where the layer says so."""
    operands = [operand(s, "i" if i in layer.LAYER.integers else "f")
                for i, s in enumerate(shapes)]  # fmt: skip
    op = layer(operands, [Top(f"top{i}") for i in range(results)], parameters)
    op.verify()
    return op


def computed(
    layer: type[HostOp], parameters: Values, *inputs: Array, results: int = 1
) -> list[Array]:
    """What the op computes, in the shapes that the results have at most."""
    op = op_of(layer, parameters, [x.shape for x in inputs], results)
    return op.meaning(inputs)


def floats(*values: Any) -> Array:
    """A float32 array."""
    return np.array(values, np.float32)


def integers(*values: Any) -> Array:
    """An int32 array."""
    return np.array(values, np.int32)


SSD: Values = {
    "num_classes": 3, "share_location": True, "background_label_id": 0, "nms_threshold": 0.45,
    "top_k": 400, "code_type": 2, "keep_top_k": 10, "confidence_threshold": 0.25, "num_priors": 8,
    "num_loc_classes": 1, "variance_encoded_in_target": False, "eta": 1.0,
    "objectness_score": 0.01,
}  # fmt: skip
RPN: Values = {
    "feat_stride": 16, "min_size": 16, "pre_nms_topN": 6000, "post_nms_topN": 30,
    "nms_thresh": 0.7, "score_thresh": 0.0, "base_size": 16, "scales_num": 3, "ratios_num": 3,
    "scales": (8, 16, 32, 0, 0), "ratios": (0.5, 1.0, 2.0, 0.0, 0.0),
}  # fmt: skip
YOLO: Values = {
    "num_inputs": 2, "num_classes": 4, "num_boxes": 3, "confidence_threshold": 0.5,
    "nms_threshold": 0.45, "mask_group_size": 3, "biases": tuple(range(10, 28)),
    "anchors_scale": (32.0, 16.0, 0.0), "mask": (3, 4, 5, 0, 1, 2, 0, 0, 0),
}  # fmt: skip
POOLED: Values = {"pooled_h": 2, "pooled_w": 3, "spatial_scale": 0.5}
PSROI: Values = {
    "spatial_scale": 0.0625, "output_dim": 2, "group_size": 3, "pooled_size": 3, "part_size": 3,
    "sample_per_part": 4, "trans_std": 0.1, "no_trans": True,
}  # fmt: skip
TOP_K: Values = {"k": 2, "axis": -1, "sorted": True, "descending": True, "values_used_only": False}
TOP_K_MXNET: Values = {"k": 2, "axis": -1, "ret_type": 2, "is_ascend": 0, "dtype": 6}
RESIZE: Values = {
    "align_corners": 0, "half_pixel_centers": 1, "method": 0, "ifmt": 0, "ofmt": 0, "oh": 4,
    "ow": 6,
}  # fmt: skip
DEFORM: Values = {
    "modulated": True, "deform_groups": 2, "kh": 3, "kw": 3, "pad": (1, 1, 1, 1),
    "stride": (1, 1), "dilation": (1, 1), "mode": 2,
}  # fmt: skip
PADDLE: Values = {
    "modulated": True, "groups": 1, "deform_groups": 1, "kh": 3, "kw": 3, "pad": (1, 1),
    "stride": (1, 1), "dilation": (1, 1), "im2col_step": 1,
}  # fmt: skip
NMS: Values = {"iou_threshold": 0.5, "score_threshold": 0.0, "max_output_size": 2}
ONNX_NMS: Values = {"center_point_box": 0, "max_output_size": 3}

Sound = tuple[type[HostOp], Values, list[Shape], list[Shape]]
SOUND: list[Sound] = [
    (ops.DetectionOutputOp, SSD, [(2, 32), (2, 24), (1, 2, 32)], [(1, 1, 20, 7)]),
    (ops.DetectionOutputOp, {**SSD, "keep_top_k": -1, "top_k": 5},
     [(2, 32), (2, 24), (1, 2, 32)], [(1, 1, 20, 7)]),
    (ops.DetectionOutputOp, {**SSD, "keep_top_k": 2**31 - 1},
     [(2, 32), (2, 24), (1, 2, 32)], [(1, 1, 32, 7)]),
    (ops.RefineDetDetectionOutputOp, SSD, [(1, 32), (1, 3, 8)], [(1, 1, 10, 7)]),
    (ops.RefineDetDetectionOutputOp, SSD, [(1, 32), (1, 24), (1, 2, 32)], [(1, 1, 10, 7)]),
    (ops.RefineDetDetectionOutputOp, SSD, [(1, 32), (1, 24), (1, 2, 32), (1, 16), (1, 32)],
     [(1, 1, 10, 7)]),
    (ops.ProposalOp, RPN, [(1, 18, 4, 5), (1, 36, 4, 5), (1, 3)], [(30, 5, 1, 1)]),
    (ops.ProposalOp, {**RPN, "post_nms_topN": 300}, [(1, 18, 9, 9), (1, 36, 9, 9), (1, 3)],
     [(200, 5, 1, 1), (200, 1, 1, 1)]),
    (ops.ProposalOp, {**RPN, "post_nms_topN": 0}, [(1, 18, 1, 2), (1, 36, 1, 2), (1, 3)],
     [(18, 5, 1, 1), (18, 1, 1, 1)]),
    (ops.RoiPoolingOp, POOLED, [(2, 3, 8, 9), (10, 5, 1, 1)], [(10, 3, 2, 3)]),
    (ops.RoiAlignMxnetOp, {**POOLED, "sampling_ratio": 2, "position_sensitive": 0},
     [(2, 12, 8, 9), (10, 5)], [(10, 12, 2, 3)]),
    (ops.RoiAlignMxnetOp, {**POOLED, "sampling_ratio": 2, "position_sensitive": 1},
     [(2, 12, 8, 9), (10, 4)], [(10, 2, 2, 3)]),
    (ops.RoiAlignOp, {**POOLED, "sampling_ratio": 2, "aligned": True},
     [(2, 12, 8, 9), (10, 5, 1, 1)], [(10, 12, 2, 3)]),
    (ops.PsRoiPoolingOp, PSROI, [(1, 18, 8, 9), (10, 5)], [(10, 2, 3, 3)]),
    (ops.PsRoiPoolingOp, {**PSROI, "no_trans": False}, [(1, 18, 8, 9), (10, 5), (10, 4, 3, 3)],
     [(10, 2, 3, 3)]),
    (ops.YoloActivationOp, {"classes": 4, "num": 3}, [(2, 27, 3, 4)], [(2, 27, 3, 4)]),
    (ops.YoloV3DetectionOutputOp, YOLO, [(2, 27, 13, 13), (2, 27, 26, 26)], [(1, 1, 400, 7)]),
    (ops.YoloV3DetectionOutputOp, YOLO, [(2, 27, 1, 2), (2, 27, 2, 4)], [(1, 1, 60, 7)]),
    (ops.TopKOp, TOP_K, [(3, 7)], [(3, 2)]),
    (ops.TopKOp, {**TOP_K, "axis": 0}, [(3, 7)], [(2, 7), (2, 7)]),
    (ops.TopKOp, {**TOP_K, "k": -1}, [(3, 7), (1,)], [(3, 7), (3, 7)]),
    (ops.TopKMxnetOp, TOP_K_MXNET, [(3, 7)], [(3, 2), (3, 2)]),
    (ops.TopKMxnetOp, {**TOP_K_MXNET, "ret_type": 3}, [(3, 7)], [(3, 7)]),
    (ops.TopKMxnetOp, {**TOP_K_MXNET, "ret_type": 0, "axis": 2}, [(3, 7)], [(2,)]),
    (ops.TopKMxnetOp, {**TOP_K_MXNET, "ret_type": 1, "k": 0}, [(3, 7)], [(3, 7)]),
    (ops.ArgsortOp, {"axis": 0, "is_ascend": True}, [(3, 7)], [(3, 7)]),
    (ops.SortOp, {"dim": 1, "is_argsort": False, "stable": True, "descending": False}, [(3, 7)],
     [(3, 7), (3, 7)]),
    (ops.SortOp, {"dim": 1, "is_argsort": True, "stable": True, "descending": False}, [(3, 7)],
     [(3, 7)]),
    (ops.GatherOp, {"axis": 0}, [(5, 3), (2, 4)], [(2, 4, 3)]),
    (ops.GatherOp, {"axis": -2}, [(1, 5, 3), (2,)], [(1, 2, 3)]),
    (ops.GatherElementsOp, {"axis": 1}, [(5, 3), (4, 9)], [(4, 9)]),
    (ops.WhereOp, {}, [(5, 3, 2)], [(30, 3)]),
    (ops.NonMaxSuppressionOp, NMS, [(9, 4), (9,)], [(9,)]),
    (ops.NonMaxSuppressionOp, NMS, [(9, 4), (9,), (1,)], [(2,)]),
    (ops.OnnxNonMaxSuppressionOp, ONNX_NMS, [(2, 9, 4), (2, 4, 9), (1,)], [(24, 3)]),
    (ops.OnnxNonMaxSuppressionOp, {**ONNX_NMS, "max_output_size": 0},
     [(2, 9, 4), (2, 4, 9), (1,), (1,), (1,)], [(72, 3)]),
    (ops.ResizeOp, RESIZE, [(2, 3, 5, 7), (2,)], [(2, 3, 4, 6)]),
    (ops.ResizeOp, {**RESIZE, "ofmt": 1}, [(2, 3, 5, 7), (2,)], [(2, 4, 6, 3)]),
    (ops.ResizeOp, {**RESIZE, "ifmt": 1}, [(2, 3, 5, 7), (2,)], [(2, 7, 4, 6)]),
    (ops.UnaryOp, {"unary_op": 0}, [(3, 7)], [(3, 7)]),
    (ops.GridSamplerOp, {"mode": 0, "padding": 0, "align_corners": False},
     [(2, 3, 5, 7), (2, 4, 6, 2)], [(2, 3, 4, 6)]),
    (ops.DeformGatherOp, DEFORM, [(2, 4, 5, 7), (2, 36, 5, 7), (2, 18, 5, 7)], [(2, 36, 5, 7)]),
    (ops.DeformGatherOp, {**DEFORM, "modulated": False, "stride": (2, 3)},
     [(2, 4, 5, 7), (2, 36, 3, 3)], [(2, 36, 3, 3)]),
    (ops.DeformConvOp, PADDLE, [(2, 4, 5, 7), (2, 18, 5, 7), (2, 9, 5, 7)], [(2, 36, 5, 7)]),
]  # fmt: skip
"""Op, parameters, and the shapes of its inputs and results; every op has one at least."""
