"""Which command wrote what: the commands' accesses in the order in which they ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import NameLoc

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import COMMAND_BYTES, Engine, unpack
from dialects.bm1684.model.execute import accesses
from dialects.bm1684.model.memory.access import Access, Space
from dialects.bm1684.model.memory.ledger import lane_ranges
from dialects.bm1684.npu import Observation
from passes.image.groups import Site, Sites
from passes.image.program import Program

Array = NDArray[Any]
SPACES = {space: number for number, space in enumerate(Space)}


@dataclass(frozen=True)
class Step:
    """A command that ran: where it stands, its layer, what it does and what it touches."""

    site: Site
    layer: str
    mnemonic: str
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]

    def __str__(self) -> str:
        group, engine, number = self.site
        return f'group {group}, {engine} command {number} ({self.mnemonic}) of layer "{self.layer}"'


def steps_of(program: Program, sites: Sites, order: Sequence[Site]) -> list[Step]:
    """The commands at these sites, in this order. Raises ModelError for one that is illegal."""
    groups, found = program.groups, list[Step]()
    for site in order:
        group, engine, number = site
        data = groups[group][0 if engine is Engine.TIU else 1]
        inst = unpack(engine, data[(number - 1) * COMMAND_BYTES : number * COMMAND_BYTES])
        location, touched = sites.location(*site), accesses(inst)
        layer = location.desc.data if isinstance(location, NameLoc) else ""
        reads = tuple(access for access in touched if not access.write)
        writes = tuple(access for access in touched if access.write)
        found.append(Step(site, layer, inst.kind.mnemonic, reads, writes))
    return found


@dataclass
class Trace:
    """Steps, and a table of what they wrote: step, space, first lane, last lane, start, stop; in
    the order of the steps."""

    steps: Sequence[Step]
    writes: Array = field(init=False)

    def __post_init__(self) -> None:
        self.writes = _table(step.writes for step in self.steps)

    def last_writer(self, of: Access, before: int) -> int | None:
        """The last step before one that wrote any of these bytes."""
        rows = self.writes[: np.searchsorted(self.writes[:, 0], before)]
        hits = np.zeros(len(rows), bool)
        for low, high in lane_ranges(of):
            hits |= (
                (rows[:, 1] == SPACES[of.space])
                & (rows[:, 2] <= high)
                & (rows[:, 3] >= low)
                & (rows[:, 4] < of.stop)
                & (rows[:, 5] > of.start)
            )
        found = np.flatnonzero(hits)
        return int(rows[found[-1], 0]) if found.size else None

    def computed(self, number: int) -> Step | None:
        """The command of the TIU whose result a step of the GDMA stores; None for other steps."""
        if self.steps[number].site[1] is Engine.TIU:
            return None
        for read in self.steps[number].reads:
            found = self.last_writer(read, number)
            if found is not None and self.steps[found].site[1] is Engine.TIU:
                return self.steps[found]
        return None


def _table(steps: Iterator[tuple[Access, ...]]) -> Array:
    rows = [
        (number, SPACES[access.space], *lanes, access.start, access.stop)
        for number, touched in enumerate(steps)
        for access in touched
        for lanes in lane_ranges(access)
    ]
    return np.array(rows, np.int64).reshape(-1, 6)


def place_of(at: Observation, index: Sequence[int]) -> Access | None:
    """Where an element of an observed tensor lies; ``index`` is that in the whole tensor, of which
    the observation may hold another part (None)."""
    place = list(index)
    if at.last:
        n, *rows, channel = index
        row = int(np.ravel_multi_index(rows, at.last[1:-1]))
        place = [n, channel, *map(int, np.unravel_index(row, at.whole[2:]))]
    for part in at.parts:
        place[part.axis] -= part.first
    if at.height is not None:
        rows = at.shape[2]
        place[0], place[2] = place[2] // rows, place[2] % rows
    if not all(0 <= i < n for i, n in zip(place, at.shape, strict=True)):
        return None
    if at.channels:
        place[1] = at.channels.index(place[1])
    size = np.dtype(at.dtype).itemsize
    flat = int(np.ravel_multi_index(place, at.shape)) if at.shape else 0
    if at.packed:
        plane = int(np.prod(at.shape[1:], dtype=np.int64))
        flat = (place[0] // 4 * plane + flat - place[0] * plane) * 4 + place[0] % 4
    if at.far is not None:
        place = np.unravel_index(flat * size // 4, at.far.extents)
        word = at.address + 4 * int(sum(map(mul, map(int, place), at.far.strides)))
        return Access(Space.DDR, 0, 0, word, word + 4, False)
    if at.local is None:
        start = at.address + flat * size
        return Access(Space.DDR, 0, 0, start, start + size, False)
    g, c, h, w = (int(i) for i in np.unravel_index(flat * size // 4, at.local.extents))
    c += at.local.lane
    gs, cs, hs, ws = at.local.strides
    word = at.address + 4 * (g * gs + c // BM1684.lanes * cs + h * hs + w * ws)
    return Access(Space.LMEM, c % BM1684.lanes, 1, word, word + 4, False)
