"""The instructions of the tensor unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from dialects.bm1684.isa.codes import Eu, Precision, StrideMode
from dialects.bm1684.isa.fields import names_of
from dialects.bm1684.isa.instruction import Instruction, InstructionKind, Rule
from dialects.bm1684.isa.tiu_layout import TIU, Control, Lanes, Options, Task, TiuFields, Window

INT8, FP32, INT16, INT32 = Precision.INT8, Precision.FP32, Precision.INT16, Precision.INT32


class TiuKind(InstructionKind):
    """An instruction of the TIU."""

    if TYPE_CHECKING:

        def build(self, **values: Unpack[TiuFields]) -> Instruction:  # pyright: ignore[reportIncompatibleMethodOverride]
            ...


def _operand(*operands: str) -> tuple[str, ...]:
    return tuple(f"{operand}_addr" for operand in operands)


def _strides(*operands: str) -> tuple[str, ...]:
    return tuple(f"{operand}_{axis}_str" for operand in operands for axis in "nchw")


def _sizes(*operands: str) -> tuple[str, ...]:
    return tuple(f"{operand}_{axis}" for operand in operands for axis in "nchw")


COMMON = (
    *names_of(Control, Task, Options, Lanes),
    *_sizes("res0", "opd0", "opd1"),
    "opt_res_add_sign",
)
SIZES_FROM_1 = {
    "res0_n": range(1, 1 << 16),
    "res0_c": range(1, 1 << 12),
    "res0_h": range(1, 1 << 16),
    "res0_w": range(1, 1 << 16),
}
KERNEL = range(1, 1 << 16)
WINDOW_LIMITS = {
    **SIZES_FROM_1,
    "opd0_h": KERNEL,
    "opd0_w": KERNEL,
    "opd1_h": KERNEL,
    "opd1_w": KERNEL,
    "res_op_x_str": range(1, 16),
    "res_op_y_str": range(1, 16),
}
STRIDE_MODES = frozenset(StrideMode)
ALL_FP32 = {f"opt_{operand}_prec": FP32 for operand in ("res0", "opd0", "opd1", "opd2")}


def _is_int8(inst: Instruction) -> bool:
    return inst["opt_opd0_prec"] == INT8


def _same_precision(inst: Instruction) -> bool:
    result = inst["opt_res0_prec"]
    matching = (INT8, INT16) if _is_int8(inst) else (inst["opt_opd0_prec"],)
    return inst["opt_opd0_prec"] == inst["opt_opd1_prec"] and result in matching


def _winograd_form(inst: Instruction) -> bool:
    if not inst["opt_winograd"]:
        return True
    four = inst["opd1_h"] == inst["opd1_w"] == 4
    return four and inst["res_op_x_str"] == inst["res_op_y_str"] == 1 and not _spread(inst)


def _spread(inst: Instruction) -> bool:
    names = ("opd0_x_ins0", "opd0_y_ins0", "opd1_x_ins0", "opd1_y_ins0")
    return any(inst[name] for name in names)


def _window_fits(inst: Instruction) -> bool:
    """The last window starts inside the padded, widened input."""
    for axis, pads in (("h", ("up", "dn")), ("w", ("lf", "rt"))):
        xy = "y" if axis == "h" else "x"
        padded = (inst[f"opd0_{axis}"] - 1) * (inst[f"opd0_{xy}_ins0"] + 1) + 1
        padded += sum(inst[f"opd0_{side}_pad"] for side in pads)
        window = (inst[f"opd1_{axis}"] - 1) * (inst[f"opd1_{xy}_ins0"] + 1) + 1
        if inst["opt_winograd"]:
            window -= 1
        if (inst[f"res0_{axis}"] - 1) * inst[f"res_op_{xy}_str"] + window > padded:
            return False
    return True


SAME_PRECISION = Rule(_same_precision, "opt_opd0_prec and opt_opd1_prec must be equal, and "
                      "opt_res0_prec too (or INT16 for INT8 operands)")
WINDOW_FITS = Rule(_window_fits, "res0_h or res0_w reaches beyond the padded input opd0")

CONV = TiuKind(
    "conv",
    TIU,
    fixed={"tsk_typ": 0, "tsk_eu_typ": Eu.MUL},
    uses=(
        *COMMON,
        *names_of(Window),
        *_operand("res0", "opd0", "opd1", "opd2"),
        *_strides("res0", "opd0", "opd1", "opd2"),
    ),
    limits={
        **WINDOW_LIMITS,
        "opd0_c": range(1, 4096),
        "tsk_opd_num": (2, 3),
        "opt_opd0_prec": (INT8, FP32),
        "short_opd0_str": (StrideMode.ALIGNED, StrideMode.EXPLICIT),
        "short_opd1_str": STRIDE_MODES,
        "short_opd2_str": STRIDE_MODES,
        "short_res0_str": (StrideMode.ALIGNED, StrideMode.EXPLICIT),
    },
    rules=(
        SAME_PRECISION,
        WINDOW_FITS,
        Rule(_winograd_form, "winograd needs opd1_h = opd1_w = 4, stride 1, no dilation"),
        Rule(lambda i: not (i["opt_res_add"] and _is_int8(i)), "opt_res_add needs FP32"),
        Rule(
            lambda i: _is_int8(i)
            or StrideMode.EXPLICIT not in (i["short_res0_str"], i["short_opd2_str"]),
            "explicit strides of res0 and opd2 (short_*_str) need INT8",
        ),
        Rule(
            lambda i: not (i["opt_winograd"] and i["opt_res0_prec"] == INT16),
            "opt_winograd has no INT16 result",
        ),
        Rule(
            lambda i: not i["opt_winograd"] or not _is_int8(i) or i["opt_opd1_sign"] == 1,
            "opt_winograd with INT8 needs signed weights (opt_opd1_sign)",
        ),
    ),
)
DEPTHWISE = TiuKind(
    "depthwise",
    TIU,
    fixed={"tsk_typ": 1, "tsk_eu_typ": Eu.MAC},
    uses=(*COMMON, *names_of(Window), *_operand("res0", "opd0", "opd1", "opd2")),
    limits={**WINDOW_LIMITS, "tsk_opd_num": (2, 3), "opt_opd0_prec": (INT8, FP32),
            "opt_winograd": (0,)},
    rules=(
        Rule(
            lambda i: i["opt_opd0_prec"] == i["opt_opd1_prec"] == i["opt_res0_prec"],
            "opt_opd0_prec, opt_opd1_prec and opt_res0_prec must be equal",
        ),
        WINDOW_FITS,
        Rule(
            lambda i: not (_is_int8(i) and i["opt_opd1_const"])
            or (i["opd1_h"] * i["opd1_w"] < 255 and i["opd1_h"] * i["opd1_w"] != 240),
            "an INT8 average needs a kernel opd1_h * opd1_w below 255 and not 240",
        ),
        Rule(
            lambda i: not (_is_int8(i) and i["opt_opd1_const"] and i["tsk_opd_num"] == 3),
            "an INT8 average (opt_opd1_const) has no bias: tsk_opd_num must be 2",
        ),
    ),
)
MAX_POOL = TiuKind(
    "max_pool",
    TIU,
    fixed={"tsk_typ": 1, "tsk_eu_typ": Eu.MAX},
    uses=(*COMMON, *names_of(Window), *_operand("res0", "opd0", "opd1", "opd2")),
    defaults={"tsk_opd_num": 1},
    limits={**WINDOW_LIMITS, "tsk_opd_num": (1,), "opt_opd0_prec": (INT8, FP32),
            "opt_right_shift": (0,), "opt_winograd": (0,)},
    rules=(
        Rule(
            lambda i: i["opt_opd0_prec"] == i["opt_res0_prec"],
            "opt_opd0_prec and opt_res0_prec must be equal",
        ),
        WINDOW_FITS,
        Rule(lambda i: not _spread(i), "opd0_*_ins0 and opd1_*_ins0 must be 0"),
    ),
)
MATMUL = TiuKind(
    "matmul",
    TIU,
    fixed={"tsk_typ": 2, "tsk_eu_typ": Eu.MUL},
    uses=(*COMMON, *_operand("res0", "opd0", "opd1", "opd2")),
    limits={
        "tsk_opd_num": (2, 3),
        "opt_opd0_prec": (INT8, FP32),
        "res0_c": range(1, 4096),
        "res0_w": KERNEL,
        "opd0_n": KERNEL,
        "opd0_c": range(1, 4096),
        "opd0_w": KERNEL,
        "opd1_w": KERNEL,
    },
    rules=(
        SAME_PRECISION,
        Rule(lambda i: not _is_int8(i) or i["res0_w"] <= 128, "INT8 needs res0_w <= 128"),
        Rule(lambda i: i["opd1_w"] <= i["opd0_w"], "opd1_w (last section) exceeds opd0_w"),
        Rule(
            lambda i: not (i["opt_res_add"] and _is_int8(i) and i["opt_res0_prec"] == INT8),
            "opt_res_add with INT8 operands needs an INT16 result",
        ),
    ),
)


def _arith_precisions(inst: Instruction) -> bool:
    first, second, result = (inst[f"opt_{x}_prec"] for x in ("opd0", "opd1", "res0"))
    eu = inst["tsk_eu_typ"]
    if first in (FP32, INT32):
        return eu == Eu.COPY or (second in (FP32, INT32) and result in (FP32, INT32))
    if result not in (INT8, INT16) or first not in (INT8, INT16):
        return False
    if eu == Eu.MUL:
        return first == second == INT8
    if eu == Eu.MAC:
        return first == second == INT8 and result == INT16
    if eu == Eu.SHIFT:
        return first == second == result == INT16
    if eu == Eu.COPY:
        return first == result
    if eu in (Eu.ADD, Eu.SUB):
        return first == second
    return first == second == result


FLOAT_ONLY = (Eu.SELECT_GT, Eu.SELECT_EQ, Eu.DIV)

ARITH = TiuKind(
    "arith",
    TIU,
    fixed={"tsk_typ": 3},
    uses=(
        *COMMON,
        *_operand("res0", "opd0", "opd1", "opd2"),
        *_strides("res0", "opd0", "opd1", "opd2"),
        "opd0_neq1",
        "opd1_neq1",
    ),
    defaults={"tsk_opd_num": 2},
    limits={
        **SIZES_FROM_1,
        "tsk_eu_typ": (Eu.MUL, Eu.MAC, Eu.ADD, Eu.SUB, Eu.MAX, Eu.MIN, Eu.SHIFT, Eu.AND, Eu.OR,
                       Eu.XOR, *FLOAT_ONLY, Eu.COPY),
        "opt_opd0_prec": (INT8, FP32, INT16, INT32),
        "short_res0_str": STRIDE_MODES,
        "short_opd0_str": STRIDE_MODES,
        "short_opd1_str": STRIDE_MODES,
    },
    rules=(
        Rule(_arith_precisions, "tsk_eu_typ does not exist for these opt_*_prec"),
        Rule(
            lambda i: i["tsk_eu_typ"] not in FLOAT_ONLY or i["opt_opd0_prec"] == FP32,
            "select_gt, select_eq and div need FP32",
        ),
    ),
)
POINTWISE = {**SIZES_FROM_1, "opt_res0_prec": (FP32, INT32), "opt_opd0_prec": (FP32, INT32)}

LOOKUP = TiuKind(
    "lookup",
    TIU,
    fixed={"tsk_typ": 6, "tsk_eu_typ": Eu.MUL},
    uses=(*COMMON, *_operand("res0", "opd0", "opd1")),
    defaults={**ALL_FP32, "tsk_opd_num": 2, "opd1_h": 8},
    limits={**SIZES_FROM_1, "opt_opd0_prec": (INT8, FP32), "opt_res0_prec": (FP32,),
            "opd1_h": range(1, 9)},
)
SCALAR = TiuKind(
    "scalar",
    TIU,
    fixed={"tsk_typ": 8},
    uses=(*COMMON, *_operand("res0", "opd0", "opd1")),
    defaults={**ALL_FP32, "tsk_opd_num": 2},
    limits={**POINTWISE, "tsk_eu_typ": (Eu.MUL, Eu.ADD, Eu.SUB, Eu.DIV)},
)
SFU = TiuKind(
    "sfu",
    TIU,
    fixed={"tsk_typ": 9},
    uses=(*COMMON, *_operand("res0", "opd0", "opd1")),
    defaults={**ALL_FP32, "tsk_opd_num": 2},
    limits={
        **POINTWISE,
        "tsk_eu_typ": (Eu.TAYLOR, Eu.FLOAT_TO_INT, Eu.EXPONENT, Eu.POWER_OF_TWO, Eu.RSQRT),
        "opd1_n": range(1, 4096),
    },
)
LINEAR = TiuKind(
    "linear",
    TIU,
    fixed={"tsk_typ": 10},
    uses=(*COMMON, *_operand("res0", "opd0", "opd1", "opd2")),
    defaults={**ALL_FP32, "tsk_opd_num": 3},
    limits={**POINTWISE, "tsk_eu_typ": (Eu.MAC, Eu.SQUARE_SUM, Eu.SQUARE_DIFFERENCE)},
)
COMPARE = TiuKind(
    "compare",
    TIU,
    fixed={"tsk_typ": 13},
    uses=(
        *COMMON,
        *_operand("res0", "opd0", "opd1", "opd2", "opd3", "res1"),
        *_strides("opd0"),
        "opt_opd3_const",
    ),
    defaults=ALL_FP32,
    limits={**POINTWISE, "tsk_eu_typ": (Eu.COMPARE, Eu.SELECT, Eu.COMPARE_SELECT)},
)

TIU_KINDS = (CONV, DEPTHWISE, MAX_POOL, MATMUL, ARITH, LOOKUP, SCALAR, SFU, LINEAR, COMPARE)
