"""ufw-fold-batch-norm: factors and addends of outputs move into the convolution before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp

from dialects.constant import ConstantAttr
from dialects.ufw.convolution import WeightedLayerOp
from dialects.ufw.layer import LayerOp
from passes.base import NpuFunctionPass

Array = NDArray[Any]
Affine = tuple[Array, Array]


def fold_into(op: WeightedLayerOp, affine: Affine) -> None:
    """Multiplies weights and bias by the factor and adds the addend, rounded once to float32."""
    factor, addend = affine
    weight = op.weight.array.astype(np.float64)
    scaled = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    bias = 0.0 if op.bias is None else op.bias.array.astype(np.float64)
    op.weight = ConstantAttr.of(scaled.astype(np.float32))
    op.bias = ConstantAttr.of((bias * factor + addend).astype(np.float32))


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
            if not isinstance(inner, WeightedLayerOp) or inner.right_shift:
                continue
            while isinstance(reader := inner.results[0].get_user_of_unique_use(), LayerOp):
                affine = reader.channel_affine(inner.weight.shape[0], inner.output_axis)
                if affine is None:
                    break
                fold_into(inner, affine)
                inner.tops = reader.tops
                reader.results[0].replace_all_uses_with(inner.results[0])
                reader.detach()
                reader.erase()
