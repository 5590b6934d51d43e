"""The TIU command: 1024 bits.

Every field is one line: its name, its first bit, its width in bits, and what a command holds when
nothing is said (0 where it is left out). The classes are for the names' completion and check, too.
"""

from typing import Annotated, TypedDict

from dialects.bm1684.isa.fields import Bits, CommandLayout, Engine


class Control(TypedDict, total=False):
    """Ids, and whether the command runs."""

    cmd_en: Annotated[int, Bits(0, 1, 1)]
    cmd_end: Annotated[int, Bits(1, 1)]
    cmd_id_en: Annotated[int, Bits(2, 1, 1)]
    cmd_id_tpu: Annotated[int, Bits(3, 16)]
    cmd_id_gdma: Annotated[int, Bits(19, 16)]
    cmd_keep: Annotated[int, Bits(35, 1)]
    cmd_intr_en: Annotated[int, Bits(36, 1)]


class Task(TypedDict, total=False):
    """What is computed."""

    tsk_typ: Annotated[int, Bits(37, 4)]
    tsk_eu_typ: Annotated[int, Bits(41, 5)]
    tsk_opd_num: Annotated[int, Bits(46, 2)]


class Options(TypedDict, total=False):
    """Arithmetic, and the types of the operands."""

    opt_right_shift: Annotated[int, Bits(48, 5)]
    opt_left_shift: Annotated[int, Bits(53, 5)]
    opt_shift_typ: Annotated[int, Bits(58, 1, 1)]
    opt_res_add: Annotated[int, Bits(59, 1)]
    opt_relu: Annotated[int, Bits(60, 1)]
    opt_left_tran: Annotated[int, Bits(61, 1)]
    opt_winograd: Annotated[int, Bits(62, 1)]
    opt_kernel_rotate: Annotated[int, Bits(63, 1)]
    opt_opd0_sign: Annotated[int, Bits(64, 1)]
    opt_opd1_sign: Annotated[int, Bits(65, 1)]
    opt_opd2_sign: Annotated[int, Bits(66, 1)]
    opt_res0_prec: Annotated[int, Bits(67, 3)]
    opt_opd0_prec: Annotated[int, Bits(70, 3)]
    opt_opd1_prec: Annotated[int, Bits(73, 3)]
    opt_opd2_prec: Annotated[int, Bits(76, 3)]
    opt_opd0_const: Annotated[int, Bits(79, 1)]
    opt_opd1_const: Annotated[int, Bits(80, 1)]
    opt_opd2_const: Annotated[int, Bits(81, 1)]
    short_res0_str: Annotated[int, Bits(82, 3)]
    short_opd0_str: Annotated[int, Bits(85, 3)]
    short_opd1_str: Annotated[int, Bits(88, 3)]
    short_opd2_str: Annotated[int, Bits(91, 3, 2)]


class Window(TypedDict, total=False):
    """Steps, gaps and padding of a sliding window."""

    opd0_x_ins0: Annotated[int, Bits(94, 4)]
    opd0_y_ins0: Annotated[int, Bits(98, 4)]
    opd1_x_ins0: Annotated[int, Bits(102, 4)]
    opd1_y_ins0: Annotated[int, Bits(106, 4)]
    opd0_up_pad: Annotated[int, Bits(110, 4)]
    opd0_dn_pad: Annotated[int, Bits(114, 4)]
    opd0_lf_pad: Annotated[int, Bits(118, 4)]
    opd0_rt_pad: Annotated[int, Bits(122, 4)]
    res_op_x_str: Annotated[int, Bits(126, 4, 1)]
    res_op_y_str: Annotated[int, Bits(130, 4, 1)]


class Lanes(TypedDict, total=False):
    """Which lanes work, a bit each."""

    tsk_lane_num: Annotated[int, Bits(134, 64, 0xFFFFFFFFFFFFFFFF)]


class Sizes(TypedDict, total=False):
    """Extents of the operands."""

    res0_n: Annotated[int, Bits(198, 16, 1)]
    res0_c: Annotated[int, Bits(214, 12, 1)]
    res0_h: Annotated[int, Bits(226, 16, 1)]
    res0_w: Annotated[int, Bits(242, 16, 1)]
    opd0_n: Annotated[int, Bits(258, 16, 1)]
    opd0_c: Annotated[int, Bits(274, 12, 1)]
    opd0_h: Annotated[int, Bits(286, 16, 1)]
    opd0_w: Annotated[int, Bits(302, 16, 1)]
    opd1_n: Annotated[int, Bits(318, 12, 1)]
    opd1_c: Annotated[int, Bits(330, 12, 1)]
    opd1_h: Annotated[int, Bits(342, 16, 1)]
    opd1_w: Annotated[int, Bits(358, 16, 1)]


class Shifts(TypedDict, total=False):
    """Shifts of indices."""

    res0_h_shift: Annotated[int, Bits(374, 4)]
    res0_w_shift: Annotated[int, Bits(378, 4)]
    opd0_h_shift: Annotated[int, Bits(382, 4)]
    opd0_w_shift: Annotated[int, Bits(386, 4)]
    opd1_h_shift: Annotated[int, Bits(390, 4)]
    opd1_w_shift: Annotated[int, Bits(394, 4)]


class OuterStrides(TypedDict, total=False):
    """Steps along n and c."""

    res0_n_str: Annotated[int, Bits(398, 19, 1)]
    res0_c_str: Annotated[int, Bits(417, 19, 1)]
    opd0_n_str: Annotated[int, Bits(436, 19, 1)]
    opd0_c_str: Annotated[int, Bits(455, 19, 1)]
    opd1_n_str: Annotated[int, Bits(474, 19, 1)]
    opd1_c_str: Annotated[int, Bits(493, 19, 1)]
    opd2_n_str: Annotated[int, Bits(512, 19, 1)]
    opd2_c_str: Annotated[int, Bits(531, 19, 1)]


class Flags(TypedDict, total=False):
    """More options."""

    opt_res_add_sign: Annotated[int, Bits(550, 1)]
    opd0_neq1: Annotated[int, Bits(551, 1)]
    opd1_neq1: Annotated[int, Bits(552, 1)]
    opt_opd3_const: Annotated[int, Bits(553, 1)]
    rsvd0: Annotated[int, Bits(554, 22)]


class Addresses(TypedDict, total=False):
    """Where the operands begin, or a constant's bits."""

    res0_addr: Annotated[int, Bits(576, 32)]
    opd0_addr: Annotated[int, Bits(608, 32)]
    opd1_addr: Annotated[int, Bits(640, 32)]
    opd2_addr: Annotated[int, Bits(672, 32)]


class InnerStrides(TypedDict, total=False):
    """Steps along h and w."""

    res0_h_str: Annotated[int, Bits(704, 32, 1)]
    res0_w_str: Annotated[int, Bits(736, 32, 1)]
    opd0_h_str: Annotated[int, Bits(768, 32, 1)]
    opd0_w_str: Annotated[int, Bits(800, 32, 1)]
    opd1_h_str: Annotated[int, Bits(832, 32, 1)]
    opd1_w_str: Annotated[int, Bits(864, 32, 1)]
    opd2_h_str: Annotated[int, Bits(896, 32, 1)]
    opd2_w_str: Annotated[int, Bits(928, 32, 1)]


class ExtraAddresses(TypedDict, total=False):
    """Of a second result and a fourth operand."""

    res1_addr: Annotated[int, Bits(960, 32)]
    opd3_addr: Annotated[int, Bits(992, 32)]


class TiuFields(
    Control,
    Task,
    Options,
    Window,
    Lanes,
    Sizes,
    Shifts,
    OuterStrides,
    Flags,
    Addresses,
    InnerStrides,
    ExtraAddresses,
    total=False,
):
    """All fields of a TIU command, in ascending bit order."""


TIU = CommandLayout(Engine.TIU, TiuFields, id_field="cmd_id_tpu", wait_field="cmd_id_gdma")
