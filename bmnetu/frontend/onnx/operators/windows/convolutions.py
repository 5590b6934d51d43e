"""Conv and ConvTranspose of one to three axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.chain import Chain
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Node, Refusal
from bmnetu.frontend.onnx.operators.windows.windows import Ends, Window, pads_of, shared, windows_of
from bmnetu.frontend.onnx.reading.file import MAX_NUMBERS
from bmnetu.frontend.onnx.site import Site
from dialects.constant import Array
from dialects.ufw.shapes import Shape, show

MOST_AXES = 3
"""Behind the channels: time, height and width."""


def convolution(site: Site) -> Blob:
    """A Pad in front of it that puts zeros around height and width is part of it."""
    x, weight, bias = site.padded(0), site.weights(1), site.coefficients(2)
    windows = windows_of(site.node, x.shape, _kernel(site.node, x.shape, weight))
    outside = [(0, 0)] * (len(windows) - 2) + list(zip(x.pads[:2], x.pads[2:], strict=True))
    windows = [
        replace(window, size=size, before=window.before + before, after=window.after + after)
        for window, size, (before, after) in zip(
            windows, x.plain_shape[2:], outside[-len(windows) :], strict=True
        )
    ]
    chain = Chain(site, x.plain_shape)
    _convolved(chain, windows, weight, bias)
    return chain.run(Blob(x.name, x.value))


def _kernel(node: Node, shape: Shape, weight: Array) -> Shape:
    """The kernel's sizes, which the weights have and the node may have, too."""
    if not 3 <= len(shape) <= 2 + MOST_AXES:
        raise Refusal(f"its input is {show(shape)}; 1 to {MOST_AXES} axes behind the channels can"
                      " be compiled")  # fmt: skip
    kernel = weight.shape[2:]
    if weight.ndim != len(shape) or min(kernel) < 1:
        raise InputFileError(node.fault(f"its weights are {show(weight.shape)}"))
    if node.integers("kernel_shape") not in (None, kernel):
        raise InputFileError(node.fault(f"its weights are {show(weight.shape)}, not kernel_shape"))
    return kernel


def _convolved(
    chain: Chain, windows: Sequence[Window], weight: Array, bias: Array | None
) -> None:
    """A Convolution with weights [M, C / group, ...]. What negative pads take away is cut off
    before; along other axes than height and width alone, both ends have the same pads, and a Pad
    puts the zeros around where they differ."""
    windows = _cut(chain, windows)
    windows = windows if len(windows) == 2 else _evened(chain, windows)
    settings = {
        "num_output": weight.shape[0],
        "bias_term": bias is not None,
        "group": chain.site.node.integer("group", 1),
        **_window_settings(windows),
    }
    shape = (chain.shape[0], weight.shape[0], *(window.count for window in windows))
    chain.layer("conv", shape, "Convolution", weight, bias, convolution_param=settings)


def _cut(chain: Chain, windows: Sequence[Window]) -> list[Window]:
    """The windows without negative pads."""
    found: list[Window] = []
    for axis, window in enumerate(windows, 2):
        begin, end = max(-window.before, 0), max(-window.after, 0)
        size = window.size - begin - end
        if size < 1:
            raise Refusal("its pads leave nothing of its input")
        chain.cut(f"cut{axis}", axis, begin, size)
        before, after = max(window.before, 0), max(window.after, 0)
        found.append(replace(window, size=size, before=before, after=after))
    return found


def _evened(chain: Chain, windows: Sequence[Window]) -> list[Window]:
    """The windows with the same pads at both ends; a Pad for all others."""
    uneven = [window.before != window.after for window in windows]
    if not any(uneven):
        return list(windows)
    pads = [(w.before, w.after) if odd else (0, 0) for w, odd in zip(windows, uneven, strict=True)]
    sizes = [w.size + sum(ends) for w, ends in zip(windows, pads, strict=True)]
    param = {"pad": [n for ends in pads for n in ends]}
    chain.layer("pad", (*chain.shape[:2], *sizes), "Pad", pad_param=param)
    return [
        replace(w, size=size, before=0, after=0) if odd else w
        for w, size, odd in zip(windows, sizes, uneven, strict=True)
    ]


def _window_settings(windows: Sequence[Window]) -> dict[str, Any]:
    """Fields of a convolution_param; of height and width the pads of the four sides may differ."""
    found = {
        "kernel_size": _numbers([window.kernel for window in windows]),
        "stride": _numbers([window.stride for window in windows]),
        "dilation": _numbers([window.dilation for window in windows]),
    }
    before, after = [window.before for window in windows], [window.after for window in windows]
    if before == after:
        return {**found, "pad": _numbers(before)}
    fields = ("pad_t", "pad_l", "pad_b", "pad_r")
    return {**found, **dict(zip(fields, (*before, *after), strict=True))}


def _numbers(values: Sequence[int]) -> list[int]:
    """A number for each axis; one alone where all are alike."""
    return list(values[:1] if len(set(values)) == 1 else values)


# -- transposed ------------------------------------------------------------------------------------


def transposed_convolution(site: Site) -> Blob:
    """A Deconvolution; over time, height and width one of each frame, and one over time."""
    x, weight, bias = site.blob(0), site.weights(1), site.coefficients(2)
    kernel, group = _kernel(site.node, x.shape, weight), site.node.integer("group", 1)
    if x.shape[1] != weight.shape[0] or group < 1 or x.shape[1] % group:
        raise InputFileError(
            site.node.fault(f"its weights are {show(weight.shape)} for {show(x.shape)}")
        )
    windows = _spread_windows(site.node, x.shape[2:], kernel)
    chain = Chain(site, x.shape)
    if len(windows) == MOST_AXES:
        _frame_by_frame(chain, windows, weight, bias, group)
        return chain.run(x)
    if len(windows) == 1:
        windows, weight = [Window.whole(1), *windows], weight[:, :, None]
        chain.reshape((*x.shape[:2], 1, x.shape[2]))
    _deconvolved(chain, windows, weight, bias, group)
    chain.reshape((*chain.shape[:2], *chain.shape[-len(kernel) :]))
    return chain.run(x)


def _spread_windows(node: Node, sizes: Shape, kernel: Shape) -> list[Window]:
    """The windows of the result over which each element spreads. ``before`` and ``after`` are cut
    off the result, negative ones are zeros around it; ``count`` are the elements that are left.
    """
    axes = len(sizes)
    strides, dilations = node.several("strides", axes, 1), node.several("dilations", axes, 1)
    more = node.several("output_padding", axes, 0, 0)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    lengths = [
        stride * (size - 1) + extent + grown
        for size, stride, extent, grown in zip(sizes, strides, extents, more, strict=True)
    ]
    ends = _cut_ends(node, sizes, strides, lengths)
    if any(length <= sum(both) for length, both in zip(lengths, ends, strict=True)):
        raise Refusal("its pads leave nothing of its result")
    return [
        Window(size, k, stride, dilation, before, after - grown, length - before - after)
        for size, k, stride, dilation, grown, length, (before, after) in zip(
            sizes, kernel, strides, dilations, more, lengths, ends, strict=True
        )
    ]


def _cut_ends(
    node: Node, sizes: Shape, strides: Sequence[int], lengths: Sequence[int]
) -> list[Ends]:
    """What is cut off the whole result along each axis. A result that is to be larger than the
    whole one has zeros at its end, as in onnxruntime."""
    axes, mode = len(sizes), node.text("auto_pad", "NOTSET")
    given = node.integers("output_shape")
    if given is None and not mode.startswith("SAME"):
        return pads_of(node, sizes, [1] * axes, strides)
    if given is not None and len(given) not in (axes, axes + 2):
        raise InputFileError(node.fault(f"output_shape {list(given)} for {axes} axes"))
    wanted = given[-axes:] if given else [n * s for n, s in zip(sizes, strides, strict=True)]
    totals = [length - n for length, n in zip(lengths, wanted, strict=True)]
    least = [0 if given is None else min(total, 0) for total in totals]
    ends = [shared(max(total, 0), upper=mode == "SAME_UPPER") for total in totals]
    return [(before, after + extra) for (before, after), extra in zip(ends, least, strict=True)]


def _deconvolved(
    chain: Chain, windows: Sequence[Window], weight: Array, bias: Array | None, group: int
) -> None:
    """A Deconvolution with weights [C, M / group, kh, kw]; zeros around its result come from zeros
    around its kernel."""
    more = [(0, 0), (0, 0)]
    grown: list[Window] = []
    for window in windows:
        first, last = (max(-(n // window.dilation), 0) for n in (window.before, window.after))
        more.append((first, last))
        grown.append(
            replace(
                window,
                kernel=window.kernel + first + last,
                before=window.before + first * window.dilation,
                after=window.after + last * window.dilation,
            )
        )
    if prod(n + sum(ends) for n, ends in zip(weight.shape, more, strict=True)) > MAX_NUMBERS:
        raise Refusal("the zeros around its result are too many")
    weight, outputs = np.pad(weight, more), weight.shape[1] * group
    settings = {
        "num_output": outputs,
        "bias_term": bias is not None,
        "group": group,
        **_window_settings(grown),
    }
    shape = (chain.shape[0], outputs, *(window.count for window in windows))
    chain.layer("deconv", shape, "Deconvolution", weight, bias, convolution_param=settings)


def _frame_by_frame(
    chain: Chain, windows: Sequence[Window], weight: Array, bias: Array | None, group: int
) -> None:
    """A Deconvolution of each frame, whose results are the steps of the kernel along the time, and
    one along the time that adds these up. ``weight`` is [C, M / group, kt, kh, kw]."""
    n, channels, frames, *maps = chain.shape
    steps, outputs = weight.shape[2], weight.shape[1] * group
    chain.permute("frames", (0, 2, 1, 3, 4))
    chain.reshape((n * frames, channels, *maps))
    flat = weight.reshape(channels, -1, *weight.shape[3:])
    _deconvolved(chain, windows[1:], flat, None, group)
    maps = chain.shape[2:]
    chain.reshape((n, frames, outputs * steps, prod(maps)))
    chain.permute("steps", (0, 2, 1, 3))
    each = np.tile(np.eye(steps, dtype=np.float32), (outputs, 1))[:, None, :, None]
    _deconvolved(chain, [windows[0], Window.whole(prod(maps))], each, bias, outputs)
    chain.reshape((n, outputs, windows[0].count, *maps))
