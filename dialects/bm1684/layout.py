"""Where the elements of a memref lie: the layout and memory space attributes of the tile level."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, cast

from xdsl.dialects.builtin import (
    Float32Type,
    IntegerType,
    MemRefLayoutAttr,
    MemRefType,
    Signedness,
    f32,
)
from xdsl.ir import Attribute, Data, SSAValue
from xdsl.ir.affine import AffineMap
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from dialects.bm1684.chip import BM1684

si8 = IntegerType(8, Signedness.SIGNED)
ui8 = IntegerType(8, Signedness.UNSIGNED)
si16 = IntegerType(16, Signedness.SIGNED)
ui16 = IntegerType(16, Signedness.UNSIGNED)
i32 = IntegerType(32)


class Space(StrEnum):
    """A memory of the chip."""

    DDR = "ddr"
    LMEM = "lmem"
    L2 = "l2"


class Order(StrEnum):
    """Which dimension of a local memref walks over the lanes."""

    TENSOR = "tensor"  # [n, c, h, w]: channel c in lane (start + c) % 64
    WEIGHTS = "weights"  # [o, i, kh, kw]: output channel o in lane (start + o) % 64


@dataclass(frozen=True)
class Layout:
    """Storage units and strides.

    A unit has ``unit`` bytes and holds ``pack`` elements: images of a 4N or 2N tensor (dim 0),
    input channels of weights (dim 1). ``strides`` are in units, one a dimension; the packed
    dimension's stride steps over a whole pack, and in local memory the lane dimension's stride
    steps over a row of 64 lanes.
    """

    unit: int
    pack: int
    strides: tuple[int, int, int, int]
    order: Order = Order.TENSOR


_LAYOUT = re.compile(
    r"(tensor|weights) unit=([1248]) pack=([124]) strides=" + ",".join([r"(\d+)"] * 4)
)


@irdl_attr_definition
class LayoutAttr(MemRefLayoutAttr, Data[Layout]):
    """``#tile.layout<"tensor unit=4 pack=4 strides=784,784,28,1">``."""

    name = "tile.layout"
    example: ClassVar[str] = "tensor unit=4 pack=1 strides=64,64,8,1"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Layout:
        with parser.in_angle_brackets():
            text = parser.parse_str_literal()
        found = _LAYOUT.fullmatch(text)
        if found is None:
            parser.raise_error(f"a layout is like {LayoutAttr.example!r}, not {text!r}")
        unit, pack, n, c, h, w = map(int, found.groups()[1:])
        return Layout(unit, pack, (n, c, h, w), Order(found[1]))

    def print_parameter(self, printer: Printer) -> None:
        at = self.data
        strides = ",".join(map(str, at.strides))
        with printer.in_angle_brackets():
            printer.print_string_literal(
                f"{at.order} unit={at.unit} pack={at.pack} strides={strides}"
            )

    def get_affine_map(self) -> AffineMap:
        """Not affine where elements are packed or spread over lanes; raises NotImplementedError."""
        raise NotImplementedError("a #tile.layout is no affine map")


@dataclass(frozen=True)
class Place:
    """A memory space and, in local memory, the start lane."""

    space: Space
    lane: int = 0


@irdl_attr_definition
class PlaceAttr(Data[Place]):
    """``#tile.place<"ddr">``, ``#tile.place<"l2">``, ``#tile.place<"lmem 5">`` (start lane 5)."""

    name = "tile.place"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Place:
        with parser.in_angle_brackets():
            text = parser.parse_str_literal()
        found = re.fullmatch(r"(ddr|l2)|lmem ([0-9]|[1-5][0-9]|6[0-3])", text)
        if found is None:
            parser.raise_error(f"a place is ddr, l2 or lmem with the start lane, not {text!r}")
        return Place(Space(found[1])) if found[1] else Place(Space.LMEM, int(found[2]))

    def print_parameter(self, printer: Printer) -> None:
        lane = f" {self.data.lane}" if self.data.space == Space.LMEM else ""
        with printer.in_angle_brackets():
            printer.print_string_literal(f"{self.data.space}{lane}")


DDR = Place(Space.DDR)
LMEM = Place(Space.LMEM)
L2 = Place(Space.L2)


def memref(
    element: Attribute, shape: Sequence[int], layout: Layout, place: Place
) -> MemRefType[Any]:
    """A memref type of the tile level."""
    return MemRefType(element, list(shape), LayoutAttr(layout), PlaceAttr(place))


def align(value: int, step: int) -> int:
    """The least multiple of ``step`` that is not below ``value``."""
    return -(-value // step) * step


def rows_of(channels: int, lane: int = 0) -> int:
    """Rows of 64 lanes that channels starting at a lane take."""
    return -(-(lane + channels) // BM1684.lanes)


def contiguous(shape: Sequence[int], unit: int, pack: int = 1) -> Layout:
    """Row-major layout of [n, c, h, w] in DDR, n in groups of ``pack``."""
    _, c, h, w = shape
    return Layout(unit, pack, (c * h * w, h * w, w, 1))


def aligned(shape: Sequence[int], unit: int, pack: int = 1, lane: int = 0) -> Layout:
    """The engine's own layout of [n, c, h, w] in local memory: rows of lanes aligned to 128
    bytes.
    """
    _, c, h, w = shape
    row = align(h * w, BM1684.alignment // unit)
    return Layout(unit, pack, (rows_of(c, lane) * row, row, w, 1))


def local_bytes(shape: Sequence[int], layout: Layout, lane: int = 0) -> int:
    """Bytes per lane that an aligned tensor takes."""
    groups = -(-shape[0] // layout.pack)
    if layout.order is Order.WEIGHTS:
        return rows_of(shape[0], lane) * layout.strides[0] * layout.unit
    return groups * rows_of(shape[1], lane) * layout.strides[1] * layout.unit


@dataclass(frozen=True)
class Ref:
    """A memref type taken apart: what an instruction needs to know of an operand."""

    element: Attribute
    shape: tuple[int, int, int, int]
    layout: Layout
    place: Place

    @staticmethod
    def of(value: SSAValue | Attribute) -> Ref:
        """Raises TypeError when the value is no memref of the tile level."""
        kind = value.type if isinstance(value, SSAValue) else value
        if not isinstance(kind, MemRefType):
            raise TypeError(f"a memref was wanted, this is {kind}")
        kind = cast(MemRefType[Attribute], kind)
        layout, place = kind.layout, kind.memory_space
        if not isinstance(layout, LayoutAttr) or not isinstance(place, PlaceAttr):
            raise TypeError(f"a memref with #tile attributes was wanted, this is {kind}")
        n, c, h, w = kind.get_shape()
        return Ref(kind.element_type, (n, c, h, w), layout.data, place.data)

    @property
    def type(self) -> MemRefType[Any]:
        return memref(self.element, self.shape, self.layout, self.place)

    @property
    def groups(self) -> int:
        """Storage units along dim 0."""
        return -(-self.shape[0] // self.layout.pack)

    @property
    def is_float(self) -> bool:
        return isinstance(self.element, Float32Type)

    @property
    def is_signed(self) -> bool:
        return self.element not in (ui8, ui16)

    def with_(self, **changes: Any) -> Ref:
        return replace(self, **changes)

    def as_words(self) -> Ref:
        """The same storage seen as 32-bit units, one a pack (``n`` then counts packs)."""
        shape = (self.groups, *self.shape[1:])
        return replace(self, element=f32, shape=shape, layout=replace(self.layout, pack=1))
