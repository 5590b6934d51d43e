"""The result shape of every UFW layer, as plain functions on tuples.

Each function gives Caffe's rule and raises :class:`VerifyException` with one sentence when the
shapes do not fit. All axes are non-negative here; the importer resolves negative ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.utils.exceptions import VerifyException

Shape = tuple[int, ...]

MAX_ELEMENTS = 2**31
"""No tensor may have more elements than this; the runtime counts them in 32 bits."""
MAX_RANK = 32
"""No tensor may have more dimensions: Caffe's limit."""


def require(condition: bool, message: str) -> None:
    """Raises :class:`VerifyException` with the message unless the condition holds."""
    if not condition:
        raise VerifyException(message)


def show(shape: Sequence[int]) -> str:
    """A shape as people write it: ``1x3x224x224``."""
    return "x".join(map(str, shape)) if shape else "scalar"


def checked(shape: Sequence[int]) -> Shape:
    """The shape itself, if it has a rank, no empty dimension and not too many elements."""
    require(len(shape) >= 1, "a tensor needs at least one dimension")
    require(len(shape) <= MAX_RANK, f"a tensor has {len(shape)} dimensions, more than {MAX_RANK}")
    require(min(shape) > 0, f"every dimension must be positive, the shape is {show(shape)}")
    require(
        prod(shape) <= MAX_ELEMENTS,
        f"a tensor of {show(shape)} has more than 2^31 elements",
    )
    return tuple(shape)


def check_axis(axis: int, rank: int) -> None:
    """Raises unless ``0 <= axis < rank``."""
    require(0 <= axis < rank, f"axis {axis} is outside a tensor of {rank} dimensions")


def four_pads(pad: Sequence[int]) -> tuple[int, ...]:
    """Top, bottom, left, right of a pad that may be given as (h, w)."""
    return (pad[0], pad[0], pad[1], pad[1]) if len(pad) == 2 else tuple(pad)


def sides(pad: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The pads before and after of height and of width."""
    top, bottom, left, right = pad
    return (top, bottom), (left, right)


def _check_window(
    kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int], dilation: Sequence[int]
) -> None:
    for what, values, count, least in (
        ("kernel", kernel, 2, 1),
        ("stride", stride, 2, 1),
        ("pad", pad, 4, 0),
        ("dilation", dilation, 2, 1),
    ):
        require(len(values) == count, f"{what} requires {count} numbers, has {len(values)}")
        require(min(values) >= least, f"{what} {show(values)} is smaller than {least}")


def _check_groups(bottom: Shape, weight: Shape, group: int) -> None:
    """Raises unless weights [O, I / group, kh, kw] fit the channels."""
    channels, outputs = bottom[1], weight[0]
    require(group >= 1, f"group {group} is smaller than 1")
    require(
        channels % group == 0 and outputs % group == 0,
        f"group {group} does not divide {channels} input and {outputs} output channels",
    )
    require(
        weight[1] * group == channels,
        f"weights {show(weight)} in {group} group(s) require {weight[1] * group} input channels, "
        f"the input has {channels}",
    )


def convolution(
    bottom: Shape,
    weight: Shape,
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
    group: int,
) -> Shape:
    """``[N, O, (H + pads - dilation (kh - 1) - 1) / stride + 1, ...]``, rounded down.

    ``pad`` is top, bottom, left, right.
    """
    require(len(bottom) == 4, f"convolution requires an N x C x H x W tensor, has {show(bottom)}")
    require(len(weight) == 4, f"convolution requires O x I x kh x kw weights, has {show(weight)}")
    require(min(weight) > 0, f"the weights {show(weight)} are empty")
    pad = four_pads(pad)
    _check_window(weight[2:], stride, pad, dilation)
    _check_groups(bottom, weight, group)
    extents = [d * (k - 1) + 1 for k, d in zip(weight[2:], dilation, strict=True)]
    for size, extent, (before, after) in zip(bottom[2:], extents, sides(pad), strict=True):
        require(
            extent <= size + before + after,
            f"kernel of extent {extent} is larger than the padded input "
            f"({size} + {before} + {after})",
        )
    maps = [
        (size + sum(both) - extent) // s + 1
        for size, extent, both, s in zip(bottom[2:], extents, sides(pad), stride, strict=True)
    ]
    return checked((bottom[0], weight[0], *maps))


def deconvolution(
    bottom: Shape,
    weight: Shape,
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
    group: int,
) -> Shape:
    """``[N, O, stride (H - 1) + dilation (kh - 1) + 1 - pads, ...]``.

    ``weight`` is [O, I / group, kh, kw], ``pad`` top, bottom, left, right.
    """
    require(len(bottom) == 4, f"deconvolution requires an N x C x H x W tensor, has {show(bottom)}")
    require(len(weight) == 4, f"deconvolution requires O x I x kh x kw weights, has {show(weight)}")
    require(min(weight) > 0, f"the weights {show(weight)} are empty")
    pad = four_pads(pad)
    _check_window(weight[2:], stride, pad, dilation)
    _check_groups(bottom, weight, group)
    maps = [
        s * (size - 1) + d * (k - 1) + 1 - sum(both)
        for size, k, s, both, d in zip(
            bottom[2:], weight[2:], stride, sides(pad), dilation, strict=True
        )
    ]
    require(min(maps) > 0, f"the pads {show(pad)} leave nothing of the result")
    return checked((bottom[0], weight[0], *maps))


def _pooled(
    size: int, kernel: int, stride: int, pads: tuple[int, int], ceil_mode: bool, clip: bool
) -> int:
    span = size + sum(pads) - kernel
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if clip and (count - 1) * stride >= size + pads[0]:
        count -= 1
    require(
        count > 0,
        f"pooling kernel {kernel} is larger than the padded input "
        f"({size} + {pads[0]} + {pads[1]})",
    )
    require(
        (count - 1) * stride - pads[0] < size,
        f"the last pooling window begins outside the input of size {size}: "
        "the stride is larger than the kernel",
    )
    return count


def pooling(
    bottom: Shape,
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    ceil_mode: bool,
) -> Shape:
    """Caffe's rule: ``ceil((H + pads - k) / stride) + 1``, less one when the last window would
    begin in the padding at the end (looked at only when there is padding).

    A kernel larger than the padded input has one window where that formula gives one. ``pad`` is
    top, bottom, left, right.
    """
    require(len(bottom) == 4, f"pooling requires an N x C x H x W tensor, has {show(bottom)}")
    pad = four_pads(pad)
    _check_window(kernel, stride, pad, (1, 1))
    for k, both in zip(kernel, sides(pad), strict=True):
        require(max(both) < k, f"pooling pad {max(both)} must be smaller than its kernel {k}")
    clip = max(pad) > 0
    maps = [
        _pooled(size, k, s, both, ceil_mode, clip)
        for size, k, s, both in zip(bottom[2:], kernel, stride, sides(pad), strict=True)
    ]
    return checked((*bottom[:2], *maps))


def inner_product(bottom: Shape, weight: Shape, axis: int) -> Shape:
    """``bottom[:axis] + [N]``; the dimensions from ``axis`` on are the K of the N x K weights."""
    check_axis(axis, len(bottom))
    require(len(weight) == 2, f"inner product requires N x K weights, has {show(weight)}")
    inputs = prod(bottom[axis:])
    require(
        weight[1] == inputs,
        f"weights {show(weight)} require {weight[1]} inputs, a tensor of {show(bottom)} "
        f"has {inputs} from axis {axis} on",
    )
    return checked((*bottom[:axis], weight[0]))


def channels(bottom: Shape, count: int, what: str) -> Shape:
    """The bottom's shape, if it has ``count`` channels in dimension 1."""
    require(len(bottom) >= 2, f"a tensor of {show(bottom)} has no channel dimension")
    require(count == bottom[1], f"{what} has {count} values, the input has {bottom[1]} channels")
    return bottom


def broadcast(bottom: Shape, factor: Shape, axis: int) -> Shape:
    """The bottom's shape, if ``factor`` equals its dimensions from ``axis`` on."""
    require(axis >= 0, f"axis {axis} is negative")
    covered = bottom[axis : axis + len(factor)]
    require(
        axis <= len(bottom) and covered == factor,
        f"an operand of {show(factor)} does not fit a tensor of {show(bottom)} at axis {axis}",
    )
    return bottom


def eltwise(bottoms: Sequence[Shape]) -> Shape:
    """The one shape that all inputs must share."""
    require(len(bottoms) >= 2, f"eltwise requires at least 2 inputs, has {len(bottoms)}")
    for shape in bottoms:
        require(
            shape == bottoms[0],
            f"eltwise inputs differ in shape: {show(bottoms[0])} and {show(shape)}",
        )
    return bottoms[0]


def concat(bottoms: Sequence[Shape], axis: int) -> Shape:
    """All dimensions alike except ``axis``, which is summed."""
    require(len(bottoms) >= 1, "concat requires at least 1 input")
    first = bottoms[0]
    check_axis(axis, len(first))
    for shape in bottoms:
        require(
            len(shape) == len(first)
            and shape[:axis] == first[:axis]
            and shape[axis + 1 :] == first[axis + 1 :],
            f"concat inputs differ outside axis {axis}: {show(first)} and {show(shape)}",
        )
    return checked((*first[:axis], sum(s[axis] for s in bottoms), *first[axis + 1 :]))


def slices(bottom: Shape, axis: int, sizes: Sequence[int]) -> list[Shape]:
    """One shape a piece; the sizes along ``axis`` must add up to the input's."""
    check_axis(axis, len(bottom))
    require(
        sum(sizes) == bottom[axis] and min(sizes, default=0) > 0,
        f"slices of {list(sizes)} do not cut {bottom[axis]} along axis {axis}",
    )
    return [(*bottom[:axis], size, *bottom[axis + 1 :]) for size in sizes]


def flatten(bottom: Shape, axis: int, end_axis: int) -> Shape:
    """Dimensions ``axis`` to ``end_axis``, both included, become one."""
    check_axis(axis, len(bottom))
    check_axis(end_axis, len(bottom))
    require(axis <= end_axis, f"flatten's axis {axis} comes after its end axis {end_axis}")
    return (*bottom[:axis], prod(bottom[axis : end_axis + 1]), *bottom[end_axis + 1 :])


def permute(bottom: Shape, order: Sequence[int]) -> Shape:
    """``result[i] = bottom[order[i]]``."""
    require(
        sorted(order) == list(range(len(bottom))),
        f"{list(order)} is no order of the {len(bottom)} dimensions",
    )
    return tuple(bottom[axis] for axis in order)


def reshape(bottom: Shape, result: Shape) -> Shape:
    """The result, if it has as many elements as the bottom."""
    require(
        prod(bottom) == prod(result),
        f"a tensor of {show(bottom)} cannot be reshaped to {show(result)}",
    )
    return checked(result)
