"""Axpy, ``a x + y``, as the layers that it computes."""

from __future__ import annotations

from bmnetu.frontend.ufw_pb2 import BinaryParameter, EltwiseParameter, LayerParameter

OPERANDS = 3


def without_axpy(param: LayerParameter) -> list[LayerParameter]:
    """The layer, or those of an Axpy: its factors, N x C or N x C x 1 x 1, are reshaped to the
    latter, and multiply the second bottom; the third one is added.

    They are called ``NAME/factors``, ``NAME/product`` and NAME, which makes the top.
    """
    if param.type != "Axpy" or len(param.bottom) != OPERANDS or len(param.top) != 1:
        return [param]
    a, x, y = param.bottom
    factors, product = f"{param.name}/factors", f"{param.name}/product"
    reshape = LayerParameter(name=factors, type="Reshape", bottom=[a], top=[factors])
    reshape.reshape_param.shape.dim.extend([0, -1, 1, 1])
    multiply = LayerParameter(
        name=product, type="BroadcastBinary", bottom=[x, factors], top=[product]
    )
    multiply.broadcast_binary_param.operation = BinaryParameter.MUL
    add = LayerParameter(name=param.name, type="Eltwise", bottom=[product, y], top=param.top)
    add.eltwise_param.operation = EltwiseParameter.SUM
    return [reshape, multiply, add]
