"""The flatbuffer schema of a BM1684 bmodel, as typed tables.

A table is a frozen dataclass. The metadata of each field says its id (the vtable slot) and its
type in the file; a field without a default is required; a default is the value of an absent field.
Fields that bmnetu never reads nor writes are left out: their ids stay free.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from enum import Enum, auto
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Scalar:
    """A little-endian number: the ``struct`` format letter and the size in bytes."""

    format: str
    size: int


U8, I32, U32 = Scalar("B", 1), Scalar("i", 4), Scalar("I", 4)
U64, F32 = Scalar("Q", 8), Scalar("f", 4)


class OtherType(Enum):
    """The types that are neither numbers nor tables."""

    STRING = auto()
    BINARY = auto()


STRING, BINARY = OtherType.STRING, OtherType.BINARY


@dataclass(frozen=True)
class FieldSlot:
    """Where and how a field is stored; ``vector`` means a vector of ``element``."""

    id: int
    element: Scalar | OtherType | type[Table]
    vector: bool = False


@dataclass(frozen=True)
class Column:
    """A field of a table: its Python name, its slot, and the value when it is absent."""

    name: str
    slot: FieldSlot
    required: bool
    default: Any


def at(
    number: int, element: Scalar | OtherType | type[Table], vector: bool = False
) -> dict[str, FieldSlot]:
    """The metadata of a field with this id and type."""
    return {"slot": FieldSlot(number, element, vector)}


@dataclass(frozen=True, kw_only=True)
class Table:
    """The base of all tables."""


@cache
def columns(table: type[Table]) -> tuple[Column, ...]:
    """The fields of a table in the order of declaration."""
    return tuple(
        Column(f.name, f.metadata["slot"], f.default is MISSING,
               None if f.default is MISSING else f.default)
        for f in fields(table)
    )


@dataclass(frozen=True)
class Binary:
    """A range of the binary section, in bytes (an inline struct of two u64)."""

    start: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Shape(Table):
    dim: tuple[int, ...] = field(default=(), metadata=at(0, U64, vector=True))


@dataclass(frozen=True, kw_only=True)
class Tensor(Table):
    name: str = field(metadata=at(0, STRING))
    data_type: int = field(default=0, metadata=at(1, U32))
    gmem_stmode: int = field(default=0, metadata=at(2, I32))
    device_addr: int = field(default=0, metadata=at(3, U64))
    size: int = field(default=0, metadata=at(4, U64))
    shape: tuple[Shape, ...] = field(default=(), metadata=at(5, Shape, vector=True))
    mem_type: int = field(default=0, metadata=at(6, U32))
    scale: float = field(default=1.0, metadata=at(7, F32))
    pad_h: int = field(default=0, metadata=at(9, U32))
    hidden: int = field(default=0, metadata=at(11, I32))
    index: int = field(default=0, metadata=at(12, I32))


@dataclass(frozen=True, kw_only=True)
class Location(Table):
    name: str = field(metadata=at(0, STRING))
    offset: int = field(default=0, metadata=at(1, U64))
    size: int = field(default=0, metadata=at(2, U64))


@dataclass(frozen=True, kw_only=True)
class CoeffMem(Table):
    address: int = field(default=0, metadata=at(0, U64))
    check_code: tuple[int, ...] = field(default=(), metadata=at(1, U8, vector=True))
    binary_coeff: Binary | None = field(default=None, metadata=at(2, BINARY))
    location: tuple[Location, ...] = field(default=(), metadata=at(3, Location, vector=True))


@dataclass(frozen=True, kw_only=True)
class CmdGroup(Table):
    bdc_num: int = field(default=0, metadata=at(0, U32))
    gdma_num: int = field(default=0, metadata=at(1, U32))
    binary_bdc: Binary | None = field(default=None, metadata=at(2, BINARY))
    binary_gdma: Binary | None = field(default=None, metadata=at(3, BINARY))
    bdc_cmd_byte: int = field(default=0, metadata=at(4, U32))
    gdma_cmd_byte: int = field(default=0, metadata=at(5, U32))


@dataclass(frozen=True, kw_only=True)
class CpuConst(Table):
    name: str = field(metadata=at(0, STRING))


@dataclass(frozen=True, kw_only=True)
class CpuParam(Table):
    op_type: int = field(default=0, metadata=at(0, I32))
    binary_param: Binary | None = field(default=None, metadata=at(1, BINARY))
    cpu_const: tuple[CpuConst, ...] = field(default=(), metadata=at(2, CpuConst, vector=True))
    is_custom: int = field(default=0, metadata=at(3, I32))


@dataclass(frozen=True, kw_only=True)
class SubNet(Table):
    subnet_mode: int = field(default=0, metadata=at(0, I32))
    cmd_group: tuple[CmdGroup, ...] = field(default=(), metadata=at(1, CmdGroup, vector=True))
    cpu_param: tuple[CpuParam, ...] = field(default=(), metadata=at(2, CpuParam, vector=True))
    input_tensor: tuple[Tensor, ...] = field(metadata=at(3, Tensor, vector=True))
    output_tensor: tuple[Tensor, ...] = field(metadata=at(4, Tensor, vector=True))
    is_dynamic: int = field(default=0, metadata=at(5, I32))
    ir_offset: int = field(default=0, metadata=at(6, U32))
    ir_len: int = field(default=0, metadata=at(7, U32))
    id: int = field(default=-1, metadata=at(10, I32))
    next_subnet_ids: tuple[int, ...] = field(default=(), metadata=at(11, I32, vector=True))


@dataclass(frozen=True, kw_only=True)
class StageIr(Table):
    ir_info_len: int = field(default=0, metadata=at(0, U32))


@dataclass(frozen=True, kw_only=True)
class NetParameter(Table):
    input_tensor: tuple[Tensor, ...] = field(metadata=at(0, Tensor, vector=True))
    output_tensor: tuple[Tensor, ...] = field(metadata=at(1, Tensor, vector=True))
    ctx_addr: int = field(default=0, metadata=at(2, U64))
    ctx_size: int = field(default=0, metadata=at(3, U64))
    coeff_mem: CoeffMem | None = field(default=None, metadata=at(4, CoeffMem))
    is_dynamic: int = field(default=0, metadata=at(5, I32))
    n_dynamic: int = field(default=0, metadata=at(6, I32))
    h_w_dynamic: int = field(default=0, metadata=at(7, I32))
    cmd_group: tuple[CmdGroup, ...] = field(default=(), metadata=at(8, CmdGroup, vector=True))
    stage_ir: tuple[StageIr, ...] = field(default=(), metadata=at(10, StageIr, vector=True))
    binary_ir: Binary | None = field(default=None, metadata=at(11, BINARY))
    sub_net: tuple[SubNet, ...] = field(default=(), metadata=at(12, SubNet, vector=True))
    ctx_sizes: tuple[int, ...] = field(default=(), metadata=at(14, U64, vector=True))
    core_num: int = field(default=0, metadata=at(16, U32))
    tensor_loc: Binary | None = field(default=None, metadata=at(19, BINARY))


@dataclass(frozen=True, kw_only=True)
class Net(Table):
    name: str = field(metadata=at(0, STRING))
    parameter: tuple[NetParameter, ...] = field(
        default=(), metadata=at(3, NetParameter, vector=True)
    )
    addr_mode: int = field(default=0, metadata=at(5, I32))


@dataclass(frozen=True, kw_only=True)
class Model(Table):
    """The root table."""

    type: str = field(metadata=at(0, STRING))
    version: str = field(metadata=at(1, STRING))
    time: str = field(metadata=at(2, STRING))
    chip: str = field(metadata=at(3, STRING))
    net: tuple[Net, ...] = field(metadata=at(4, Net, vector=True))
    neuron_size: int = field(default=0, metadata=at(5, U64))
    device_num: int = field(default=0, metadata=at(7, U32))
