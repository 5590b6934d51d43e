"""Places for the nodes of a graph: rows from the inputs down, few crossings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

ROW, COLUMN = 64, 186
"""Between the middles of two rows, and at least of two nodes in a row, in pixels."""
NARROW = 28
"""Between the middles of a line that passes a row and what is beside it."""
SWEEPS = 6
LONGEST = 60
"""A line over more rows goes straight to its end."""
MOST_PASSING = 20_000
"""So many places of lines that pass a row; further lines go straight."""


@dataclass
class Spot:
    """A place in a row: of a node, or of a line (``node`` is -1) that passes the row."""

    row: int
    node: int
    x: float = 0.0
    above: list[Spot] = field(default_factory=list["Spot"])
    below: list[Spot] = field(default_factory=list["Spot"])

    @property
    def half(self) -> float:
        """Half of the width that it takes."""
        return (COLUMN if self.node >= 0 else NARROW) / 2


@dataclass(frozen=True)
class Layout:
    """The middle of every node in whole pixels, and for each pair (from, to) the points that its
    line passes in between."""

    width: int
    height: int
    places: tuple[tuple[int, int], ...]
    edges: tuple[tuple[int, int, tuple[int, ...]], ...]

    def record(self) -> dict[str, object]:
        """Plain lists: nodes [x, y], edges [from, to, [x, y, x, y, ...]]."""
        return {
            "width": self.width,
            "height": self.height,
            "nodes": [list(place) for place in self.places],
            "edges": [[a, b, list(points)] for a, b, points in self.edges],
        }


def layout(before: Sequence[Sequence[int]]) -> Layout:
    """Lays out nodes in the order of their numbers; ``before[i]`` are those that i reads, all
    smaller than i."""
    rows = [0] * len(before)
    for node, sources in enumerate(before):
        rows[node] = max((rows[source] + 1 for source in sources), default=0)
    for node, after in enumerate(_readers(before)):  # an input stands above its first reader
        if not before[node] and after:
            rows[node] = max(0, min(rows[reader] for reader in after) - 1)
    spots = [Spot(row, node) for node, row in enumerate(rows)]
    table: list[list[Spot]] = [[] for _ in range(max(rows, default=0) + 1)]
    for spot in spots:
        table[spot.row].append(spot)
    lines = _lines(before, spots, table)
    _order(table)
    _place(table)
    low = min((s.x - s.half for row in table for s in row), default=0.0)
    high = max((s.x + s.half for row in table for s in row), default=0.0)

    def at(spot: Spot) -> tuple[int, int]:
        return round(spot.x - low), spot.row * ROW + ROW // 2

    edges = tuple(
        (a, b, tuple(number for spot in passing for number in at(spot))) for a, b, passing in lines
    )
    return Layout(round(high - low), len(table) * ROW, tuple(map(at, spots)), edges)


def _readers(before: Sequence[Sequence[int]]) -> list[list[int]]:
    readers: list[list[int]] = [[] for _ in before]
    for node, sources in enumerate(before):
        for source in sources:
            readers[source].append(node)
    return readers


def _lines(
    before: Sequence[Sequence[int]], spots: Sequence[Spot], table: list[list[Spot]]
) -> list[tuple[int, int, list[Spot]]]:
    """The lines with the spots that they pass, which are added to the rows."""
    lines: list[tuple[int, int, list[Spot]]] = []
    left = MOST_PASSING
    for node, sources in enumerate(before):
        for source in sources:
            passing: list[Spot] = []
            between = range(spots[source].row + 1, spots[node].row)
            if len(between) <= min(LONGEST, left):
                left -= len(between)
                passing = [Spot(row, -1) for row in between]
                for spot in passing:
                    table[spot.row].append(spot)
                chain = [spots[source], *passing, spots[node]]
                for upper, lower in pairwise(chain):
                    upper.below.append(lower)
                    lower.above.append(upper)
            lines.append((source, node, passing))
    return lines


def _order(table: list[list[Spot]]) -> None:
    """Sorts each row by the mean place of the neighbours, from above and from below in turn."""
    for row in table:
        _pack(row)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in table if down else reversed(table):
            goals = {id(spot): _mean(spot.above if down else spot.below, spot.x) for spot in row}
            row.sort(key=lambda spot: goals[id(spot)])
            _pack(row)


def _pack(row: list[Spot]) -> None:
    """Places side by side, the middle of the row at 0."""
    x = -sum(spot.half for spot in row)
    for spot in row:
        spot.x = x + spot.half
        x += 2 * spot.half


def _place(table: list[list[Spot]]) -> None:
    """Moves each spot towards its neighbours; the order in the row and the distances stay."""
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        for row in table if down else reversed(table):
            goals = [_mean(spot.above if down else spot.below, spot.x) for spot in row]
            _settle(row, goals)


def _settle(row: list[Spot], goals: list[float]) -> None:
    """The places nearest to the goals: neighbours that would overlap become one block, which
    stands at the mean of what its members want."""
    blocks: list[tuple[float, int]] = []  # sum of its members' wishes for its start, members
    offset = 0.0
    offsets: list[float] = []
    for i, spot in enumerate(row):
        offset += spot.half + (row[i - 1].half if i else 0)
        offsets.append(offset)
        wish, count = goals[i] - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > wish / count:
            before = blocks.pop()
            wish, count = wish + before[0], count + before[1]
        blocks.append((wish, count))
    at = 0
    for wish, count in blocks:
        for i in range(at, at + count):
            row[i].x = wish / count + offsets[i]
        at += count


def _mean(neighbours: Sequence[Spot], otherwise: float) -> float:
    if not neighbours:
        return otherwise
    return sum(spot.x for spot in neighbours) / len(neighbours)
