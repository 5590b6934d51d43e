"""YoloDetectionOutput, the boxes of YOLOv2's heads, as layers of the NPU and a DetectionOutput."""

from __future__ import annotations

from collections.abc import Iterator

from bmnetu.frontend.ufw_pb2 import (
    BinaryParameter,
    LayerParameter,
    PriorBoxParameter,
    ReduceParameter,
)

COORDS = 4
BOX_AXIS = 3
"""The axis of x, y, w, h, objectness and classes behind the Permute."""


def without_yolo(param: LayerParameter) -> list[LayerParameter]:
    """The layer, or those of a YoloDetectionOutput of one or more heads.

    x and y of a box are sigmoids, from the corner of its cell in cells; w and h are powers of e
    times the anchor, in cells. That is what a DetectionOutput of CENTER_SIZE decodes, with anchors
    as prior boxes around the corners of the cells whose variances are 1 / the anchor for x and y.
    A box counts for its best class alone, with sigmoid(objectness) times the softmax of that class;
    labels begin with 1. The layers are called ``NAME/0/cells``, ``NAME/0/boxes`` ..., the last one
    NAME.
    """
    own = param.yolo_detection_output_param
    anchors = len(own.biases) // 2
    fits = own.coords == COORDS and anchors == own.num_box and len(own.biases) % 2 == 0
    positive = own.num_classes > 0 and own.num_box > 0 and all(x > 0 for x in own.biases)
    if param.type != "YoloDetectionOutput" or not (fits and positive):
        return [param]  # its importer refuses it
    if not param.bottom or len(param.top) != 1:
        return [param]
    heads = [f"{param.name}/{i}" for i in range(len(param.bottom))]
    found = [
        layer
        for name, bottom in zip(heads, param.bottom, strict=True)
        for layer in _head(param, name, bottom)
    ]
    priors = [f"{name}/prior{n}" for name in heads for n in range(anchors)]
    joined = (("loc", [f"{x}/loc" for x in heads], 1), ("conf", [f"{x}/conf" for x in heads], 1),
              ("prior", priors, 2))  # fmt: skip
    for what, parts, axis in joined:
        found.append(_concat(f"{param.name}/{what}", parts, axis))
    last = LayerParameter(name=param.name, type="DetectionOutput", top=param.top)
    last.bottom.extend(f"{param.name}/{what}" for what, _, _ in joined)
    output = last.detection_output_param
    output.num_classes = own.num_classes + 1
    output.code_type = PriorBoxParameter.CENTER_SIZE
    output.confidence_threshold = own.confidence_threshold
    output.nms_param.nms_threshold = own.nms_threshold
    return [*found, last]


def _head(param: LayerParameter, name: str, bottom: str) -> Iterator[LayerParameter]:
    own = param.yolo_detection_output_param
    cells = _layer("Reshape", f"{name}/cells", bottom)
    cells.reshape_param.shape.dim.extend([0, own.num_box, 5 + own.num_classes, -1])
    cells.reshape_param.channels = own.num_box * (5 + own.num_classes)
    boxes = _layer("Permute", f"{name}/boxes", f"{name}/cells")
    boxes.permute_param.order.extend([0, 1, 3, 2])
    parts = _layer("Slice", f"{name}/parts", f"{name}/boxes")
    parts.top[:] = [f"{name}/{part}" for part in ("xy", "wh", "object", "classes")]
    parts.slice_param.axis = BOX_AXIS
    parts.slice_param.slice_point.extend([2, 4, 5])
    yield from (cells, boxes, parts)
    for layer in _scores(name, own.num_classes):
        layer.forward_with_float = True
        yield layer
    for n in range(own.num_box):
        yield _prior(f"{name}/prior{n}", bottom, own.biases[2 * n], own.biases[2 * n + 1])


def _scores(name: str, classes: int) -> Iterator[LayerParameter]:
    """The locations and confidences of a head, a row an image."""
    yield _layer("Sigmoid", f"{name}/at", f"{name}/xy")
    yield _concat(f"{name}/located", [f"{name}/at", f"{name}/wh"], BOX_AXIS)
    yield _layer("Flatten", f"{name}/loc", f"{name}/located")
    yield _layer("Sigmoid", f"{name}/objectness", f"{name}/object")
    softmax = _layer("Softmax", f"{name}/softmax", f"{name}/classes")
    softmax.softmax_param.axis = BOX_AXIS
    yield softmax
    yield _product(f"{name}/scores", f"{name}/softmax", f"{name}/objectness")
    chosen = f"{name}/scores"
    if classes > 1:
        best = _layer("Reduce", f"{name}/best", f"{name}/scores")
        best.reduce_param.operation = ReduceParameter.MAX
        best.reduce_param.axis.append(BOX_AXIS)
        yield best
        is_best = _layer("Compare", f"{name}/is_best", f"{name}/scores", f"{name}/best")
        is_best.compare_param.operation = BinaryParameter.GE
        yield is_best
        chosen = f"{name}/chosen"
        yield _product(chosen, f"{name}/scores", f"{name}/is_best")
    nothing = _layer("Power", f"{name}/background", f"{name}/objectness")
    nothing.power_param.scale = 0
    yield nothing
    yield _concat(f"{name}/labelled", [f"{name}/background", chosen], BOX_AXIS)
    yield _layer("Flatten", f"{name}/conf", f"{name}/labelled")


def _prior(name: str, head: str, width: float, height: float) -> LayerParameter:
    """An anchor, in cells, around the corner of each cell of a head."""
    layer = _layer("PriorBoxClustered", name, head, head)
    prior = layer.prior_box_param
    prior.width.append(width)
    prior.height.append(height)
    prior.variance.extend([1 / width, 1 / height, 1, 1])
    prior.step, prior.offset = 1, 0
    return layer


def _layer(kind: str, name: str, *bottoms: str) -> LayerParameter:
    return LayerParameter(name=name, type=kind, bottom=bottoms, top=[name])


def _product(name: str, *bottoms: str) -> LayerParameter:
    layer = _layer("BroadcastBinary", name, *bottoms)
    layer.broadcast_binary_param.operation = BinaryParameter.MUL
    return layer


def _concat(name: str, bottoms: list[str], axis: int) -> LayerParameter:
    layer = _layer("Concat", name, *bottoms)
    layer.concat_param.axis = axis
    layer.forward_with_float = True
    return layer
