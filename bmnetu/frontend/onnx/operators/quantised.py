"""QuantizeLinear and DequantizeLinear: their scales become thresholds, their numbers stay real.

A tensor between the two holds what its integers stand for. The net that is compiled in FP32 does
not round; bmnetu-calibrate takes the scales as the thresholds of what the layers make.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.nodes.quantised import scale_of
from bmnetu.frontend.onnx.operators.functions import clamped, power_layer
from bmnetu.frontend.onnx.site import Site
from dialects.constant import Array

RANGES: dict[int, tuple[int, int]] = {
    TensorProto.INT8: (-128, 127), TensorProto.UINT8: (0, 255), TensorProto.INT4: (-8, 7),
    TensorProto.UINT4: (0, 15), TensorProto.INT16: (-32768, 32767), TensorProto.UINT16: (0, 65535),
}  # fmt: skip
"""The least and the largest integer of a type."""


def quantize(site: Site) -> Blob:
    """The tensor; its scale becomes the threshold of what it was made by. Where 0 is the least
    integer, what is below and above is cut off: exporters leave the ReLU before it out."""
    scale, zero = site.weights(1), site.constant(2)
    least, most = RANGES.get(_element(site, zero), (0, 0))
    if most == 0 or (scale <= 0).any():
        raise Refusal("its type or its scale cannot be compiled")
    at: Array = np.zeros(1) if zero is None else np.asarray(zero, np.float64)
    largest = float((scale * np.maximum(most - at, at - least - 1)).max())
    if (at == least).all():
        x = clamped(site, site.blob(0), 0.0, largest)
    else:
        x = site.padded(0)
    found = site.graph.quantised
    found.thresholds[x.name] = max(found.thresholds.get(x.name, 0.0), largest)
    found.shifted += bool(((at != least) & (2 * at != least + most + 1)).any())
    found.real[site.node.outputs[0]] = scale_of(scale, zero)
    return x


def _element(site: Site, zero: Array | None) -> int:
    """The type of the integers."""
    if zero is not None:
        return helper.np_dtype_to_tensor_dtype(zero.dtype)
    return site.node.integer("output_dtype", 0) or TensorProto.UINT8


def dequantize(site: Site) -> Blob:
    """Nothing, or ``(x - zero) * scale`` of integers that are an input of the net."""
    scale, zero = site.weights(1), site.coefficients(2)
    real = site.graph.quantised.real.get(site.node.inputs[0])
    if real is not None:
        if real != scale_of(scale, zero):
            raise Refusal("its integers were made with another scale or zero point")
        return site.padded(0)
    if scale.size != 1:
        raise Refusal("it has a scale a channel for a tensor that is made at run time")
    shift = 0.0 if zero is None else -float(zero.ravel()[0]) * float(scale.ravel()[0])
    return power_layer(site, site.blob(0), scale=float(scale.ravel()[0]), shift=shift)
