"""Gemm and MatMul as InnerProduct."""

from __future__ import annotations

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import Blob, Site
from bmnetu.frontend.onnx.node import Refusal
from dialects.constant import Array
from dialects.ufw.shapes import show


def gemm(site: Site) -> Blob:
    node, x, weight = site.node, site.blob(0), site.weights(1)
    if node.integer("transA", 0):
        raise Refusal("transA")
    if weight.ndim != 2 or len(x.shape) != 2:
        raise InputFileError(node.fault(f"multiplies {show(x.shape)} with {show(weight.shape)}"))
    weight = weight if node.integer("transB", 0) else weight.T
    alpha, beta = node.number_of("alpha", 1.0), node.number_of("beta", 1.0)
    bias, outputs = site.coefficients(2), weight.shape[0]
    if bias is not None:
        while bias.ndim > 1 and bias.shape[0] == 1:
            bias = bias[0]
        if bias.shape not in ((), (1,), (outputs,)):
            raise Refusal(f"it adds {show(bias.shape)}; one number an output can be compiled")
        bias = site.floats(np.broadcast_to(bias, (outputs,)) * np.float32(beta), "C")
    return _inner_product(site, x, site.floats(weight * np.float32(alpha), "B"), bias, 1)


def matmul(site: Site) -> Blob:
    x, weight = site.blob(0), site.weights(1)
    if weight.ndim != 2 or len(x.shape) < 2:
        raise Refusal(f"it multiplies {show(x.shape)} with {show(weight.shape)}")
    return _inner_product(site, x, weight.T, None, len(x.shape) - 1)


def _inner_product(site: Site, x: Blob, weight: Array, bias: Array | None, axis: int) -> Blob:
    if x.shape[axis:] != weight.shape[1:]:
        raise InputFileError(
            site.node.fault(f"its weights are for {weight.shape[1]} inputs, it has {x.shape[axis]}")
        )
    settings = {"num_output": weight.shape[0], "bias_term": bias is not None, "axis": axis}
    weight = np.ascontiguousarray(weight)
    return site.layer("InnerProduct", x, weight, bias, inner_product_param=settings)
