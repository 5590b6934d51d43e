"""Networks of branches that are concatenated, shuffled and pooled, FP32 or INT8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import FileLineColLoc, IntAttr, ModuleOp, NameLoc, StringAttr
from xdsl.ir import Block, SSAValue

from dialects.quant import types
from dialects.quant.scale import ScaleAttr
from dialects.ufw import ops as ufw
from dialects.ufw.layer import SI8, Top
from tests.random_nets import finished_block

SCALE = 0.05


class BranchNet:
    """Grows a network from one input; tensors of an INT8 net have one scale unless told."""

    def __init__(self, shape: Sequence[int], integer: bool) -> None:
        self.integer = integer
        kind = types.int_tensor(shape, SCALE, False) if integer else types.float_tensor(shape)
        self.block = Block(arg_types=[kind])
        self.data = np.random.default_rng(sum(shape))
        self.count = 0

    @property
    def input(self) -> SSAValue:
        """The network's input."""
        return self.block.args[0]

    def top(self, scale: float = SCALE) -> Top:
        """A fresh result."""
        self.count += 1
        name = f"t{self.count}"
        return Top(name, SI8, ScaleAttr.of(scale)) if self.integer else Top(name)

    def add(self, op: Any) -> SSAValue:
        """Adds a layer; its first result."""
        return self.add_all(op)[0]

    def add_all(self, op: Any) -> Sequence[SSAValue]:
        """Adds a layer; its results."""
        place = FileLineColLoc(StringAttr("net"), IntAttr(self.count), IntAttr(0))
        op.location = NameLoc(StringAttr(f"layer{self.count}"), place)
        self.block.add_op(op)
        return op.results

    def conv(
        self, x: SSAValue, outputs: int, kernel: int = 1, group: int = 1, bias: bool = True,
        **given: Any,
    ) -> SSAValue:
        """A convolution that keeps height and width, unless stride or pad are given."""
        inner = types.shape_of(x)[1] // group
        weight = self.data.standard_normal((outputs, inner, kernel, kernel))
        weight /= np.sqrt(inner * kernel**2)
        addend = self.data.standard_normal(outputs)
        settings: dict[str, Any] = {"pad": [kernel // 2] * 4, "group": group, **given}
        kernels, addends = weight.astype(np.float32), addend.astype(np.float32)
        if self.integer:
            scaled = 60 * weight / np.abs(weight).max()
            kernels = np.rint(scaled).astype(np.int8)
            addends = np.rint(500 * addend).astype(np.int16)
            settings["right_shift"] = 8
        added = addends if bias else None
        return self.add(ufw.ConvolutionOp(x, self.top(), kernels, added, **settings))

    def pool(
        self, x: SSAValue, kind: str, kernel: int | Sequence[int], stride: int | Sequence[int],
        pad: int = 0,
    ) -> SSAValue:
        """A pooling by Caffe's rule: windows at the end may be clipped."""
        of = ufw.PoolingKind(kind)
        kernels, strides = (
            (each, each) if isinstance(each, int) else (each[0], each[1])
            for each in (kernel, stride)
        )
        return self.add(
            ufw.PoolingOp(x, self.top(), of, kernels, stride=strides, pad=(pad, pad))
        )

    def function(self, x: SSAValue, name: str) -> SSAValue:
        """A pointwise function."""
        return self.add(ufw.PointwiseOp(x, self.top(), name))

    def prelu(self, x: SSAValue, least: float = -0.5) -> SSAValue:
        """A PReLU with a slope a channel."""
        slopes = self.data.uniform(least, 0.9, types.shape_of(x)[1]).astype(np.float32)
        if not self.integer:
            return self.add(ufw.PReLUOp(x, self.top(), slopes))
        steps = np.rint(slopes * 64).astype(np.int8)
        return self.add(ufw.PReLUOp(x, self.top(), steps, right_shift=6))

    def concat(self, *parts: SSAValue, scale: float = SCALE) -> SSAValue:
        """All channels."""
        return self.add(ufw.ConcatOp(list(parts), self.top(scale), axis=1))

    def sum(self, *parts: SSAValue, scale: float = SCALE) -> SSAValue:
        """All numbers added."""
        return self.add(ufw.EltwiseOp(list(parts), self.top(scale), ufw.EltwiseOperation.SUM))

    def shuffle(self, x: SSAValue, groups: int) -> SSAValue:
        """ShuffleChannel, spelled as two Reshapes and a Permute."""
        n, c, h, w = types.shape_of(x)
        split = (n, groups, c // groups, h * w)
        x = self.add(ufw.ReshapeOp(x, self.top(), split))
        x = self.add(ufw.PermuteOp(x, self.top(), (0, 2, 1, 3)))
        return self.add(ufw.ReshapeOp(x, self.top(), (n, c, h, w)))

    def module(self) -> ModuleOp:
        """What no layer reads is an output."""
        return finished_block(self.block)
