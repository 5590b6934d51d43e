"""What Conv and the poolings share: their two axes, and the zeros around them."""

from __future__ import annotations

from collections.abc import Sequence

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.node import Node, Refusal
from dialects.ufw.shapes import Shape, show

Pairs = Sequence[tuple[int, int]]
"""Zeros before and after, of height and width."""


def planar(shape: Shape) -> Shape:
    """Height and width of N x C x H x W."""
    if len(shape) != 4:
        raise Refusal(f"its input is {show(shape)}; N x C x H x W can be compiled")
    return shape[2:]


def pads_of(node: Node, sizes: Shape, extents: Sequence[int], strides: Sequence[int]) -> Pairs:
    """The node's zeros, for windows of these extents over an input of these sizes."""
    mode = node.text("auto_pad", "NOTSET")
    if mode in ("NOTSET", "VALID"):
        none = mode == "VALID"
        top, left, bottom, right = (0,) * 4 if none else node.several("pads", 4, 0, lambda x: True)
        if min(top, left, bottom, right) < 0:
            raise Refusal("its pads are negative")
        return [(top, bottom), (left, right)]
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise InputFileError(node.fault(f"auto_pad is {mode!r}"))
    found: list[tuple[int, int]] = []
    for size, extent, stride in zip(sizes, extents, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return found
