"""Convolution and pooling over time, height and width, N x C x T x H x W, or over one axis alone,
N x C x L, which is a volume of one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import BoolAttr, DenseArrayBase, i64
from xdsl.ir import SSAValue
from xdsl.irdl import irdl_op_definition, prop_def, traits_def
from xdsl.traits import Pure

from dialects.ufw import shapes
from dialects.ufw.convolution import GroupedOp
from dialects.ufw.facts import Array, CarriesOn, FloatArray, FollowsOperand, TakesReLU
from dialects.ufw.layer import Coefficients, Top, UnaryLayerOp, per_axis, shape_of
from dialects.ufw.pooling import PoolingKind, PoolingKindAttr
from dialects.ufw.shapes import Shape, require, show
from dialects.ufw.windows import average_divisors, convolve, pool

I64S = DenseArrayBase.constr(i64)
Triple = tuple[int, int, int]


def _check_rank(bottom: Shape, what: str) -> None:
    require(
        len(bottom) in (3, 5),
        f"{what} requires an N x C x L or an N x C x T x H x W tensor, has {show(bottom)}",
    )


def triple(values: Sequence[int], filler: int) -> Triple:
    """Three numbers for time, height and width; ``filler`` where there is one axis alone."""
    t, h, w = (filler, filler, *values)[-3:]
    return (t, h, w)


def volume(shape: Shape) -> Shape:
    """N x C x L as N x C x 1 x 1 x L; N x C x T x H x W as it is."""
    return (*shape[:2], *triple(shape[2:], 1))


@irdl_op_definition
class ConvolutionNdOp(GroupedOp):
    """1-d or 3-d convolution with groups.

    ``weight`` is [O, I / group, kt, kh, kw] or [O, I / group, k], ``bias`` [O]; stride, pad (equal
    at both ends) and dilation are (t, h, w), or one number. Result:
    [N, O, (T + 2 pad - dilation (kt - 1) - 1) / stride + 1 rounded down, ...].
    """

    name = "ufw.convolution_nd"

    stride = prop_def(I64S)
    pad = prop_def(I64S)
    dilation = prop_def(I64S)

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

    def infer_shapes(self) -> list[Shape]:
        settings = (self.stride, self.pad, self.dilation)
        stride, pad, dilation = (each.get_values() for each in settings)
        return [convolved(
            shape_of(self.bottom), self.weight.shape, stride, pad, dilation, self.groups
        )]  # fmt: skip

    @property
    def kernels(self) -> FloatArray:
        """The weights as [O, I / group, kt, kh, kw]."""
        return self.weight.array.reshape(volume(self.weight.shape))

    @property
    def window(self) -> tuple[Triple, Triple, Triple]:
        """Stride, pad and dilation, each (t, h, w)."""
        stride, pad, dilation = (x.get_values() for x in (self.stride, self.pad, self.dilation))
        return triple(stride, 1), triple(pad, 0), triple(dilation, 1)

    def meaning(self, inputs: Sequence[FloatArray]) -> list[FloatArray]:
        """A sum of 2-d convolutions of frames, one a step of the kernel along the time."""
        x, weight = inputs[0].reshape(volume(inputs[0].shape)), self.kernels
        batch, outputs, frames, *sizes = volume(shape_of(self.top))
        (st, *stride), (pt, ph, pw), (dt, *dilation) = self.window
        padded = np.pad(x, ((0, 0), (0, 0), (pt, pt), (0, 0), (0, 0)))
        total = np.float32(0)
        for tap in range(weight.shape[2]):
            begin = tap * dt
            taken = padded[:, :, begin : begin + (frames - 1) * st + 1 : st].swapaxes(1, 2)
            images = np.ascontiguousarray(taken).reshape(-1, *x.shape[1:2], *x.shape[3:])
            sides = (ph, ph, pw, pw)
            total = total + convolve(
                images, weight[:, :, tap], stride, sides, dilation, self.groups
            )
        y = np.asarray(total).reshape(batch, frames, outputs, *sizes)
        y = np.ascontiguousarray(y.swapaxes(1, 2)).reshape(shape_of(self.top))
        return [y if self.bias is None else y + per_axis(self.bias.array, 1, y.ndim)]


def convolved(
    bottom: Shape,
    weight: Shape,
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
    group: int,
) -> Shape:
    """The result of a convolution; raises :class:`VerifyException` where there is none."""
    _check_rank(bottom, "a convolution")
    axes = len(bottom) - 2
    require(
        len(weight) == len(bottom),
        f"a tensor of {show(bottom)} requires weights with {axes + 2} axes, has {show(weight)}",
    )
    require(
        all(len(each) == axes for each in (stride, pad, dilation)),
        f"stride, pad and dilation are {axes} number(s) each",
    )
    least = min(*stride, *dilation, *weight, 1)
    require(least == 1 and min(pad) >= 0, "kernel, stride and dilation are at least 1, pad 0")
    require(
        group > 0 and bottom[1] == weight[1] * group and weight[0] % group == 0,
        f"the weights {show(weight)} in {group} group(s) do not fit {bottom[1]} channels",
    )
    extents = [d * (k - 1) + 1 for k, d in zip(weight[2:], dilation, strict=True)]
    sizes = [n + 2 * p for n, p in zip(bottom[2:], pad, strict=True)]
    for size, extent in zip(sizes, extents, strict=True):
        require(extent <= size, f"a kernel of extent {extent} is larger than the padded {size}")
    maps = [(n - e) // s + 1 for n, e, s in zip(sizes, extents, stride, strict=True)]
    return shapes.checked((bottom[0], weight[0], *maps))


@irdl_op_definition
class PoolingNdOp(UnaryLayerOp):
    """Maximum or average over windows of one axis, or of time, height and width; kernel, stride and
    pad (equal at both ends) are (t, h, w), or one number. Sizes and divisors as in ``ufw.pooling``,
    each axis by itself.
    """

    name = "ufw.pooling_nd"

    kind = prop_def(PoolingKindAttr)
    kernel = prop_def(I64S)
    stride = prop_def(I64S)
    pad = prop_def(I64S)
    ceil_mode = prop_def(BoolAttr, default_value=BoolAttr.from_bool(True))

    traits = traits_def(Pure(), FollowsOperand(), CarriesOn())
    assembly_format = (
        "$kind $tops $bottom `kernel` $kernel `stride` $stride `pad` $pad "
        "(`ceil` $ceil_mode^)? attr-dict `:` functional-type(operands, results)"
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
            "ceil_mode": ceil_mode,
        }  # fmt: skip
        self.setup([bottom], [top], settings)

    def infer_shapes(self) -> list[Shape]:
        bottom = shape_of(self.bottom)
        _check_rank(bottom, "a pooling")
        axes = len(bottom) - 2
        for each in (self.kernel, self.stride, self.pad):
            require(len(each) == axes, f"kernel, stride and pad are {axes} number(s) each")
        whole = volume(bottom)
        sizes = (self.in_time(whole)[2], *self.in_space(whole)[2:])
        return [shapes.checked((*bottom[:2], *sizes[-axes:]))]

    def in_time(self, bottom: Shape) -> Shape:
        """Of a volume, the shape after the pooling along the time alone, of N x C x T x (H W)."""
        kernel, stride, pad = self.of_axis(0)
        four = (*bottom[:2], bottom[2], prod(bottom[3:]))
        return shapes.pooling(four, (kernel, 1), (stride, 1), (pad, pad, 0, 0), self._ceil)

    def in_space(self, bottom: Shape) -> Shape:
        """Of a volume, the shape after the pooling of one frame, N x C x H x W."""
        (kh, sh, ph), (kw, sw, pw) = self.of_axis(1), self.of_axis(2)
        four = (*bottom[:2], *bottom[3:])
        return shapes.pooling(four, (kh, kw), (sh, sw), (ph, ph, pw, pw), self._ceil)

    @property
    def _ceil(self) -> bool:
        return self.ceil_mode.value.data != 0

    def of_axis(self, axis: int) -> Triple:
        """Kernel, stride and pad along time (0), height or width."""
        kernel, stride, pad = (x.get_values() for x in (self.kernel, self.stride, self.pad))
        return triple(kernel, 1)[axis], triple(stride, 1)[axis], triple(pad, 0)[axis]

    @property
    def has_integers(self) -> bool:
        return True

    @property
    def averages_map(self) -> bool:
        average = self.kind.data == PoolingKind.AVERAGE
        return average and set(shape_of(self.top)[2:]) == {1}

    @property
    def operand_factors(self) -> list[float] | None:
        """Of a mean, whose numbers may be far smaller than those that it is taken of."""
        return [1.0] if self.averages_map else None

    def keeps_scale(self, nonnegative: Sequence[bool]) -> bool:
        return not self.averages_map

    def cannot_be_negative(self, nonnegative: Sequence[bool]) -> bool:
        return nonnegative[0]

    def keeps_channel_factors(self, batch: int, channels: int) -> bool:
        return True

    def meaning(self, inputs: Sequence[FloatArray]) -> list[Array]:
        x = inputs[0].reshape(volume(inputs[0].shape))
        frames, rows, columns = volume(shape_of(self.top))[2:]
        (kt, st, pt), (kh, sh, ph), (kw, sw, pw) = (self.of_axis(axis) for axis in range(3))
        largest = self.kind.data == PoolingKind.MAX
        ufunc, empty = (np.maximum, -np.inf) if largest else (np.add, 0.0)
        flat = x.reshape(*x.shape[:3], -1)
        y = pool(flat, ufunc, empty, (frames, flat.shape[3]), (kt, 1), (st, 1), (pt, pt, 0, 0))
        y = y.reshape(x.shape[0], -1, *x.shape[3:])
        y = pool(y, ufunc, empty, (rows, columns), (kh, kw), (sh, sw), (ph, ph, pw, pw))
        y = y.reshape(*x.shape[:2], frames, rows, columns)
        if largest:
            return [y.reshape(shape_of(self.top))]
        settings = zip(x.shape[2:], (frames, rows, columns), strict=True)
        counts = [
            average_divisors(size, count, kernel, stride, (pad, pad))
            for (size, count), (kernel, stride, pad) in zip(
                settings, map(self.of_axis, range(3)), strict=True
            )
        ]
        divisors = counts[0][:, None, None] * counts[1][:, None] * counts[2]
        return [(y / divisors).reshape(shape_of(self.top))]
