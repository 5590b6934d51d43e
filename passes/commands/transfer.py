"""GDMA commands of the transfers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from xdsl.ir import Operation

from dialects.bm1684 import isa, tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Direction, Format, Instruction
from dialects.bm1684.layout import Ref, Space, lane_rows
from passes.commands.place import Addresses, absolute

_FORMATS = {4: Format.FP32, 2: Format.INT16, 1: Format.INT8}
_DIRECTIONS = {
    (False, False): Direction.SYSTEM_TO_SYSTEM,
    (False, True): Direction.SYSTEM_TO_LOCAL,
    (True, False): Direction.LOCAL_TO_SYSTEM,
    (True, True): Direction.LOCAL_TO_LOCAL,
}


@dataclass(frozen=True)
class Side:
    """One side of a transfer. ``start``: the byte in DDR or L2, or in each lane."""

    ref: Ref
    start: int

    @property
    def is_local(self) -> bool:
        return self.ref.place.space is Space.LMEM

    @property
    def rows(self) -> int:
        """Rows of lanes."""
        return lane_rows(self.ref.shape[1], self.ref.place.lane)

    def passes_the_end(self) -> bool:
        """Whether steps over all images, or all rows of lanes, lead out of local memory. The
        vendor's simulator refuses that, even where the last step is not taken."""
        n, c, _, _ = self.ref.layout.strides
        steps = max(self.ref.shape[0] * n, self.rows * c) * self.ref.layout.unit
        return self.is_local and self.start + steps > BM1684.lane_bytes

    def part(self, image: int, images: int, channel: int, channels: int) -> Side:
        """The side of so many images and channels."""
        (n, c, _, _), place = self.ref.layout.strides, self.ref.place
        lane, steps = place.lane, channel
        if self.is_local:
            steps, lane = divmod(lane + channel, BM1684.lanes)
        ref = self.ref.with_(
            shape=(images, channels, *self.ref.shape[2:]), place=replace(place, lane=lane)
        )
        return Side(ref, self.start + (image * n + steps * c) * ref.layout.unit)

    @property
    def is_one_line(self) -> bool:
        """Whether the columns of each row follow those of the row before."""
        (_, _, h, w), width = self.ref.layout.strides, self.ref.shape[3]
        return h == w * width

    def as_one_line(self) -> Side:
        """All rows as one."""
        n, c, height, width = self.ref.shape
        strides = self.ref.layout.strides
        layout = replace(self.ref.layout, strides=(*strides[:2], strides[3] * height * width,
                                                   strides[3]))  # fmt: skip
        return Side(self.ref.with_(shape=(n, c, 1, height * width), layout=layout), self.start)

    def fields(self, side: str) -> dict[str, int]:
        """Its fields; one image in one row of lanes takes no steps, which are cut to fit."""
        fields = isa.start(side, absolute(self.ref.place, self.start))
        strides = self.ref.layout.strides
        if self.ref.shape[0] == self.rows == 1 and self.is_local:
            most = (BM1684.lane_bytes - self.start) // self.ref.layout.unit
            strides = (min(strides[0], most), min(strides[1], most), *strides[2:])
        for axis, size, stride in zip("nchw", self.ref.shape, strides, strict=True):
            fields[f"{side}_{axis}size"] = size
            fields[f"{side}_{axis}stride"] = stride
        return fields


def side_parts(sides: Sequence[Side]) -> Iterator[list[Side]]:
    """The sides as a whole; image by image, and row of lanes by row, where one passes the end of
    local memory."""
    if not any(side.passes_the_end() for side in sides):
        yield list(sides)
        return
    images, channels = sides[0].ref.shape[:2]
    ends = {channels}
    for side in sides:
        if side.is_local:
            ends.update(range(BM1684.lanes - side.ref.place.lane, channels, BM1684.lanes))
    cuts = list(pairwise([0, *sorted(ends)]))
    for image in range(images):
        for first, end in cuts:
            yield [side.part(image, 1, first, end - first) for side in sides]


def in_lines(sides: Sequence[Side]) -> Sequence[Side]:
    """Sides of one shape with all rows of a channel as one, where numbers have gaps between them
    and each row goes on where the one before ends: those move row by row, and a short row takes as
    long as a longer one."""
    _, _, height, width = sides[0].ref.shape
    gaps = any(side.ref.layout.strides[3] != 1 for side in sides)
    fits = height * width <= BM1684.limits.width
    if gaps and fits and all(side.is_one_line for side in sides):
        return [side.as_one_line() for side in sides]
    return sides


def lower_transfer(op: Operation, addresses: Addresses) -> Iterator[Instruction]:
    """A transfer or a fill: one command, or several at the end of local memory."""
    assert isinstance(op, (tile.TransferOp, tile.FillOp))
    target = Ref.of(op.dst)
    form = _FORMATS[target.layout.unit]
    common = {"src_data_format": form, "dst_data_format": form, "stride_enable": 1}
    to_local = target.place.space is Space.LMEM
    sides = [Side(target, addresses.offset(op.dst))]
    if isinstance(op, tile.FillOp):
        direction = Direction.SYSTEM_TO_LOCAL if to_local else Direction.SYSTEM_TO_SYSTEM
        for (dst,) in side_parts(sides):
            sizes = {f"src_{axis}size": n for axis, n in zip("nchw", dst.ref.shape, strict=True)}
            value = op.value.value.data
            fields = {**common, **sizes, **dst.fields("dst")}
            yield isa.FILL.build(direction=direction, constant_value=value, **fields)
        return
    source = Ref.of(op.src)
    direction = _DIRECTIONS[source.place.space is Space.LMEM, to_local]
    sides.append(Side(source, addresses.offset(op.src)))
    alike = source.shape == target.shape
    for dst, src in side_parts(in_lines(sides)) if alike else [sides]:
        yield isa.MOVE.build(
            direction=direction, **common, **dst.fields("dst"), **src.fields("src")
        )
