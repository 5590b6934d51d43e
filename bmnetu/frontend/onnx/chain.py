"""Layers one after the other, of which the last has the node's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from bmnetu.frontend.onnx.graph import Blob
from bmnetu.frontend.onnx.site import Site
from dialects.constant import Array
from dialects.ufw.shapes import Shape

Step = Callable[[Blob, str], Blob]
"""Layers behind a blob. The last one is named by the part that is given, as :meth:`Site.layer`."""


@dataclass
class Chain:
    """What a node becomes, while it grows. ``shape`` is that of the result so far."""

    site: Site
    shape: Shape
    steps: list[tuple[str, Step]] = field(default_factory=list[tuple[str, Step]])
    shapes: list[Shape] = field(default_factory=list[Shape])

    def then(self, part: str, step: Step, shape: Sequence[int]) -> None:
        """One more step and the shape of its result; ``part`` names it unless it is the last."""
        self.shapes.append(self.shape)
        self.steps.append((part, step))
        self.shape = tuple(shape)

    def layer(
        self, part: str, shape: Sequence[int], kind: str, *arrays: Array | None, **settings: Any
    ) -> None:
        """One more layer of one bottom."""

        def step(x: Blob, part: str) -> Blob:
            return self.site.layer(kind, x, *arrays, part=part, **settings)

        self.then(part, step, shape)

    def reshape(self, shape: Sequence[int]) -> None:
        """Another shape; in place of the one before where that was a Reshape, too."""
        if self.steps and self.steps[-1][0] == "reshape":
            self.steps.pop()
            self.shape = self.shapes.pop()
        if tuple(shape) != self.shape:
            self.then("reshape", lambda x, part: self.site.reshaped(x, shape, part), shape)

    def cut(self, part: str, axis: int, begin: int, count: int, step: int = 1) -> None:
        """``count`` elements along an axis, from ``begin`` on."""
        size = self.shape[axis]
        if (begin, count, step) == (0, size, 1):
            return
        shape = [*self.shape[:axis], count, *self.shape[axis + 1 :]]
        cut = {"axis": [axis], "begin": [begin], "end": [begin + (count - 1) * step + 1]}
        self.layer(part, shape, "StrideSlice", stride_slice_param={**cut, "stride": [step]})

    def permute(self, part: str, order: Sequence[int]) -> None:
        """The axes in another order."""
        if list(order) != sorted(order):
            shape = [self.shape[axis] for axis in order]
            self.layer(part, shape, "Permute", permute_param={"order": order})

    def mixed(self, part: str, axis: int, weight: Array, bias: Array | None = None) -> None:
        """Along an axis the sums of its elements with weights [results, elements]: a Convolution of
        one pixel, for which this axis is that of the channels."""
        if axis == 0:
            whole = self.shape
            self.reshape((1, *whole))
            self.mixed(part, 1, weight, bias)
            self.reshape((len(weight), *whole[1:]))
            return
        order = [0, axis, *(i for i in range(1, len(self.shape)) if i != axis)]
        self.permute(f"{part}_turned", order)
        n, _, *rest = self.shape
        self.reshape((n, weight.shape[1], prod(rest[:-1]), prod(rest[-1:])))
        param = {"num_output": len(weight), "kernel_size": [1], "bias_term": bias is not None}
        shape = (n, len(weight), *self.shape[2:])
        kernel = np.ascontiguousarray(weight)[:, :, None, None]
        self.layer(part, shape, "Convolution", kernel, bias, convolution_param=param)
        self.reshape((n, len(weight), *rest))
        self.permute(f"{part}_back", np.argsort(order).tolist())

    def run(self, x: Blob, last: str = "") -> Blob:
        """Makes the layers behind a blob; the blob itself where there are none. ``last`` names
        the last one where others of the node follow."""
        for i, (part, step) in enumerate(self.steps):
            x = step(x, last if i == len(self.steps) - 1 else part)
        return x
