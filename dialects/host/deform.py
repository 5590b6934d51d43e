"""Host layers of deformable convolutions: they read the pixels, the convolution is another's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from xdsl.irdl import irdl_op_definition

from dialects.c_struct import BOOL, INT, CStruct, Values, ints
from dialects.host.arrays import counted
from dialects.host.base import Array, HostLayer, HostOp
from dialects.host.sampling import FAR, bilinear
from dialects.ufw.shapes import Shape, require, show

MXNET, CAFFE2, TORCHVISION = range(3)
"""``mode``: what is outside the image."""


def windows(image: Shape, p: Values, pad: Sequence[int]) -> tuple[int, int]:
    """How many windows of the kernel an image [N, C, H, W] has: rows and columns."""
    top, bottom, left, right = pad
    sides = ((image[2], p["kh"], top + bottom, 0), (image[3], p["kw"], left + right, 1))
    high, wide = (
        (side + both - p["dilation"][i] * (kernel - 1) - 1) // p["stride"][i] + 1
        for side, kernel, both, i in sides
    )
    return high, wide


def check_kernel(p: Values) -> None:
    """Raises unless kernel, stride, dilation and the groups are positive, and no pad negative."""
    numbers = (p["kh"], p["kw"], *p["stride"], *p["dilation"], p["deform_groups"])
    require(min(numbers) > 0, "kernel, stride, dilation and deform_groups must be positive")
    require(min(p["pad"]) >= 0, "pad must not be negative")


def deformed_shape(p: Values, inputs: Sequence[Shape], pad: Sequence[int], mask: bool) -> Shape:
    """The shape of the pixels that a deformable convolution reads."""
    image, offsets, *others = inputs
    groups, kernel = p["deform_groups"], p["kh"] * p["kw"]
    require(len(image) == 4 and image[1] % groups == 0,
            f"the input is {show(image)}, four dimensions with a multiple of {groups} channels"
            " are required")
    high, wide = windows(image, p, pad)
    require(high > 0 and wide > 0, f"the kernel is larger than the padded input {show(image)}")
    wanted = (image[0], groups * kernel * 2, high, wide)
    require(offsets == wanted, f"offsets are {show(offsets)}, {show(wanted)} is required")
    require(len(others) == mask, f"{len(inputs)} inputs, {2 + mask} are required: modulated is"
            f" {str(mask).lower()}")
    for each in others:
        wanted = (image[0], groups * kernel, high, wide)
        require(each == wanted, f"mask is {show(each)}, {show(wanted)} is required")
    return (image[0], image[1] * kernel, high, wide)


def deformed(p: Values, inputs: Sequence[Array], pad: Sequence[int], inner: bool) -> Array:
    """The pixels that a deformable convolution reads, [N, C*kh*kw, windows]. ``inner``: places
    outside the image are 0 also where a pixel is near."""
    image, offsets, *others = inputs
    batch, channels, height, width = image.shape
    high, wide = offsets.shape[2:]
    groups, kernel = p["deform_groups"], (p["kh"], p["kw"])
    moves = offsets.reshape(batch, groups, *kernel, 2, high, wide)
    masks = others[0].reshape(batch, groups, *kernel, high, wide) if others else None
    down, along = counted(high)[:, None], counted(wide)
    found = np.empty((batch, groups, channels // groups, *kernel, high, wide), np.float32)
    for n, g, i, j in np.ndindex(batch, groups, *kernel):
        part = image[n].reshape(groups, -1, height, width)[g]
        row = down * p["stride"][0] + (i * p["dilation"][0] - pad[0])
        column = along * p["stride"][1] + (j * p["dilation"][1] - pad[2])
        y = row.astype(np.float32) + moves[n, g, i, j, 0]
        x = column.astype(np.float32) + moves[n, g, i, j, 1]
        values = edged(part, y, x) if inner else bilinear(part, np.clip(y, -FAR, FAR),
                                                          np.clip(x, -FAR, FAR))
        found[n, g, :, i, j] = values if masks is None else values * masks[n, g, i, j]
    return found.reshape(batch, -1, high, wide)


def edged(image: Array, y: Array, x: Array) -> Array:
    """An image between its pixels, its border continued; 0 for y, x below 0 or beyond the size."""
    height, width = image.shape[1:]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    return np.where(inside, bilinear(image, y, x), np.float32(0))


@irdl_op_definition
class DeformGatherOp(HostOp):
    """The pixels that a deformable convolution reads: the convolution then has a 1x1 kernel.

    input [N, C, H, W], offsets [N, deform_groups*kh*kw*2, H', W'] (y before x, in pixels), and
    with ``modulated`` mask [N, deform_groups*kh*kw, H', W']. The result is [N, C*kh*kw, H', W'],
    channel c*kh*kw + i*kw + j: the input at y*stride - pad + i*dilation + offset, between its
    pixels, times the mask. ``pad`` is top, bottom, left, right; ``stride`` and ``dilation`` are of
    height and width. With ``mode`` 0 (MXNet) and 2 (torchvision) pixels outside are 0; with 1
    (Caffe2) a place below 0 or beyond the last pixel + 1 is 0, and the border continues.
    """

    name = "host.deform_gather"
    LAYER: ClassVar = HostLayer(
        number=47,
        struct=CStruct(
            modulated=BOOL, deform_groups=INT, kh=INT, kw=INT, pad=ints(4), stride=ints(2),
            dilation=ints(2), mode=INT,
        ),
        inputs=("input", "offsets", "mask"),
        optional=1,
    )  # fmt: skip

    @classmethod
    def check(cls, p: Values) -> None:
        check_kernel(p)
        require(p["mode"] in (MXNET, CAFFE2, TORCHVISION), f"there is no mode {p['mode']}")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        return [deformed_shape(p, inputs, p["pad"], bool(p["modulated"]))]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        return [deformed(p, inputs, p["pad"], p["mode"] == CAFFE2)]


@irdl_op_definition
class DeformConvOp(HostOp):
    """The pixels that a modulated deformable convolution of Paddle reads; it has no weights.

    input [N, C, H, W], offsets [N, deform_groups*kh*kw*2, H', W'] (y before x, in pixels), mask
    [N, deform_groups*kh*kw, H', W']; the result is [N, C*kh*kw, H', W'] as of host.deform_gather
    with mode 2, so that a convolution with a 1x1 kernel follows. ``pad``, ``stride`` and
    ``dilation`` are of height and width.
    """

    name = "host.deform_conv"
    LAYER: ClassVar = HostLayer(
        number=51,
        struct=CStruct(
            modulated=BOOL, groups=INT, deform_groups=INT, kh=INT, kw=INT, pad=ints(2),
            stride=ints(2), dilation=ints(2), im2col_step=INT,
        ),
        inputs=("input", "offsets", "mask"),
    )  # fmt: skip

    @classmethod
    def check(cls, p: Values) -> None:
        check_kernel(p)
        require(p["modulated"], "modulated is false: the host library reads a mask all the same;"
                " use host.deform_gather")
        require(p["groups"] == 1, f"groups is {p['groups']}: the host library writes all channels"
                " of an image over those of the next; give the groups to the convolution behind")
        require(p["im2col_step"] == 1, f"im2col_step is {p['im2col_step']}: with more than 1 the"
                " host library mixes up the images; only speed depends on it, so write 1")

    @classmethod
    def shapes(cls, p: Values, inputs: Sequence[Shape]) -> list[Shape]:
        return [deformed_shape(p, inputs, _four(p["pad"]), True)]

    @classmethod
    def compute(cls, p: Values, inputs: Sequence[Array], results: int) -> list[Array]:
        return [deformed(p, inputs, _four(p["pad"]), False)]


def _four(pad: Sequence[int]) -> Sequence[int]:
    return (pad[0], pad[0], pad[1], pad[1])
