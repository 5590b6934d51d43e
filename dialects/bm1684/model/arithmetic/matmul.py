"""Matrix multiplication: Y[M, N] (+)= L[M, K] R[K, N] + bias[N]."""

from __future__ import annotations

from functools import partial

import numpy as np

from dialects.bm1684.isa import Instruction, Precision
from dialects.bm1684.model.arithmetic.conv import largest, read_bias, result_type
from dialects.bm1684.model.arithmetic.exact import ExactMatrix, saturate, shift_right
from dialects.bm1684.model.arithmetic.products import in_steps, multiplier
from dialects.bm1684.model.memory.access import PreparedCommand
from dialects.bm1684.model.memory.lanes import LaneTensor
from dialects.bm1684.model.memory.npu import Array, DType, Npu
from dialects.bm1684.model.memory.operands import WORD, integer_type, same_lane, tensor

ELEMENT_BYTES = {Precision.INT8: 1, Precision.INT16: 2, Precision.FP32: WORD}


def plan_matmul(inst: Instruction) -> PreparedCommand:
    """A matrix of section width w is the tensor (rows, ceil(columns / w), 1, w)."""
    left_shape = (inst["opd0_n"], inst["opd0_c"], 1, inst["opd0_w"])
    columns = (inst["opd0_c"] - 1) * inst["opd0_w"] + inst["opd1_w"]
    rows, depth = inst["opd0_n"], columns
    if inst["opt_left_tran"]:
        rows, depth = depth, rows
    precision = Precision(inst["opt_opd0_prec"])
    unit = ELEMENT_BYTES[precision]
    sections = (inst["res0_c"], 1, inst["res0_w"])
    left = tensor(inst, "opd0", left_shape, unit)
    right = tensor(inst, "opd1", (depth, *sections), unit)
    result_unit = ELEMENT_BYTES[Precision(inst["opt_res0_prec"])]
    result = tensor(inst, "res0", (rows, *sections), result_unit)
    bias = None
    if inst["tsk_opd_num"] == 3:
        bias = tensor(inst, "opd2", (1, *sections), 2 if precision == Precision.INT8 else WORD)
    same_lane(result, left, right, bias)
    reads = [t for t in (left, right, bias) if t is not None]
    if inst["opt_res_add"]:
        reads.append(result)
    run = _run_int8 if precision == Precision.INT8 else _run_fp32
    return PreparedCommand(tuple(reads), (result,), partial(run, inst, left, right, bias, result))


def _matrix(place: LaneTensor, npu: Npu, dtype: DType) -> Array:
    return place.read(npu.lmem, dtype).reshape(place.shape[0], -1)


def _left(inst: Instruction, place: LaneTensor, npu: Npu, dtype: DType) -> Array:
    columns = (inst["opd0_c"] - 1) * inst["opd0_w"] + inst["opd1_w"]
    matrix = _matrix(place, npu, dtype)[:, :columns]
    return matrix.T if inst["opt_left_tran"] else matrix


def _run_int8(
    inst: Instruction,
    left: LaneTensor,
    right: LaneTensor,
    bias: LaneTensor | None,
    result: LaneTensor,
    npu: Npu,
) -> None:
    signs = [bool(inst[f"opt_opd{i}_sign"]) for i in (0, 1)]
    matrix = ExactMatrix(_left(inst, left, npu, integer_type(8, signs[0])), largest(signs[1]))
    columns = _matrix(right, npu, integer_type(8, signs[1])).astype(np.float32)
    total = matrix.times(columns).astype(np.int64)
    total += read_bias(inst, bias, npu, 1).reshape(1, -1)
    dtype = result_type(inst)
    if inst["opt_res_add"]:
        held = _matrix(result, npu, integer_type(16, bool(inst["opt_res_add_sign"])))
        total += held.astype(np.int64) << inst["opt_left_shift"]
    data = saturate(shift_right(total, inst["opt_right_shift"]), dtype)
    result.write(npu.lmem, data.reshape(result.shape))


def _run_fp32(
    inst: Instruction,
    left: LaneTensor,
    right: LaneTensor,
    bias: LaneTensor | None,
    result: LaneTensor,
    npu: Npu,
) -> None:
    f32 = np.dtype(np.float32)
    a, b = _left(inst, left, npu, f32), _matrix(right, npu, f32)
    total = multiplier(in_steps(len(b)), a.size * b.shape[1])(a, b)
    if bias is not None:
        total += _matrix(bias, npu, f32)
    if inst["opt_res_add"]:
        total += _matrix(result, npu, f32)
    result.write(npu.lmem, total.reshape(result.shape))
