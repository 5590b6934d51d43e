"""What lies in local memory over time, and what in DDR."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from bmnetu.report.html.timeline import Timed
from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model.memory.access import Access, Space
from passes.image.groups import Sites
from passes.image.program import Program, module_tensors
from passes.memory.footprint import GRANULE, Footprint
from passes.module.functions import npu_functions
from passes.module.locations import layer_name

Integers = NDArray[np.int64]
MOST_BLOCKS, MOST_STEPS, MOST_HOLDERS = 3000, 1500, 8
NEVER = -1
"""A time that was not."""


class Occupancy:
    """Which granules of local memory hold something that is still to be read.

    A granule is in use from the first write to the last read before the next write. A command's
    operands are known as bounds, and lanes are not told apart: a granule that is in use in one lane
    is in use.
    """

    def __init__(self) -> None:
        size = BM1684.lane_bytes // GRANULE
        self.born, self.read, self.written, self.layer = (
            np.full(size, NEVER, np.int64) for _ in range(4)
        )
        self.found: list[Integers] = []

    def run(self, each: Timed) -> None:
        """One more command; they come in the order of their starts."""
        touched = [a for a in Footprint.of(each.command).touched if a.space is Space.LMEM]
        for access in touched:
            if not access.write:
                at = _granules(access)
                alive = self.born[at] != NEVER
                self.read[at][alive] = np.maximum(self.read[at][alive], each.span.end)
        for access in touched:
            if access.write:
                self._write(_granules(access), each)

    def _write(self, at: slice, each: Timed) -> None:
        self._close(at.start + np.flatnonzero(self.read[at] != NEVER))
        fresh = self.born[at] == NEVER
        self.born[at][fresh] = each.span.start
        self.layer[at][fresh] = each.layer
        self.written[at] = each.span.end

    def _close(self, which: Integers) -> None:
        """The granules' contents are not needed any more."""
        if not which.size:
            return
        end = np.where(self.read[which] == NEVER, self.written[which], self.read[which])
        self.found.append(np.stack([self.born[which], end, self.layer[which], which], axis=1))
        self.born[which], self.read[which] = NEVER, NEVER

    def intervals(self) -> Integers:
        """Rows of first cycle, last cycle, layer, granule."""
        self._close(np.flatnonzero(self.born != NEVER))
        return np.concatenate(self.found) if self.found else np.zeros((0, 4), np.int64)


def _granules(access: Access) -> slice:
    return slice(access.start // GRANULE, (access.stop - 1) // GRANULE + 1)


def local_memory(commands: Sequence[Timed]) -> dict[str, Any]:
    """Bytes in use of each lane over time, the layer that sets the peak, and what lies where.

    ``curve``: [cycle, bytes] from that cycle on. ``blocks``: [first cycle, cycles, first byte,
    bytes, layer]; the largest where there are many. ``holders``: [layer, bytes] at the peak.
    """
    occupancy = Occupancy()
    for each in sorted(commands, key=lambda each: each.span.start):
        occupancy.run(each)
    rows = occupancy.intervals()
    times, used = _usage(rows)
    at = int(used.argmax()) if used.size else 0
    peak, when = (int(used[at]), int(times[at])) if used.size else (0, 0)
    alive = rows[(rows[:, 0] <= when) & (rows[:, 1] > when)]
    holders = sorted(
        ((int(layer), int((alive[:, 2] == layer).sum()) * GRANULE)
         for layer in np.unique(alive[:, 2])),
        key=lambda pair: -pair[1],
    )  # fmt: skip
    newest = alive[alive[:, 0].argmax(), 2] if len(alive) else NEVER
    blocks, dropped = _blocks(rows)
    return {
        "lane_bytes": BM1684.lane_bytes,
        "lanes": BM1684.lanes,
        "peak": peak,
        "peak_at": when,
        "peak_layer": int(newest),
        "holders": [list(pair) for pair in holders[:MOST_HOLDERS]],
        "curve": _thinned(times, used),
        "blocks": blocks,
        "left_out": dropped,
    }


def _usage(rows: Integers) -> tuple[Integers, Integers]:
    """The times when the bytes in use change, and how many there are from then on."""
    times, place = np.unique(np.concatenate([rows[:, 0], rows[:, 1]]), return_inverse=True)
    change = np.zeros(len(times), np.int64)
    np.add.at(change, place[: len(rows)], GRANULE)
    np.add.at(change, place[len(rows) :], -GRANULE)
    return times, np.cumsum(change)


def _thinned(times: Integers, used: Integers) -> list[list[int]]:
    """At most MOST_STEPS steps, each the largest of those that it stands for."""
    group = -(-len(times) // MOST_STEPS) if len(times) else 1
    return [
        [int(times[i]), int(used[i : i + group].max())] for i in range(0, len(times), group)
    ]


def _blocks(rows: Integers) -> tuple[list[list[int]], int]:
    """Granules beside each other with one life as one block; and how many are left out."""
    rows = rows[rows[:, 1] > rows[:, 0]]
    if not len(rows):
        return [], 0
    rows = rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))]
    same = (rows[1:, :3] == rows[:-1, :3]).all(axis=1) & (rows[1:, 3] == rows[:-1, 3] + 1)
    starts = np.flatnonzero(np.append(True, ~same))
    sizes = np.diff(np.append(starts, len(rows)))
    first = rows[starts]
    area = sizes * (first[:, 1] - first[:, 0])
    kept = np.sort(np.argsort(-area, kind="stable")[:MOST_BLOCKS])
    found = np.stack(
        [first[:, 0], first[:, 1] - first[:, 0], first[:, 3] * GRANULE, sizes * GRANULE,
         first[:, 2]], axis=1,
    )  # fmt: skip
    return found[kept].tolist(), len(starts) - len(kept)


def ddr(module: ModuleOp) -> dict[str, Any]:
    """What lies where in DDR: [kind, name, address, bytes], by address; and bytes by kind.

    Intermediates share memory when they do not live together, so ``sizes`` has for them the part
    of the network's memory that nothing else takes.
    """
    program = Program.of(module)
    inputs, outputs = module_tensors(module)
    rows: dict[tuple[str, int], tuple[str, str, int, int]] = {}

    def add(kind: str, name: str, address: int, size: int) -> None:
        rows.setdefault((kind, address) if kind == COEFFICIENTS else (name, address),
                        (kind, name, address, size))  # fmt: skip

    for function in npu_functions(module):
        for op in function.body.block.ops:
            if isinstance(op, tile.ConstantOp):
                add(COEFFICIENTS, layer_name(op), op.located, op.value.data.data.nbytes)
    for kind, tensors in (("input", inputs), ("output", outputs)):
        for tensor in tensors:
            add(kind, tensor.name, tensor.address, tensor.nbytes)
    taken = {address for _, _, address, _ in rows.values()}
    for at in _observed(module):
        if at.address not in taken:
            add("intermediate", at.top, at.address, at.nbytes)
    sizes = {COEFFICIENTS: len(program.coeff)}
    sizes |= {"inputs": sum(t.nbytes for t in inputs), "outputs": sum(t.nbytes for t in outputs)}
    sizes["intermediates"] = max(0, program.ddr_bytes - sum(sizes.values()))
    return {
        "rows": [list(row) for row in sorted(rows.values(), key=lambda row: row[2])],
        "sizes": sizes,
        "total": program.ddr_bytes,
    }


COEFFICIENTS = "coefficients"


def _observed(module: ModuleOp) -> Iterable[Any]:
    """The tensors that are final in DDR after a command."""
    for many in Sites.of(module).observations().values():
        yield from (at for at in many if at.local is None)
