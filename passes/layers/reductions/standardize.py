"""Normalisation by statistics of the operand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue

from dialects.constant import Array, ConstantAttr
from dialects.quant import compute, types
from dialects.quant.base import int_attr
from dialects.ufw import ops as ufw
from passes.layers.binary import binary, constant, function_of, power_of, repeated
from passes.layers.converter import Converter
from passes.layers.reductions.reduce import finish, reduced, square

MOST_CHANNELS = 1024
"""Channels up to which a convolution with ones sums them: it gives every channel the sum."""


def affine(
    c: Converter, x: SSAValue, weight: Array | None, bias: Array | None, axis: int, step: str
) -> SSAValue:
    """``x * weight + bias`` of a float value; both cover its dimensions from ``axis`` on."""
    given = weight if weight is not None else bias
    if given is None:
        return x
    shape, channels = types.shape_of(x), given.size
    if prod(shape[axis + given.ndim :]) == 1:  # a channel would have one pixel
        lanes = (1,) if len(shape) == 2 else ()
        rows = c.reshape(x, (*lanes, *shape[: axis + given.ndim]), f"{step}/rows")
        return c.reshape(_along_rows(c, rows, weight, bias, step), shape, f"{step}/result")
    plain = len(shape) == 4 and axis == 1 and given.ndim == 1
    after = prod(shape[axis + given.ndim :])
    four = shape if plain else (prod(shape[:axis]), channels, after, 1)
    ones = np.ones(channels, np.float32) if weight is None else weight
    y = c.add(
        compute.ConvOp,
        [c.reshape(x, four, f"{step}/channels")],
        types.float_tensor(four),
        step,
        weight=ConstantAttr.of(np.ascontiguousarray(ones.reshape(channels, 1, 1, 1))),
        bias=None if bias is None else ConstantAttr.of(np.ascontiguousarray(bias.reshape(-1))),
        group=int_attr(channels),
    )
    return c.reshape(y, shape, f"{step}/result")


def _along_rows(
    c: Converter, x: SSAValue, weight: Array | None, bias: Array | None, step: str
) -> SSAValue:
    """``x * weight + bias`` where both cover the last dimensions."""
    for kind, array in (("mul", weight), ("add", bias)):
        if array is not None:
            wide = array.reshape((1,) * (len(types.shape_of(x)) - array.ndim) + array.shape)
            x = binary(c, kind, x, constant(c, wide, step=f"{step}/{kind}"), f"{step}/{kind}ed")
    return x


@dataclass(frozen=True)
class _Mean:
    """How means of a float value are taken. With ``groups``, ``shape`` is one of rank 4: first over
    the pixels of each channel, where they lie, then over the channels of each group."""

    shape: Sequence[int]
    axes: Sequence[int]
    groups: int = 0

    @classmethod
    def of(cls, op: ufw.StandardizeOp) -> _Mean:
        view, axes = op.view
        shape = types.shape_of(op.top)
        if len(shape) == 2:  # each row in a lane, not a number
            return cls((1, *view), [axis + 1 for axis in axes])
        whole = not op.groups.value.data and [*axes] == [*range(1, len(shape))]
        if len(shape) < 3 or not (op.groups.value.data or whole):
            return cls(view, axes)
        planes = shape if len(shape) == 4 else (*shape[:2], prod(shape[2:]), 1)
        return cls(planes, (2, 3), op.groups.value.data or 1)

    @property
    def share(self) -> float:
        """Of one number."""
        n = prod(self.shape[axis] for axis in self.axes)
        return 1 / (n * self.shape[1] // self.groups if self.groups else n)

    def sums(self, c: Converter, x: SSAValue, step: str) -> SSAValue:
        """One number a group, or whatever the axes leave."""
        sums = reduced(c, "sum", x, self.axes, step)
        if not self.groups or self.groups == self.shape[1]:
            return sums
        n, channels = self.shape[:2]
        rows = c.reshape(sums, (n, self.groups, channels // self.groups), f"{step}/channels")
        return reduced(c, "sum", rows, (2,), f"{step}/groups")

    def spread(self, c: Converter, x: SSAValue, step: str) -> SSAValue:
        """What was made of the sums, one number a channel."""
        if not self.groups or self.groups == self.shape[1]:
            return x
        n, channels = self.shape[:2]
        x = repeated(c, x, (n, self.groups, channels // self.groups), f"{step}/repeated")
        return c.reshape(x, (n, channels, 1, 1), f"{step}/spread")


def lower_standardize(c: Converter, op: ufw.StandardizeOp) -> None:
    means = _Mean.of(op)
    x = c.reshape(c.as_float(c.value(op.bottom)), means.shape, "view")
    mean = power_of(c, means.sums(c, x, "sums"), "mean", scale=means.share)
    y = binary(c, "sub", x, means.spread(c, mean, "means"), "centred")
    if op.divide.value.data:
        total, eps = means.sums(c, square(c, y, "squares"), "spread"), op.eps.value.data
        if op.eps_outside.value.data:
            deviation = power_of(c, total, "deviation", scale=means.share, power=0.5)
            factor = power_of(c, deviation, "factor", shift=eps, power=-1.0)
        else:
            factor = power_of(c, total, "factor", scale=means.share, shift=eps, power=-0.5)
        y = binary(c, "mul", y, means.spread(c, factor, "factors"), "divided")
    y = c.reshape(y, types.shape_of(op.top), "whole")
    weight, bias = (None if blob is None else blob.array for blob in (op.weight, op.bias))
    finish(c, op, affine(c, y, weight, bias, op.affine_axis.value.data, "affine"))


def lower_normalize(c: Converter, op: ufw.NormalizeOp) -> None:
    x, eps, weight = c.as_float(c.value(op.bottom)), op.eps.value.data, op.weight.array
    shape = types.shape_of(x)
    if not op.across_spatial.value.data and shape[1] <= MOST_CHANNELS:
        four = shape if len(shape) == 4 else (shape[0], shape[1], prod(shape[2:]), 1)
        x = c.reshape(x, four, "channels")
        sums = c.add(
            compute.ConvOp,
            [square(c, x, "squares")],
            types.float_tensor(four),
            "sums",
            weight=ConstantAttr.of(np.ones((shape[1], shape[1], 1, 1), np.float32)),
        )
    else:
        sums = reduced(c, "sum", square(c, x, "squares"), op.axes, "sums")
    factor = power_of(c, sums, "factor", shift=eps, power=-0.5)
    y = c.reshape(binary(c, "mul", x, factor, "divided"), shape, "whole")
    weight = np.broadcast_to(weight, (shape[1],))
    finish(c, op, affine(c, y, weight, None, 1, "affine"))


def lower_log_softmax(c: Converter, op: ufw.LogSoftmaxOp) -> None:
    x, axes = c.as_float(c.value(op.bottom)), (op.axis.value.data,)
    x = binary(c, "sub", x, reduced(c, "max", x, axes, "largest"), "shifted")
    sums = reduced(c, "sum", function_of(c, "exp", x, "powers"), axes, "sums")
    c.finish(op, binary(c, "sub", x, function_of(c, "log", sums, "log"), like=op.top))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.LogSoftmaxOp: lower_log_softmax,
    ufw.StandardizeOp: lower_standardize,
    ufw.NormalizeOp: lower_normalize,
}
