"""Which outputs of a net are detections."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from bmnetu.calibration.annotations.label_map import Classes
from dialects.execute import names_of
from dialects.host.base import HostOp
from dialects.meaning import evaluate_whole
from dialects.ufw.facts import MovesData
from dialects.ufw.layer import LayerOp, shape_of


@dataclass(frozen=True)
class DetectionOutput:
    """An output of rows: ``centred`` where the coordinates are centre x, y, width, height; the
    ``classes`` are as far as the layer says them."""

    centred: bool
    classes: Classes


def detection_outputs(function: FuncOp) -> dict[str, DetectionOutput]:
    """The outputs of a ufw function that are detections, by name: those that a host layer makes
    which is declared so, with only layers behind it that leave all numbers in their order."""
    last = function.body.block.last_op
    assert last is not None
    found: dict[str, DetectionOutput] = {}
    for name, value in zip(names_of(function, "output_names"), last.operands, strict=True):
        maker = _maker(value)
        if maker is not None:
            values = maker.values
            classes = Classes(values.get("num_classes"), values.get("background_label_id"))
            found[name] = DetectionOutput(maker.LAYER.centred, classes)
    return found


def _maker(value: SSAValue) -> HostOp | None:
    op = value.owner
    if isinstance(op, HostOp):
        return op if op.LAYER.is_detection and op.results[0] is value else None
    if isinstance(op, LayerOp) and op.has_trait(MovesData) and len(op.operands) == 1:
        shape = shape_of(op.operands[0])
        places = np.arange(prod(shape), dtype=np.float32).reshape(shape)
        for result, moved in zip(op.results, evaluate_whole(op, [places]), strict=True):
            if result is value and np.array_equal(moved.ravel(), places.ravel()):
                return _maker(op.operands[0])
    return None
