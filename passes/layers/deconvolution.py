"""Deconvolution: an ordinary convolution for each phase of the result, interleaved.

With stride s, results of the same remainder modulo s, a phase, read the input as a convolution of
stride 1 does, with every s-th weight of the kernel in reverse order. All phases cost together the
multiplications that a deconvolution needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue

from dialects.bm1684.layout import lane_rows
from dialects.constant import Array, ConstantAttr
from dialects.quant import compute, movement, types
from dialects.quant.base import i64s, int_attr, ints
from dialects.ufw import ops as ufw
from dialects.ufw.shapes import four_pads
from passes.layers.converter import Converter
from passes.layers.weighted import operand_of, result_type, shift_of
from passes.layers.wide_window import MOST_WEIGHTS, spread

MOST_PHASES = 64
"""Up to so many phases are convolutions of their own; more are channels of a single one."""
MOST_WASTE = 2
"""So much more rows of lanes may convolutions of their own take."""


@dataclass(frozen=True)
class Axis:
    """Height or width: input size, result size, stride, kernel extent (dilation included), and how
    much of the whole result is left out at its beginning."""

    size: int
    out: int
    stride: int
    kernel: int
    begin: int

    @property
    def first(self) -> int:
        """The first element of each phase that is computed."""
        return self.begin // self.stride

    @property
    def count(self) -> int:
        """Elements of each phase."""
        end = -(-(self.begin + self.out) // self.stride)
        return max(end, self.size) - self.first

    def taps(self, phase: int) -> int:
        """Weights of a phase, some zeros in front so that no padding is negative."""
        own = -(-(self.kernel - phase) // self.stride)
        return max(1, own, self.first + 1)

    def pads(self, taps: int) -> tuple[int, int]:
        """Padding before and after."""
        return taps - 1 - self.first, self.first + self.count - self.size

    def places(self, phase: int, taps: int) -> Array:
        """Where the weights of a phase stand in the kernel, in the order of a convolution; those
        from ``kernel`` on are zero."""
        return phase + self.stride * np.arange(taps - 1, -1, -1)


@dataclass(frozen=True)
class Deconvolution:
    """A deconvolution: ``weight`` [O, I / group, kh, kw] with zeros for its dilation."""

    c: Converter
    op: ufw.DeconvolutionOp
    x: SSAValue
    weight: Array
    height: Axis
    width: Axis

    @property
    def phases(self) -> list[tuple[int, int]]:
        """All phases, row by row."""
        return [(i, j) for i in range(self.height.stride) for j in range(self.width.stride)]

    def kernel(self, phase: tuple[int, int], taps: tuple[int, int]) -> Array:
        """The weights of a phase [O, I / group, taps]."""
        rows, columns = (
            axis.places(own, count)
            for axis, own, count in zip((self.height, self.width), phase, taps, strict=True)
        )
        after = ((0, max(0, int(rows[0]) + 1 - self.height.kernel)),
                 (0, max(0, int(columns[0]) + 1 - self.width.kernel)))  # fmt: skip
        whole = np.pad(self.weight, ((0, 0), (0, 0), *after))
        return whole[:, :, rows[:, None], columns]

    def convolution(
        self, x: SSAValue, weight: Array, bias: Array | None, group: int, step: str
    ) -> SSAValue:
        """The convolution of one phase, or of several as channels."""
        pads = [*self.height.pads(weight.shape[2]), *self.width.pads(weight.shape[3])]
        shape = (types.shape_of(x)[0], len(weight), self.height.count, self.width.count)
        return self.c.add(
            compute.ConvOp,
            [x],
            result_type(self.c, self.op, shape),
            step,
            weight=ConstantAttr.of(weight),
            bias=None if bias is None else ConstantAttr.of(bias),
            pad=i64s(pads),
            group=int_attr(group),
            shift=shift_of(self.op),
        )

    def apart(self) -> list[SSAValue]:
        """A convolution a phase."""
        bias = None if self.op.bias is None else self.op.bias.array
        found: list[SSAValue] = []
        for i, j in self.phases:
            taps = self.height.taps(i), self.width.taps(j)
            kernel = self.kernel((i, j), taps)
            step = f"phase_{i}_{j}"
            found.append(self.convolution(self.x, kernel, bias, self.op.groups, step))
        return found

    def together(self) -> list[SSAValue]:
        """One convolution whose channels are the phases; a depthwise one reads its channels
        repeated."""
        taps = [
            max(axis.taps(phase) for phase in range(axis.stride))
            for axis in (self.height, self.width)
        ]
        weight = np.concatenate([self.kernel(p, (taps[0], taps[1])) for p in self.phases])
        count = len(self.phases)
        bias = None if self.op.bias is None else np.tile(self.op.bias.array, count)
        x, group = self.x, self.op.groups
        if group > 1:
            n, channels, *maps = types.shape_of(x)
            wide = self.c.reshape(x, (n, 1, channels, *maps), "channels")
            repeated = types.like(x, (n, count, channels, *maps))
            wide = self.c.add(movement.BroadcastOp, [wide], repeated, "repeated")
            x = self.c.reshape(wide, (n, count * channels, *maps), "repeated")
            group = count * channels
        return [self.convolution(x, weight, bias, group, "phases")]

    def works_together(self) -> bool:
        """Whether one convolution of all phases is taken: there are many, or each would leave most
        lanes idle."""
        outputs, count, group = len(self.weight), len(self.phases), self.op.groups
        depthwise = group == outputs == types.shape_of(self.x)[1]
        if group > 1 and not depthwise:
            return False
        apart, together = count * lane_rows(outputs), lane_rows(count * outputs)
        return count > MOST_PHASES or (group == 1 and apart > MOST_WASTE * together)


def _spread(op: ufw.DeconvolutionOp, c: Converter) -> Array:
    """The weights with zeros between them for the dilation."""
    weight, (dh, dw) = op.weight.array, ints(op.dilation)
    kh, kw = weight.shape[2:]
    shape = (*weight.shape[:2], (kh - 1) * dh + 1, (kw - 1) * dw + 1)
    if prod(shape) > max(MOST_WEIGHTS, weight.size):
        raise c.error(f"a dilation of {max(dh, dw)} makes its kernel too large")
    return spread(weight, (dh, dw))


def lower_deconvolution(c: Converter, op: ufw.DeconvolutionOp) -> None:
    """Convolutions of the phases, interleaved; a stride of 1 is one convolution."""
    x, pad, stride = operand_of(c, op), four_pads(ints(op.pad)), ints(op.stride)
    weight, out = _spread(op, c), types.shape_of(op.top)
    height, width = (
        Axis(types.shape_of(x)[2 + i], out[2 + i], stride[i], weight.shape[2 + i], pad[2 * i])
        for i in (0, 1)
    )
    whole = Deconvolution(c, op, x, weight, height, width)
    phases = whole.together() if whole.works_together() else whole.apart()
    begin = [axis.begin - axis.first * axis.stride for axis in (height, width)]
    result = types.like(phases[0], out)
    if len(phases) == prod(stride) == 1 and types.shape_of(phases[0]) == out:
        c.rename(phases[0])
        c.finish(op, phases[0])
        return
    settings = {"step": i64s(stride), "begin": i64s(begin)}
    c.finish(op, c.add(movement.InterleaveOp, phases, result, **settings))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {
    ufw.DeconvolutionOp: lower_deconvolution,
}
