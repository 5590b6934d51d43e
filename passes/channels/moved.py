"""Tensors as what they are a transposition of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]


class NoViewError(Exception):
    """A reshape takes dimensions together that the transposition before it keeps apart, or a slice
    is none of the tensor before that."""


@dataclass(frozen=True)
class Moved:
    """A tensor that is another one, read as the dimensions ``sizes``, after a transposition. Each
    of its own dimensions is a group of those, in their order; one of size 1 has none."""

    sizes: Shape
    groups: Sequence[Sequence[int]]

    @staticmethod
    def of(shape: Shape) -> Moved:
        """As it is."""
        places = iter(range(len(shape)))
        groups = [[next(places)] if size > 1 else [] for size in shape]
        return Moved(tuple(size for size in shape if size > 1), groups)

    @property
    def order(self) -> list[int]:
        return [i for group in self.groups for i in group]

    def transposed(self, order: Sequence[int]) -> Moved:
        return Moved(self.sizes, [self.groups[i] for i in order])

    def reshaped(self, shape: Shape) -> Moved:
        """As other dimensions, for which ``sizes`` are split where need be."""
        pieces, counts = _common([self.sizes[i] for i in self.order], shape)
        split = dict(zip(self.order, pieces, strict=True))
        begins = [sum(len(split[j]) for j in range(i)) for i in range(len(self.sizes))]
        order = iter([begins[i] + k for i in self.order for k in range(len(split[i]))])
        sizes = tuple(size for i in range(len(self.sizes)) for size in split[i])
        return Moved(sizes, [[next(order) for _ in range(count)] for count in counts])

    def sliced(self, axis: int, extent: int) -> Moved:
        """Some of one dimension. It has to be the first one of ``sizes``: a slice of another one is
        a copy."""
        if list(self.groups[axis]) != [0]:
            raise NoViewError
        if extent > 1:
            return Moved((extent, *self.sizes[1:]), self.groups)
        return Moved(self.sizes[1:], [[i - 1 for i in group if i] for group in self.groups])

    def resized(self, axis: int, extent: int) -> Moved:
        """Some of one dimension, copied or not. Raises NoViewError where that is several of
        ``sizes``."""
        if len(self.groups[axis]) != 1:
            if self.groups[axis]:
                raise NoViewError
            return self
        sizes = list(self.sizes)
        sizes[self.groups[axis][0]] = extent
        return Moved(tuple(sizes), self.groups)

    def merged(self, alone: Collection[int]) -> tuple[Shape, Shape]:
        """(sizes, order) with dimensions that stay beside each other as one, but for those that are
        to stay ``alone``."""
        runs: list[list[int]] = []
        for i in self.order:
            if runs and i == runs[-1][-1] + 1 and not {i, i - 1} & set(alone):
                runs[-1].append(i)
            else:
                runs.append([i])
        given = sorted(runs)
        sizes = tuple(prod(self.sizes[i] for i in run) for run in given)
        return sizes, tuple(given.index(run) for run in runs)


def _common(old: Sequence[int], new: Sequence[int]) -> tuple[list[list[int]], list[int]]:
    """Each dimension of ``old``, none of size 1, as those that it is split into, and of how many of
    them each one of ``new`` is made. Raises NoViewError where there is no such split."""
    pieces: list[list[int]] = [[] for _ in old]
    counts: list[int] = []
    i, left = -1, 1
    for size in new:
        counts.append(0)
        while size > 1:
            if left == 1:
                i, left = i + 1, old[i + 1]
            step = min(left, size)
            if left % step or size % step:
                raise NoViewError
            pieces[i].append(step)
            counts[-1] += 1
            left, size = left // step, size // step
    return pieces, counts
