"""ufw-fold-batch-norm: per-channel factors and addends move into the convolution before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from dialects.blob import BlobAttr
from dialects.ufw.ops import BatchNormOp, BiasOp, ConvolutionOp, InnerProductOp, ScaleOp
from passes.base import NpuFunctionPass

Array = NDArray[Any]
Affine = tuple[Array, Array]


def affine_of(op: Operation, channels: int) -> Affine | None:
    """(factor, addend) per channel, float64, of a float BatchNorm, Scale or Bias layer along axis
    1; None for anything else."""
    if isinstance(op, BatchNormOp) and op.mean is not None:
        assert op.variance is not None
        assert op.eps is not None
        factor = 1 / np.sqrt(op.variance.array.astype(np.float64) + op.eps.value.data)
        return factor, -op.mean.array * factor
    if not isinstance(op, (ScaleOp, BiasOp)) or op.operand is not None or op.right_shift:
        return None
    if op.axis.value.data != 1:
        return None
    blobs = [blob for blob in (op.weight, op.bias) if blob is not None]
    if any(blob.shape != (channels,) for blob in blobs):
        return None
    factor = np.ones(channels) if op.weight is None else op.weight.array.astype(np.float64)
    addend = np.zeros(channels) if op.bias is None else op.bias.array.astype(np.float64)
    return factor, addend


def fold_into(op: ConvolutionOp | InnerProductOp, affine: Affine) -> None:
    """Multiplies weights and bias by the factor and adds the addend, rounded once to float32."""
    factor, addend = affine
    weight = op.weight.array.astype(np.float64)
    scaled = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    bias = 0.0 if op.bias is None else op.bias.array.astype(np.float64)
    op.weight = BlobAttr.of(scaled.astype(np.float32))
    op.bias = BlobAttr.of((bias * factor + addend).astype(np.float32))


@dataclass(frozen=True)
class UfwFoldBatchNormPass(NpuFunctionPass):
    """Folds float BatchNorm, Scale and Bias layers into the Convolution or InnerProduct they
    follow.

    Before: ``convolution``, ``batch_norm``, ``scale`` in a chain, each the only reader of the one
    before. After: one ``convolution`` with other weights and a bias, named after the last layer of
    the chain.
    """

    name = "ufw-fold-batch-norm"
    level = "ufw"

    def apply_to(self, function: FuncOp) -> None:
        for inner in list(function.body.block.ops):
            if not isinstance(inner, (ConvolutionOp, InnerProductOp)) or inner.right_shift:
                continue
            if isinstance(inner, InnerProductOp) and inner.axis.value.data != 1:
                continue  # its outputs are not along axis 1, the channels of the layers behind it
            while (reader := _only_reader(inner)) is not None:
                affine = affine_of(reader, inner.weight.shape[0])
                if affine is None:
                    break
                fold_into(inner, affine)
                inner.tops = reader.tops
                reader.results[0].replace_all_uses_with(inner.results[0])
                reader.detach()
                reader.erase()


def _only_reader(op: Operation) -> BatchNormOp | ScaleOp | BiasOp | None:
    use = op.results[0].get_user_of_unique_use()
    return use if isinstance(use, (BatchNormOp, ScaleOp, BiasOp)) else None
