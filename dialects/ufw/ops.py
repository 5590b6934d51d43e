"""The ufw dialect: one op a UFW layer, with properties named as in the prototxt.

A value is ``tensor<1x64x56x56xf32>``, or ``tensor<1x64x56x56xsi8, #quant.scale<0.1>>`` in an INT8
net. A net is one ``func.func @main`` whose arguments are the net's inputs and whose results are
its outputs; the function's ``input_names`` and ``output_names`` give their blob names.
"""

from __future__ import annotations

from xdsl.ir import Attribute, Dialect

from dialects.ufw.activation import LogSoftmaxOp, PointwiseOp, PReLUOp, ReLUOp, SoftmaxOp
from dialects.ufw.convolution import ConvolutionOp, InnerProductOp
from dialects.ufw.deconvolution import DeconvolutionOp
from dialects.ufw.detection import PriorBoxOp
from dialects.ufw.eltwise import (
    BinaryOp,
    EltwiseOp,
    EltwiseOperation,
    EltwiseOperationAttr,
    ParameterOp,
    SelectOp,
)
from dialects.ufw.layer import LayerOp, Top
from dialects.ufw.movement import (
    CastOp,
    ConcatOp,
    DropoutOp,
    FlattenOp,
    Im2colOp,
    MaxPoolMaskOp,
    PadMode,
    PadModeAttr,
    PadOp,
    PermuteOp,
    Positions,
    PositionsAttr,
    RearrangeOp,
    ReshapeOp,
    ResizeMode,
    ResizeModeAttr,
    ResizeOp,
    SilenceOp,
    SliceOp,
    SplitOp,
    StridedSliceOp,
    TileOp,
    UnpoolOp,
)
from dialects.ufw.normalisation import BatchNormOp, BiasOp, ScaleOp
from dialects.ufw.pooling import PoolingKind, PoolingKindAttr, PoolingOp
from dialects.ufw.reductions.lrn import LRNOp
from dialects.ufw.reductions.matmul import MatMulOp
from dialects.ufw.reductions.recurrent import RecurrentOp
from dialects.ufw.reductions.reduce import ArgOp, ReduceOp, ReduceOperation, ReduceOperationAttr
from dialects.ufw.reductions.standardize import NormalizeOp, StandardizeOp
from dialects.ufw.spp import SPPOp
from dialects.ufw.volume import ConvolutionNdOp, PoolingNdOp

ALL_OPS: list[type[LayerOp]] = [
    ConvolutionOp,
    DeconvolutionOp,
    InnerProductOp,
    BatchNormOp,
    ScaleOp,
    BiasOp,
    PReLUOp,
    ReLUOp,
    PointwiseOp,
    DropoutOp,
    SoftmaxOp,
    LogSoftmaxOp,
    PoolingOp,
    ConvolutionNdOp,
    PoolingNdOp,
    SPPOp,
    EltwiseOp,
    BinaryOp,
    SelectOp,
    ParameterOp,
    CastOp,
    ConcatOp,
    SliceOp,
    SplitOp,
    FlattenOp,
    ReshapeOp,
    PermuteOp,
    SilenceOp,
    StridedSliceOp,
    PadOp,
    TileOp,
    ResizeOp,
    RearrangeOp,
    Im2colOp,
    MaxPoolMaskOp,
    UnpoolOp,
    LRNOp,
    ReduceOp,
    ArgOp,
    StandardizeOp,
    NormalizeOp,
    RecurrentOp,
    MatMulOp,
    PriorBoxOp,
]

ATTRIBUTES: list[type[Attribute]] = [
    PoolingKindAttr,
    EltwiseOperationAttr,
    PadModeAttr,
    PositionsAttr,
    ReduceOperationAttr,
    ResizeModeAttr,
]
UFW = Dialect("ufw", [*ALL_OPS], ATTRIBUTES)

__all__ = [
    "ALL_OPS",
    "UFW",
    "ArgOp",
    "BatchNormOp",
    "BiasOp",
    "BinaryOp",
    "CastOp",
    "ConcatOp",
    "ConvolutionNdOp",
    "ConvolutionOp",
    "DeconvolutionOp",
    "DropoutOp",
    "EltwiseOp",
    "EltwiseOperation",
    "EltwiseOperationAttr",
    "FlattenOp",
    "Im2colOp",
    "InnerProductOp",
    "LRNOp",
    "LayerOp",
    "LogSoftmaxOp",
    "MatMulOp",
    "MaxPoolMaskOp",
    "NormalizeOp",
    "PReLUOp",
    "PadMode",
    "PadOp",
    "ParameterOp",
    "PermuteOp",
    "PointwiseOp",
    "PoolingKind",
    "PoolingKindAttr",
    "PoolingNdOp",
    "PoolingOp",
    "Positions",
    "PriorBoxOp",
    "ReLUOp",
    "RearrangeOp",
    "RecurrentOp",
    "ReduceOp",
    "ReduceOperation",
    "ReduceOperationAttr",
    "ReshapeOp",
    "ResizeMode",
    "ResizeOp",
    "SPPOp",
    "ScaleOp",
    "SelectOp",
    "SilenceOp",
    "SliceOp",
    "SoftmaxOp",
    "SplitOp",
    "StandardizeOp",
    "StridedSliceOp",
    "TileOp",
    "Top",
    "UnpoolOp",
]
