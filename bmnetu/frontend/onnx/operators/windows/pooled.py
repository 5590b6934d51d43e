"""Poolings as layers: Pooling goes over height and width, its windows have no dilation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import product
from math import gcd, prod
from typing import Any

from xdsl.utils.exceptions import VerifyException

from bmnetu.frontend.onnx.chain import Chain
from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.nodes.node import Refusal
from bmnetu.frontend.onnx.operators.windows.windows import Window
from bmnetu.frontend.onnx.site import Site
from dialects.ufw import shapes
from dialects.ufw.shapes import Shape

MOST_PHASES = 64
"""Poolings of one axis with a dilation."""


class Kind(Enum):
    """What is made of a window, and Pooling's name for it."""

    MAX = "MAX"
    MEAN = "AVE"
    """Zeros around the map count, but not what lies behind them."""
    MEAN_OF_MAP = "AVE_EXC_PAD"
    """Only what lies in the map counts."""
    MEAN_OF_ALL = "ALL"
    """Every element of a window counts: a sum by the kernel's size."""

    @property
    def name_in_pooling(self) -> str:
        return "AVE" if self is Kind.MEAN_OF_ALL else self.value


def pooled(chain: Chain, kind: Kind, windows: Sequence[Window]) -> None:
    """Height and width together where one Pooling has both, all other axes one by one: a maximum of
    maxima, or a mean of means."""
    shape = list(chain.shape)
    todo = list(range(2, len(shape)))
    if len(todo) > 1:
        n, *before, height, width = shape
        four = (n, prod(before), height, width)
        settings = settings_of(kind, four, windows[-2], windows[-1])
        if settings is not None:
            chain.reshape(four)
            shape[-2:] = [window.count for window in windows[-2:]]
            chain.layer("maps", (*four[:2], *shape[-2:]), "Pooling", pooling_param=settings)
            todo = todo[:-2]
    for axis in todo:
        window = windows[axis - 2]
        if not window.changes_nothing:
            _along(chain, kind, shape, axis, window)
            shape[axis] = window.count
    chain.reshape(shape)


def _along(chain: Chain, kind: Kind, shape: Sequence[int], axis: int, window: Window) -> None:
    """A pooling along one axis of a tensor of this shape."""
    four = (shape[0], prod(shape[1:axis]), shape[axis], prod(shape[axis + 1 :]))
    if window.dilation > 1 and window.kernel > 1:
        chain.reshape(four)
        if kind is Kind.MEAN:
            kind, window = Kind.MEAN_OF_MAP, _with_zeros(chain, window)
        _dilated(chain, kind, window)
        return
    n, before, size, after = four
    both = window, Window.whole(after)
    if after == 1:
        four, both = (n, before, 1, size), (Window.whole(1), window)
    settings = settings_of(kind, four, *both)
    if settings is None:
        raise Refusal(f"no Pooling has its windows of {window.kernel} over {size}")
    chain.reshape(four)
    counts = [each.count for each in both]
    chain.layer(f"axis{axis}", (*four[:2], *counts), "Pooling", pooling_param=settings)


def settings_of(
    kind: Kind, shape: Shape, height: Window, width: Window
) -> dict[str, Any] | None:
    """A Pooling with these windows of an N x C x H x W tensor, rounded so that it has as many; None
    where there is none."""
    both = (height, width)
    if any(window.dilation > 1 and window.kernel > 1 for window in both):
        return None
    kernel, stride = [w.kernel for w in both], [w.stride for w in both]
    for pads, ceil in product(_pads(kind, both), (False, True)):
        try:
            found = shapes.pooling(shape, kernel, stride, pads, ceil)
        except VerifyException:
            continue
        if found[2:] == (height.count, width.count):
            return {
                "pool": kind.name_in_pooling,
                "kernel_h": kernel[0], "kernel_w": kernel[1],
                "stride_h": stride[0], "stride_w": stride[1],
                **_pad_fields(pads),
                "round_mode": "CEIL" if ceil else "FLOOR",
            }  # fmt: skip
    return None


def _pads(kind: Kind, windows: Sequence[Window]) -> list[list[int]]:
    """Pads (top, bottom, left, right) with which a Pooling may have these windows: their own ones,
    and such that the last window just reaches their end, where more zeros change nothing."""
    own = [pad for w in windows for pad in (w.before, w.after)]
    fitted = [pad for w in windows for pad in (w.before, max(w.end - w.size, 0))]
    if kind is Kind.MEAN_OF_ALL:
        inside = all(w.end <= w.size + w.after for w in windows)
        return [own if inside else fitted]
    return [own] if kind is Kind.MEAN else [own, fitted]


def _pad_fields(pads: Sequence[int]) -> dict[str, int]:
    top, bottom, left, right = pads
    if (top, left) == (bottom, right):
        return {"pad_h": top, "pad_w": left}
    return {"pad_t": top, "pad_b": bottom, "pad_l": left, "pad_r": right}


# -- dilated ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Phase:
    """Windows whose elements are all of one remainder modulo the dilation: ``window`` goes over
    every ``step``-th element of the axis, from ``begin`` on, and has no dilation."""

    begin: int
    step: int
    window: Window


def _with_zeros(chain: Chain, window: Window) -> Window:
    """Zeros put around height, which are then part of the map."""
    pads = (window.before, window.after)
    if not any(pads):
        return window
    n, channels, size, width = chain.shape
    size += sum(pads)
    chain.layer("zeros", (n, channels, size, width), "Pad", pad_param={"pad": [*pads, 0, 0]})
    return replace(window, size=size, before=0, after=0)


def _phases(window: Window) -> list[_Phase]:
    """All remainders in turn: phase i holds the windows i, i + phases, ..."""
    common = gcd(window.stride, window.dilation)
    count = min(window.dilation // common, window.count)
    if count > MOST_PHASES:
        raise Refusal(f"a dilation of {window.dilation} takes {count} poolings")
    return [_phase(window, first, common) for first in range(count)]


def _phase(window: Window, first: int, common: int) -> _Phase:
    dilation, phases = window.dilation, window.dilation // common
    at = first * window.stride - window.before
    begin = at if at >= 0 else at % dilation
    size, padded = (
        -(-(end - begin) // dilation) for end in (window.size, window.size + window.after)
    )
    before = (begin - at) // dilation
    if size < 1 or before >= window.kernel:
        raise Refusal("a window has no element of the input")
    count = -(-(window.count - first) // phases)
    stride = window.stride // common
    own = Window(size, window.kernel, stride, 1, before, padded - size, count)
    return _Phase(begin, dilation, own)


def _dilated(chain: Chain, kind: Kind, window: Window) -> None:
    """Along height: a Pooling of each phase, and their rows in turn."""
    n, before, _, after = chain.shape
    phases = _phases(window)
    rows, count = phases[0].window.count, len(phases)

    def step(x: Blob, part: str) -> Blob:
        if count == 1:
            return _pooled_phase(chain.site, kind, phases[0], rows, x, part)
        parts = [
            _pooled_phase(chain.site, kind, phase, rows, x, f"phase{i}")
            for i, phase in enumerate(phases)
        ]
        return chain.site.layer("Concat", parts, part=part, concat_param={"axis": 3})

    chain.then("phases", step, (n, before, rows, count * after))
    chain.reshape((n, before, rows * count, after))
    chain.cut("cut", 2, 0, window.count)


def _pooled_phase(
    site: Site, kind: Kind, phase: _Phase, rows: int, x: Blob, part: str
) -> Blob:
    """One phase, with as many rows as the first one has."""
    window, chain = phase.window, Chain(site, x.shape)
    chain.cut("rows", 2, phase.begin, window.size, phase.step)
    _along(chain, kind, chain.shape, 2, window)
    chain.reshape((*x.shape[:2], window.count, x.shape[3]))
    if window.count < rows:
        pad = {"pad": [0, rows - window.count, 0, 0], "mode": "EDGE"}
        chain.layer("even", (*x.shape[:2], rows, x.shape[3]), "Pad", pad_param=pad)
    return chain.run(x, part)
