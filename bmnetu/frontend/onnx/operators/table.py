"""The table of ONNX operators: to add one, write its conversion and add a row."""

from __future__ import annotations

from dataclasses import dataclass

from bmnetu.errors import UsageError
from bmnetu.frontend.onnx.graph import Conversion
from bmnetu.frontend.onnx.operators import (
    arithmetic,
    convolutions,
    functions,
    movement,
    poolings,
    products,
    reductions,
    resize,
)
from bmnetu.plugins import plugins
from dialects.functions import ROWS, Function

ANY = 2**31


@dataclass(frozen=True)
class Operator:
    """How a node becomes layers; how many inputs it may have (least, most)."""

    convert: Conversion
    inputs: tuple[int, int] = (1, 1)


OPERATORS: dict[str, Operator] = {
    "Add": Operator(arithmetic.add, (2, 2)),
    "AveragePool": Operator(poolings.average_pool),
    "BatchNormalization": Operator(functions.batch_normalization, (5, 5)),
    "Cast": Operator(movement.cast),
    "Clip": Operator(functions.clip, (1, 3)),
    "Concat": Operator(movement.concat, (1, ANY)),
    "Conv": Operator(convolutions.convolution, (2, 3)),
    "ConvTranspose": Operator(convolutions.transposed_convolution, (2, 3)),
    "DepthToSpace": Operator(resize.depth_to_space),
    "Div": Operator(arithmetic.divide, (2, 2)),
    "Dropout": Operator(movement.dropout, (1, 3)),
    "Flatten": Operator(movement.flatten),
    "Gather": Operator(movement.gather, (2, 2)),
    "Gelu": Operator(functions.gelu),
    "Gemm": Operator(products.gemm, (2, 3)),
    "GlobalAveragePool": Operator(poolings.global_average_pool),
    "GlobalLpPool": Operator(poolings.global_lp_pool),
    "GlobalMaxPool": Operator(poolings.global_max_pool),
    "Identity": Operator(movement.identity),
    "LRN": Operator(poolings.lrn),
    "LeakyRelu": Operator(functions.leaky_relu),
    "LpPool": Operator(poolings.lp_pool),
    "MatMul": Operator(products.matmul, (2, 2)),
    "Max": Operator(arithmetic.maximum, (1, ANY)),
    "MaxPool": Operator(poolings.max_pool),
    "MaxUnpool": Operator(poolings.max_unpool, (2, 3)),
    "Mean": Operator(arithmetic.mean, (1, ANY)),
    "Min": Operator(arithmetic.minimum, (1, ANY)),
    "Mul": Operator(arithmetic.multiply, (2, 2)),
    "PRelu": Operator(functions.prelu, (2, 2)),
    "Pad": Operator(movement.pad, (1, 4)),
    "Pow": Operator(arithmetic.power, (2, 2)),
    "ReduceMax": Operator(reductions.reduce_max, (1, 2)),
    "ReduceMean": Operator(reductions.reduce_mean, (1, 2)),
    "Relu": Operator(functions.relu),
    "Reshape": Operator(movement.reshape, (2, 2)),
    "Resize": Operator(resize.resize, (1, 4)),
    "Slice": Operator(movement.slices, (1, 5)),
    "Softmax": Operator(functions.softmax),
    "SpaceToDepth": Operator(resize.space_to_depth),
    "Split": Operator(movement.split, (1, 2)),
    "Squeeze": Operator(movement.squeeze, (1, 2)),
    "Sub": Operator(arithmetic.subtract, (2, 2)),
    "Sum": Operator(arithmetic.total, (1, ANY)),
    "Transpose": Operator(movement.transpose),
    "Unsqueeze": Operator(movement.unsqueeze, (1, 2)),
    "Upsample": Operator(resize.upsample, (1, 2)),
}


def all_operators() -> dict[str, Operator]:
    """Every operator, those of pointwise functions and of plug-ins too."""
    found = dict(OPERATORS)
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


