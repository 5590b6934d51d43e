"""Reductions over height and width as Pooling."""

from __future__ import annotations

from bmnetu.frontend.onnx.graph import Blob, Site
from bmnetu.frontend.onnx.node import Refusal
from bmnetu.frontend.onnx.operators.poolings import whole
from bmnetu.frontend.onnx.operators.windows import planar


def reduce_mean(site: Site) -> Blob:
    return _reduce(site, "AVE")


def reduce_max(site: Site) -> Blob:
    return _reduce(site, "MAX")


def _reduce(site: Site, kind: str) -> Blob:
    """Over height, width or both."""
    node, x = site.node, site.blob(0)
    height, width = planar(x.shape)
    given = site.integers("axes", 1)
    axes = {site.axis(axis, 4) for axis in given or range(4)}
    if not given and node.integer("noop_with_empty_axes", 0):
        return x
    if not axes <= {2, 3}:
        raise Refusal(f"it goes over axes {sorted(axes)}; 2 and 3 can be compiled")
    part = "" if node.integer("keepdims", 1) else "pool"
    if axes == {2, 3}:
        found = whole(site, kind, part)
    else:
        kernel = {
            "kernel_h": height if 2 in axes else 1, "kernel_w": width if 3 in axes else 1,
            "stride_h": 1, "stride_w": 1,
        }  # fmt: skip
        found = site.layer("Pooling", x, part=part, pooling_param={"pool": kind, **kernel})
    kept = [size for axis, size in enumerate(found.shape) if axis not in axes]
    return site.reshaped(found, kept) if part else found
