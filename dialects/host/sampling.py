"""Host layers that read between the elements of an image."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.c_struct import BOOL, INT, CStruct, Values
from dialects.host.arrays import rounded
from dialects.host.base import Array, HostLayer, HostOp
from dialects.ufw.shapes import Shape, require, show

BILINEAR, NEAREST, BILINEAR_TORCH, NEAREST_TORCH = range(4)
"""``method`` of resize; the first two are also ``mode`` of the grid sampler."""
ZEROS, BORDER, REFLECTION = range(3)
"""``padding`` of the grid sampler: what is outside the image."""
NCHW, NHWC = range(2)
"""``ifmt`` and ``ofmt`` of resize."""
FAR = 2.0**24
"""A place so far outside any image that a float32 has no parts of a pixel there."""
ONE, HALF = np.float32(1), np.float32(0.5)


def pixels(image: Array, y: Array, x: Array) -> Array:
    """The pixels of an image [C, H, W] at whole numbers y, x [...]: [C, ...]; 0 outside."""
    height, width = image.shape[1:]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    found = image[:, np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.where(inside, found, np.float32(0))


def bilinear(image: Array, y: Array, x: Array) -> Array:
    """An image [C, H, W] between its pixels, at y, x [...]: [C, ...]; 0 outside."""
    above, left = np.floor(y), np.floor(x)
    down, along = y - above, x - left
    row, column = above.astype(int), left.astype(int)
    return (pixels(image, row, column) * ((ONE - along) * (ONE - down))
            + pixels(image, row, column + 1) * (along * (ONE - down))
            + pixels(image, row + 1, column) * ((ONE - along) * down)
            + pixels(image, row + 1, column + 1) * (along * down))


@irdl_op_definition
class GridSamplerOp(HostOp):
    """An image, read at the places of a grid (grid_sample of PyTorch, GridSample of ONNX).

    input [N, C, H, W], grid [N, H', W', 2] of x and y from -1 to 1; the result is [N, C, H', W'].
    With ``align_corners`` -1 and 1 are the middles of the outer pixels, x = (g + 1) / 2 * (W - 1);
    otherwise their outer edges, x = ((g + 1) * W - 1) / 2. ``mode`` 0 is bilinear, 1 the nearest
    pixel, halves away from 0. ``padding``: outside is 0 (0), the border (1), or the reflected
    image (2).
    """

    name = "host.grid_sampler"
    LAYER: ClassVar = HostLayer(
        number=40, struct=CStruct(mode=INT, padding=INT, align_corners=BOOL),
        inputs=("input", "grid"),
    )  # fmt: skip

    @classmethod
    def check(cls, p: Values) -> None:
        require(p["mode"] in (BILINEAR, NEAREST),
                f"mode is {p['mode']}: the host library knows 0 (bilinear) and 1 (nearest)")
        require(p["padding"] in (ZEROS, BORDER, REFLECTION), f"there is no padding {p['padding']}")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        image, grid = inputs
        require(len(image) == 4 and len(grid) == 4 and (grid[0], grid[3]) == (image[0], 2),
                f"the input is {show(image)} and the grid {show(grid)}, NxCxHxW and NxH'xW'x2 are"
                " required")
        return [(*image[:2], *grid[1:3])]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        image, grid = inputs
        x, y = (grid_places(p, grid[..., i], image.shape[3 - i]) for i in range(2))
        found = np.empty((*image.shape[:2], *grid.shape[1:3]), np.float32)
        for n, result in enumerate(found):
            if p["mode"] == BILINEAR:
                result[:] = bilinear(image[n], y[n], x[n])
            else:
                result[:] = pixels(image[n], rounded(y[n]).astype(int), rounded(x[n]).astype(int))
        return [found]


def grid_places(p: Values, grid: Array, size: int) -> Array:
    """Where a grid points to, in pixels from the middle of the first one."""
    if p["align_corners"]:
        places = (grid + ONE) * HALF * np.float32(size - 1)
    else:
        places = ((grid + ONE) * np.float32(size) - ONE) * HALF
    if p["padding"] == REFLECTION:
        low = 0.0 if p["align_corners"] else -0.5
        places = reflected(places, low, size - 1 - low)
    if p["padding"] != ZEROS:
        places = np.clip(places, 0, size - 1)
    return np.clip(np.nan_to_num(places, nan=-FAR), -FAR, FAR).astype(np.float32)


def reflected(places: Array, low: float, high: float) -> Array:
    """Places, mirrored at both ends until they lie between these."""
    if low == high:
        return np.zeros_like(places)
    span = np.float32(high - low)
    away = np.abs(places - np.float32(low))
    rest = np.fmod(away, span)
    even = np.floor(away / span) % 2 == 0
    return np.where(even, rest + np.float32(low), span - rest + np.float32(low))


# -- resize ----------------------------------------------------------------------------------------


@irdl_op_definition
class ResizeOp(HostOp):
    """An image in another size.

    input of four dimensions, [N, C, H, W] with ``ifmt`` 0 or [N, H, W, C] with 1, and size [2]
    (i32), which holds ``oh`` and ``ow``; the result has that height and width, in the order that
    ``ofmt`` says. With r = H / oh, or (H - 1) / (oh - 1) with ``align_corners``, line i is read at
    i*r, or with ``half_pixel_centers`` at (i + 1/2)*r - 1/2. ``method`` 0 is bilinear, 1 the
    nearest pixel (TensorFlow: floor of i*r, or of (i + 1/2)*r; round with ``align_corners`` alone).
    2 is bilinear as in PyTorch, at (i + 1/2)*r - 1/2, at least 0, unless ``align_corners``; 3 the
    nearest as in PyTorch, floor of i*H/oh.
    """

    name = "host.resize"
    LAYER: ClassVar = HostLayer(
        number=18,
        struct=CStruct(
            align_corners=INT, half_pixel_centers=INT, method=INT, ifmt=INT, ofmt=INT, oh=INT,
            ow=INT,
        ),
        inputs=("input", "size"),
        integers=(1,),
    )  # fmt: skip

    @classmethod
    def check(cls, p: Values) -> None:
        require(p["method"] in range(4), f"there is no method {p['method']}")
        both = p["align_corners"] and p["half_pixel_centers"]
        require(not (both and p["method"] == BILINEAR), "align_corners and half_pixel_centers:"
                " the host library reads outside the image with both; set one of them")
        for name in ("ifmt", "ofmt"):
            require(p[name] in (NCHW, NHWC), f"{name} is {p[name]}; 0 (NCHW) and 1 (NHWC) exist")
        require(p["oh"] > 0 and p["ow"] > 0,
                f"the size is {p['oh']}x{p['ow']}, both must be positive")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        image, size = inputs
        require(len(image) == 4, f"the input is {show(image)}, four dimensions are required")
        require(prod(size) == 2, f"size is {show(size)}, height and width are required")
        channels = image[1] if p["ifmt"] == NCHW else image[3]
        if p["ofmt"] == NCHW:
            return [(image[0], channels, p["oh"], p["ow"])]
        return [(image[0], p["oh"], p["ow"], channels)]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        image, size = inputs
        if tuple(size.reshape(-1).tolist()) != (p["oh"], p["ow"]):
            raise ValueError(f"size holds {size.reshape(-1)}, oh and ow are {p['oh']}x{p['ow']}")
        if p["ifmt"] == NHWC:
            image = np.moveaxis(image, 3, 1)
        rows = resized_lines(p, image.shape[2], p["oh"])
        columns = resized_lines(p, image.shape[3], p["ow"])
        if image.shape[2:] == (p["oh"], p["ow"]):
            found = image
        elif p["method"] in (NEAREST, NEAREST_TORCH):
            found = image[:, :, rows[0].astype(int)[:, None], columns[0].astype(int)]
        else:
            along = between(image, columns, 3)
            found = between(along, rows, 2)
        return [np.moveaxis(found, 1, 3) if p["ofmt"] == NHWC else found]


def resized_lines(p: Values, size: int, count: int) -> Array:
    """The lines [3, count] that each line of a result lies between, and its part of the way."""
    i, method, aligned = np.arange(count, dtype=np.float32), p["method"], bool(p["align_corners"])
    ratio = np.float32(size) / np.float32(count)
    if aligned and count > 1 and method != NEAREST_TORCH:
        ratio = np.float32(size - 1) / np.float32(count - 1)
    if method == NEAREST_TORCH or (method == NEAREST and not p["half_pixel_centers"]):
        at = rounded(i * ratio) if aligned and method == NEAREST else np.floor(i * ratio)
        return np.clip(np.stack([at, at, at * 0]), 0, size - 1)
    if method == NEAREST:
        at = np.clip(np.floor((i + HALF) * ratio), 0, size - 1)
        return np.stack([at, at, at * 0])
    if method == BILINEAR:
        at = (i + HALF) * ratio - HALF if p["half_pixel_centers"] else i * ratio
    else:
        ratio = ratio if count > 1 else np.float32(0)
        at = i * ratio if aligned else np.maximum((i + HALF) * ratio - HALF, 0)
    low = np.floor(at)
    high = np.ceil(at) if method == BILINEAR else low + 1
    return np.stack([np.clip(low, 0, size - 1), np.clip(high, 0, size - 1), at - low])


def between(image: Array, lines: Array, axis: int) -> Array:
    """An image between two of its lines along an axis."""
    low, high = (np.take(image, x.astype(int), axis) for x in lines[:2])
    part = lines[2].reshape((-1,) + (1,) * (image.ndim - 1 - axis))
    return low + (high - low) * part
