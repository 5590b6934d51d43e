"""Builds tile ops: buffers, views, transfers, arithmetic. All kernels go through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import BoolAttr, LocationAttr, StringAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.irdl import IRDLOperation

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import (
    DDR,
    L2,
    Place,
    Ref,
    Space,
    align,
    aligned,
    contiguous,
    i32,
    local_bytes,
    si8,
)
from dialects.bm1684.tile_kinds import (
    ArithKind,
    ArithKindAttr,
    ScalarKind,
    ScalarKindAttr,
    SfuKind,
    SfuKindAttr,
)
from dialects.constant import Constant, ConstantAttr
from dialects.quant.base import i64s, int_attr
from passes.kernels.options import KernelOptions

Array = NDArray[Any]


def float_bits(value: float) -> int:
    """The bits of a float32 as an unsigned integer."""
    return int(np.float32(value).view(np.uint32))


@dataclass
class TileBuilder:
    """Appends tile ops to a block, all with the current ``location``; kernels make their choices by
    ``options``."""

    block: Block
    location: LocationAttr
    options: KernelOptions = field(default_factory=KernelOptions)
    tables: dict[bytes, SSAValue] = field(default_factory=dict[bytes, SSAValue])
    constants: dict[Constant, ConstantAttr] = field(default_factory=dict[Constant, ConstantAttr])
    """The constants so far: equal ones, as slices of a layer have, are in memory once."""
    border: set[SSAValue] = field(default_factory=set[SSAValue])
    """Inputs and outputs of the network that one layer alone touches."""

    # -- buffers -----------------------------------------------------------------------------------

    def add(
        self,
        kind: type[IRDLOperation],
        operands: Sequence[SSAValue | Sequence[SSAValue]],
        properties: dict[str, Attribute],
        result: Ref | None = None,
    ) -> Operation:
        """Appends one op. Operands that may be absent are given as sequences; where all are values
        there is nothing to sort, and xDSL's builder, which takes long, is not needed."""
        types = () if result is None else (result.type,)
        values = [x for x in operands if isinstance(x, SSAValue)]
        if len(values) < len(operands):
            op = kind.build(operands=operands, properties=properties, result_types=types)
        else:
            op = kind.create(operands=values, properties=properties, result_types=types)
        op.location = self.location
        self.block.add_op(op)
        return op

    def alloc(self, ref: Ref, size: int) -> SSAValue:
        """Scratch memory; ``size`` in bytes (per lane in local memory)."""
        return self.add(tile.AllocOp, [], {"bytes": int_attr(size)}, ref).results[0]

    def local(
        self, element: Attribute, shape: Sequence[int], unit: int = 4, pack: int = 1, lane: int = 0
    ) -> SSAValue:
        """An aligned tensor in local memory."""
        layout = aligned(shape, unit, pack, lane)
        ref = Ref(element, four(shape), layout, Place(Space.LMEM, lane))
        return self.alloc(ref, local_bytes(shape, layout, lane))

    def ddr(self, element: Attribute, shape: Sequence[int], unit: int, pack: int = 1) -> SSAValue:
        """A contiguous tensor in DDR."""
        ref = Ref(element, four(shape), contiguous(shape, unit, pack), DDR)
        return self.alloc(ref, ddr_bytes(ref))

    def constant(self, array: Array) -> SSAValue:
        """Constant data in DDR as a [1, 1, rows, units] or given-rank contiguous memref."""
        shape = four(array.shape)
        unit = array.dtype.itemsize
        ref = Ref(i32 if unit == 4 else si8, shape, contiguous(shape, unit), DDR)
        value = ConstantAttr.of(array)
        value = self.constants.setdefault(value.data, value)
        return self.add(tile.ConstantOp, [], {"value": value}, ref).results[0]

    def table(self, words: Array) -> SSAValue:
        """A table of 32-bit words in L2, loaded once and shared by all that ask for the same
        words.
        """
        key = words.tobytes()
        if key not in self.tables:
            shape = (1, 1, 1, words.size)
            ref = Ref(i32, shape, contiguous(shape, 4), L2)
            target = self.alloc(ref, align(words.nbytes, BM1684.alignment))
            source = self.constant(words.view(np.uint32).reshape(shape))
            self.add(tile.CopyOp, [target, source], {})
            self.tables[key] = target
        return self.tables[key]

    # -- views -------------------------------------------------------------------------------------

    def view(self, source: SSAValue, ref: Ref, offset: int = 0) -> SSAValue:
        """The buffer under ``source``, ``offset`` bytes further, as another memref."""
        if offset == 0 and Ref.of(source) == ref:
            return source
        return self.add(tile.ViewOp, [source], {"offset": int_attr(offset)}, ref).results[0]

    def is_at(self, part: SSAValue, whole: SSAValue, begin: int) -> bool:
        """Whether a memref begins so many bytes into another's buffer."""
        return _place(part) == (_place(whole)[0], _place(whole)[1] + begin)

    def is_input(self, source: SSAValue) -> bool:
        """Whether a memref lies in an input of the network."""
        return isinstance(_place(source)[0].owner, tile.InputOp)

    def at_border(self, value: SSAValue) -> bool:
        """Whether a memref comes from DDR or goes there, whatever the layers around are."""
        return _place(value)[0] in self.border

    def lane(self, value: SSAValue) -> int:
        """The lane where a tensor in DDR begins that is some channels of another, if that one lies
        in local memory from lane 0 on."""
        return self._lane_in_local(value) or 0

    def _lane_in_local(self, value: SSAValue) -> int | None:
        """As :meth:`lane`; None for what never lies in local memory: below opt 2, and inputs,
        outputs and constants, several words a pixel, and other shapes of the same bytes."""
        buffer, begin = _place(value)
        if not self.options.whole or not isinstance(buffer.owner, tile.AllocOp):
            return None
        whole, part = Ref.of(buffer).as_words(), Ref.of(value).as_words()
        plane = whole.layout.strides[1]
        same = part.layout.unit == 4 and part.layout.strides[1] == plane
        if whole.layout.unit != 4 or not same or not plane:
            return None
        return begin // (4 * plane) % whole.shape[1] % BM1684.lanes

    def _lane_of_one(self, value: SSAValue) -> int | None:
        """As :meth:`_lane_in_local`; None where several images of a part are not a tensor of their
        own there."""
        several = Ref.of(value).as_words().groups > 1
        return None if several else self._lane_in_local(value)

    def is_beside_others(self, value: SSAValue) -> bool:
        """Whether a tensor in DDR is some channels of another."""
        return Ref.of(_place(value)[0]).shape[1] > Ref.of(value).shape[1]

    def window(self, source: SSAValue, begin: Sequence[int], extent: Sequence[int]) -> SSAValue:
        """A box of a DDR tensor, or of a local one (there c must start in the same memref's lanes).

        ``begin[0]`` is a multiple of the layout's pack.
        """
        ref = Ref.of(source)
        layout = ref.layout
        steps = [begin[0] // layout.pack, *begin[1:]]
        place = ref.place
        if ref.place.space is Space.LMEM:
            lane = ref.place.lane + begin[1]
            steps[1] = lane // BM1684.lanes
            place = type(place)(Space.LMEM, lane % BM1684.lanes)
        offset = sum(b * s for b, s in zip(steps, layout.strides, strict=True)) * layout.unit
        return self.view(source, ref.with_(shape=four(extent), place=place), offset)

    def repeated(self, x: SSAValue, shape: Sequence[int]) -> SSAValue:
        """A local tensor of extent 1 along H, W, or both, repeated to ``shape`` by a stride
        of 0."""
        ref = Ref.of(x)
        n, c, h, w = (
            step if old == new else 0
            for step, old, new in zip(ref.layout.strides, ref.shape, shape, strict=True)
        )
        layout = replace(ref.layout, strides=(n, c, h, w))
        return self.view(x, Ref(ref.element, four(shape), layout, ref.place))

    def words(self, source: SSAValue) -> SSAValue:
        """The same storage as 32-bit words (one a pack of images)."""
        return self.view(source, Ref.of(source).as_words())

    # -- transfers ---------------------------------------------------------------------------------

    def load(self, dst: SSAValue, src: SSAValue) -> None:
        """From DDR to local memory; by way of the lanes where some channels of a tensor lie, if it
        lies in local memory. ``tile-keep-local`` takes the way out where it does not."""
        near = self._in_lanes(dst, self._lane_of_one(src))
        self.add(tile.LoadOp, [self.words(near), self.words(src)], {})
        if near is not dst:
            self.add(tile.CopyOp, [self.words(dst), self.words(near)], {})

    def store(self, dst: SSAValue, src: SSAValue) -> None:
        """From local memory to DDR, as :meth:`load`."""
        near = self._in_lanes(src, self._lane_of_one(dst))
        if near is not src:
            self.add(tile.CopyOp, [self.words(near), self.words(src)], {})
        self.add(tile.StoreOp, [self.words(dst), self.words(near)], {})

    def _in_lanes(self, local: SSAValue, lane: int | None) -> SSAValue:
        """A buffer like the local one from another lane on; itself where it begins there, or is no
        tensor of its own."""
        ref = Ref.of(local).as_words()
        own = isinstance(local.owner, tile.AllocOp) and ref.layout == aligned(
            ref.shape, 4, 1, ref.place.lane
        )
        if lane is None or lane == ref.place.lane or not own:
            return local
        return self.local(ref.element, ref.shape, lane=lane)

    def copy(self, dst: SSAValue, src: SSAValue) -> None:
        self.add(tile.CopyOp, [dst, src], {})

    def fill(self, dst: SSAValue, value: int) -> None:
        self.add(tile.FillOp, [dst], {"value": int_attr(value)})

    # -- arithmetic --------------------------------------------------------------------------------

    def arith(
        self,
        kind: str,
        dst: SSAValue,
        a: SSAValue,
        b: SSAValue | int | None = None,
        shift: int = 0,
        signed: bool = True,
    ) -> SSAValue:
        """Tensor arithmetic; an int ``b`` is a constant's bits. Returns dst."""
        properties: dict[str, Attribute] = {
            "kind": ArithKindAttr(ArithKind(kind)),
            "shift": int_attr(shift),
        }
        tensor: list[SSAValue] = []
        if isinstance(b, int):
            properties["constant"] = int_attr(b)
            properties["signed_constant"] = BoolAttr.from_bool(signed)
        elif b is not None:
            tensor = [b]
        self.add(tile.ArithOp, [dst, a, tensor], properties)
        return dst

    def scalar(
        self,
        kind: str,
        dst: SSAValue,
        a: SSAValue,
        b: SSAValue | float | None = None,
        first: float | None = None,
    ) -> SSAValue:
        """float32 arithmetic: ``a KIND b``, or ``first KIND a`` for a constant in front. Returns
        dst.
        """
        properties: dict[str, Attribute] = {"kind": ScalarKindAttr(ScalarKind(kind))}
        tensor: list[SSAValue] = []
        constant = first if first is not None else b
        if isinstance(constant, (int, float)):
            properties["constant"] = int_attr(float_bits(constant))
            properties["constant_first"] = BoolAttr.from_bool(first is not None)
        elif constant is not None:
            tensor = [constant]
        self.add(tile.ScalarOp, [dst, a, tensor], properties)
        return dst

    def select(
        self,
        dst: SSAValue,
        a: SSAValue,
        b: SSAValue | float,
        c: SSAValue | float,
        d: SSAValue | float,
    ) -> SSAValue:
        """float32 ``a > b ? c : d`` on aligned tensors. Returns dst."""
        tensors = [[each] if isinstance(each, SSAValue) else [] for each in (b, c, d)]
        bits = [float_bits(each) for each in (b, c, d) if not isinstance(each, SSAValue)]
        self.add(tile.SelectOp, [dst, a, *tensors], {"constants": i64s(bits)})
        return dst

    def sfu(
        self, kind: str, dst: SSAValue, src: SSAValue, table: SSAValue | None = None, terms: int = 1
    ) -> SSAValue:
        properties: dict[str, Attribute] = {
            "kind": SfuKindAttr(SfuKind(kind)),
            "terms": int_attr(terms),
        }
        self.add(tile.SfuOp, [dst, src, [] if table is None else [table]], properties)
        return dst

    def lookup(
        self, dst: SSAValue, index: SSAValue, table: SSAValue | None = None, offset: int = 0
    ) -> SSAValue:
        self.add(
            tile.LookupOp,
            [dst, index, [] if table is None else [table]],
            {"offset": int_attr(offset)},
        )
        return dst

    def observe(
        self,
        ref: SSAValue,
        top: str,
        shape: Sequence[int],
        height: Attribute | None = None,
        part: Attribute | None = None,
        channels: Attribute | None = None,
        last: Attribute | None = None,
    ) -> None:
        """``height``: rows of the image when the tensor holds its four strips. ``part``: what
        it is a part of, ``channels``: their order, ``last``: the shape with the channels last,
        as the attributes of the layer say."""
        properties: dict[str, Attribute] = {"top": StringAttr(top), "shape": i64s(shape)}
        given = {"height": height, "part": part, "channels": channels, "last": last}
        for name, value in given.items():
            if value is not None:
                properties[name] = value
        self.add(tile.ObserveOp, [ref], properties)


def four(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Four extents as a tuple of four."""
    n, c, h, w = shape
    return (n, c, h, w)


def _place(value: SSAValue) -> tuple[SSAValue, int]:
    """The buffer under a memref, and the byte where it begins there."""
    offset = 0
    while isinstance(value.owner, tile.ViewOp):
        offset += value.owner.offset.value.data
        value = value.owner.source
    return value, offset


def ddr_bytes(ref: Ref) -> int:
    """Bytes of a contiguous DDR tensor."""
    return ref.groups * ref.layout.strides[0] * ref.layout.unit
