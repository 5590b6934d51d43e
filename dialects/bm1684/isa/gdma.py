"""The GDMA command (706 bits in 128 bytes) and its instructions."""

from __future__ import annotations

from dialects.bm1684.isa.codes import Direction, Format
from dialects.bm1684.isa.fields import Engine, Field, Layout
from dialects.bm1684.isa.instruction import Instruction, Kind, Rule

CONTROL = (
    Field("pio_gdma_enable", 1, 1),
    Field("des_type", 1),
    Field("chain_end", 1),
    Field("intr_en", 1),
    Field("barrier_enable", 1, 1),
    Field("stride_enable", 1, 1),
    Field("direction", 2),
    Field("acc_write_enable", 1),
    Field("common_mode", 1),
    Field("prefetch_disable", 1, 1),
    Field("hold_des_value", 1),
    Field("rsvd0", 4),
    Field("cmd_id", 16),
    Field("special_func", 3),
    Field("dst_data_format", 3),
    Field("chw_copy", 1),
    Field("sys_mem_type", 1),
    Field("src_data_format", 3),
    Field("lrn_shift_num", 4, 1),
    Field("lrn_shift_dir", 1),
    Field("eng0_sync_id", 16),
    Field("eng1_sync_id", 16),
    Field("eng3_sync_id", 16),
    Field("constant_value", 32),
)
SIDES = ("src", "dst")
STRIDES = tuple(Field(f"{side}_{axis}stride", 32) for side in SIDES for axis in "nchw")
SIZES = tuple(Field(f"{side}_{axis}size", 16) for side in SIDES for axis in "nchw")
ADDRESSES = (
    *(Field(f"{side}_start_addr_l32", 32) for side in SIDES),
    *(Field(f"{side}_start_addr_h8", 8) for side in SIDES),
)
INDEX_SHIFTS = tuple(Field(f"{side}_{axis}shift", 8) for side in SIDES for axis in "hw")
MASKS = (
    Field("localmem_mask_l32", 32, 0xFFFFFFFF),
    Field("localmem_mask_h32", 32, 0xFFFFFFFF),
)
GDMA = Layout(
    Engine.GDMA,
    (
        *CONTROL,
        *STRIDES,
        *SIZES,
        *ADDRESSES,
        Field("rsvd18", 16),
        *INDEX_SHIFTS,
        *MASKS,
        Field("single_step", 1),
        Field("debug_mode", 1),
    ),
    id_field="cmd_id",
    wait_field="eng0_sync_id",
)

COMMON = tuple(f.name for f in (*CONTROL, *ADDRESSES, *MASKS) if not f.name.startswith("rsvd"))
SOURCE = tuple(f.name for f in (*STRIDES, *SIZES) if f.name.startswith("src"))
TARGET = tuple(f.name for f in (*STRIDES, *SIZES) if f.name.startswith("dst"))
BOTH = (*SOURCE, *TARGET)
SHIFTS = tuple(f.name for f in INDEX_SHIFTS)

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


MOVE = Kind(
    "move",
    GDMA,
    fixed={"special_func": 0, "sys_mem_type": 0, "common_mode": 0},
    uses=(*COMMON, *BOTH, *SHIFTS),
    defaults={"src_wstride": 1, "dst_wstride": 1, **_sizes("src", *"nchw")},
    limits={**ENABLED, **SOURCE_SIZES, **FORMATS},
    rules=(SAME_FORMAT, SAME_COUNT, ACCUMULATE, STRIDED),
)
CONVERT = Kind(
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
FILL = Kind(
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
TRANSPOSE_NC = Kind(
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
TRANSPOSE_CW = Kind(
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
COPY_LINEAR = Kind(
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
MATRIX = Kind(
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
