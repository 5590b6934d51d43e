"""How every quant op is cut into tiles: transfers and computations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from xdsl.ir import SSAValue

from dialects.quant.base import QuantOp
from dialects.quant.compute import (
    AveragePoolOp,
    CastOp,
    ConvAddOp,
    ConvOp,
    DequantizeOp,
    EltwiseOp,
    LookupOp,
    MaxPoolOp,
    PointwiseFunctionOp,
    PReluOp,
    QuantizeOp,
    RequantizeOp,
    SoftmaxOp,
)
from dialects.quant.eltwise import BinaryOp, ConstantOp, SelectOp
from dialects.quant.movement import (
    BroadcastOp,
    ConcatOp,
    InterleaveOp,
    InterpolateOp,
    PoolIndexOp,
    ReshapeOp,
    SliceOp,
    TakeOp,
    TransposeOp,
    UnpoolOp,
)
from dialects.quant.reductions import MatMulOp, RecurrentOp, ReduceOp
from dialects.quant.strips import ExchangeHaloOp, JoinStripsOp, QuantizeStripsOp, SplitStripsOp
from passes.kernels.builder import TileBuilder
from passes.kernels.convolution.conv import lower_conv
from passes.kernels.elementwise.binary import lower_binary, lower_constant, lower_select
from passes.kernels.elementwise.lookup import lower_lookup
from passes.kernels.movement.lowerings import (
    lower_broadcast,
    lower_concat,
    lower_reshape,
    lower_slice,
    lower_transpose,
)
from passes.kernels.movement.pixels import lower_interleave, lower_interpolate, lower_take
from passes.kernels.movement.unpooling import lower_pool_index, lower_unpool
from passes.kernels.pointwise import (
    lower_cast,
    lower_dequantize,
    lower_eltwise,
    lower_function,
    lower_quantize,
    lower_requantize,
)
from passes.kernels.pooling.average_pool import lower_average_pool
from passes.kernels.pooling.max_pool import lower_max_pool
from passes.kernels.prelu import lower_prelu
from passes.kernels.reductions.matmul import lower_matmul
from passes.kernels.reductions.recurrent import lower_recurrent
from passes.kernels.reductions.reduce import lower_reduce
from passes.kernels.softmax import lower_softmax
from passes.kernels.strips import (
    lower_exchange_halo,
    lower_join_strips,
    lower_quantize_strips,
    lower_split_strips,
)

OpT = TypeVar("OpT", bound=QuantOp)
Kernel: TypeAlias = Callable[[TileBuilder, OpT, Sequence[SSAValue], SSAValue], None]
"""Appends the tile ops of one op. The operands lie whole in DDR, and so will the result: the
sources are in the order of the operands. Raises CannotLower."""

KERNELS: dict[type[QuantOp], Kernel[Any]] = {}


def register(op: type[OpT], kernel: Kernel[OpT]) -> None:
    """Makes ``kernel`` the one of an op."""
    KERNELS[op] = kernel


register(ConvOp, lower_conv)
register(ConvAddOp, lower_conv)
register(MaxPoolOp, lower_max_pool)
register(AveragePoolOp, lower_average_pool)
register(EltwiseOp, lower_eltwise)
register(BinaryOp, lower_binary)
register(SelectOp, lower_select)
register(ConstantOp, lower_constant)
register(RequantizeOp, lower_requantize)
register(PReluOp, lower_prelu)
register(LookupOp, lower_lookup)
register(QuantizeOp, lower_quantize)
register(DequantizeOp, lower_dequantize)
register(CastOp, lower_cast)
register(PointwiseFunctionOp, lower_function)
register(SoftmaxOp, lower_softmax)
register(ReduceOp, lower_reduce)
register(MatMulOp, lower_matmul)
register(RecurrentOp, lower_recurrent)
register(ReshapeOp, lower_reshape)
register(TransposeOp, lower_transpose)
register(SliceOp, lower_slice)
register(ConcatOp, lower_concat)
register(BroadcastOp, lower_broadcast)
register(TakeOp, lower_take)
register(InterpolateOp, lower_interpolate)
register(InterleaveOp, lower_interleave)
register(PoolIndexOp, lower_pool_index)
register(UnpoolOp, lower_unpool)
register(SplitStripsOp, lower_split_strips)
register(JoinStripsOp, lower_join_strips)
register(ExchangeHaloOp, lower_exchange_halo)
register(QuantizeStripsOp, lower_quantize_strips)
