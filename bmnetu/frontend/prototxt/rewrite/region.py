"""Region and RegionYolo, the activations of YOLO's heads, as layers of the NPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.ufw.shapes import require

CORNER = 2
"""x and y, the first coordinates of a box."""


@dataclass(frozen=True)
class Part:
    """Channels of a box that one layer computes; None: they stay."""

    name: str
    channels: int
    function: str | None


@dataclass(frozen=True)
class Head:
    """What the channels of a head are: of each of ``boxes`` these parts.

    ``by_cell``: in the result all numbers of a cell stand together, in the shape of the map.
    ``flat``: the result is flattened as ``flatten_param`` says.
    """

    boxes: int
    parts: tuple[Part, ...]
    by_cell: bool = False
    flat: bool = False

    @property
    def box(self) -> int:
        """The channels of a box."""
        return sum(part.channels for part in self.parts)


def region_head(param: LayerParameter) -> Head:
    """What a Region does. There are two layers of this name, which their fields distinguish: that
    of darknet (``num``), and one that leaves x and y as they are and puts the numbers of a cell
    together (``boxes_of_each_grid``).

    Raises :class:`VerifyException` for settings that mean nothing.
    """
    own = param.region_param
    of_darknet, by_cell = own.HasField("num"), own.HasField("boxes_of_each_grid")
    require(
        of_darknet != by_cell,
        "one of num and boxes_of_each_grid is required: num for the map of darknet, with sigmoids"
        " of x and y, boxes_of_each_grid for raw x and y and the numbers of a cell together",
    )
    _check(own.coords, own.classes, own.num if of_darknet else own.boxes_of_each_grid)
    if by_cell:
        softmax = "Softmax" if own.softmax else None
        parts = (
            Part("box", own.coords, None),
            Part("objectness", 1, "Sigmoid"),
            Part("scores", own.classes, softmax),
        )
        return Head(own.boxes_of_each_grid, parts, by_cell=True)
    require(
        own.softmax or not own.HasField("softmax"),
        "softmax: false has two meanings: with num, the classes are raw in old versions of darknet"
        " and sigmoids in later ones; a RegionYolo with do_softmax: false has sigmoids",
    )
    return Head(own.num, _darknet(own.coords, own.classes))


def region_yolo_head(param: LayerParameter) -> Head:
    """What a RegionYolo does, as OpenVINO documents it: darknet's Region, flattened; without
    ``do_softmax`` the head of YOLOv3 for the anchors of ``mask``.

    Raises :class:`VerifyException` for settings that mean nothing.
    """
    own = param.region_yolo_param
    _check(own.coords, own.classes, own.num)
    if own.do_softmax:
        return Head(own.num, _darknet(own.coords, own.classes), flat=True)
    require(len(own.mask) > 0, "do_softmax: false requires mask, the numbers of its anchors")
    parts = (*_corner(own.coords), Part("scores", 1 + own.classes, "Sigmoid"))
    return Head(len(own.mask), parts)


def _corner(coords: int) -> tuple[Part, Part]:
    return Part("at", CORNER, "Sigmoid"), Part("size", coords - CORNER, None)


def _darknet(coords: int, classes: int) -> tuple[Part, ...]:
    return (
        *_corner(coords),
        Part("objectness", 1, "Sigmoid"),
        Part("scores", classes, "Softmax"),
    )


def _check(coords: int, classes: int, boxes: int) -> None:
    require(boxes > 0 and classes > 0, "the boxes of a cell and classes must be positive")
    require(coords > CORNER, f"coords is {coords}; 4 are usual, and 3 the fewest")


HEADS = {"Region": region_head, "RegionYolo": region_yolo_head}
"""What the layers do, by their type."""


def without_region(param: LayerParameter) -> list[LayerParameter]:
    """The layer, or those of a Region or RegionYolo: each box of a cell becomes an image of its own
    (``NAME/boxes``), whose channels are cut (``NAME/parts``), computed (``NAME/at``,
    ``NAME/objectness``, ``NAME/scores``) and joined (``NAME/joined``); NAME has the map again.
    """
    head_of = HEADS.get(param.type)
    if head_of is None or len(param.bottom) != 1 or len(param.top) != 1:
        return [param]
    try:
        head = head_of(param)
    except VerifyException:
        return [param]  # its importer refuses it
    return list(_layers(param, head))


def _layers(param: LayerParameter, head: Head) -> Iterator[LayerParameter]:
    name = param.name
    boxes = _layer("Reshape", f"{name}/boxes", param.bottom[0])
    boxes.reshape_param.channels = head.boxes * head.box
    boxes.reshape_param.shape.dim.extend([-1, head.box])
    boxes.reshape_param.num_axes = 2
    cut = _layer("Slice", f"{name}/parts", f"{name}/boxes")
    cut.top[:] = [f"{name}/{part.name}/raw" for part in head.parts]
    ends = [part.channels for part in head.parts]
    cut.slice_param.slice_point.extend(sum(ends[: i + 1]) for i in range(len(ends) - 1))
    yield from (boxes, cut)
    for part, raw in zip(head.parts, cut.top, strict=True):
        if part.function:
            found = _layer(part.function, f"{name}/{part.name}", raw)
            found.forward_with_float = True
            yield found
    joined = _layer("Concat", f"{name}/joined")
    joined.forward_with_float = True
    joined.bottom.extend(
        f"{name}/{part.name}" if part.function else raw
        for part, raw in zip(head.parts, cut.top, strict=True)
    )
    whole = _layer("Reshape", f"{name}/map", f"{name}/joined")
    whole.reshape_param.shape.dim.extend([-1, head.boxes * head.box])
    whole.reshape_param.num_axes = 2
    layers = [joined, whole]
    if head.by_cell:
        layers += _by_cell(name, head)
    if head.flat:
        flat = _layer("Flatten", f"{name}/flat", f"{name}/map")
        flat.flatten_param.CopyFrom(param.flatten_param)
        layers.append(flat)
    layers[-1].name = name
    layers[-1].top[:] = param.top
    yield from layers


def _by_cell(name: str, head: Head) -> list[LayerParameter]:
    """The numbers in the order of the cells, in the shape of the map: an axis of 1 is put in, so
    that height and width are where a Reshape copies them from."""
    cells = _layer("Permute", f"{name}/cells", f"{name}/map")
    cells.permute_param.order.extend([0, 2, 3, 1])
    wide = _layer("Reshape", f"{name}/wide", f"{name}/cells")
    wide.reshape_param.shape.dim.append(1)
    wide.reshape_param.axis, wide.reshape_param.num_axes = 1, 0
    shaped = _layer("Reshape", f"{name}/shaped", f"{name}/wide")
    shaped.reshape_param.shape.dim.extend([0, head.boxes * head.box, 0, 0])
    return [cells, wide, shaped]


def _layer(kind: str, name: str, *bottoms: str) -> LayerParameter:
    return LayerParameter(name=name, type=kind, bottom=bottoms, top=[name])
