"""Grows a random network of all layer types, FP32 or INT8, op by op."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import prod
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import (
    FileLineColLoc,
    IntAttr,
    NameLoc,
    StringAttr,
)
from xdsl.ir import Block, SSAValue

from dialects.functions import FUNCTIONS
from dialects.quant import types
from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops as ufw
from dialects.ufw.layer import SI8, UI8, Top
from tests.eltwise_makers import ELTWISE_MAKERS
from tests.functions import POSITIVE
from tests.net_moves import MOVES
from tests.net_sums import SUMS
from tests.net_volumes import VOLUMES

Array = NDArray[Any]
MAX_ELEMENTS = 1 << 16
"""Elements of most tensors; a network input may have more."""

MAX_FAN_IN = 100_000
"""Weights of one output channel: they lie in one lane together."""

MAX_SOFTMAXES = 50
"""Blocks before the axis of a softmax: each takes commands of its own."""

MAX_SOFTMAX = 5000
"""Values along the axis of a softmax: they lie in one lane together."""

SAFE_FUNCTIONS = [name for name in FUNCTIONS if name not in (*POSITIVE, "exp")]
"""Functions that are defined everywhere and do not grow fast."""


@dataclass
class NetMaker:
    """Grows a network layer by layer; every choice comes from ``rng``."""

    rng: Random
    integer: bool
    block: Block = field(default_factory=Block)
    values: list[SSAValue] = field(default_factory=list[SSAValue])
    count: int = 0
    island: bool = False
    """An INT8 net's layer that computes in float is being made."""

    def __post_init__(self) -> None:
        self.data = np.random.default_rng(self.rng.getrandbits(32))

    # -- helpers -----------------------------------------------------------------------------------

    def top(
        self, unsigned: bool = False, like: SSAValue | None = None, floating: bool = False
    ) -> Top:
        """A fresh result; INT8 ones get a scale of their own unless they keep that of ``like``."""
        self.count += 1
        name = f"t{self.count}"
        if like is not None:
            return Top.like(like, name)
        if not self.integer:
            return Top(name)
        scale = ScaleAttr.of(self.rng.choice([0.01, 0.02, 0.05, 0.013]))
        if floating or (self.island and self.rng.random() < 0.5):
            return Top(name, scale=self.rng.choice([None, scale]))
        return Top(name, UI8 if unsigned else SI8, scale)

    def readable(self, value: SSAValue) -> bool:
        """Whether the layer being made can read a value: integers need to know a float's scale."""
        return self.island or not types.is_float(value) or types.scale_of(value) is not None

    def add(self, op: Any) -> None:
        name = f"layer{self.count}"
        op.location = NameLoc(
            StringAttr(name), FileLineColLoc(StringAttr("random"), IntAttr(self.count), IntAttr(0))
        )
        self.block.add_op(op)
        self.values.extend(op.results)

    def pick(self, *, four: bool = False) -> SSAValue | None:
        """A value to read, of rank 4 where asked."""
        fits = [v for v in self.values if not four or len(types.shape_of(v)) == 4]
        fits = [v for v in fits if not self.integer or self.readable(v)]
        return self.rng.choice(fits[-4:]) if fits else None

    def coefficients(self, shape: tuple[int, ...], outputs: int, fan_in: int) -> dict[str, Any]:
        """weight, bias and shift for a layer of that fan-in."""
        bias = self.rng.random() < 0.7
        if not self.integer or self.island:
            weight = self.data.standard_normal(shape) * (1.5 / np.sqrt(fan_in))
            result: dict[str, Any] = {"weight": weight.astype(np.float32)}
            if bias:
                result["bias"] = self.data.standard_normal(outputs).astype(np.float32)
            return result
        result = {
            "weight": self.data.integers(-128, 128, shape).astype(np.int8),
            "right_shift": int(
                np.clip(np.log2(np.sqrt(fan_in) * 80) + self.rng.choice([0, 1]), 0, 31)
            ),
        }
        if bias:
            result["bias"] = self.data.integers(-30000, 30000, outputs).astype(np.int16)
        return result

    # -- layers ------------------------------------------------------------------------------------

    def convolution(self) -> None:
        x = self.pick(four=True)
        if x is None:
            return
        n, c, h, w = types.shape_of(x)
        group = self.rng.choice([1, 1, 1, c, *[g for g in (2, 3, 5) if c % g == 0]])
        out = group if group == c else self.rng.choice([1, 3, 16, 64, 65, 130]) * group
        kernel = [self.rng.choice([1, 1, 2, 3, 5, 7]) for _ in "hw"]
        dilation = [self.rng.choice([1, 1, 1, 1, 2, 3, 18]) for _ in "hw"]
        pad = self.sides([self.rng.choice([0, 0, 1, 1, 2, 2, 3, 3, 17]) for _ in "hw"])
        for axis, size in enumerate((h, w)):
            if (kernel[axis] - 1) * dilation[axis] + 1 > size + sum(pad[2 * axis : 2 * axis + 2]):
                kernel[axis] = 1
        stride = [self.rng.choice([1, 1, 1, 2, 2, 3, 16]) for _ in "hw"]
        if n * out * (h + sum(pad[:2])) * (w + sum(pad[2:])) > MAX_ELEMENTS * 2:
            return
        fan_in = c // group * kernel[0] * kernel[1]
        if fan_in > MAX_FAN_IN:
            return
        settings = self.coefficients((out, c // group, *kernel), out, fan_in)
        weight = settings.pop("weight")
        unsigned = self.rng.random() < 0.5
        self.add(
            ufw.ConvolutionOp(
                x, self.top(unsigned), weight,
                stride=stride, pad=pad, dilation=dilation, group=group, **settings,
            )
        )  # fmt: skip

    def sides(self, pad: list[int]) -> list[int]:
        """Top, bottom, left and right, mostly the same on both sides."""
        return [max(0, p + self.rng.choice([0, 0, 0, 0, -1, -2])) for p in pad for _ in "be"]

    def inner_product(self) -> None:
        x = self.pick()
        if x is None:
            return
        shape = types.shape_of(x)
        axis = self.rng.randrange(1, len(shape)) if len(shape) > 1 else 0
        count, out = prod(shape[axis:]), self.rng.choice([1, 7, 64, 100])
        if count > 20000 or axis == 0:
            return
        settings = self.coefficients((out, count), out, count)
        weight = settings.pop("weight")
        self.add(ufw.InnerProductOp(x, self.top(), weight, axis=axis, **settings))

    def per_channel(self) -> None:
        x = self.pick()
        if x is None or len(types.shape_of(x)) < 2:
            return
        channels = types.shape_of(x)[1]
        settings = self.coefficients((channels,), channels, 1)
        integer = self.integer and not self.island
        settings.setdefault("bias", np.zeros(channels, np.int16 if integer else np.float32))
        kind = self.rng.choice(["scale", "batch_norm", "bias"])
        if kind == "batch_norm" and not integer:
            variance = self.data.random(channels).astype(np.float32) + np.float32(0.1)
            mean = settings["bias"]
            self.add(ufw.BatchNormOp(x, self.top(), mean=mean, variance=variance, eps=1e-5))
        elif kind == "batch_norm":
            self.add(ufw.BatchNormOp(x, self.top(), **settings))
        elif kind == "bias" and not integer:
            self.add(ufw.BiasOp(x, self.top(), bias=settings["bias"]))
        elif kind == "bias":
            self.add(ufw.BiasOp(x, self.top(), **settings))
        else:
            self.add(ufw.ScaleOp(x, self.top(), **settings))

    def two_inputs(self) -> None:
        x = self.pick(four=True)
        if x is None:
            return
        n, c, _, _ = types.shape_of(x)
        small = [v for v in self.values if types.shape_of(v) in ((n, c), (n, c, 1, 1))]
        small = [v for v in small if types.is_float(v) == types.is_float(x)]
        if small:
            kind = self.rng.choice([ufw.ScaleOp, ufw.BiasOp])
            if len(types.shape_of(small[0])) == 2:
                self.add(kind(x, self.top(), small[0], axis=0))

    def eltwise(self) -> None:
        x = self.pick()
        if x is None:
            return
        same = [v for v in self.values if types.shape_of(v) == types.shape_of(x)]
        same = [v for v in same if types.is_float(v) == types.is_float(x)]
        xs = [x, *(self.rng.choice(same) for _ in range(self.rng.choice([1, 1, 2])))]
        kind = self.rng.choice(list(ufw.EltwiseOperation))
        settings: dict[str, Any] = {}
        if kind == "sum" and self.rng.random() < 0.5:
            settings["coefficients"] = [self.rng.choice([1.0, -1.0, 0.5]) for _ in xs]
        self.add(ufw.EltwiseOp(xs, self.top(self.rng.random() < 0.4), kind, **settings))

    def pooling(self) -> None:
        x = self.pick(four=True)
        if x is None:
            return
        _, _, h, w = types.shape_of(x)
        if self.rng.random() < 0.2:
            kernel, stride, pad = [h, w], [1, 1], [0, 0, 0, 0]
        elif self.rng.random() < 0.1:
            kernel, stride, pad = [h + 1, w], [2, 1], [0, 0, 0, 0]
        else:
            kernel = [self.rng.choice([k for k in (1, 2, 3, 5) if k <= s]) for s in (h, w)]
            stride = [min(k, self.rng.choice([1, 2, 2, 3])) for k in kernel]
            pad = self.sides([self.rng.choice([p for p in (0, 0, 1, 2) if p < k]) for k in kernel])
        ceil = self.rng.random() < 0.8 or kernel[0] > h
        kind = self.rng.choice(list(ufw.PoolingKind))
        own = kind is ufw.PoolingKind.AVERAGE and not types.is_float(x) and self.rng.random() < 0.4
        top = self.top(types.is_unsigned(x)) if own else self.top(like=x)
        self.add(
            ufw.PoolingOp(x, top, kind, kernel, stride=stride, pad=pad, ceil_mode=ceil)
        )

    def activation(self) -> None:
        x = self.pick()
        if x is None:
            return
        kinds = ["relu", "relu6", "leaky", "prelu", "sigmoid", "tanh", "power", "dropout"]
        kinds += self.rng.sample(SAFE_FUNCTIONS, 3)
        match self.rng.choice(kinds):
            case "relu6":
                self.add(ufw.ReLUOp(x, self.top(unsigned=True), upper=self.rng.choice([0.5, 6.0])))
            case "relu":
                kept = self.integer and types.is_unsigned(x)
                top = self.top(like=x) if kept else self.top(unsigned=True)
                self.add(ufw.ReLUOp(x, top))
            case "leaky":
                self.add(ufw.ReLUOp(x, self.sloped_top(x), self.rng.choice([0.1, -0.5, 3.0])))
            case "prelu":
                self.prelu(x)
            case "dropout":
                self.add(ufw.DropoutOp(x, self.top(like=x)))
            case name:
                row = FUNCTIONS[name]
                several = len(row.samples) > 1
                parameters = self.rng.choice(row.samples) if several else row.samples[0]
                low, _ = row.range_of({**row.defaults, **parameters})
                self.add(ufw.PointwiseOp(x, self.top(low >= 0), name, **parameters))

    def prelu(self, x: SSAValue) -> None:
        shape = types.shape_of(x)
        count = self.rng.choice([1, shape[1] if len(shape) > 1 else 1])
        if self.integer and not self.island:
            slope: Array = self.data.integers(-60, 100, count).astype(np.int8)
            self.add(ufw.PReLUOp(x, self.sloped_top(x), slope, right_shift=self.rng.choice([5, 7])))
        else:
            slope = self.data.standard_normal(count).astype(np.float32)
            self.add(ufw.PReLUOp(x, self.top(like=x), slope))

    def sloped_top(self, x: SSAValue) -> Top:
        """A result in the scale of x, or in one of its own."""
        own = not types.is_float(x) and not types.is_unsigned(x) and self.rng.random() < 0.5
        return self.top() if own else self.top(like=x)

    def softmax(self) -> None:
        x = self.pick()
        if x is None:
            return
        shape = types.shape_of(x)
        blocks = {axis: prod(shape[:axis]) for axis in range(len(shape))}
        axes = [a for a, n in blocks.items() if n <= MAX_SOFTMAXES and shape[a] <= MAX_SOFTMAX]
        if not axes:
            return
        axis = self.rng.choice(axes)
        self.add(ufw.SoftmaxOp(x, self.top(floating=True), axis=axis))

    def concat(self) -> None:
        x = self.pick()
        if x is None:
            return
        shape = types.shape_of(x)
        axis = self.rng.randrange(len(shape))
        rest = shape[:axis] + shape[axis + 1 :]
        fits = [
            v
            for v in self.values
            if len(s := types.shape_of(v)) == len(shape)
            and s[:axis] + s[axis + 1 :] == rest
            and types.is_float(v) == types.is_float(x)
        ]
        xs = [self.rng.choice(fits) for _ in range(self.rng.choice([2, 2, 3]))]
        if sum(prod(types.shape_of(v)) for v in xs) <= MAX_ELEMENTS:
            self.add(ufw.ConcatOp(xs, self.top(), axis=axis))

    def slice(self) -> None:
        x = self.pick()
        if x is None:
            return
        shape = types.shape_of(x)
        axes = [i for i, s in enumerate(shape) if s > 1]
        if axes:
            axis = self.rng.choice(axes)
            cut = self.rng.randrange(1, shape[axis])
            tops = [self.top(like=x), self.top(like=x)]
            self.add(ufw.SliceOp(x, tops, [cut, shape[axis] - cut], axis=axis))

    def shape_change(self) -> None:
        x = self.pick()
        if x is None:
            return
        shape = types.shape_of(x)
        match self.rng.choice(["permute", "reshape", "flatten", "split"]):
            case "permute":
                order = list(range(len(shape)))
                self.rng.shuffle(order)
                self.add(ufw.PermuteOp(x, self.top(like=x), order))
            case "reshape":
                dims = list(shape)
                self.rng.shuffle(dims)
                if self.rng.random() < 0.5:
                    dims = [shape[0], prod(shape[1:]), 1, 1]
                self.add(ufw.ReshapeOp(x, self.top(like=x), dims))
            case "flatten":
                last = len(shape) - 1
                axis = self.rng.choice([min(1, last), 0])
                self.add(ufw.FlattenOp(x, self.top(like=x), axis=axis, end_axis=last))
            case _:
                self.add(ufw.SplitOp(x, [self.top(like=x), self.top(like=x)]))

    def silence(self) -> None:
        """Reads a value for nothing, where another one is left to be an output."""
        unread = [v for v in self.values if v.first_use is None and v not in self.block.args]
        if len(unread) > 1:
            self.add(ufw.SilenceOp([self.rng.choice(unread)]))

    def layers(self) -> list[Callable[[], None]]:
        return [
            self.convolution, self.convolution, self.convolution, self.inner_product,
            self.per_channel, self.two_inputs, self.eltwise, self.pooling, self.pooling,
            self.activation, self.activation, self.softmax, self.concat, self.slice,
            self.shape_change, self.silence,
            *(partial(make, self) for make in ELTWISE_MAKERS),
            *(partial(make, self) for make in (*MOVES, *VOLUMES, *SUMS)),
        ]  # fmt: skip
