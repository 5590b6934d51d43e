"""Conv as Convolution.

Caffe pads both ends alike. Uneven zeros before a Conv become zeros of its weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.file import MAX_NUMBERS
from bmnetu.frontend.onnx.graph import Blob, Site, pair
from bmnetu.frontend.onnx.node import Refusal
from bmnetu.frontend.onnx.operators.windows import Pairs, pads_of, planar
from dialects.constant import Array
from dialects.ufw.shapes import show


def convolution(site: Site) -> Blob:
    node, x, weight = site.node, site.padded(0), site.weights(1)
    sizes = planar(x.shape)
    if weight.ndim != 4:
        raise InputFileError(node.fault(f"its weights are {show(weight.shape)}"))
    kernel = weight.shape[2:]
    if node.integers("kernel_shape") not in (None, kernel):
        raise InputFileError(node.fault(f"its weights are {show(weight.shape)}, not kernel_shape"))
    strides, dilations = node.several("strides", 2, 1), node.several("dilations", 2, 1)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    top, left, bottom, right = x.pads
    outside = [(top, bottom), (left, right)]
    pads = [
        (before + more, after + even_more)
        for (before, after), (more, even_more) in zip(
            pads_of(node, sizes, extents, strides), outside, strict=True
        )
    ]
    weight, pad = _evened(weight, pads, dilations)
    bias = site.coefficients(2)
    settings = {
        "num_output": weight.shape[0],
        "bias_term": bias is not None,
        "group": node.integer("group", 1),
        "kernel_size": pair(weight.shape[2:]),
        "stride": pair(strides),
        "pad": pair(pad),
        "dilation": pair(dilations),
    }
    plain = Blob(x.name, x.value)
    return site.layer("Convolution", plain, weight, bias, convolution_param=settings)


def _evened(weight: Array, pads: Pairs, dilations: Sequence[int]) -> tuple[Array, list[int]]:
    """Weights with zeros so that the same pad at both ends does the same, and that pad."""
    more = [(0, 0), (0, 0)]
    for (before, after), dilation in zip(pads, dilations, strict=True):
        gap = after - before
        if gap % dilation:
            raise Refusal(f"its pads {before} and {after} differ, and dilation is {dilation}")
        more.append((max(gap, 0) // dilation, max(-gap, 0) // dilation))
    size = prod(n + sum(each) for n, each in zip(weight.shape, more, strict=True))
    if size > MAX_NUMBERS:
        raise Refusal(f"its pads {list(pads)} are too uneven")
    return np.pad(weight, more), [max(each) for each in pads]
