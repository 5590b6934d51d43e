"""Convolution and pooling of tensors with one spatial dimension, N x C x L, or three,
N x C x T x H x W."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import I64, BoolAttr, DenseArrayBase, IntegerAttr, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, prop_def, traits_def
from xdsl.traits import Pure

from dialects.ufw import shapes
from dialects.ufw.convolution import WeightedLayerOp
from dialects.ufw.facts import Array, CarriesOn, FloatArray, FollowsOperand, TakesReLU
from dialects.ufw.layer import Coefficients, Top, UnaryLayerOp, per_axis, shape_of
from dialects.ufw.pooling import PoolingKind, PoolingKindAttr
from dialects.ufw.shapes import Shape, checked, require, show
from dialects.ufw.windows import average_divisors, convolve, pool


def _sides(pad: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) of each axis."""
    return list(zip(pad[::2], pad[1::2], strict=True))


def _check(bottom: Shape, window: Shape, /, **lists: Sequence[int]) -> None:
    rank = len(window)
    require(rank in (1, 3), f"{rank} spatial dimensions; 1 and 3 are known here, 2 elsewhere")
    what = "N x C x L" if rank == 1 else "N x C x T x H x W"
    require(len(bottom) == rank + 2, f"an {what} tensor is required, the input is {show(bottom)}")
    for name, values in lists.items():
        count, least = (2 * rank, 0) if name == "pad" else (rank, 1)
        fits = len(values) == count and min(values) >= least
        require(fits, f"{name} is {[*values]}; {count} numbers of at least {least} are required")


@irdl_op_definition
class ConvolutionNdOp(WeightedLayerOp):
    """Convolution along one or three dimensions.

    ``weight`` is [O, I / group, k] or [O, I / group, kt, kh, kw]; stride and dilation have a number
    an axis, pad has two: before and after. Results as of the 2-d convolution, axis by axis.
    """

    name = "ufw.convolution_nd"

    stride = prop_def(DenseArrayBase.constr(i64))
    pad = prop_def(DenseArrayBase.constr(i64))
    dilation = prop_def(DenseArrayBase.constr(i64))
    group = prop_def(IntegerAttr[I64], default_value=IntegerAttr(1, i64))

    traits = traits_def(Pure(), TakesReLU())
    assembly_format = (
        "$tops $bottom `weight` $weight (`bias` $bias^)? `stride` $stride `pad` $pad "
        "`dilation` $dilation (`group` $group^)? (`right_shift` $right_shift^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        weight: Coefficients,
        bias: Coefficients | None = None,
        *,
        stride: Sequence[int],
        pad: Sequence[int],
        dilation: Sequence[int],
        group: int = 1,
        right_shift: int | None = None,
    ) -> None:
        settings = {
            "weight": weight, "bias": bias, "stride": stride, "pad": pad, "dilation": dilation,
            "group": group, "right_shift": right_shift,
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    @property
    def kernel(self) -> Shape:
        """Numbers of the window along each axis."""
        return self.weight.shape[2:]

    def infer_shapes(self) -> list[Shape]:
        bottom, weight, group = shape_of(self.bottom), self.weight.shape, self.groups
        stride, pad = self.stride.get_values(), self.pad.get_values()
        dilation = self.dilation.get_values()
        _check(bottom, self.kernel, stride=stride, pad=pad, dilation=dilation)
        require(
            group > 0 and weight[0] % group == 0 and weight[1] * group == bottom[1],
            f"weights {show(weight)} in {group} group(s) do not fit {bottom[1]} input channels",
        )
        found: list[int] = []
        axes = zip(bottom[2:], self.kernel, stride, _sides(pad), dilation, strict=True)
        for size, k, step, both, d in axes:
            span = size + sum(both) - (d * (k - 1) + 1)
            require(span >= 0, f"kernel {k} is larger than the padded input ({size} + {both})")
            found.append(span // step + 1)
        return [checked((bottom[0], weight[0], *found))]

    @property
    def groups(self) -> int:
        return self.group.value.data

    def meet_weights(self, channels: Array) -> Array:
        outputs, inputs = self.weight.shape[:2]
        by_group = channels.reshape(self.groups, inputs, *(1,) * len(self.kernel))
        return np.repeat(by_group, outputs // self.groups, axis=0)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        x, weight, shape = inputs[0], self.weight.array, shape_of(self.top)
        pad = self.pad.get_values()
        if x.ndim == 3:  # as a video of images of one row
            x, weight = x[:, :, None, None], weight[:, :, None, None]
            pad = (0, 0, 0, 0, *pad)
            times, sizes = 1, (1, shape[2])
        else:
            times, sizes = shape[2], shape[3:]
        stride, dilation = ((1,) * (3 - len(a)) + a for a in self._steps)
        x = np.pad(x, [(0, 0), (0, 0), _sides(pad)[0], (0, 0), (0, 0)])
        y = np.zeros((x.shape[0], shape[1], times, *sizes), np.float32)
        for t in range(times):
            for tap in range(weight.shape[2]):
                image = x[:, :, t * stride[0] + tap * dilation[0]]
                kernel = np.ascontiguousarray(weight[:, :, tap])
                y[:, :, t] += convolve(
                    image, kernel, stride[1:], pad[2:], dilation[1:], self.groups
                )
        y = y.reshape(shape)
        return [y if self.bias is None else y + per_axis(self.bias.array, 1, y.ndim)]

    @property
    def _steps(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.stride.get_values(), self.dilation.get_values()


@irdl_op_definition
class PoolingNdOp(UnaryLayerOp):
    """Maximum or average over windows of one or three dimensions; padding and rounding as of the
    2-d pooling, axis by axis: an average is one of averages."""

    name = "ufw.pooling_nd"

    kind = prop_def(PoolingKindAttr)
    kernel = prop_def(DenseArrayBase.constr(i64))
    stride = prop_def(DenseArrayBase.constr(i64))
    pad = prop_def(DenseArrayBase.constr(i64))
    ceil_mode = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))

    traits = traits_def(Pure(), FollowsOperand(), CarriesOn())
    assembly_format = (
        "$kind $tops $bottom `kernel` $kernel `stride` $stride `pad` $pad (`ceil` $ceil_mode^)? "
        "attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        bottom: SSAValue,
        top: Top,
        kind: PoolingKind,
        kernel: Sequence[int],
        *,
        stride: Sequence[int],
        pad: Sequence[int],
        ceil_mode: bool = True,
    ) -> None:
        settings = {
            "kind": PoolingKindAttr(kind), "kernel": kernel, "stride": stride, "pad": pad,
            "ceil_mode": BoolAttr.from_bool(ceil_mode),
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    @property
    def planes(self) -> list[tuple[Shape, Shape, Shape, Shape]]:
        """The 2-d poolings that it is made of: the shape of the operand of each, its kernel, its
        stride, its pad. Those over height and width come first."""
        n, c, *sizes = shape_of(self.bottom)
        kernel, stride, pad = (a.get_values() for a in (self.kernel, self.stride, self.pad))
        if len(sizes) == 1:
            return [((n, c, 1, sizes[0]), (1, *kernel), (1, *stride), (0, 0, *pad))]
        plane = prod(shape_of(self.top)[3:])
        return [
            ((n, c * sizes[0], *sizes[1:]), kernel[1:], stride[1:], pad[2:]),
            ((n, c, sizes[0], plane), (kernel[0], 1), (stride[0], 1), (*pad[:2], 0, 0)),
        ]

    def infer_shapes(self) -> list[Shape]:
        bottom, kernel = shape_of(self.bottom), self.kernel.get_values()
        stride, pad = self.stride.get_values(), self.pad.get_values()
        _check(bottom, kernel, kernel=kernel, stride=stride, pad=pad)
        ceil = self.ceil_mode.value.data != 0
        found: list[int] = []
        for axis, size in enumerate(bottom[2:]):
            sides = pad[2 * axis : 2 * axis + 2]
            column = (1, 1, size, 1)
            window = ((kernel[axis], 1), (stride[axis], 1), (*sides, 0, 0))
            found.append(shapes.pooling(column, *window, ceil)[2])
        return [checked((*bottom[:2], *found))]

    @property
    def has_integers(self) -> bool:
        return True

    @property
    def averages_map(self) -> bool:
        average = self.kind.data == PoolingKind.AVERAGE
        return average and prod(shape_of(self.top)[2:]) == 1 < prod(shape_of(self.bottom)[2:])

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return not self.averages_map

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return True

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        y, final = inputs[0], shape_of(self.top)
        for shape, kernel, stride, pad in self.planes:
            x = y.reshape(shape)
            counts = self.counts(shape, kernel, stride, pad)
            if self.kind.data == PoolingKind.MAX:
                y = pool(x, np.maximum, -np.inf, counts, kernel, stride, pad)
                continue
            total = pool(x, np.add, 0.0, counts, kernel, stride, pad)
            axes = zip(shape[2:], counts, kernel, stride, _sides(pad), strict=True)
            rows, columns = (average_divisors(*axis) for axis in axes)
            y = total / np.outer(rows, columns)
        return [y.reshape(final)]

    def counts(self, shape: Shape, kernel: Shape, stride: Shape, pad: Shape) -> Shape:
        """Windows of one of the 2-d poolings, along height and width."""
        ceil = self.ceil_mode.value.data != 0
        found: list[int] = []
        for axis in (0, 1):
            column = (1, 1, shape[2 + axis], 1)
            sides = (*pad[2 * axis : 2 * axis + 2], 0, 0)
            found.append(
                shapes.pooling(column, (kernel[axis], 1), (stride[axis], 1), sides, ceil)[2]
            )
        return tuple(found)


