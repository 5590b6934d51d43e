"""The one table of layer types: to add a layer, write its import function and add a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bmnetu.frontend.layers import import_compute as compute
from bmnetu.frontend.layers import import_eltwise as eltwise
from bmnetu.frontend.layers import import_host as host
from bmnetu.frontend.layers import import_movement as movement
from bmnetu.frontend.layers import import_normalisation as normalisation
from bmnetu.frontend.layers import import_pixels as pixels
from bmnetu.frontend.layers import import_pooling as pooling
from bmnetu.frontend.layers import import_rearrange as rearrange
from bmnetu.frontend.layers import import_recurrent as recurrent
from bmnetu.frontend.layers import import_reduction as reduction
from bmnetu.frontend.layers import import_volume as volume
from bmnetu.frontend.layers.detection import regions, ssd, yolo
from bmnetu.frontend.layers.site import LayerSite
from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.functions import FUNCTIONS, Function
from dialects.host.ops import (
    DeformGatherOp,
    DetectionOutputOp,
    GatherElementsOp,
    GatherOp,
    GridSamplerOp,
    OnnxNonMaxSuppressionOp,
    ProposalOp,
    RoiAlignMxnetOp,
    RoiAlignOp,
    RoiPoolingOp,
    TopKOp,
    YoloActivationOp,
    YoloV3DetectionOutputOp,
)
from dialects.ufw import ops
from dialects.ufw.ops import LayerOp

ANY = 2**31


@dataclass(frozen=True)
class Importer:
    """How a layer type becomes an op; how many bottoms and tops it may have (least, most).

    ``op`` is the op that it becomes, and ``messages`` are the fields of the layer with its
    parameters; None stands for the one that is named as the type (see :func:`messages_of`).
    ``limits`` is a sentence on what is refused, for the documentation.
    """

    build: Callable[[LayerSite], LayerOp]
    op: type[LayerOp] | None = None
    bottoms: tuple[int, int] = (1, 1)
    tops: tuple[int, int] = (1, 1)
    messages: tuple[str, ...] | None = None
    limits: str = ""


CONVOLUTION = ("convolution_param",)
PARAMETERS = tuple(
    field.name
    for field in LayerParameter.DESCRIPTOR.fields
    if field.name.endswith("_param") and field.name != "custom_param"
)
"""All fields of a layer with parameters."""


OURS = "with parameters of ours"
STATES = "states as bottoms and tops behind the first, all or none, with one direction"
TO_SPACE = ("depth2space_param", "depth_to_space_param")
TO_DEPTH = ("space2depth_param", "space_to_depth_param")
SHUFFLE = ("pixel_shuffle_param", "pixelshuffle_param")

IMPORTERS: dict[str, Importer] = {
    "Arg": Importer(
        reduction.arg, ops.ArgOp, tops=(1, 2), limits="top_k is 1; without an axis it is 1"
    ),
    "ArgMax": Importer(
        reduction.arg_max,
        ops.ArgOp,
        limits="top_k is 1; without an axis all numbers of an image are one row",
    ),
    "Axpy": Importer(
        eltwise.axpy,
        ops.EltwiseOp,
        bottoms=(3, 3),
        messages=(),
        limits="replaced by Reshape, BroadcastBinary and Eltwise",
    ),
    "BatchNorm": Importer(normalisation.batch_norm, ops.BatchNormOp),
    "BatchToSpace": Importer(rearrange.batch_to_space, ops.RearrangeOp, limits="crops are refused"),
    "Bias": Importer(normalisation.bias, ops.BiasOp, bottoms=(1, 2)),
    "BN": Importer(normalisation.bn, ops.ScaleOp),
    "BroadcastBinary": Importer(
        eltwise.binary("broadcast_binary_param"), ops.BinaryOp, bottoms=(1, 2)
    ),
    "Cast": Importer(
        host.cast, ops.CastOp, limits="between layers of the host, INT32, and those of the NPU"
    ),
    "Compare": Importer(eltwise.binary("compare_param"), ops.BinaryOp, bottoms=(1, 2)),
    "ComposedFunction": Importer(compute.composed_function, ops.PointwiseOp),
    "Concat": Importer(movement.concat, ops.ConcatOp, bottoms=(1, ANY)),
    "ConstBinary": Importer(eltwise.binary("const_binary_param"), ops.BinaryOp),
    "Convolution": Importer(compute.convolution, ops.ConvolutionOp, limits="axis is 1"),
    "Convolution3D": Importer(volume.convolution_3d, ops.ConvolutionNdOp),
    "ConvolutionDepthwise": Importer(
        compute.depthwise_convolution, ops.ConvolutionOp, messages=CONVOLUTION
    ),
    "CReLU": Importer(
        movement.crelu,
        ops.ConcatOp,
        messages=("concat_param", "relu_param"),
        limits="replaced by Power, Concat and ReLU",
    ),
    "Crop": Importer(pixels.crop, ops.StridedSliceOp, bottoms=(2, 2)),
    "CropCenter": Importer(pixels.crop_center, ops.StridedSliceOp),
    "CuDNNBatchNorm": Importer(
        normalisation.cudnn_batch_norm,
        ops.ScaleOp,
        messages=("cudnn_batch_norm_param",),
        limits="use_global_stats: false is refused",
    ),
    "Deconvolution": Importer(compute.deconvolution, ops.DeconvolutionOp, messages=CONVOLUTION),
    "DeconvolutionDepthwise": Importer(
        compute.depthwise_deconvolution, ops.DeconvolutionOp, messages=CONVOLUTION
    ),
    "DeformGather": Importer(
        host.deform_gather,
        DeformGatherOp,
        bottoms=(2, 3),
        limits="a deformable convolution is this and a Convolution of one pixel",
    ),
    "DenseBlock": Importer(
        movement.dense_block,
        ops.ConcatOp,
        limits="replaced by BatchNorm, Scale, ReLU, Convolution and Concat",
    ),
    "Depth2Space": Importer(rearrange.depth_to_space, ops.RearrangeOp, messages=TO_SPACE),
    "DepthToSpace": Importer(rearrange.depth_to_space, ops.RearrangeOp, messages=TO_SPACE),
    "DepthwiseConvolution": Importer(
        compute.depthwise_convolution, ops.ConvolutionOp, messages=CONVOLUTION
    ),
    "DetectionOutput": Importer(
        ssd.detection_output,
        DetectionOutputOp,
        bottoms=(3, 5),
        limits="share_location is true, normalized is true, boxes are not clipped",
    ),
    "Dropout": Importer(movement.dropout, ops.DropoutOp),
    "Eltwise": Importer(eltwise.eltwise, ops.EltwiseOp, bottoms=(2, ANY)),
    "EltwiseBinary": Importer(eltwise.binary("eltwise_binary_param"), ops.BinaryOp, bottoms=(2, 2)),
    "ExpandDims": Importer(rearrange.expand_dims, ops.ReshapeOp),
    "Flatten": Importer(movement.flatten, ops.FlattenOp),
    "GroupNorm": Importer(reduction.group_norm, ops.StandardizeOp),
    "Gather": Importer(
        host.gather, GatherOp, bottoms=(2, 2), limits=f"{OURS}; the indices are INT32"
    ),
    "GatherElements": Importer(
        host.gather_elements, GatherElementsOp, bottoms=(2, 2), limits="the indices are INT32"
    ),
    "GridSampler": Importer(host.grid_sampler, GridSamplerOp, bottoms=(2, 2), limits=OURS),
    "GRU": Importer(recurrent.gru, ops.RecurrentOp, bottoms=(1, 2), tops=(1, 2), limits=STATES),
    "Im2col": Importer(rearrange.im2col, ops.Im2colOp, messages=CONVOLUTION),
    "InnerProduct": Importer(compute.inner_product, ops.InnerProductOp),
    "InstanceNorm": Importer(reduction.instance_norm, ops.StandardizeOp),
    "INTERP": Importer(
        pixels.interp,
        ops.ResizeOp,
        messages=("interp_param",),
        limits="pads that are not negative are refused; zoom_factor is DeepLab's, or Intel's where"
        " the network fits together with that alone",
    ),
    "Interp": Importer(
        pixels.interp,
        ops.ResizeOp,
        limits="pads that are not negative are refused; zoom_factor is DeepLab's, or Intel's where"
        " the network fits together with that alone",
    ),
    "LayerNorm": Importer(reduction.layer_norm, ops.StandardizeOp),
    "LogSoftmax": Importer(compute.log_softmax, ops.LogSoftmaxOp, messages=("softmax_param",)),
    "LRN": Importer(normalisation.lrn, ops.LRNOp),
    "LSTM": Importer(
        recurrent.recurrent,
        ops.RecurrentOp,
        messages=("recurrent_param",),
        bottoms=(2, 5),
        tops=(1, 3),
        limits="the sequences begin where the second bottom is 0",
    ),
    "Lstm": Importer(
        recurrent.lstm_of_descendants,
        ops.RecurrentOp,
        bottoms=(1, 3),
        tops=(1, 3),
        limits=f"{STATES}; clipping_threshold is of the training",
    ),
    "MatMul": Importer(reduction.matmul, ops.MatMulOp, bottoms=(2, 2), messages=("matmul_param",)),
    "MVN": Importer(reduction.mvn, ops.StandardizeOp),
    "NonMaxSuppression": Importer(
        host.non_max_suppression,
        OnnxNonMaxSuppressionOp,
        bottoms=(3, 5),
        messages=("non_max_suppression_param",),
        limits=f"{OURS}; its result is an output of the network",
    ),
    "Normalize": Importer(reduction.normalize, ops.NormalizeOp, messages=("norm_param",)),
    "Pad": Importer(pixels.pad, ops.PadOp),
    "PADDING": Importer(pixels.padding, ops.PadOp, messages=("padding_param",)),
    "Padding": Importer(pixels.padding, ops.PadOp),
    "PadTensor": Importer(pixels.pad, ops.PadOp, messages=("pad_param",)),
    "Parameter": Importer(eltwise.parameter, ops.ParameterOp, bottoms=(0, 0)),
    "Permute": Importer(movement.permute, ops.PermuteOp),
    "PixelShuffle": Importer(rearrange.pixel_shuffle, ops.RearrangeOp, messages=SHUFFLE),
    "Pooling": Importer(
        pooling.pooling, ops.PoolingOp, tops=(1, 2), limits="STOCHASTIC is refused"
    ),
    "Pooling3D": Importer(volume.pooling_3d, ops.PoolingNdOp, limits="STOCHASTIC is refused"),
    "PoolingTF": Importer(pooling.pooling_tf, ops.PoolingOp, limits="STOCHASTIC is refused"),
    "PReLU": Importer(compute.prelu, ops.PReLUOp),
    "PriorBox": Importer(
        ssd.prior_box,
        ops.PriorBoxOp,
        bottoms=(1, 2),
        limits="sizes are not cut to whole numbers; fixed_size, fixed_ratio, density, keras and"
        " faceboxes are refused",
    ),
    "PriorBoxClustered": Importer(
        ssd.prior_box_clustered,
        ops.PriorBoxOp,
        bottoms=(1, 2),
        messages=("prior_box_param",),
        limits="as PriorBox",
    ),
    "Proposal": Importer(
        regions.proposal,
        ProposalOp,
        bottoms=(3, 3),
        tops=(1, 2),
        limits="one image, at most 5 ratio and 5 scale, 200 regions; sizes are whole numbers",
    ),
    "PSROIAlign": Importer(
        regions.psroi_pooling, RoiAlignMxnetOp, bottoms=(2, 2), messages=("psroi_pooling_param",),
        limits="the mean of 4 x 4 bilinear samples a bin",
    ),
    "PSROIPooling": Importer(
        regions.psroi_pooling, RoiAlignMxnetOp, bottoms=(2, 2),
        limits="replaced by Pooling and PSROIAlign: 4 x 4 bilinear samples a bin, not whole cells",
    ),
    "Reduce": Importer(reduction.reduce, ops.ReduceOp),
    "ReduceFull": Importer(reduction.reduce, ops.ReduceOp),
    "Reduction": Importer(reduction.reduction, ops.ReduceOp),
    "ReLU": Importer(compute.relu, ops.ReLUOp, limits="relu6 with a negative_slope is refused"),
    "ReLU6": Importer(compute.relu6, ops.ReLUOp, limits="a negative_slope is refused"),
    "Region": Importer(
        yolo.region,
        ops.ReshapeOp,
        limits="replaced by Slice, Sigmoid, Softmax and Concat: as darknet (num), or the numbers of"
        " a cell together (boxes_of_each_grid)",
    ),
    "RegionYolo": Importer(
        yolo.region,
        ops.ReshapeOp,
        messages=("region_yolo_param", "flatten_param"),
        limits="replaced by Slice, Sigmoid, Softmax and Concat, as OpenVINO documents it",
    ),
    "Reorg": Importer(rearrange.reorg, ops.RearrangeOp),
    "Reshape": Importer(movement.reshape, ops.ReshapeOp),
    "ResizeBilinear": Importer(pixels.resize_bilinear, ops.ResizeOp, limits="data_format is NCHW"),
    "ResizeNearestNeighbor": Importer(
        pixels.resize_nearest, ops.ResizeOp, limits="data_format is NCHW"
    ),
    "Reverse": Importer(pixels.reverse, ops.StridedSliceOp),
    "RNN": Importer(
        recurrent.recurrent,
        ops.RecurrentOp,
        messages=("recurrent_param",),
        bottoms=(2, 4),
        tops=(1, 2),
    ),
    "Rnn": Importer(
        recurrent.rnn_of_descendants, ops.RecurrentOp, bottoms=(1, 2), tops=(1, 2), limits=STATES
    ),
    "ROIAlign": Importer(regions.roi_align, RoiAlignOp, bottoms=(2, 2)),
    "ROIPooling": Importer(
        regions.roi_pooling,
        RoiPoolingOp,
        bottoms=(2, 2),
        limits="regions are Rx5x1x1; replaced by ROIPoolingBins and ComposedFunction",
    ),
    "ROIPoolingBins": Importer(
        regions.roi_pooling,
        RoiPoolingOp,
        bottoms=(2, 2),
        messages=("roi_pooling_param",),
        limits="a ROIPooling in which a bin outside the map is -3.4e38, not 0",
    ),
    "RPN": Importer(
        regions.rpn,
        ProposalOp,
        bottoms=(3, 3),
        tops=(1, 2),
        messages=("rpn_param",),
        limits="a Proposal with its parameters under other names, and its limits",
    ),
    "Scale": Importer(normalisation.scale, ops.ScaleOp, bottoms=(1, 2)),
    "Select": Importer(eltwise.select, ops.SelectOp, bottoms=(3, 3), messages=()),
    "ShuffleChannel": Importer(rearrange.shuffle_channel, ops.RearrangeOp),
    "Silence": Importer(movement.silence, ops.SilenceOp, bottoms=(1, ANY), tops=(0, 0)),
    "Slice": Importer(movement.slices, ops.SliceOp, tops=(1, ANY)),
    "SliceLike": Importer(pixels.slice_like, ops.StridedSliceOp, bottoms=(2, 2)),
    "Softmax": Importer(compute.softmax, ops.SoftmaxOp),
    "Space2Depth": Importer(rearrange.space_to_depth, ops.RearrangeOp, messages=TO_DEPTH),
    "SpaceToBatch": Importer(
        rearrange.space_to_batch, ops.RearrangeOp, limits="paddings are refused"
    ),
    "SpaceToDepth": Importer(rearrange.space_to_depth, ops.RearrangeOp, messages=TO_DEPTH),
    "Split": Importer(movement.split, ops.SplitOp, tops=(1, ANY)),
    "SPP": Importer(pooling.spp, ops.SPPOp, limits="STOCHASTIC is refused"),
    "Squeeze": Importer(rearrange.squeeze, ops.ReshapeOp),
    "StrideSlice": Importer(pixels.stride_slice, ops.StridedSliceOp),
    "Tile": Importer(pixels.tile, ops.TileOp),
    "TopK": Importer(
        regions.top_k,
        TopKOp,
        tops=(1, 2),
        limits="k is a positive number of the text, one bottom; tops are values and indices, or"
        " values alone; the largest first; layers of the NPU read the indices behind a Cast",
    ),
    "Transpose": Importer(rearrange.transpose, ops.PermuteOp),
    "Unpooling": Importer(
        pixels.unpooling,
        ops.UnpoolOp,
        bottoms=(2, 2),
        limits="MAX, with the mask of a Pooling whose input has the result's size",
    ),
    "Upsample": Importer(
        pixels.upsample,
        ops.ResizeOp,
        bottoms=(1, 2),
        limits="a mask is that of a Pooling whose input has the result's size; mode BILINEAR is"
        " refused",
    ),
    "UpsampleLayer": Importer(
        pixels.upsample,
        ops.ResizeOp,
        bottoms=(1, 2),
        messages=("upsample_param",),
        limits="as Upsample",
    ),
    "Where": Importer(eltwise.select, ops.SelectOp, bottoms=(3, 3), messages=()),
    "Yolo": Importer(yolo.yolo, YoloActivationOp),
    "YoloDetectionOutput": Importer(
        yolo.yolo_detection_output,
        DetectionOutputOp,
        bottoms=(1, ANY),
        limits="replaced by layers of the NPU and a DetectionOutput: boxes of different classes do"
        " not suppress each other; coords is 4",
    ),
    "Yolov3DetectionOutput": Importer(
        yolo.yolov3_detection_output,
        YoloV3DetectionOutputOp,
        bottoms=(1, 3),
        limits="at most 9 anchors; a row is image, class from 0, score, centre, width, height",
    ),
}


def add_function(function: Function) -> None:
    """A pointwise function's layer types."""
    messages = (function.message,) if function.message else None
    importer = Importer(compute.pointwise(function), ops.PointwiseOp, messages=messages)
    IMPORTERS.update(dict.fromkeys((function.layer, *function.aliases), importer))


for each in FUNCTIONS.values():
    add_function(each)


def messages_of(kind: str) -> tuple[str, ...]:
    """The fields of LayerParameter with the parameters of a layer type: those that its importer
    names, else the one that is its name in small letters, such as batch_norm_param of BatchNorm."""
    named = IMPORTERS[kind].messages
    if named is not None:
        return named
    own = kind.lower() + "param"
    return tuple(name for name in PARAMETERS if name.replace("_", "") == own)
