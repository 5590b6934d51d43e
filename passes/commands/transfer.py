"""GDMA commands of the transfers."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.ir import Operation, SSAValue

from dialects.bm1684 import isa, tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Direction, Format, Instruction
from dialects.bm1684.layout import Ref, Space, rows_of
from passes.commands.place import Addresses

_FORMATS = {4: Format.FP32, 2: Format.INT16, 1: Format.INT8}
_DIRECTIONS = {
    (False, False): Direction.SYSTEM_TO_SYSTEM,
    (False, True): Direction.SYSTEM_TO_LOCAL,
    (True, False): Direction.LOCAL_TO_SYSTEM,
    (True, True): Direction.LOCAL_TO_LOCAL,
}


def _side(side: str, value: SSAValue, addresses: Addresses) -> dict[str, int]:
    """The fields of one side. In the vendor's simulator all steps over images and rows of lanes
    have to end in local memory; where there is but one, its step is of no other use."""
    ref = Ref.of(value)
    fields = isa.start(side, addresses.of(value))
    strides = ref.layout.strides
    if ref.place.space is Space.LMEM and ref.shape[0] == rows_of(ref.shape[1], ref.place.lane) == 1:
        room = (BM1684.lane_bytes - addresses.offset(value)) // ref.layout.unit
        strides = (min(strides[0], room), min(strides[1], room), *strides[2:])
    for axis, size, stride in zip("nchw", ref.shape, strides, strict=True):
        fields[f"{side}_{axis}size"] = size
        fields[f"{side}_{axis}stride"] = stride
    return fields


def lower_transfer(op: Operation, addresses: Addresses) -> Iterator[Instruction]:
    """One command for a transfer or a fill."""
    assert isinstance(op, (tile.TransferOp, tile.FillOp))
    target = Ref.of(op.dst)
    form = _FORMATS[target.layout.unit]
    common = {"src_data_format": form, "dst_data_format": form, "stride_enable": 1}
    common |= _side("dst", op.dst, addresses)
    to_local = target.place.space is Space.LMEM
    if isinstance(op, tile.FillOp):
        sizes = {f"src_{axis}size": n for axis, n in zip("nchw", target.shape, strict=True)}
        direction = Direction.SYSTEM_TO_LOCAL if to_local else Direction.SYSTEM_TO_SYSTEM
        yield isa.FILL.build(
            direction=direction, constant_value=op.value.value.data, **common, **sizes
        )
        return
    from_local = Ref.of(op.src).place.space is Space.LMEM
    direction = _DIRECTIONS[from_local, to_local]
    yield isa.MOVE.build(direction=direction, **common, **_side("src", op.src, addresses))
