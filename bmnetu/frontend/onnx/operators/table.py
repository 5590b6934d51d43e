"""The table of ONNX operators: to add one, write its conversion and add a row."""

from __future__ import annotations

from dataclasses import dataclass

from bmnetu.errors import UsageError
from bmnetu.frontend.onnx.operators import (
    arithmetic,
    functions,
    indexing,
    movement,
    normalisations,
    padding,
    products,
    quantised,
    reductions,
)
from bmnetu.frontend.onnx.operators.einsum import einsum
from bmnetu.frontend.onnx.operators.host import sampling, selection
from bmnetu.frontend.onnx.operators.indices import scatter, whole
from bmnetu.frontend.onnx.operators.recurrence.recurrent import recurrent
from bmnetu.frontend.onnx.operators.windows import convolutions, poolings, resize
from bmnetu.frontend.onnx.site import Conversion
from bmnetu.plugins import plugins
from dialects.functions import ROWS, Function
from dialects.quant.reductions.recurrent import Cell

ANY = 2**31


@dataclass(frozen=True)
class Operator:
    """How a node becomes layers; how many inputs it may have (least, most); whether it is right for
    whole numbers and truth values, too, which layers hold as float32."""

    convert: Conversion
    inputs: tuple[int, int] = (1, 1)
    integers: bool = False
    outputs: int = 1
    """How many outputs it may make."""


OPERATORS: dict[str, Operator] = {
    "Add": Operator(arithmetic.add, (2, 2), integers=True),
    "And": Operator(arithmetic.of_two("MUL"), (2, 2), integers=True),
    "ArgMax": Operator(reductions.largest_place(smallest=False), integers=True),
    "ArgMin": Operator(reductions.largest_place(smallest=True), integers=True),
    "AveragePool": Operator(poolings.average_pool),
    "BatchNormalization": Operator(normalisations.batch_normalization, (5, 5)),
    "Cast": Operator(movement.cast, integers=True),
    "CastLike": Operator(movement.cast_like, (2, 2), integers=True),
    "Clip": Operator(functions.clip, (1, 3)),
    "Concat": Operator(movement.concat, (1, ANY), integers=True),
    "Conv": Operator(convolutions.convolution, (2, 3)),
    "ConvTranspose": Operator(convolutions.transposed_convolution, (2, 3)),
    "DeformConv": Operator(sampling.deform_conv, (3, 5)),
    "DepthToSpace": Operator(resize.depth_to_space),
    "Div": Operator(whole.divide, (2, 2), integers=True),
    "Dropout": Operator(movement.dropout, (1, 3)),
    "DequantizeLinear": Operator(quantised.dequantize, (2, 3), integers=True),
    "Einsum": Operator(einsum, (1, ANY)),
    "Equal": Operator(arithmetic.equal, (2, 2), integers=True),
    "Expand": Operator(padding.expand, (2, 2), integers=True),
    "Flatten": Operator(movement.flatten, integers=True),
    "GRU": Operator(recurrent(Cell.GRU), (3, 6), outputs=2),
    "Gather": Operator(selection.gather, (2, 2), integers=True),
    "GatherElements": Operator(selection.gather_elements, (2, 2), integers=True),
    "Gelu": Operator(functions.gelu),
    "Gemm": Operator(products.gemm, (2, 3)),
    "GlobalAveragePool": Operator(poolings.global_average_pool),
    "GlobalLpPool": Operator(poolings.global_lp_pool),
    "GlobalMaxPool": Operator(poolings.global_max_pool),
    "Greater": Operator(arithmetic.of_two("GT"), (2, 2), integers=True),
    "GreaterOrEqual": Operator(arithmetic.of_two("GE"), (2, 2), integers=True),
    "GatherND": Operator(selection.gather_nd, (2, 2), integers=True),
    "GridSample": Operator(sampling.grid_sample, (2, 2)),
    "GroupNormalization": Operator(normalisations.group_normalization, (3, 3)),
    "Identity": Operator(movement.identity, integers=True),
    "InstanceNormalization": Operator(normalisations.instance_normalization, (3, 3)),
    "IsNaN": Operator(arithmetic.is_nan),
    "LRN": Operator(poolings.lrn),
    "LSTM": Operator(recurrent(Cell.LSTM), (3, 8), outputs=3),
    "LayerNormalization": Operator(normalisations.layer_normalization, (2, 3)),
    "LeakyRelu": Operator(functions.leaky_relu),
    "Less": Operator(arithmetic.of_two("LT"), (2, 2), integers=True),
    "LessOrEqual": Operator(arithmetic.of_two("LE"), (2, 2), integers=True),
    "LogSoftmax": Operator(normalisations.softmax("LogSoftmax")),
    "LpNormalization": Operator(normalisations.lp_normalization),
    "LpPool": Operator(poolings.lp_pool),
    "MatMul": Operator(products.matmul, (2, 2)),
    "Max": Operator(arithmetic.maximum, (1, ANY), integers=True),
    "MaxPool": Operator(poolings.max_pool, outputs=2),
    "MaxUnpool": Operator(poolings.max_unpool, (2, 3), integers=True),
    "Mean": Operator(arithmetic.mean, (1, ANY)),
    "Min": Operator(arithmetic.minimum, (1, ANY), integers=True),
    "Mod": Operator(whole.modulo, (2, 2), integers=True),
    "Mul": Operator(arithmetic.multiply, (2, 2), integers=True),
    "NonMaxSuppression": Operator(selection.non_max_suppression, (2, 5)),
    "Not": Operator(arithmetic.negated, integers=True),
    "Or": Operator(arithmetic.of_two("MAX"), (2, 2), integers=True),
    "PRelu": Operator(functions.prelu, (2, 2)),
    "Pad": Operator(padding.pad, (1, 4), integers=True),
    "Pow": Operator(arithmetic.power, (2, 2)),
    "RMSNormalization": Operator(normalisations.rms_normalization, (2, 2)),
    "RNN": Operator(recurrent(Cell.RNN), (3, 6), outputs=2),
    "ReduceL1": Operator(reductions.reduction("L1"), (1, 2)),
    "ReduceL2": Operator(reductions.reduction("L2"), (1, 2)),
    "ReduceLogSum": Operator(reductions.log_sum, (1, 2)),
    "ReduceLogSumExp": Operator(reductions.log_sum_exp, (1, 2)),
    "ReduceMax": Operator(reductions.reduction("MAX"), (1, 2), integers=True),
    "ReduceMean": Operator(reductions.reduction("MEAN"), (1, 2)),
    "ReduceMin": Operator(reductions.reduction("MIN"), (1, 2), integers=True),
    "ReduceProd": Operator(reductions.reduction("PROD"), (1, 2)),
    "ReduceSum": Operator(reductions.reduction("SUM"), (1, 2), integers=True),
    "ReduceSumSquare": Operator(reductions.reduction("SUMSQ"), (1, 2)),
    "QuantizeLinear": Operator(quantised.quantize, (2, 3), integers=True),
    "Relu": Operator(functions.relu),
    "Reshape": Operator(movement.reshape, (2, 2), integers=True),
    "Resize": Operator(resize.resize, (1, 4)),
    "RoiAlign": Operator(sampling.roi_align, (3, 3), integers=True),
    "ScatterElements": Operator(scatter.scatter_elements, (3, 3), integers=True),
    "ScatterND": Operator(scatter.scatter_nd, (3, 3), integers=True),
    "Sign": Operator(functions.composed(arithmetic.SIGN)),
    "Slice": Operator(indexing.slices, (1, 5), integers=True),
    "Softmax": Operator(normalisations.softmax("Softmax")),
    "SpaceToDepth": Operator(resize.space_to_depth),
    "Split": Operator(movement.split, (1, 2), integers=True, outputs=ANY),
    "Squeeze": Operator(movement.squeeze, (1, 2), integers=True),
    "Sub": Operator(arithmetic.subtract, (2, 2), integers=True),
    "Sum": Operator(arithmetic.total, (1, ANY)),
    "Tile": Operator(padding.tile, (2, 2), integers=True),
    "TopK": Operator(selection.top_k, (1, 2), integers=True, outputs=2),
    "Transpose": Operator(movement.transpose, integers=True),
    "Unsqueeze": Operator(movement.unsqueeze, (1, 2), integers=True),
    "Upsample": Operator(resize.upsample, (1, 2)),
    "Where": Operator(arithmetic.where, (3, 3), integers=True),
    "Xor": Operator(arithmetic.of_two("NE"), (2, 2), integers=True),
}


OWN: dict[str, Operator] = {
    "bmnetu.Grouped": Operator(normalisations.grouped, (7, 7), integers=True),
    "bmnetu.RootMeanSquare": Operator(
        normalisations.in_parts(normalisations.root_mean_square), (3, 3), integers=True
    ),
    "bmnetu.Standardize": Operator(
        normalisations.in_parts(normalisations.standardized), (3, 3), integers=True
    ),
    "bmnetu.Unit": Operator(normalisations.in_parts(normalisations.unit), (3, 3), integers=True),
}
"""What stands for several nodes, see rewrite.py."""


def all_operators() -> dict[str, Operator]:
    """Every operator, those of pointwise functions and of plug-ins too."""
    found = {**OPERATORS, **OWN}
    for row in ROWS:
        found.update(_of(row))
    for name, plugin in plugins().items():
        brought = [*plugin.operators().items()]
        brought += [item for function in plugin.functions for item in _of(function).items()]
        for operator, how in brought:
            if operator in found:
                raise UsageError(f"plug-in {name}: the ONNX operator {operator} exists already")
            found[operator] = how
    return found


def _of(function: Function) -> dict[str, Operator]:
    """The operators of a pointwise function."""
    return {each.name: Operator(functions.pointwise(function, each)) for each in function.onnx}


