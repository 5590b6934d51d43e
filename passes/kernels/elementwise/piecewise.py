"""A function of one byte as a chain of 8 and 16-bit commands, where they give all its 256 results.

A table costs a command a byte of every word; arithmetic takes the four bytes of a word at once. The
chain is piecewise linear: with whole numbers throughout,

    ``G(x) = addend + slope * x + sum of factor * max(x, knot) + sum of factor * min(x, knot)``,
    ``y = sat((G(x) + 2^(shift - 1)) >> shift)``.

``G`` may lie anywhere between the two numbers that are still rounded to a table's entry. The search
walks through this corridor with as few segments as it can, slopes being whole; what it finds is
tried on all 256 bytes, sums saturated as the commands do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.cycles.tiu import FIXED_ARITH, FLOAT_ARITH, LOOKUP_STEP
from dialects.bm1684.isa import Eu
from dialects.bm1684.layout import Ref

Array = NDArray[Any]
BYTES = 256
MOST_SEGMENTS = 20
"""A chain of more takes longer than a table."""
SHIFTS = (7, 6, 5, 4, 3, 2, 1, 0)
"""Bits behind the point, in the order in which they are tried; a slope has 8 bits in all."""
BEHIND = 12
"""The next segment begins at most so far behind the furthest place where this one may end."""
BEYOND = 5
"""How far G may go beyond what saturates, in powers of two of units."""
WIDE = np.iinfo(np.int16)
NARROW = np.iinfo(np.int8)


@dataclass(frozen=True)
class Term:
    """``factor * max(x, knot)``, or ``min``."""

    kind: str
    knot: int
    factor: int


@dataclass(frozen=True)
class Chain:
    """The numbers of the formula above."""

    addend: int
    slope: int
    terms: tuple[Term, ...]
    shift: int

    def sums(self, x: Array) -> Array:
        """What the 16-bit sum holds before the addend, saturated after each command."""
        total = np.clip(self.slope * x, WIDE.min, WIDE.max)
        for term in self.terms:
            part = (np.maximum if term.kind == "max" else np.minimum)(x, term.knot)
            total = np.clip(total + term.factor * part, WIDE.min, WIDE.max)
        return total

    def cycles(self, unsigned: bool) -> int:
        """Cycles a step of a result that is, or is not, unsigned."""
        each = _cost(Eu.MAX, 8, 8) + _cost(Eu.MAC, 16, 8)
        end = _cost(Eu.ADD, 8, 16)
        if unsigned:
            end += _cost(Eu.ADD, 16, 16) + _cost(Eu.MAX, 16, 16)
        return _cost(Eu.MUL, 16, 8) + each * len(self.terms) + end

    def results(self, x: Array, signed: bool) -> Array:
        """y, signed or not."""
        half = (1 << self.shift) >> 1
        total = self.sums(x) + self.addend
        if not signed:
            total = np.clip(total, 0, WIDE.max)
        least, most = (NARROW.min, NARROW.max) if signed else (0, BYTES - 1)
        return np.clip((total + half) >> self.shift, least, most)


def _cost(kind: int, result: int, operand: int) -> int:
    return FIXED_ARITH[kind][2 * (result == 8) + (operand == 8)]


def table_cycles(images: int) -> int:
    """Cycles a step of looking up so many bytes of a word: each but the first is shifted down and
    its result added, each but the last is cut off."""
    shift, cut, join = FLOAT_ARITH[Eu.SHIFT], FLOAT_ARITH[Eu.AND], FLOAT_ARITH[Eu.OR]
    return LOOKUP_STEP * images + (images - 1) * (shift + join) + min(images, 3) * cut


def chain_for(table: Array, x: Ref, y: Ref, images: int) -> Chain | None:
    """The chain of a table of 256 bytes, where it takes fewer cycles than so many look-ups."""
    chain = find_chain(table.tobytes(), x.is_signed, y.is_signed)
    if chain is None or chain.cycles(not y.is_signed) >= table_cycles(images):
        return None
    return chain


@lru_cache(maxsize=1024)
def find_chain(
    table: bytes, signed: bool, signed_result: bool, tolerance: int = 0
) -> Chain | None:
    """The chain of fewest terms for ``y = table[x & 255]``, or None. ``signed``: whether x is, and
    whether y is. Results may differ from y by ``tolerance``."""
    x = np.arange(NARROW.min, NARROW.max + 1) if signed else np.arange(BYTES)
    y = np.frombuffer(table, np.int8 if signed_result else np.uint8)[x & 255].astype(np.int64)
    best: Chain | None = None
    for shift in SHIFTS:
        path = _shortest_path(*_corridor(y, shift, signed_result, tolerance))
        if best is not None and (path is None or len(path.slopes) > len(best.terms) + 1):
            break
        found = None
        if path is not None:
            found = _chain_of(path, x, y, shift, signed_result, tolerance)
        best = found or best
    return best


@dataclass(frozen=True)
class FastTable:
    """A table near another one: its 256 bytes, the cycles a step of its chain, and those of the
    fastest way to the other one's results."""

    table: Array
    cycles: int
    exact_cycles: int


def fast_table(table: Array, signed: bool, signed_result: bool) -> FastTable | None:
    """The table of a chain that takes fewer cycles than any way to ``table`` itself and differs by
    one unit at most; None where there is none. Of four images."""
    exact = find_chain(table.tobytes(), signed, signed_result)
    fast = find_chain(table.tobytes(), signed, signed_result, 1)
    if fast is None:
        return None
    now = min(table_cycles(4), exact.cycles(not signed_result) if exact else table_cycles(4))
    bytes_in = np.arange(BYTES, dtype=np.uint8).view(np.int8 if signed else np.uint8)
    made = fast.results(bytes_in.astype(np.int64), signed_result).astype(np.uint8)
    found = find_chain(made.tobytes(), signed, signed_result)
    cycles = now if found is None else found.cycles(not signed_result)
    return FastTable(made, cycles, now) if cycles < now else None


def _corridor(
    y: Array, shift: int, signed: bool, tolerance: int
) -> tuple[list[int], list[int]]:
    """The least and the most that G may be for every x."""
    half, beyond = (1 << shift) >> 1, 1 << shift + BEYOND
    least, most = (NARROW.min, NARROW.max) if signed else (0, BYTES - 1)
    under, over = np.maximum(y - tolerance, least), np.minimum(y + tolerance, most)
    low, high = (under << shift) - half, (over << shift) + (1 << shift) - half - 1
    low = np.where(under == least, low - beyond, low)
    high = np.where(over == most, high + beyond, high)
    return low.tolist(), high.tolist()


@dataclass(frozen=True)
class _Path:
    """Segments: where each begins, as an index of x, and its slope. ``start``: G there."""

    start: int
    begins: tuple[int, ...]
    slopes: tuple[int, ...]


@dataclass(frozen=True)
class _Reach:
    """What the n-th segment can reach. ``values``: by place all numbers that G can have there, as
    bits from the corridor's least on; ``along``: those by slope."""

    values: dict[int, int]
    along: dict[int, dict[int, int]]


def _shortest_path(low: Sequence[int], high: Sequence[int]) -> _Path | None:
    """The fewest segments from the first to the last place, each beginning where one ends."""
    last = len(low) - 1
    reached = [_Reach({0: (1 << high[0] - low[0] + 1) - 1}, {})]
    while len(reached) <= MOST_SEGMENTS:
        found = _segment(low, high, reached[-1].values)
        if not found.values:
            return None
        reached.append(found)
        furthest = max(found.values)
        if furthest == last:
            return _traced(low, reached)
        for place in [place for place in found.values if place <= furthest - BEHIND]:
            del found.values[place]
    return None


def _segment(low: Sequence[int], high: Sequence[int], starts: Mapping[int, int]) -> _Reach:
    """What lines from these places and numbers reach while they stay in the corridor."""
    values: dict[int, int] = {}
    along: dict[int, dict[int, int]] = {}
    lines: dict[int, int] = {}
    place, last_start = min(starts), max(starts)
    while place < len(low) - 1 and (lines or place <= last_start):
        fresh, base = starts.get(place, 0), low[place] - low[place + 1]
        slopes: Sequence[int] | dict[int, int] = lines
        if fresh:
            least, most = low[place + 1] - high[place], high[place + 1] - low[place]
            slopes = range(max(NARROW.min, least), min(NARROW.max, most) + 1)
        inside = (1 << high[place + 1] - low[place + 1] + 1) - 1
        following: dict[int, int] = {}
        for slope in slopes:
            bits, by = lines.get(slope, 0) | fresh, slope + base
            bits = (bits << by if by >= 0 else bits >> -by) & inside
            if bits:
                following[slope] = bits
        lines, place = following, place + 1
        if lines:
            along[place] = lines
            values[place] = reduce(int.__or__, lines.values())
    return _Reach(values, along)


def _traced(low: Sequence[int], reached: Sequence[_Reach]) -> _Path:
    """A path back from the last place."""
    place = len(low) - 1
    bits = reached[-1].values[place]
    value = low[place] + bits.bit_length() - 1
    begins: list[int] = []
    slopes: list[int] = []
    for before, found in zip(reached[-2::-1], reached[:0:-1], strict=True):
        slope = next(
            m for m, bits in found.along[place].items() if bits >> value - low[place] & 1
        )
        while True:
            place, value = place - 1, value - slope
            if before.values.get(place, 0) >> value - low[place] & 1:
                break
        begins.append(place)
        slopes.append(slope)
    return _Path(value, tuple(reversed(begins)), tuple(reversed(slopes)))


def _chain_of(
    path: _Path, x: Array, y: Array, shift: int, signed: bool, tolerance: int
) -> Chain | None:
    """The path as a chain that gives y; None where sums would be cut off, or factors have more
    than 8 bits. It begins with any of the segments: those behind it are maxima, those before
    minima."""
    steps = [b - a for a, b in pairwise(path.slopes)]
    knots = [int(x[begin]) for begin in path.begins[1:]]
    if any(not NARROW.min <= step <= NARROW.max or step == -NARROW.min for step in steps):
        return None
    middle = len(knots) / 2
    for first in sorted(range(len(path.slopes)), key=lambda i: abs(i - middle)):
        minima = [Term("min", k, -m) for k, m in zip(knots[:first], steps[:first], strict=True)]
        maxima = [Term("max", k, m) for k, m in zip(knots[first:], steps[first:], strict=True)]
        chain = Chain(0, path.slopes[first], (*reversed(minima), *maxima), shift)
        addend = path.start - int(chain.sums(x[:1])[0])
        chain = replace(chain, addend=addend)
        near = np.abs(chain.results(x, signed) - y) <= tolerance
        if WIDE.min <= addend <= WIDE.max and near.all():
            return chain
    return None
