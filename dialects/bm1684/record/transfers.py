"""Transfers of a group of layers in local memory: between DDR and there.

Each has a type, and a block that depends on it. Offsets are bytes in local memory: that of the
chip's lane 0 where it is not said otherwise. Words of two numbers are two fields here.
The fields are those of the vendor's public compiler, sophgo/tpu-mlir, DynCompileCommon.hpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dialects.bm1684.record.base import WORD
from dialects.bm1684.record.reader import Reader, StreamError, words
from dialects.c_struct import U8, U16, U32, U64, CStruct, Values

STATED = 10
"""Words of a shape that a constant tensor brings along: rank, eight extents, count of numbers."""


@dataclass(frozen=True)
class TransferKind:
    """A type of transfer. ``id`` is the field with the tensor that the transfer makes or takes, ""
    for coefficients."""

    number: int
    name: str
    struct: CStruct
    id: str = "id"


def _struct(**fields: Any) -> CStruct:
    return CStruct(**fields).with_defaults()


_COEFFICIENT = _struct(
    address=U64, offset=U32, c=U16, n=U16, w=U16, h=U16, once=U8, winograd=U8, groups=U8,
    data_size=U32, double_buffer=U8, depth=U32, layer_type=U32,
)  # fmt: skip
KINDS = (
    TransferKind(0, "load_input", _struct(
        offset=U32, id=U16, channels=U16, reference=U16, first_channel=U16, all_channels=U32,
        data_size=U32, mode=U8, readers=U32,
    )),
    TransferKind(1, "store_output", _struct(
        offset=U32, id=U16, channels=U16, first_channel=U16, all_channels=U16, joined_id=U32,
        merged=U8, split=U8, data_size=U32, mode=U8,
    )),
    TransferKind(2, "load_tensor", _struct(
        address=U64, offset=U32, id=U16, channels=U16, reference=U16, first_channel=U16,
        all_channels=U32, data_size=U32, mode=U8, readers=U32,
    )),
    TransferKind(3, "store_tensor", _struct(
        address=U64, offset=U32, id=U16, channels=U16, first_channel=U16, all_channels=U16,
        joined_id=U32, merged=U8, split=U8, data_size=U32, mode=U8,
    )),
    TransferKind(4, "load_coefficient", _COEFFICIENT, id=""),
    TransferKind(5, "load_constant_tensor", _struct(
        address=U64, offset=U32, width=U16, channels=U16, row_step=U16, pad_top=U16, height=U16,
        rows=U16, version_and_once=U8, one_image=U8, data_size=U32, batch=U32, id=U32, mode=U8,
        readers=U32,
    )),
    TransferKind(6, "load_winograd_coefficient", _COEFFICIENT, id=""),
    TransferKind(7, "move_tensor", _struct(
        source=U64, address=U64, id=U16, channels=U16, first_channel=U16, all_channels=U16,
        joined_id=U32, data_size=U32, mode=U8,
    )),
    TransferKind(8, "move_output", _struct(
        source=U64, id=U16, channels=U16, first_channel=U16, all_channels=U16, joined_id=U32,
        data_size=U32, mode=U8,
    )),
    TransferKind(9, "move_wide_tensor", _struct(
        source=U64, address=U64, id=U32, first_channel=U32, joined_id=U32, data_size=U32,
        channels=U32, all_channels=U32, mode=U8,
    )),
    TransferKind(10, "store_wide_tensor", _struct(
        address=U64, offset=U32, channels=U32, id=U32, all_channels=U32, first_channel=U32,
        joined_id=U32, data_size=U32, merged=U8, split=U8, mode=U8,
    )),
    TransferKind(11, "load_to_l2", _struct(
        address=U64, l2_offset=U32, id=U32, source=U8, length=U32, data_size=U32,
    )),
    TransferKind(12, "store_wide_output", _struct(
        offset=U32, channels=U32, id=U32, all_channels=U32, first_channel=U32, joined_id=U32,
        merged=U8, split=U8, data_size=U32, mode=U8,
    )),
    TransferKind(13, "load_wide_tensor", _struct(
        address=U64, offset=U32, channels=U32, id=U32, first_channel=U32, reference=U32,
        all_channels=U32, data_size=U32, mode=U8, readers=U32,
    )),
)  # fmt: skip
"""All types. ``reference`` is the id of what is read where the loaded tensor has another one, or
belongs to a joined tensor; ``source`` of load_to_l2 is 0 for an input, 1 for a tensor, 2 for a
coefficient; ``n``, ``c``, ``h`` and ``w`` are the shape of a coefficient as it is stored; ``once``
says that slices of the map share what was loaded."""
BY_KIND = {kind.number: kind for kind in KINDS}
CONSTANT = BY_KIND[5]


@dataclass(frozen=True)
class Transfer:
    """One transfer. ``stated`` is the shape that a constant tensor brings along, else empty.
    ``stage`` counts the stages of the software pipeline."""

    kind: TransferKind
    values: Values
    stated: tuple[int, ...] = ()
    stage: int = 0

    def pack(self) -> bytes:
        """The bytes, without the word for the stage."""
        block = self.kind.struct.pack(self.values)
        tail = words(STATED * WORD, *self.stated) if self.stated else b""
        return words(self.kind.number, len(block)) + block + tail


def read_transfer(reader: Reader, stage: int) -> Transfer:
    """The transfer that follows. Raises StreamError."""
    number, length = reader.words(2)
    kind = BY_KIND.get(number)
    if kind is None:
        raise StreamError(f"a transfer of type {number} at {reader.at}, which is not known")
    if length != kind.struct.size:
        raise StreamError(f"{kind.name} has {kind.struct.size} bytes, not {length}")
    values = kind.struct.unpack(reader.take(length))
    stated: tuple[int, ...] = ()
    if kind is CONSTANT and values["batch"]:
        if reader.word() != STATED * WORD:
            raise StreamError(f"{kind.name} at {reader.at} has no shape")
        stated = reader.words(STATED)
    return Transfer(kind, values, stated, stage)
