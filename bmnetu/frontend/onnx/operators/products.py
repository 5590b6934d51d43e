"""Gemm and MatMul: InnerProduct where the weights are constants, else MatMul of two tensors."""

from __future__ import annotations

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.operators.arithmetic import add_to
from bmnetu.frontend.onnx.operators.functions import power_layer
from bmnetu.frontend.onnx.site import Site
from dialects.constant import Array
from dialects.ufw.shapes import show


def gemm(site: Site) -> Blob:
    """``alpha A B + beta C``, A and B transposed where the node says so."""
    node, a, b = site.node, site.either(0), site.either(1)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise InputFileError(node.fault(f"multiplies {show(a.shape)} with {show(b.shape)}"))
    turned = [bool(node.integer(name, 0)) for name in ("transA", "transB")]
    alpha, beta = node.number_of("alpha", 1.0), node.number_of("beta", 1.0)
    addend = site.given(2)
    if isinstance(a, Blob) and not isinstance(b, Blob):
        x = _transposed(site, a, "turned") if turned[0] else a
        weight = site.floats((b if turned[1] else b.T) * np.float32(alpha), node.inputs[1])
        bias = _bias(site, addend, beta, weight.shape[0])
        part = "" if addend is None or bias is not None else "product"
        found = _inner_product(site, x, weight, bias, part)
        return found if not part else _with_addend(site, found, beta)
    param = {"transpose_a": turned[0], "transpose_b": turned[1]}
    part = "" if addend is None and alpha == 1 else "product"
    found = site.layer("MatMul", [site.tensor(0), site.tensor(1)], part=part, matmul_param=param)
    if alpha != 1:
        found = power_layer(site, found, "" if addend is None else "alpha", scale=alpha)
    return found if addend is None else _with_addend(site, found, beta)


def _transposed(site: Site, x: Blob, part: str) -> Blob:
    return site.layer("Permute", x, part=part, permute_param={"order": [1, 0]})


def _bias(site: Site, addend: Blob | Array | None, beta: float, outputs: int) -> Array | None:
    """One number an output, where that is what is added."""
    if addend is None or isinstance(addend, Blob):
        return None
    rows = addend.shape[:-1]
    if any(n != 1 for n in rows) or addend.shape[-1:] not in ((), (1,), (outputs,)):
        return None
    row = np.broadcast_to(np.float32(beta) * addend.reshape(-1), (outputs,))
    return site.floats(row, site.node.inputs[2])


def _with_addend(site: Site, product: Blob, beta: float) -> Blob:
    """``product + beta C``."""
    addend = site.either(2)
    if isinstance(addend, Blob):
        addend = addend if beta == 1 else power_layer(site, addend, "beta", scale=beta)
        return add_to(site, product, addend)
    return add_to(site, product, site.floats(np.float32(beta) * addend, site.node.inputs[2]))


def matmul(site: Site) -> Blob:
    """As numpy's: the last two dimensions are matrices, one dimension is a vector."""
    a, b = site.either(0), site.either(1)
    if not isinstance(b, Blob):
        ones = b.ndim - 2
        if ones > 0 and b.shape[:ones] == (1,) * ones and len(a.shape) >= b.ndim:
            b = b.reshape(b.shape[-2:])
        if isinstance(a, Blob) and b.ndim == 2 and len(a.shape) > 1:
            return _inner_product(site, a, b.T, None, "")
    left, right = site.tensor(0), site.tensor(1)
    vectors = [len(left.shape) == 1, len(right.shape) == 1]
    left = site.reshaped(left, (1, *left.shape), "row") if vectors[0] else left
    right = site.reshaped(right, (*right.shape, 1), "column") if vectors[1] else right
    found = site.layer("MatMul", [left, right], part="product" if any(vectors) else "")
    shape = list(found.shape)
    if vectors[1]:
        del shape[-1]
    if vectors[0]:
        del shape[-1 if vectors[1] else -2]
    return site.reshaped(found, shape)


def _inner_product(site: Site, x: Blob, weight: Array, bias: Array | None, part: str) -> Blob:
    """Of the last dimension of x; weights are [outputs, inputs]."""
    axis = len(x.shape) - 1
    if x.shape[axis:] != weight.shape[1:]:
        raise InputFileError(
            site.node.fault(f"its weights are for {weight.shape[1]} inputs, it has {x.shape[axis]}")
        )
    settings = {"num_output": weight.shape[0], "bias_term": bias is not None, "axis": axis}
    weight = site.floats(np.ascontiguousarray(weight), site.node.inputs[1])
    return site.layer("InnerProduct", x, weight, bias, part=part, inner_product_param=settings)
