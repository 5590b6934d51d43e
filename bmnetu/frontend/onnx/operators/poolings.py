"""Poolings as Pooling: compiled where Caffe's rounding has the same windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.onnx.graph import NO_PADS, Blob, Site
from bmnetu.frontend.onnx.node import Node, Refusal
from bmnetu.frontend.onnx.operators.windows import Pairs, pads_of, planar
from dialects.constant import Array
from dialects.ufw import shapes
from dialects.ufw.shapes import Shape, show
from dialects.ufw.windows import average_divisors

MAX_SIDE = 1 << 16
"""More windows along one side are not looked at."""


def max_pool(site: Site) -> Blob:
    x = site.blob(0)
    return _Window.of(site.node, x.shape).layer(site, x, "MAX")


def average_pool(site: Site) -> Blob:
    """Caffe divides by the size of a window in the padded input, ONNX by that or by how much of
    it lies in the input: where these differ, a Scale follows.
    """
    node, x = site.node, site.padded(0)
    window, counted = _Window.of(node, x.shape), bool(node.integer("count_include_pad", 0))
    if x.pads != NO_PADS and not any(map(sum, window.pads)):
        top, left, bottom, right = x.pads
        x, counted = Blob(x.name, x.value), True
        window = replace(window, sizes=x.shape[2:], pads=[(top, bottom), (left, right)])
    x = x if x.pads == NO_PADS else site.blob(0)
    rows, columns = window.corrections(counted)
    factors = np.outer(rows, columns).astype(np.float32)
    if (factors == 1).all():
        return window.layer(site, x, "AVE")
    x = window.layer(site, x, "AVE", "pool")
    return site.layer("Scale", x, factors, scale_param={"axis": 2, "num_axes": 2})


@dataclass(frozen=True)
class _Window:
    """A pooling's windows over height and width."""

    sizes: Shape
    kernel: Shape
    strides: Shape
    pads: Pairs
    ceil: bool

    @staticmethod
    def of(node: Node, shape: Shape) -> _Window:
        sizes = planar(shape)
        kernel, strides = node.several("kernel_shape", 2, 0), node.several("strides", 2, 1)
        if set(node.several("dilations", 2, 1)) != {1}:
            raise Refusal("dilations")
        pads = pads_of(node, sizes, kernel, strides)
        return _Window(sizes, kernel, strides, pads, bool(node.integer("ceil_mode", 0)))

    @property
    def counts(self) -> tuple[int, int]:
        """How many windows ONNX has; none begins in the zeros at the end."""
        height, width = (
            self._count(*each)
            for each in zip(self.sizes, self.kernel, self.strides, self.pads, strict=True)
        )
        return height, width

    def _count(self, size: int, kernel: int, stride: int, pads: tuple[int, int]) -> int:
        span = size + sum(pads) - kernel
        if not self.ceil:
            return span // stride + 1
        count = -(-span // stride) + 1
        return count - 1 if (count - 1) * stride >= size + pads[0] else count

    def layer(self, site: Site, x: Blob, kind: str, part: str = "") -> Blob:
        """A Pooling with these pads, rounded so that it has as many windows."""
        (top, bottom), (left, right) = self.pads
        pads = {"pad_h": top, "pad_w": left}
        if (top, left) != (bottom, right):
            pads = {"pad_t": top, "pad_b": bottom, "pad_l": left, "pad_r": right}
        for ceil in (False, True):
            try:
                four = (top, bottom, left, right)
                found = shapes.pooling(x.shape, self.kernel, self.strides, four, ceil)
            except VerifyException:
                continue
            if found[2:] == self.counts:
                settings = {
                    "pool": kind,
                    "kernel_h": self.kernel[0], "kernel_w": self.kernel[1],
                    "stride_h": self.strides[0], "stride_w": self.strides[1],
                    **pads,
                    "round_mode": "CEIL" if ceil else "FLOOR",
                }  # fmt: skip
                return site.layer("Pooling", x, part=part, pooling_param=settings)
        raise Refusal(
            f"windows of {show(self.kernel)} with strides {show(self.strides)} and pads "
            f"{list(self.pads)} over {show(x.shape)}: Caffe has no rounding with "
            f"{show(self.counts)} of them"
        )

    def corrections(self, counted: bool) -> list[Array]:
        """Caffe's divisors by ONNX's, for the rows and the columns of an average."""
        found: list[Array] = []
        windows = zip(self.sizes, self.counts, self.kernel, self.strides, self.pads, strict=True)
        for size, count, kernel, stride, (before, after) in windows:
            if max(count, kernel) > MAX_SIDE:
                raise Refusal(f"{count} windows of {kernel}")
            starts = np.arange(count) * stride - before
            ends = np.minimum(starts + kernel, size + (after if counted else 0))
            inside = ends - (starts if counted else np.maximum(starts, 0))
            if inside.min(initial=1) < 1:
                raise Refusal("a window lies outside the input")
            found.append(average_divisors(size, count, kernel, stride, (before, after)) / inside)
        return found


def global_average_pool(site: Site) -> Blob:
    return whole(site, "AVE")


def global_max_pool(site: Site) -> Blob:
    return whole(site, "MAX")


def whole(site: Site, kind: str, part: str = "") -> Blob:
    x = site.blob(0)
    planar(x.shape)
    return site.layer(
        "Pooling", x, part=part, pooling_param={"pool": kind, "global_pooling": True}
    )
