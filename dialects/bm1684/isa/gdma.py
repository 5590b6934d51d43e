"""The instructions of the GDMA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from dialects.bm1684.isa.codes import Direction, Format
from dialects.bm1684.isa.fields import names_of
from dialects.bm1684.isa.gdma_layout import (
    GDMA,
    Addresses,
    Control,
    GdmaFields,
    IndexShifts,
    Masks,
    Sizes,
    Strides,
)
from dialects.bm1684.isa.instruction import Instruction, InstructionKind, Rule

SIDES = ("src", "dst")
COMMON = tuple(
    name for name in names_of(Control, Addresses, Masks) if not name.startswith("rsvd")
)
SOURCE = tuple(name for name in names_of(Strides, Sizes) if name.startswith("src"))
TARGET = tuple(name for name in names_of(Strides, Sizes) if name.startswith("dst"))
BOTH = (*SOURCE, *TARGET)
SHIFTS = names_of(IndexShifts)

SIZE = range(1, 1 << 16)
SOURCE_SIZES = {
    **{f"src_{axis}size": SIZE for axis in "nchw"},
    "src_wstride": range(1 << 12),
}
FORMATS = {"src_data_format": frozenset(Format), "dst_data_format": frozenset(Format)}
ENABLED = {"pio_gdma_enable": (1,), "des_type": (0,)}
BYTES = (Format.INT8, Format.UINT8)


def start(side: str, address: int) -> dict[str, int]:
    """The two fields that hold a 40-bit start address; ``side`` is "src" or "dst"."""
    return {
        f"{side}_start_addr_l32": address & 0xFFFFFFFF,
        f"{side}_start_addr_h8": address >> 32,
    }


def start_of(inst: Instruction, side: str) -> int:
    """The start address of one side ("src" or "dst") of a GDMA instruction."""
    return inst[f"{side}_start_addr_l32"] | inst[f"{side}_start_addr_h8"] << 32


def _same_count(inst: Instruction) -> bool:
    if inst["chw_copy"]:
        return True
    counts = [1, 1]
    for i, side in enumerate(SIDES):
        for axis in "nchw":
            counts[i] *= inst[f"{side}_{axis}size"]
    return counts[0] == counts[1] > 0


def _converts(inst: Instruction) -> bool:
    formats = (inst["src_data_format"], inst["dst_data_format"])
    return (
        formats[0] != formats[1]
        and Format.INT16 not in formats
        and not (formats[0] in BYTES and formats[1] in BYTES)
    )


SAME_FORMAT = Rule(
    lambda i: i["src_data_format"] == i["dst_data_format"],
    "src_data_format and dst_data_format must be equal",
)
SAME_COUNT = Rule(_same_count, "src and dst sizes must hold the same number of elements")
ACCUMULATE = Rule(
    lambda i: not i["acc_write_enable"] or i["dst_data_format"] == Format.FP32,
    "acc_write_enable needs data format FP32",
)
STRIDED = Rule(
    lambda i: bool(i["stride_enable"]) or i["direction"] != Direction.SYSTEM_TO_SYSTEM,
    "stride_enable must be 1 from system to system memory",
)


def _sizes(side: str, *axes: str) -> dict[str, int]:
    return {f"{side}_{axis}size": 1 for axis in axes}


class GdmaKind(InstructionKind):
    """An instruction of the GDMA."""

    if TYPE_CHECKING:

        def build(self, **values: Unpack[GdmaFields]) -> Instruction:  # pyright: ignore[reportIncompatibleMethodOverride]
            ...


MOVE = GdmaKind(
    "move",
    GDMA,
    fixed={"special_func": 0, "sys_mem_type": 0, "common_mode": 0},
    uses=(*COMMON, *BOTH, *SHIFTS),
    defaults={"src_wstride": 1, "dst_wstride": 1, **_sizes("src", *"nchw")},
    limits={**ENABLED, **SOURCE_SIZES, **FORMATS},
    rules=(SAME_FORMAT, SAME_COUNT, ACCUMULATE, STRIDED),
)
CONVERT = GdmaKind(
    "convert",
    GDMA,
    fixed={"special_func": 3, "sys_mem_type": 0, "common_mode": 0},
    uses=(*COMMON, *BOTH),
    defaults={"src_wstride": 1, "dst_wstride": 1, **_sizes("src", *"nchw")},
    limits={**ENABLED, **SOURCE_SIZES, **FORMATS, "acc_write_enable": (0,)},
    rules=(
        SAME_COUNT,
        STRIDED,
        Rule(_converts, "src_data_format and dst_data_format must differ, none INT16, and not "
             "INT8 with UINT8"),
    ),
)
FILL = GdmaKind(
    "fill",
    GDMA,
    fixed={"special_func": 4, "sys_mem_type": 0, "common_mode": 0},
    uses=(*COMMON, *BOTH),
    defaults={"dst_wstride": 1},
    limits={
        **ENABLED,
        **FORMATS,
        "acc_write_enable": (0,),
        "direction": (
            Direction.SYSTEM_TO_LOCAL,
            Direction.SYSTEM_TO_SYSTEM,
            Direction.LOCAL_TO_LOCAL,
        ),
    },
    rules=(
        SAME_FORMAT,
        STRIDED,
        Rule(
            lambda i: all(i[f"{'src' if i['chw_copy'] else 'dst'}_{x}size"] for x in "nchw"),
            "the dst sizes (the src sizes with chw_copy) must be at least 1",
        ),
    ),
)
TRANSPOSE_NC = GdmaKind(
    "transpose_nc",
    GDMA,
    fixed={"special_func": 1, "sys_mem_type": 0, "common_mode": 0},
    uses=(*COMMON, *BOTH),
    defaults={"src_wstride": 1, "dst_wstride": 1, **_sizes("src", *"nchw")},
    limits={**ENABLED, **SOURCE_SIZES, **FORMATS, "acc_write_enable": (0,)},
    rules=(
        SAME_FORMAT,
        STRIDED,
        Rule(
            lambda i: bool(i["chw_copy"])
            or all(
                i[f"dst_{a}size"] == i[f"src_{b}size"] for a, b in zip("nchw", "cnhw", strict=True)
            ),
            "the dst sizes must be the src sizes with n and c swapped",
        ),
    ),
)
TRANSPOSE_CW = GdmaKind(
    "transpose_cw",
    GDMA,
    fixed={"special_func": 5, "sys_mem_type": 0, "common_mode": 0},
    uses=(*COMMON, *BOTH),
    defaults={"direction": Direction.LOCAL_TO_LOCAL, "src_wstride": 1, "dst_wstride": 1,
              **_sizes("src", *"nchw")},
    limits={
        **ENABLED,
        **SOURCE_SIZES,
        "src_nsize": (1,),
        "src_hsize": (1,),
        "src_data_format": (Format.FP32, Format.INT8),
        "direction": (Direction.LOCAL_TO_LOCAL,),
        "chw_copy": (0,),
        "acc_write_enable": (0,),
    },
    rules=(
        SAME_FORMAT,
        Rule(
            lambda i: all(
                i[f"dst_{a}size"] == i[f"src_{b}size"] for a, b in zip("nchw", "nwhc", strict=True)
            ),
            "the dst sizes must be the src sizes with c and w swapped",
        ),
    ),
)
COPY_LINEAR = GdmaKind(
    "copy_linear",
    GDMA,
    fixed={"common_mode": 1, "special_func": 0, "sys_mem_type": 0},
    uses=(*COMMON, *BOTH),
    defaults={"direction": Direction.SYSTEM_TO_SYSTEM, "chw_copy": 1},
    limits={
        **ENABLED,
        **FORMATS,
        "direction": (Direction.SYSTEM_TO_SYSTEM,),
        "src_nstride": range(1, 1 << 32),
        "acc_write_enable": (0,),
    },
    rules=(SAME_FORMAT,),
)
MATRIX = GdmaKind(
    "matrix",
    GDMA,
    fixed={"sys_mem_type": 1, "common_mode": 0},
    uses=(*COMMON, *BOTH),
    defaults={"src_wstride": 1, "dst_wstride": 1, **_sizes("src", *"nchw"),
              **_sizes("dst", *"nchw")},
    limits={
        **ENABLED,
        **SOURCE_SIZES,
        **{f"dst_{axis}size": SIZE for axis in "nchw"},
        "special_func": (0, 1),
        "src_data_format": (Format.FP32, Format.INT16, Format.INT8, Format.UINT8, Format.FP16),
        "direction": (Direction.SYSTEM_TO_LOCAL, Direction.LOCAL_TO_SYSTEM),
        "acc_write_enable": (0,),
    },
    rules=(SAME_FORMAT,),
)

GDMA_KINDS = (MOVE, CONVERT, FILL, TRANSPOSE_NC, TRANSPOSE_CW, COPY_LINEAR, MATRIX)
