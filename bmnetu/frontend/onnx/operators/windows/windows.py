"""The windows of Conv, ConvTranspose and the poolings, along each axis behind the channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.nodes.node import Node, Refusal
from dialects.ufw.shapes import Shape, show

Ends = tuple[int, int]
"""Zeros before and after, along one axis."""


@dataclass(frozen=True)
class Window:
    """The windows along one axis of ``size`` elements: ``count`` of them, one every ``stride``
    elements, each of ``kernel`` elements that stand ``dilation`` apart. ``before`` and ``after``
    are zeros around the axis; the last window may reach past them.
    """

    size: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    count: int = 0

    @staticmethod
    def whole(size: int) -> Window:
        """A window for each element, which changes nothing."""
        return Window(size, count=size)

    @property
    def extent(self) -> int:
        """From the first element of a window to the last one."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def end(self) -> int:
        """Where the last window ends, from the axis' first element on."""
        return (self.count - 1) * self.stride + self.extent - self.before

    @property
    def changes_nothing(self) -> bool:
        return self == Window.whole(self.size)


def planar(shape: Shape) -> Shape:
    """Height and width of N x C x H x W."""
    if len(shape) != 4:
        raise Refusal(f"its input is {show(shape)}; N x C x H x W can be compiled")
    return shape[2:]


def windows_of(node: Node, shape: Shape, kernel: Sequence[int]) -> list[Window]:
    """The windows of a node over a tensor of this shape, [N, C, ...]."""
    sizes = shape[2:]
    axes = len(sizes)
    if not axes:
        raise Refusal(f"its input is {show(shape)}, which has no axis behind the channels")
    if len(kernel) != axes:
        raise InputFileError(node.fault(f"a kernel of {show(kernel)} for {show(shape)}"))
    strides, dilations = node.several("strides", axes, 1), node.several("dilations", axes, 1)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = pads_of(node, sizes, extents, strides)
    ceil = bool(node.integer("ceil_mode", 0))
    return [
        Window(
            size, k, stride, dilation, ends[0], ends[1], _count(size, extent, stride, ends, ceil)
        )
        for size, k, extent, stride, dilation, ends in zip(
            sizes, kernel, extents, strides, dilations, pads, strict=True
        )
    ]


def _count(size: int, extent: int, stride: int, ends: Ends, ceil: bool) -> int:
    """How many windows ONNX has; with ``ceil`` none begins in the zeros at the end."""
    span = size + sum(ends) - extent
    count = (-(-span // stride) if ceil else span // stride) + 1
    if ceil and (count - 1) * stride >= size + ends[0]:
        count -= 1
    if count < 1:
        raise Refusal(f"a window of {extent} is larger than the padded {size + sum(ends)}")
    return count


def pads_of(
    node: Node, sizes: Shape, extents: Sequence[int], strides: Sequence[int]
) -> list[Ends]:
    """The node's zeros, for windows of these extents over an input of these sizes."""
    mode, axes = node.text("auto_pad", "NOTSET"), len(sizes)
    if mode == "VALID":
        return [(0, 0)] * axes
    if mode == "NOTSET":
        pads = node.several("pads", 2 * axes, 0, None)
        return list(zip(pads[:axes], pads[axes:], strict=True))
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise InputFileError(node.fault(f"auto_pad is {mode!r}"))
    totals = [
        (-(-size // stride) - 1) * stride + extent - size
        for size, extent, stride in zip(sizes, extents, strides, strict=True)
    ]
    if min(totals) < -1:
        raise Refusal(
            f"windows of {show(extents)} with strides {show(strides)} leave elements out, and"
            f" runtimes do not agree where windows of auto_pad {mode} then begin"
        )
    return [shared(max(total, 0), upper=mode == "SAME_UPPER") for total in totals]


def shared(total: int, *, upper: bool) -> Ends:
    """Zeros for both ends; the odd one stands at the end (upper), or at the beginning."""
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)
