"""A network at several shapes: the largest, and smaller ones as samples of a dynamic network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import FuncOp

from bmnetu.errors import BmnetuError
from bmnetu.frontend.network import Network
from dialects.execute import names_of
from passes.module.functions import FREE, SAMPLE, main_function

Shape = tuple[int, ...]
Shapes = list[Shape]
Load = Callable[[Shapes], Network]
"""Loads the network with a shape for every input."""

AXES = {"batch": 0, "height": 2, "width": 3}
"""The dimensions that can be free; height and width are those of tensors of rank 4."""
JOINT = 4
"""Samples in which all free dimensions are smaller."""
TRIES = 6
LARGEST_STEP = 64
"""Networks halve their maps at most six times."""


@dataclass
class Sampler:
    """Adds samples to a network.

    ``fixed`` says of a dimension why it has one size only; ``largest`` are the shapes of all
    inputs. Each sample is loaded anew, so the layers' own rules give its shapes.
    """

    load: Load
    largest: Shapes
    seed: int = 0
    fixed: dict[str, str] = field(default_factory=dict[str, str])
    steps: dict[str, int] = field(default_factory=dict[str, int])
    """Of each free dimension the step in which it can be smaller."""

    def sampled(self, network: Network) -> None:
        """Puts functions of the network at smaller shapes behind ``@main``."""
        self.steps.clear()
        rng = np.random.default_rng(self.seed)
        found: dict[tuple[Shape, ...], tuple[str, ...]] = {}
        functions: list[FuncOp] = []

        def add(sizes: Mapping[str, int]) -> str:
            """Why there is no such sample; "" where there is."""
            shapes = self._with(sizes)
            if tuple(shapes) in found or shapes == self.largest:
                return ""
            try:
                function = main_function(self.load(shapes).module)
            except BmnetuError as error:
                return str(error).splitlines()[0]
            found[tuple(shapes)] = tuple(sizes)
            function.detach()
            functions.append(function)
            function.sym_name = StringAttr(f"sample_{len(functions)}")
            function.attributes[SAMPLE] = ArrayAttr([StringAttr(name) for name in sizes])
            return ""

        for name in AXES:
            extent = self._extent(name)
            if name in self.fixed or extent is None:
                continue
            reason = "the largest is 1" if extent == 1 else self._find_step(name, extent, add)
            if reason:
                self.fixed[name] = reason
        joint, reason = 0, ""
        for _ in range(TRIES * JOINT):
            if len(self.steps) < 2 or joint >= JOINT:
                break
            reason = add({name: self._drawn(name, rng) for name in self.steps}) or reason
            joint = sum(len(names) == len(self.steps) for names in found.values())
        if len(self.steps) > 1 and not joint:  # each is free, but not together
            last = [*self.steps][-1]
            self.fixed[last] = reason
            del self.steps[last]
            functions = [each for each in functions if last not in names_of(each, SAMPLE)]
        main = main_function(network.module)
        main.attributes[FREE] = ArrayAttr([StringAttr(name) for name in self.free])
        network.module.body.block.insert_ops_after(functions, main)

    def _find_step(self, name: str, extent: int, add: Callable[[Mapping[str, int]], str]) -> str:
        """Finds the step in which a dimension can be smaller: 1, or a power of two; why it cannot
        be smaller at all, else "". The coarsest step is the one that most networks take."""
        coarse = 1 << min(extent // 2, LARGEST_STEP).bit_length() - 1
        reason = add({name: _about(extent, 2, coarse)})
        if reason:
            return reason
        step = 1
        while step < coarse and any(add({name: _about(extent, k, step)}) for k in (2, 4)):
            step *= 2
        self.steps[name] = step
        return ""

    def _drawn(self, name: str, rng: np.random.Generator) -> int:
        """A random smaller size, of at least about a half."""
        extent, step = self._extent(name) or 1, self.steps[name]
        return extent - step * int(rng.integers(1, extent // 2 // step + 1))

    @property
    def free(self) -> dict[str, int]:
        """The free dimensions and the largest size of each."""
        extents = {name: self._extent(name) for name in AXES}
        return {n: e for n, e in extents.items() if e is not None and n in self.steps}

    def _extent(self, name: str) -> int | None:
        """The largest size of a dimension: that of the first input that has it."""
        return next((shape[AXES[name]] for shape in self._with_axis(name)), None)

    def _with_axis(self, name: str) -> Iterator[Shape]:
        for shape in self.largest:
            if (len(shape) == 4 or name == "batch") and shape:
                yield shape

    def _with(self, sizes: Mapping[str, int]) -> Shapes:
        """The largest shapes with smaller dimensions; an input whose own is another one stays."""
        shapes = [list(shape) for shape in self.largest]
        for name, size in sizes.items():
            axis, extent = AXES[name], self._extent(name)
            for shape in shapes:
                if (len(shape) == 4 or name == "batch") and shape[axis] == extent:
                    shape[axis] = size
        return [tuple(shape) for shape in shapes]


def _about(extent: int, part: int, step: int) -> int:
    """The extent without about one ``part`` of it: an odd number of steps, as a network that needs
    larger ones takes an even number, too."""
    count = max(1, extent // part // step)
    return extent - step * (count - 1 | 1)
