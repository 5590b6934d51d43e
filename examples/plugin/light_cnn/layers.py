"""From files to the op, and from the op to exact arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xdsl.ir import SSAValue

from bmnetu.frontend.layers.site import LayerSite
from dialects.quant import types
from dialects.quant.base import int_attr
from dialects.quant.movement import SliceOp
from light_cnn.ops import MaxFeatureMapOp
from passes.layers.arithmetic import maximum
from passes.layers.converter import Converter

if TYPE_CHECKING:
    from bmnetu.frontend.onnx.operators.table import Operator


def import_max_feature_map(site: LayerSite) -> MaxFeatureMapOp:
    """A layer of a prototxt, with its ``max_feature_map_param``."""
    pieces = site.custom("max_feature_map_param")["pieces"]
    assert isinstance(pieces, int)
    return MaxFeatureMapOp(site.bottom, site.top, pieces)


def lower_max_feature_map(c: Converter, op: MaxFeatureMapOp) -> None:
    """A slice of the channels a piece, and their maximum."""
    x, shape = c.value(op.bottom), types.shape_of(op.top)
    pieces: list[SSAValue] = []
    for i in range(op.pieces.value.data):
        settings = {"axis": int_attr(1), "begin": int_attr(i * shape[1])}
        pieces.append(c.add(SliceOp, [x], types.like(x, shape), f"piece{i}", **settings))
    c.finish(op, maximum(c, op, pieces))


def onnx_operators() -> Mapping[str, Operator]:
    """The operator ``light.MaxFeatureMap`` as the layer of the same name."""
    from bmnetu.frontend.onnx.graph import Blob
    from bmnetu.frontend.onnx.operators.table import Operator
    from bmnetu.frontend.onnx.site import Site

    def convert(site: Site) -> Blob:
        pieces = site.node.integer("pieces", 2)
        return site.layer("MaxFeatureMap", site.blob(0), max_feature_map_param={"pieces": pieces})

    return {"light.MaxFeatureMap": Operator(convert)}
