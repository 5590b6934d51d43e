"""The host dialect: layers that the runtime computes on the host's processor, one op each."""

from __future__ import annotations

from xdsl.ir import Dialect

from dialects.host.base import HostOp
from dialects.host.deform import DeformConvOp, DeformGatherOp
from dialects.host.detection import DetectionOutputOp, RefineDetDetectionOutputOp
from dialects.host.elementwise import UnaryOp
from dialects.host.proposal import ProposalOp
from dialects.host.regions import (
    PsRoiPoolingOp,
    RoiAlignMxnetOp,
    RoiAlignOp,
    RoiPoolingOp,
)
from dialects.host.sampling import GridSamplerOp, ResizeOp
from dialects.host.selection import (
    GatherElementsOp,
    GatherOp,
    NonMaxSuppressionOp,
    OnnxNonMaxSuppressionOp,
    WhereOp,
)
from dialects.host.sorting import ArgsortOp, SortOp, TopKMxnetOp, TopKOp
from dialects.host.yolo import YoloActivationOp, YoloV3DetectionOutputOp

ALL_OPS: list[type[HostOp]] = [
    DetectionOutputOp,
    RefineDetDetectionOutputOp,
    ProposalOp,
    RoiPoolingOp,
    RoiAlignMxnetOp,
    YoloActivationOp,
    GatherOp,
    NonMaxSuppressionOp,
    ArgsortOp,
    YoloV3DetectionOutputOp,
    WhereOp,
    TopKOp,
    ResizeOp,
    SortOp,
    UnaryOp,
    TopKMxnetOp,
    GatherElementsOp,
    RoiAlignOp,
    GridSamplerOp,
    OnnxNonMaxSuppressionOp,
    DeformGatherOp,
    PsRoiPoolingOp,
    DeformConvOp,
]
HOST = Dialect("host", [*ALL_OPS], [])
BY_NUMBER = {op.LAYER.number: op for op in ALL_OPS}
"""The ops by their numbers in the bmodel."""
