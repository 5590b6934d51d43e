"""The one table of layer types: to add a layer, write its import function and add a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bmnetu.frontend.layers import import_compute as compute
from bmnetu.frontend.layers import import_movement as movement
from bmnetu.frontend.layers.site import LayerSite
from dialects.functions import FUNCTIONS, Function
from dialects.ufw.ops import LayerOp

ANY = 2**31


@dataclass(frozen=True)
class Importer:
    """How a layer type becomes an op; how many bottoms and tops it may have (least, most)."""

    build: Callable[[LayerSite], LayerOp]
    bottoms: tuple[int, int] = (1, 1)
    tops: tuple[int, int] = (1, 1)


IMPORTERS: dict[str, Importer] = {
    "BatchNorm": Importer(compute.batch_norm),
    "Bias": Importer(compute.bias, bottoms=(1, 2)),
    "Concat": Importer(movement.concat, bottoms=(1, ANY)),
    "Convolution": Importer(compute.convolution),
    "ConvolutionDepthwise": Importer(compute.depthwise_convolution),
    "DepthwiseConvolution": Importer(compute.depthwise_convolution),
    "Dropout": Importer(movement.dropout),
    "Eltwise": Importer(compute.eltwise, bottoms=(2, ANY)),
    "Flatten": Importer(movement.flatten),
    "InnerProduct": Importer(compute.inner_product),
    "PReLU": Importer(compute.prelu),
    "Permute": Importer(movement.permute),
    "Pooling": Importer(compute.pooling),
    "ReLU": Importer(compute.relu),
    "ReLU6": Importer(compute.relu6),
    "Reshape": Importer(movement.reshape),
    "Scale": Importer(compute.scale, bottoms=(1, 2)),
    "Silence": Importer(movement.silence, bottoms=(1, ANY), tops=(0, 0)),
    "Slice": Importer(movement.slices, tops=(1, ANY)),
    "Softmax": Importer(compute.softmax),
    "Split": Importer(movement.split, tops=(1, ANY)),
}


def add_function(function: Function) -> None:
    """A pointwise function's layer types."""
    for layer in (function.layer, *function.aliases):
        IMPORTERS[layer] = Importer(compute.pointwise(function))


for each in FUNCTIONS.values():
    add_function(each)
