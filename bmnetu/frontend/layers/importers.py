"""The one table of layer types: to add a layer, write its import function and add a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bmnetu.frontend.layers import import_compute as compute
from bmnetu.frontend.layers import import_eltwise as eltwise
from bmnetu.frontend.layers import import_movement as movement
from bmnetu.frontend.layers import import_normalisation as normalisation
from bmnetu.frontend.layers import import_reduction as reduction
from bmnetu.frontend.layers.site import LayerSite
from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.functions import FUNCTIONS, Function
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


IMPORTERS: dict[str, Importer] = {
    "BN": Importer(normalisation.bn, ops.ScaleOp),
    "Axpy": Importer(
        eltwise.axpy,
        ops.EltwiseOp,
        bottoms=(3, 3),
        messages=(),
        limits="replaced by Reshape, BroadcastBinary and Eltwise",
    ),
    "BatchNorm": Importer(normalisation.batch_norm, ops.BatchNormOp),
    "Bias": Importer(normalisation.bias, ops.BiasOp, bottoms=(1, 2)),
    "BroadcastBinary": Importer(
        eltwise.binary("broadcast_binary_param"), ops.BinaryOp, bottoms=(1, 2)
    ),
    "Compare": Importer(eltwise.binary("compare_param"), ops.BinaryOp, bottoms=(1, 2)),
    "ConstBinary": Importer(eltwise.binary("const_binary_param"), ops.BinaryOp),
    "ComposedFunction": Importer(compute.composed_function, ops.PointwiseOp),
    "Concat": Importer(movement.concat, ops.ConcatOp, bottoms=(1, ANY)),
    "Convolution": Importer(compute.convolution, ops.ConvolutionOp),
    "ConvolutionDepthwise": Importer(
        compute.depthwise_convolution, ops.ConvolutionOp, messages=CONVOLUTION
    ),
    "Deconvolution": Importer(compute.deconvolution, ops.DeconvolutionOp, messages=CONVOLUTION),
    "DeconvolutionDepthwise": Importer(
        compute.depthwise_deconvolution, ops.DeconvolutionOp, messages=CONVOLUTION
    ),
    "DenseBlock": Importer(
        movement.dense_block,
        ops.ConcatOp,
        limits="replaced by BatchNorm, Scale, ReLU, Convolution and Concat",
    ),
    "DepthwiseConvolution": Importer(
        compute.depthwise_convolution, ops.ConvolutionOp, messages=CONVOLUTION
    ),
    "CuDNNBatchNorm": Importer(
        normalisation.cudnn_batch_norm, ops.ScaleOp, messages=("cudnn_batch_norm_param",)
    ),
    "Dropout": Importer(movement.dropout, ops.DropoutOp),
    "Eltwise": Importer(eltwise.eltwise, ops.EltwiseOp, bottoms=(2, ANY)),
    "EltwiseBinary": Importer(
        eltwise.binary("eltwise_binary_param"), ops.BinaryOp, bottoms=(2, 2)
    ),
    "Flatten": Importer(movement.flatten, ops.FlattenOp),
    "InnerProduct": Importer(compute.inner_product, ops.InnerProductOp),
    "LRN": Importer(normalisation.lrn, ops.LRNOp),
    "LogSoftmax": Importer(
        compute.log_softmax, ops.LogSoftmaxOp, messages=("softmax_param",)
    ),
    "PReLU": Importer(compute.prelu, ops.PReLUOp),
    "Parameter": Importer(eltwise.parameter, ops.ParameterOp, bottoms=(0, 0)),
    "Permute": Importer(movement.permute, ops.PermuteOp),
    "Pooling": Importer(compute.pooling, ops.PoolingOp),
    "ReLU": Importer(compute.relu, ops.ReLUOp),
    "ReLU6": Importer(compute.relu6, ops.ReLUOp),
    "Reshape": Importer(movement.reshape, ops.ReshapeOp),
    "Scale": Importer(normalisation.scale, ops.ScaleOp, bottoms=(1, 2)),
    "Select": Importer(eltwise.select, ops.SelectOp, bottoms=(3, 3), messages=()),
    "Silence": Importer(movement.silence, ops.SilenceOp, bottoms=(1, ANY), tops=(0, 0)),
    "Slice": Importer(movement.slices, ops.SliceOp, tops=(1, ANY)),
    "Arg": Importer(reduction.arg, ops.ArgOp, tops=(1, 2)),
    "ArgMax": Importer(reduction.arg_max, ops.ArgOp),
    "GroupNorm": Importer(reduction.group_norm, ops.StandardizeOp),
    "InstanceNorm": Importer(reduction.instance_norm, ops.StandardizeOp),
    "LayerNorm": Importer(reduction.layer_norm, ops.StandardizeOp),
    "MVN": Importer(reduction.mvn, ops.StandardizeOp),
    "Normalize": Importer(reduction.normalize, ops.NormalizeOp, messages=("norm_param",)),
    "Reduce": Importer(reduction.reduce, ops.ReduceOp),
    "ReduceFull": Importer(reduction.reduce, ops.ReduceOp),
    "Reduction": Importer(reduction.reduction, ops.ReduceOp),
    "Softmax": Importer(compute.softmax, ops.SoftmaxOp),
    "Split": Importer(movement.split, ops.SplitOp, tops=(1, ANY)),
    "Where": Importer(eltwise.select, ops.SelectOp, bottoms=(3, 3), messages=()),
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
