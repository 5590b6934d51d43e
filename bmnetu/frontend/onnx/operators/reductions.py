"""Reductions, and the place of the largest number: Pooling over height and width, else Reduce."""

from __future__ import annotations

from dataclasses import dataclass

from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.operators.windows.poolings import whole
from bmnetu.frontend.onnx.site import Conversion, Site

POOLINGS = {"MEAN": "AVE", "MAX": "MAX"}
"""Reductions that Pooling computes over height and width, in 8 bits too."""


@dataclass(frozen=True)
class _Axes:
    """Axes of a tensor, and whether they stay with extent 1."""

    axes: tuple[int, ...]
    stay: bool

    @staticmethod
    def of(site: Site, rank: int) -> _Axes | None:
        """The node's axes; None where it reduces nothing."""
        given = site.integers("axes", 1)
        if not given and site.node.integer("noop_with_empty_axes", 0):
            return None
        axes = sorted({site.axis(axis, rank) for axis in given or range(rank)})
        return _Axes(tuple(axes), bool(site.node.integer("keepdims", 1)))

    def finish(self, site: Site, reduced: Blob) -> Blob:
        """What was reduced to extents of 1, in the node's shape."""
        if self.stay:
            return reduced
        shape = [size for axis, size in enumerate(reduced.shape) if axis not in self.axes]
        return site.reshaped(reduced, shape)

    @property
    def part(self) -> str:
        return "" if self.stay else "kept"


def reduction(kind: str) -> Conversion:
    """The conversion of a reduction that the Reduce layer has."""

    def convert(site: Site) -> Blob:
        x = site.blob(0)
        found = _Axes.of(site, len(x.shape))
        if found is None:
            return _of_single_numbers(site, x, kind)
        return found.finish(site, _reduce(site, x, kind, found.axes, found.part))

    return convert


def _of_single_numbers(site: Site, x: Blob, kind: str) -> Blob:
    """What a reduction makes of each number alone."""
    if kind in ("L1", "L2"):
        return site.layer("Abs", x)
    return site.layer("Power", x, power_param={"power": 2.0}) if kind == "SUMSQ" else x


def _reduce(site: Site, x: Blob, kind: str, axes: tuple[int, ...], part: str) -> Blob:
    """A reduction whose axes stay with extent 1."""
    if kind not in POOLINGS or len(x.shape) != 4 or not {*axes} <= {2, 3}:
        settings = {"operation": kind, "axis": axes, "keep_dims": True}
        return site.layer("Reduce", x, part=part, reduce_param=settings)
    if axes == (2, 3):
        return whole(site, POOLINGS[kind], part)
    kernel = {f"kernel_{name}": x.shape[axis] if axis in axes else 1
              for axis, name in ((2, "h"), (3, "w"))}
    settings = {"pool": POOLINGS[kind], **kernel, "stride_h": 1, "stride_w": 1}
    return site.layer("Pooling", x, part=part, pooling_param=settings)


def log_sum(site: Site) -> Blob:
    """``log(sum(x))``."""
    return _log_sum(site, site.blob(0))


def log_sum_exp(site: Site) -> Blob:
    """``max + log(sum(exp(x - max)))``."""
    x = site.blob(0)
    found = _Axes.of(site, len(x.shape))
    if found is None:
        return x
    largest = _reduce(site, x, "MAX", found.axes, "max")
    minus = {"operation": "SUB"}
    below = site.layer("BroadcastBinary", [x, largest], part="below", broadcast_binary_param=minus)
    total = _reduce(site, site.layer("Exp", below, part="exp"), "SUM", found.axes, "sum")
    log = site.layer("Log", total, part="log")
    kept = site.layer("Eltwise", [log, largest], part=found.part,
                      eltwise_param={"operation": "SUM"})
    return found.finish(site, kept)


def _log_sum(site: Site, x: Blob) -> Blob:
    found = _Axes.of(site, len(x.shape))
    if found is None:
        return site.layer("Log", x)
    total = _reduce(site, x, "SUM", found.axes, "sum")
    return found.finish(site, site.layer("Log", total, part=found.part))


def largest_place(smallest: bool) -> Conversion:
    """The conversion of ArgMax, or of ArgMin."""

    def convert(site: Site) -> Blob:
        node, x = site.node, site.blob(0)
        axis = site.axis(node.integer("axis", 0), len(x.shape))
        found = _Axes((axis,), bool(node.integer("keepdims", 1)))
        last = bool(node.integer("select_last_index", 0))
        if last:
            x = site.layer("Reverse", x, part="reversed", reverse_param={"axis": axis})
        kind = "ARG_MIN" if smallest else "ARG_MAX"
        part = "places" if last else found.part
        settings = {"axis": axis, "operation": kind}
        places = site.layer("Arg", x, part=part, arg_param=settings)
        if last:
            turned = {"scale": -1.0, "shift": float(x.shape[axis] - 1)}
            places = site.layer("Power", places, part=found.part, power_param=turned)
        return found.finish(site, places)

    return convert


