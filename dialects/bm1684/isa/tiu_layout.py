"""The TIU command: 1024 bits, fields in ascending bit order."""

from __future__ import annotations

from dialects.bm1684.isa.fields import Engine, Field, Layout

OPERANDS = ("res0", "opd0", "opd1")

CONTROL = (
    Field("cmd_en", 1, 1),
    Field("cmd_end", 1),
    Field("cmd_id_en", 1, 1),
    Field("cmd_id_tpu", 16),
    Field("cmd_id_gdma", 16),
    Field("cmd_keep", 1),
    Field("cmd_intr_en", 1),
)
TASK = (
    Field("tsk_typ", 4),
    Field("tsk_eu_typ", 5),
    Field("tsk_opd_num", 2),
)
OPTIONS = (
    Field("opt_right_shift", 5),
    Field("opt_left_shift", 5),
    Field("opt_shift_typ", 1, 1),
    Field("opt_res_add", 1),
    Field("opt_relu", 1),
    Field("opt_left_tran", 1),
    Field("opt_winograd", 1),
    Field("opt_kernel_rotate", 1),
    Field("opt_opd0_sign", 1),
    Field("opt_opd1_sign", 1),
    Field("opt_opd2_sign", 1),
    Field("opt_res0_prec", 3),
    Field("opt_opd0_prec", 3),
    Field("opt_opd1_prec", 3),
    Field("opt_opd2_prec", 3),
    Field("opt_opd0_const", 1),
    Field("opt_opd1_const", 1),
    Field("opt_opd2_const", 1),
    Field("short_res0_str", 3),
    Field("short_opd0_str", 3),
    Field("short_opd1_str", 3),
    Field("short_opd2_str", 3, 2),
)
WINDOW = (
    Field("opd0_x_ins0", 4),
    Field("opd0_y_ins0", 4),
    Field("opd1_x_ins0", 4),
    Field("opd1_y_ins0", 4),
    Field("opd0_up_pad", 4),
    Field("opd0_dn_pad", 4),
    Field("opd0_lf_pad", 4),
    Field("opd0_rt_pad", 4),
    Field("res_op_x_str", 4, 1),
    Field("res_op_y_str", 4, 1),
)
LANES = (Field("tsk_lane_num", 64, (1 << 64) - 1),)
SIZES = (
    Field("res0_n", 16, 1),
    Field("res0_c", 12, 1),
    Field("res0_h", 16, 1),
    Field("res0_w", 16, 1),
    Field("opd0_n", 16, 1),
    Field("opd0_c", 12, 1),
    Field("opd0_h", 16, 1),
    Field("opd0_w", 16, 1),
    Field("opd1_n", 12, 1),
    Field("opd1_c", 12, 1),
    Field("opd1_h", 16, 1),
    Field("opd1_w", 16, 1),
)
SHIFTS = tuple(Field(f"{operand}_{axis}_shift", 4) for operand in OPERANDS for axis in "hw")
OUTER_STRIDES = tuple(
    Field(f"{operand}_{axis}_str", 19, 1) for operand in (*OPERANDS, "opd2") for axis in "nc"
)
FLAGS = (
    Field("opt_res_add_sign", 1),
    Field("opd0_neq1", 1),
    Field("opd1_neq1", 1),
    Field("opt_opd3_const", 1),
    Field("rsvd0", 22),
)
ADDRESSES = tuple(Field(f"{operand}_addr", 32) for operand in (*OPERANDS, "opd2"))
INNER_STRIDES = tuple(
    Field(f"{operand}_{axis}_str", 32, 1) for operand in (*OPERANDS, "opd2") for axis in "hw"
)
EXTRA_ADDRESSES = (Field("res1_addr", 32), Field("opd3_addr", 32))

TIU = Layout(
    Engine.TIU,
    (
        *CONTROL,
        *TASK,
        *OPTIONS,
        *WINDOW,
        *LANES,
        *SIZES,
        *SHIFTS,
        *OUTER_STRIDES,
        *FLAGS,
        *ADDRESSES,
        *INNER_STRIDES,
        *EXTRA_ADDRESSES,
    ),
    id_field="cmd_id_tpu",
    wait_field="cmd_id_gdma",
)
