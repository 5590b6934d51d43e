"""Where the elements of a memref lie: the layout and memory space attributes of the tile level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    Float32Type,
    IntAttr,
    IntegerType,
    MemRefLayoutAttr,
    MemRefType,
    Signedness,
    f32,
)
from xdsl.dialects.utils.enum_attribute import EnumAttribute
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue
from xdsl.ir.affine import AffineMap
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.str_enum import StrEnum

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


@irdl_attr_definition
class OrderAttr(EnumAttribute[Order]):
    """``tensor`` or ``weights``."""

    name = "tile.order"


@irdl_attr_definition
class SpaceAttr(EnumAttribute[Space]):
    """``ddr``, ``lmem`` or ``l2``."""

    name = "tile.space"


def _layout_problem(unit: int, pack: int, strides: Sequence[int]) -> str | None:
    known = unit in (1, 2, 4, 8) and pack in (1, 2, 4)
    if known and len(strides) == 4 and min(strides) >= 0:
        return None
    return (
        "a layout has a unit of 1, 2, 4 or 8 bytes, a pack of 1, 2 or 4 elements and four strides,"
        f" not {unit}, {pack} and {[*strides]}"
    )


def _place_problem(space: Space, lane: int) -> str | None:
    lanes = BM1684.lanes if space is Space.LMEM else 1
    return None if 0 <= lane < lanes else f"there is no lane {lane} in {space}"


@irdl_attr_definition
class LayoutAttr(MemRefLayoutAttr, ParametrizedAttribute):
    """A :class:`Layout`: ``#tile.layout<tensor unit 4 pack 4 strides [784, 784, 28, 1]>``."""

    name = "tile.layout"
    order: OrderAttr
    unit: IntAttr
    pack: IntAttr
    strides: ArrayAttr[IntAttr]

    @staticmethod
    def of(layout: Layout) -> LayoutAttr:
        """The attribute of a layout."""
        strides = ArrayAttr(map(IntAttr, layout.strides))
        return LayoutAttr(
            OrderAttr(layout.order), IntAttr(layout.unit), IntAttr(layout.pack), strides
        )

    @property
    def layout(self) -> Layout:
        """The layout; made once an attribute, as every operand is asked for it."""
        found = self.__dict__.get("_layout")
        if found is None:
            n, c, h, w = (stride.data for stride in self.strides)
            found = Layout(self.unit.data, self.pack.data, (n, c, h, w), self.order.data)
            object.__setattr__(self, "_layout", found)
        return found

    def verify(self) -> None:
        strides = [stride.data for stride in self.strides]
        if problem := _layout_problem(self.unit.data, self.pack.data, strides):
            raise VerifyException(problem)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            order = parser.parse_str_enum(Order)
            parser.parse_keyword("unit")
            unit = parser.parse_integer(allow_boolean=False)
            parser.parse_keyword("pack")
            pack = parser.parse_integer(allow_boolean=False)
            parser.parse_keyword("strides")
            strides = parser.parse_comma_separated_list(
                parser.Delimiter.SQUARE, lambda: parser.parse_integer(allow_boolean=False)
            )
        if problem := _layout_problem(unit, pack, strides):
            parser.raise_error(problem)
        return OrderAttr(order), IntAttr(unit), IntAttr(pack), ArrayAttr(map(IntAttr, strides))

    def print_parameters(self, printer: Printer) -> None:
        strides = ", ".join(str(stride.data) for stride in self.strides)
        printer.print_string(
            f"<{self.order.data} unit {self.unit.data} pack {self.pack.data} strides [{strides}]>"
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
class PlaceAttr(ParametrizedAttribute):
    """A :class:`Place`: ``#tile.place<ddr>``, ``#tile.place<l2>``, ``#tile.place<lmem 5>`` (start
    lane 5)."""

    name = "tile.place"
    space: SpaceAttr
    lane: IntAttr

    @staticmethod
    def of(place: Place) -> PlaceAttr:
        """The attribute of a place."""
        return PlaceAttr(SpaceAttr(place.space), IntAttr(place.lane))

    @property
    def place(self) -> Place:
        """The place."""
        return Place(self.space.data, self.lane.data)

    def verify(self) -> None:
        if problem := _place_problem(self.space.data, self.lane.data):
            raise VerifyException(problem)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            space, lane = parser.parse_str_enum(Space), 0
            if space is Space.LMEM:
                lane = parser.parse_integer(allow_boolean=False)
        if problem := _place_problem(space, lane):
            parser.raise_error(problem)
        return SpaceAttr(space), IntAttr(lane)

    def print_parameters(self, printer: Printer) -> None:
        lane = f" {self.lane.data}" if self.space.data is Space.LMEM else ""
        printer.print_string(f"<{self.space.data}{lane}>")


DDR = Place(Space.DDR)
LMEM = Place(Space.LMEM)
L2 = Place(Space.L2)


@lru_cache(4096)
def memref(
    element: Attribute, shape: tuple[int, ...], layout: Layout, place: Place
) -> MemRefType[Any]:
    """A memref type of the tile level."""
    return MemRefType(element, list(shape), LayoutAttr.of(layout), PlaceAttr.of(place))


def is_tile_memref(kind: Attribute) -> bool:
    """Whether a type is a memref of the tile level."""
    return isinstance(kind, MemRefType) and isinstance(kind.layout, LayoutAttr)


def alias_name(kind: Attribute) -> str:
    """A name for a memref type in texts, as ``!lmem_1x64x56x56xf32``, or ``!lmem5_...`` from lane 5
    on. Other layouts of the same tensor have the same name."""
    ref = Ref.of(kind)
    shape = "x".join(map(str, ref.shape))
    return f"!{ref.place.space}{ref.place.lane or ''}_{shape}x{ref.element}"


def align(value: int, step: int) -> int:
    """The least multiple of ``step`` that is not below ``value``."""
    return -(-value // step) * step


def lane_rows(channels: int, lane: int = 0) -> int:
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
    return Layout(unit, pack, (lane_rows(c, lane) * row, row, w, 1))


def has_derived_strides(ref: Ref) -> bool:
    """Whether a command without strides finds all of a local tensor: its strides are those of
    :func:`aligned` along all axes with more than one step."""
    own = aligned(ref.shape, ref.layout.unit, ref.layout.pack, ref.place.lane)
    steps = (ref.groups, lane_rows(ref.shape[1], ref.place.lane), *ref.shape[2:])
    strides = zip(steps, ref.layout.strides, own.strides, strict=True)
    return all(count == 1 or stride == needed for count, stride, needed in strides)


def local_bytes(shape: Sequence[int], layout: Layout, lane: int = 0) -> int:
    """Bytes per lane that an aligned tensor takes."""
    groups = -(-shape[0] // layout.pack)
    if layout.order is Order.WEIGHTS:
        return lane_rows(shape[0], lane) * layout.strides[0] * layout.unit
    return groups * lane_rows(shape[1], lane) * layout.strides[1] * layout.unit


@dataclass(frozen=True)
class Ref:
    """A memref type taken apart: what an instruction needs to know of an operand."""

    element: Attribute
    shape: tuple[int, int, int, int]
    layout: Layout
    place: Place

    @staticmethod
    def of(value: SSAValue | Attribute) -> Ref:
        """Raises TypeError when the value is no memref of the tile level. Made once a type, as
        every operand is asked for it."""
        kind = value.type if isinstance(value, SSAValue) else value
        found = kind.__dict__.get("_ref")
        if found is not None:
            return found
        if not isinstance(kind, MemRefType):
            raise TypeError(f"a memref is required, this is {kind}")
        kind = cast(MemRefType[Attribute], kind)
        layout, place = kind.layout, kind.memory_space
        if not isinstance(layout, LayoutAttr) or not isinstance(place, PlaceAttr):
            raise TypeError(f"a memref with #tile attributes is required, this is {kind}")
        n, c, h, w = kind.get_shape()
        found = Ref(kind.element_type, (n, c, h, w), layout.layout, place.place)
        object.__setattr__(kind, "_ref", found)
        return found

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
        return self._words

    @cached_property
    def _words(self) -> Ref:
        shape = (self.groups, *self.shape[1:])
        return replace(self, element=f32, shape=shape, layout=replace(self.layout, pack=1))


def is_rows(ref: Ref) -> bool:
    """Whether a tensor is some rows of a larger one. Such a part may lie in its place of the whole
    in local memory by rows of lanes."""
    return ref.layout.strides[1] != ref.shape[2] * ref.layout.strides[2]


def is_contiguous(words: Ref) -> bool:
    """Whether words follow each other in DDR; the step behind a single group does not count."""
    expected = contiguous(words.shape, 4)
    first = expected.strides[0] if words.groups > 1 else words.layout.strides[0]
    return words.layout == replace(expected, strides=(first, *expected.strides[1:]))
