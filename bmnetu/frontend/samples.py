"""A network at several shapes: the largest, and smaller ones as samples of a dynamic network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import FuncOp

from bmnetu.errors import BmnetuError
from bmnetu.frontend.network import Network
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

    def sampled(self, network: Network) -> None:
        """Puts functions of the network at smaller shapes behind ``@main``."""
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

        least: dict[str, int] = {}
        for name in AXES:
            extent = self._extent(name)
            if name in self.fixed or extent is None:
                continue
            if extent == 1:
                self.fixed[name] = "the largest is 1"
                continue
            reason = ""
            for size in _sizes(extent):
                reason = add({name: size})
                if not reason:
                    least[name] = size
                    break
            if reason:
                self.fixed[name] = reason
                continue
            add({name: int(rng.integers(least[name], extent))})
        for _ in range(TRIES * JOINT):
            joint = sum(len(names) == len(least) for names in found.values())
            if len(least) < 2 or joint >= JOINT:
                break
            add({n: int(rng.integers(low, self._extent(n) or 1)) for n, low in least.items()})
        main = main_function(network.module)
        main.attributes[FREE] = ArrayAttr([StringAttr(name) for name in self.free])
        network.module.body.block.insert_ops_after(functions, main)

    @property
    def free(self) -> dict[str, int]:
        """The free dimensions and the largest size of each."""
        extents = {name: self._extent(name) for name in AXES}
        return {n: e for n, e in extents.items() if e is not None and n not in self.fixed}

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


def _sizes(extent: int) -> Sequence[int]:
    """Sizes to try, the smallest first: about a half, odd where there is such a one, and three
    quarters. A network that takes neither, but one less, only rounds that away: it is not free."""
    half = extent // 2 | 1
    return sorted({min(half, extent - 1), max(1, extent * 3 // 4)})
