"""The vendor's own estimates of a command's cycles: functions of the simulator's library."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from dialects.bm1684 import isa
from dialects.bm1684.isa import Direction, Eu, Instruction, InstructionKind, Precision
from tests.vendor.runtime import vendor_library

Arguments = tuple[str, list[int]]
MAX_ARGUMENTS = 32


class Estimator:
    """Calls the estimator that fits a command."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(str(vendor_library("libcmodel_bm1684.so")))

    def call(self, name: str, arguments: list[int]) -> int:
        """One estimate; the library ends the process when it dislikes the arguments."""
        function = getattr(self.library, f"atomic_{name}_get_cycle")
        function.restype = ctypes.c_int
        function.argtypes = [ctypes.c_longlong] * MAX_ARGUMENTS
        return function(*arguments, *[0] * (MAX_ARGUMENTS - len(arguments)))

    def cycles(self, inst: Instruction) -> int:
        """The estimate for a command of one of the kinds in ESTIMATES."""
        return self.call(*ESTIMATES[inst.kind](inst))


def _shape(inst: Instruction) -> list[int]:
    return [inst[f"res0_{axis}"] for axis in "nchw"]


def _float(inst: Instruction) -> bool:
    return inst["opt_opd0_prec"] == Precision.FP32


def _conv(inst: Instruction) -> Arguments:
    bias, address, depth = int(inst["tsk_opd_num"] == 3), inst["res0_addr"], inst["opd0_c"]
    if inst["opt_winograd"]:
        name = "winograd_forward" if _float(inst) else "winograd_fix8b_forward"
        return name, [*_shape(inst), depth, address, bias]
    strides = [inst["res_op_y_str"], inst["res_op_x_str"]]
    kernel = [inst["opd1_h"], inst["opd1_w"]]
    name = "conv_forward" if _float(inst) else "conv_fix8b_forward"
    return name, [*_shape(inst), *kernel, depth, *strides, address, bias]


def _window(inst: Instruction) -> Arguments:
    weighted = int(inst.kind is isa.DEPTHWISE)
    kernel = [inst["opd1_h"], inst["opd1_w"]]
    name = "depthwise_fp32" if _float(inst) else "depthwise_fix8b"
    return name, [*_shape(inst), *kernel, inst["res0_addr"], inst["res_op_x_str"], weighted]


def _matmul(inst: Instruction) -> Arguments:
    names = ("opd0_n", "res0_c", "res0_w", "opd1_w", "opd0_c", "opd0_w", "res0_addr")
    flags = [int(inst["tsk_opd_num"] == 3), inst["opt_res_add"]]
    return "fc" if _float(inst) else "fc_fix8b", [*(inst[name] for name in names), *flags]


def _arith(inst: Instruction) -> Arguments:
    result, operand = inst["opt_res0_prec"], inst["opt_opd0_prec"]
    arguments = [*_shape(inst), inst["res0_addr"], inst["tsk_eu_typ"]]
    fixed = (Precision.INT8, Precision.INT16)
    if result in fixed and operand in fixed:
        return "tensor_arithmetic_fix8b", [*arguments, int(result == 0), int(operand == 0)]
    return "tensor_arithmetic", arguments


SFU = {Eu.TAYLOR: 7, Eu.FLOAT_TO_INT: 6, Eu.EXPONENT: 4, Eu.POWER_OF_TWO: 5, Eu.RSQRT: 3}
SCALAR = {Eu.MUL: 2, Eu.ADD: 0, Eu.SUB: 1, Eu.DIV: 3}
COMPARES_AND_SELECTS = 2


def _sfu(inst: Instruction) -> Arguments:
    operation = SFU[Eu(inst["tsk_eu_typ"])]
    return "md_sfu", [*_shape(inst), operation, inst["opd1_n"], inst["res0_addr"]]


def _scalar(inst: Instruction) -> Arguments:
    return "md_scalar", [*_shape(inst), SCALAR[Eu(inst["tsk_eu_typ"])], inst["res0_addr"]]


def _compare(inst: Instruction) -> Arguments:
    written = inst["res0_addr" if inst["tsk_eu_typ"] == Eu.COMPARE else "res1_addr"]
    return "md_cmp", [*_shape(inst), COMPARES_AND_SELECTS, written]


def _side(inst: Instruction, side: str) -> tuple[list[int], list[int]]:
    sized = "src" if inst["chw_copy"] else side
    n, c, h, w = (inst[f"{sized}_{axis}size"] for axis in "nchw")
    strides = [inst[f"{side}_{axis}stride"] for axis in "nchw"]
    return [n, c, h, w], strides if inst["stride_enable"] else [c * h * w, h * w, w, 1]


def _tensor(inst: Instruction) -> Arguments:
    fill, direction = inst.kind is isa.FILL, inst["direction"]
    target = _side(inst, "dst")
    source = target if fill else _side(inst, "src")
    if fill and direction == Direction.LOCAL_TO_LOCAL:
        direction = Direction.SYSTEM_TO_LOCAL
    ours = "dst" if fill else "src"
    formats = [inst["src_data_format"], inst["dst_data_format"]]
    strides = [s for pair in zip(source[1], target[1], strict=True) for s in pair]
    n, c, h, w = (strides[i : i + 2] for i in (0, 2, 4, 6))
    return "gdma_tensor", [
        *source[0], *target[0], isa.start_of(inst, ours), *formats, 0, direction, 0, 0, 0,
        int(fill), *w, 0, 0, *h, 0, 0, *c, *n,
    ]


def _matrix(inst: Instruction) -> Arguments:
    side = "dst" if inst["direction"] == Direction.LOCAL_TO_SYSTEM else "src"
    rows, columns = inst[f"{side}_hsize"], inst[f"{side}_wsize"]
    return "gdma_matrix", [rows, columns, inst["src_data_format"], 0, 0, 0]


def _table(inst: Instruction) -> Arguments:
    name = "table_lookup" if inst.kind is isa.LOOKUP else "md_linear"
    return name, [*_shape(inst), inst["res0_addr"]]


ESTIMATES: dict[InstructionKind, Callable[[Instruction], Arguments]] = {
    isa.CONV: _conv,
    isa.DEPTHWISE: _window,
    isa.MAX_POOL: _window,
    isa.MATMUL: _matmul,
    isa.ARITH: _arith,
    isa.LOOKUP: _table,
    isa.SCALAR: _scalar,
    isa.SFU: _sfu,
    isa.LINEAR: _table,
    isa.COMPARE: _compare,
    isa.MOVE: _tensor,
    isa.CONVERT: _tensor,
    isa.FILL: _tensor,
    isa.MATRIX: _matrix,
}
"""For each kind, how the arguments are read off the command."""
