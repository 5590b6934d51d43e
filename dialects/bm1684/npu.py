"""The npu dialect: one op is one 128-byte command of the TIU or the GDMA; memory is addressed."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Self

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, LocationAttr
from xdsl.ir import Data, Dialect
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine, Instruction, IsaError

IMAGE_RANK = 4


@irdl_attr_definition
class InstructionAttr(Data[Instruction]):
    """One instruction as one line of text: ``#npu.instruction<"conv res0_n=1 ...">``."""

    name = "npu.instruction"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Instruction:
        with parser.in_angle_brackets():
            text = parser.parse_str_literal()
        try:
            return isa.parse(text)
        except IsaError as error:
            parser.raise_error(str(error))

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string_literal(self.data.text())


DTYPES = ("float32", "int8", "uint8")
"""The numpy element types of network tensors."""


@dataclass(frozen=True)
class LocalBox:
    """Words of a tensor in local memory: extents [groups, c, h, w], strides in words, the one of c
    stepping over rows of 64 lanes, and the lane where it begins."""

    extents: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]
    lane: int = 0

    def __str__(self) -> str:
        boxes = " ".join(",".join(map(str, four)) for four in (self.extents, self.strides))
        return f"{boxes} {self.lane}" if self.lane else boxes

    @staticmethod
    def parse(text: str) -> LocalBox:
        """The inverse of ``str``. Raises ValueError."""
        extents, strides, *lanes = (tuple(map(int, part.split(","))) for part in text.split())
        (g, c, h, w), (gs, cs, hs, ws) = extents, strides
        ((lane,),) = lanes or [(0,)]
        if not 0 <= lane < BM1684.lanes:
            raise ValueError(f"there is no lane {lane}")
        return LocalBox((g, c, h, w), (gs, cs, hs, ws), lane)


@dataclass(frozen=True)
class FarBox:
    """Words in DDR that do not all follow each other: extents [groups, c, h, w], strides in words.
    """

    extents: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]

    def __str__(self) -> str:
        return " ".join(",".join(map(str, four)) for four in (self.extents, self.strides))

    @staticmethod
    def parse(text: str) -> FarBox:
        """The inverse of ``str``. Raises ValueError."""
        extents, strides = (tuple(map(int, part.split(","))) for part in text.split())
        (g, c, h, w), (gs, cs, hs, ws) = extents, strides
        if min(extents) < 1 or min(strides) < 0:
            raise ValueError("extents are above 0, strides not below")
        return FarBox((g, c, h, w), (gs, cs, hs, ws))


@dataclass(frozen=True)
class AxisPart:
    """What a part of a tensor has of one axis: its first index, of ``total`` in the whole."""

    axis: int
    first: int
    total: int


@dataclass(frozen=True)
class Observation:
    """A tensor that is final: its name, address, network shape and numpy dtype. ``packed``: 8-bit
    elements, four images a 32-bit word (4N), the batch padded to a multiple of four. With ``local``
    it lies in local memory and the address is a byte offset in each lane, else in DDR, with ``far``
    in words that do not all follow each other. With ``height`` its four images are the strips of
    one image of so many rows; with ``parts`` it is that part of the tensor of that name.
    ``channels``: for each channel, in the order in which they lie, its number in the network; empty
    where that is the same. ``last``: it is an image, [n, channels, height, width], of a tensor of
    this shape in the network, [n, ..., channels]; empty where it is none."""

    top: str
    address: int
    shape: tuple[int, ...]
    dtype: str
    packed: bool
    local: LocalBox | None = None
    height: int | None = None
    parts: tuple[AxisPart, ...] = ()
    channels: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    far: FarBox | None = None

    def is_image_of(self, last: Sequence[int]) -> bool:
        """Whether the whole tensor can be an image of a tensor of a shape."""
        size = self.whole
        alike = size[:2] == (*last[:1], *last[-1:])
        return len(size) == len(self.shape) == IMAGE_RANK and alike and prod(size) == prod(last)

    @property
    def whole(self) -> tuple[int, ...]:
        """The shape of the tensor that this is, or is a part of, as it lies."""
        whole = list(self.shape)
        if self.height is not None:
            whole[0], whole[2] = 1, self.height
        for part in self.parts:
            whole[part.axis] = part.total
        return tuple(whole)

    @property
    def nbytes(self) -> int:
        """Bytes in DDR, from the first to the last."""
        if self.far is not None:
            ends = zip(self.far.extents, self.far.strides, strict=True)
            return 4 * (1 + sum((extent - 1) * stride for extent, stride in ends))
        plane = int(np.prod(self.shape[1:], dtype=np.int64))
        groups = -(-self.shape[0] // 4) * 4 if self.packed else self.shape[0]
        return groups * plane * np.dtype(self.dtype).itemsize


@irdl_attr_definition
class ObserveAttr(Data[Observation]):
    """``#npu.observe<"top", address, [shape], "dtype", packed strips 224 part 0 4 of 16
    channels [1, 0] last [1, 9, 2] "extents strides lane">``: final after the command it stands on;
    the last string only for a tensor in local memory, without its lane where that is 0, or ``far
    "extents strides"`` for words that lie apart in DDR. One that stands on a command of each engine
    is final after both.
    """

    name = "npu.observe"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Observation:
        with parser.in_angle_brackets():
            top = parser.parse_str_literal()
            parser.parse_punctuation(",")
            address = parser.parse_integer()
            parser.parse_punctuation(",")
            shape = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_integer)
            parser.parse_punctuation(",")
            dtype = parser.parse_str_literal()
            if dtype not in DTYPES or any(extent < 1 for extent in shape):
                parser.raise_error(f"a tensor holds {', '.join(DTYPES)} and has extents above 0")
            packed = parser.parse_optional_punctuation(",") is not None
            if packed:
                parser.parse_keyword("packed")
            strips = parser.parse_optional_keyword("strips") is not None
            height = parser.parse_integer() if strips else None
            if strips and (not packed or shape[:1] != [4] or len(shape) != 4):
                parser.raise_error("strips are the four images of a packed tensor of rank 4")
            parts: list[AxisPart] = []
            whole = (1, shape[1], height, shape[3]) if height is not None else tuple(shape)
            while parser.parse_optional_keyword("part") is not None:
                axis, first = parser.parse_integer(), parser.parse_integer()
                parser.parse_keyword("of")
                parts.append(AxisPart(axis, first, parser.parse_integer()))
                inside = 0 <= axis < len(whole) and 0 <= first <= parts[-1].total - whole[axis]
                if not inside:
                    parser.raise_error("a part of a tensor lies in it")
            channels: list[int] = []
            if parser.parse_optional_keyword("channels") is not None:
                square = parser.Delimiter.SQUARE
                channels = parser.parse_comma_separated_list(square, parser.parse_integer)
                if sorted(channels) != list(range(shape[1] if len(shape) > 1 else 0)):
                    parser.raise_error("channels holds the number of each channel once")
            last: list[int] = []
            if parser.parse_optional_keyword("last") is not None:
                square = parser.Delimiter.SQUARE
                last = parser.parse_comma_separated_list(square, parser.parse_integer)
            is_far = parser.parse_optional_keyword("far") is not None
            text = parser.parse_str_literal() if is_far else parser.parse_optional_str_literal()
            try:
                far = FarBox.parse(text) if is_far and text is not None else None
                local = None if is_far or text is None else LocalBox.parse(text)
            except ValueError:
                parser.raise_error(f"{text!r} is no box in {'DDR' if is_far else 'local memory'}")
        made = Observation(top, address, tuple(shape), dtype, packed, local, height, tuple(parts),
                           tuple(channels), tuple(last), far)  # fmt: skip
        if last and not made.is_image_of(last):
            parser.raise_error(f"{list(made.whole)} is no image of a tensor of {last}")
        return made

    def print_parameter(self, printer: Printer) -> None:
        at = self.data
        with printer.in_angle_brackets():
            printer.print_string_literal(at.top)
            shape = ", ".join(map(str, at.shape))
            printer.print_string(f", {at.address}, [{shape}], ")
            printer.print_string_literal(at.dtype)
            printer.print_string(", packed" if at.packed else "")
            printer.print_string("" if at.height is None else f" strips {at.height}")
            for part in at.parts:
                printer.print_string(f" part {part.axis} {part.first} of {part.total}")
            if at.channels:
                printer.print_string(f" channels [{', '.join(map(str, at.channels))}]")
            if at.last:
                printer.print_string(f" last [{', '.join(map(str, at.last))}]")
            if at.far is not None:
                printer.print_string(" far ")
                printer.print_string_literal(str(at.far))
            if at.local is not None:
                printer.print_string(" ")
                printer.print_string_literal(str(at.local))


class CommandOp(IRDLOperation, ABC):
    """One command of ``ENGINE``. ``observe`` lists the tensors that are final after it."""

    ENGINE: ClassVar[Engine]
    command = prop_def(InstructionAttr)
    observe = opt_prop_def(ArrayAttr[ObserveAttr])
    assembly_format = "$command (`observe` $observe^)? attr-dict"

    @classmethod
    def of(cls, instruction: Instruction, location: LocationAttr) -> Self:
        """The op of an instruction (no check: ``verify`` does that)."""
        op = cls.create(properties={"command": InstructionAttr(instruction)})
        op.location = location
        return op

    @property
    def instruction(self) -> Instruction:
        return self.command.data

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The tensors that are final after this command."""
        return () if self.observe is None else tuple(o.data for o in self.observe.data)

    def verify_(self) -> None:
        try:
            self.instruction.check()
        except IsaError as error:
            raise VerifyException(str(error)) from None
        if self.instruction.engine is not self.ENGINE:
            mnemonic = self.instruction.kind.mnemonic
            raise VerifyException(f"{self.name}: {mnemonic} is a command of the other engine")


@irdl_op_definition
class TiuOp(CommandOp):
    """A command of the tensor engine."""

    name = "npu.tiu"
    ENGINE: ClassVar[Engine] = Engine.TIU


@irdl_op_definition
class GdmaOp(CommandOp):
    """A command of the DMA engine."""

    name = "npu.gdma"
    ENGINE: ClassVar[Engine] = Engine.GDMA


def command_op(instruction: Instruction, location: LocationAttr) -> CommandOp:
    """The op for the engine of an instruction."""
    kind = TiuOp if instruction.engine is Engine.TIU else GdmaOp
    return kind.of(instruction, location)


NPU = Dialect("npu", [TiuOp, GdmaOp], [InstructionAttr, ObserveAttr])
