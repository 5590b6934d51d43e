"""The GDMA command: 706 bits.

Every field is one line: its name, its first bit, its width in bits, and what a command holds when
nothing is said (0 where it is left out). The classes are for the names' completion and check, too.
"""

from typing import Annotated, TypedDict

from dialects.bm1684.isa.fields import Bits, CommandLayout, Engine


class Control(TypedDict, total=False):
    """Ids, and what is moved where."""

    pio_gdma_enable: Annotated[int, Bits(0, 1, 1)]
    des_type: Annotated[int, Bits(1, 1)]
    chain_end: Annotated[int, Bits(2, 1)]
    intr_en: Annotated[int, Bits(3, 1)]
    barrier_enable: Annotated[int, Bits(4, 1, 1)]
    stride_enable: Annotated[int, Bits(5, 1, 1)]
    direction: Annotated[int, Bits(6, 2)]
    acc_write_enable: Annotated[int, Bits(8, 1)]
    common_mode: Annotated[int, Bits(9, 1)]
    prefetch_disable: Annotated[int, Bits(10, 1, 1)]
    hold_des_value: Annotated[int, Bits(11, 1)]
    rsvd0: Annotated[int, Bits(12, 4)]
    cmd_id: Annotated[int, Bits(16, 16)]
    special_func: Annotated[int, Bits(32, 3)]
    dst_data_format: Annotated[int, Bits(35, 3)]
    chw_copy: Annotated[int, Bits(38, 1)]
    sys_mem_type: Annotated[int, Bits(39, 1)]
    src_data_format: Annotated[int, Bits(40, 3)]
    lrn_shift_num: Annotated[int, Bits(43, 4, 1)]
    lrn_shift_dir: Annotated[int, Bits(47, 1)]
    eng0_sync_id: Annotated[int, Bits(48, 16)]
    eng1_sync_id: Annotated[int, Bits(64, 16)]
    eng3_sync_id: Annotated[int, Bits(80, 16)]
    constant_value: Annotated[int, Bits(96, 32)]


class Strides(TypedDict, total=False):
    """Steps of both sides."""

    src_nstride: Annotated[int, Bits(128, 32)]
    src_cstride: Annotated[int, Bits(160, 32)]
    src_hstride: Annotated[int, Bits(192, 32)]
    src_wstride: Annotated[int, Bits(224, 32)]
    dst_nstride: Annotated[int, Bits(256, 32)]
    dst_cstride: Annotated[int, Bits(288, 32)]
    dst_hstride: Annotated[int, Bits(320, 32)]
    dst_wstride: Annotated[int, Bits(352, 32)]


class Sizes(TypedDict, total=False):
    """Extents of both sides."""

    src_nsize: Annotated[int, Bits(384, 16)]
    src_csize: Annotated[int, Bits(400, 16)]
    src_hsize: Annotated[int, Bits(416, 16)]
    src_wsize: Annotated[int, Bits(432, 16)]
    dst_nsize: Annotated[int, Bits(448, 16)]
    dst_csize: Annotated[int, Bits(464, 16)]
    dst_hsize: Annotated[int, Bits(480, 16)]
    dst_wsize: Annotated[int, Bits(496, 16)]


class Addresses(TypedDict, total=False):
    """Where both sides begin: 32 low bits, 8 high ones."""

    src_start_addr_l32: Annotated[int, Bits(512, 32)]
    dst_start_addr_l32: Annotated[int, Bits(544, 32)]
    src_start_addr_h8: Annotated[int, Bits(576, 8)]
    dst_start_addr_h8: Annotated[int, Bits(584, 8)]


class Reserved(TypedDict, total=False):
    """Between the addresses and what follows."""

    rsvd18: Annotated[int, Bits(592, 16)]


class IndexShifts(TypedDict, total=False):
    """Shifts of indices."""

    src_hshift: Annotated[int, Bits(608, 8)]
    src_wshift: Annotated[int, Bits(616, 8)]
    dst_hshift: Annotated[int, Bits(624, 8)]
    dst_wshift: Annotated[int, Bits(632, 8)]


class Masks(TypedDict, total=False):
    """Which lanes take part, a bit each."""

    localmem_mask_l32: Annotated[int, Bits(640, 32, 0xFFFFFFFF)]
    localmem_mask_h32: Annotated[int, Bits(672, 32, 0xFFFFFFFF)]


class Debug(TypedDict, total=False):
    """For single steps."""

    single_step: Annotated[int, Bits(704, 1)]
    debug_mode: Annotated[int, Bits(705, 1)]


class GdmaFields(
    Control, Strides, Sizes, Addresses, Reserved, IndexShifts, Masks, Debug, total=False
):
    """All fields of a GDMA command, in ascending bit order."""


GDMA = CommandLayout(Engine.GDMA, GdmaFields, id_field="cmd_id", wait_field="eng0_sync_id")
