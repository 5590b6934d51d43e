"""The search of opt level 2: options of its passes, tried and judged by the cycle model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from bmnetu.pipeline import run_pipeline
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles import schedule, slow_cycles_of
from dialects.bm1684.isa import Instruction
from passes.base import ComparePass
from passes.convert_quant_to_tile import ConvertQuantToTilePass
from passes.image.groups import command_groups
from passes.module.functions import npu_functions
from passes.module.locations import LayerError
from passes.quant.quant_cut_strips import QuantCutStripsPass
from passes.quant.quant_slice_batch import QuantSliceBatchPass
from passes.quant.quant_slice_rows import QuantSliceRowsPass
from passes.quant.quant_widen_convs import QuantWidenConvsPass
from passes.tile.tile_allocate_local import TileAllocateLocalPass
from passes.tile.tile_keep_local import TileKeepLocalPass
from passes.tile.tile_merge_loads import TileMergeLoadsPass, cycles_saved

Passes = tuple[ModulePass, ...]

QUANT_LEVEL = ("quant-", ConvertQuantToTilePass.name)
"""How the names of passes begin that work on the quant level."""
NO_SLICES = 1 << 40
"""More bytes than any tensor has."""
NEAR = 1.02
"""Cycles of a candidate that count as many as the fewest, times those."""
WORTH = 1.005
"""Places by time take the place of others that take at least so many times their cycles."""
MERGE_WORTH = 1.001
"""Loads are merged where that may save as much."""
LATE = (800, 5000)
"""Cycles by which weights may come later for others in the same transfer: some six starts, or
more, where the chip waits for weights anyway."""


@dataclass(frozen=True)
class TriedOption:
    """An option of a pass, and the values that are tried in place of its own."""

    item: type[ModulePass]
    name: str
    values: tuple[Any, ...]


TRIED_OPTIONS = (
    TriedOption(QuantSliceBatchPass, "space", (BM1684.lane_bytes // 64,)),
    TriedOption(QuantSliceRowsPass, "space", (NO_SLICES,)),
    TriedOption(QuantWidenConvsPass, "which", ("pooled", "none")),
    TriedOption(ConvertQuantToTilePass, "fold", (False,)),
    TriedOption(QuantCutStripsPass, "margin", (80, 125)),
    TriedOption(QuantSliceBatchPass, "space", (BM1684.lane_bytes // 4,)),
    TriedOption(ConvertQuantToTilePass, "share", (1, 4)),
    TriedOption(TileKeepLocalPass, "reserve", (BM1684.lane_bytes // 4, BM1684.lane_bytes // 2)),
)
"""In the order in which they are tried; each keeps the best value before the next one's turn."""


@dataclass
class Candidate:
    """Passes, and the ``module`` after them, but for the compare, with its ``cycles``, and those
    with a ``slow`` DDR; None where they do not serve the network. ``stages``: the module before
    each pass of the quant level, and behind the last of them, at the tile level;
    ``unallocated``: before local memory is allocated, where that was wanted."""

    passes: Passes
    stages: list[ModuleOp]
    unallocated: ModuleOp | None = None
    module: ModuleOp | None = None
    cycles: int | None = None
    slow: int = 0

    def verify(self) -> None:
        """Raises VerifyException where the module is not valid at one of its levels."""
        for module in (*self.stages[-2:], self.module):
            if module is not None:
                module.verify()


def untried(passes: Passes) -> int:
    """How many passes stand before the first one with an option to try."""
    tried = tuple(option.item for option in TRIED_OPTIONS)
    return next((i for i, item in enumerate(passes) if isinstance(item, tried)), len(passes))


def search(
    module: ModuleOp,
    passes: Passes,
    budget: int,
    progress: Callable[[str], None] = lambda text: None,
    *,
    one_stage: bool = True,
) -> Candidate:
    """The passes with the options that take fewest cycles, ``budget`` candidates tried at most, and
    the module after them, which is verified; a budget of one compiles none.

    The first candidate is ``passes`` itself; settings that change nothing do not count. The same
    module, passes and budget give the same answer, whatever the machine. The module stays as it is.
    ``progress`` gets a line before each candidate. ``passes`` begin behind the :func:`untried`.

    DDR is slower on silicon than in the model: of candidates within NEAR of the fewest cycles the
    one wins that takes fewest with a slow DDR. Its small loads are then merged, if that saves
    cycles and this is ``one_stage`` alone: weights that are merged are not shared with others. Its
    buffers lie where loads start first by time, if that is WORTH it, and in other banks than those
    beside them in a command, if that costs no cycle.
    """
    candidates = [(i, tried) for tried in TRIED_OPTIONS for i, p in enumerate(passes)
                  if type(p) is tried.item]  # fmt: skip
    if budget < 2 or not candidates:
        return Candidate(passes, [])
    best = _best(module, passes, candidates, budget, progress)
    best = _in_banks(_timed(_merged(best) if one_stage else best))
    best.verify()
    return best


def _merged(best: Candidate) -> Candidate:
    """The candidate with merged loads, if that saves cycles."""
    places = [i for i, p in enumerate(best.passes) if isinstance(p, TileMergeLoadsPass)]
    if not places or best.module is None or best.cycles is None:
        return best
    (at,) = places
    before = _after(best.stages[-1], *best.passes[len(best.stages) - 1 : at])
    merged = best
    for late in LATE:
        saved = sum(cycles_saved(function, late) for function in npu_functions(before))
        if best.cycles <= MERGE_WORTH * (best.cycles - saved):
            continue
        passes = (*best.passes[:at], TileMergeLoadsPass(late), *best.passes[at + 1 :])
        found = Candidate(passes, best.stages)
        found.unallocated = _unallocated(passes, at, before)
        _finish(found, found.unallocated, passes[_allocating(passes) :])
        if found.cycles is not None and merged.cycles is not None and found.cycles < merged.cycles:
            merged = found
    if merged is not best:
        return merged
    best.unallocated = _unallocated(best.passes, at, before)
    return best


def _allocating(passes: Passes) -> int:
    """Which pass allocates local memory; how many there are when none does."""
    places = (i for i, p in enumerate(passes) if isinstance(p, TileAllocateLocalPass))
    return next(places, len(passes))


def _unallocated(passes: Passes, done: int, module: ModuleOp) -> ModuleOp:
    """The module, behind so many passes, as it is before local memory is allocated."""
    return _after(module, *passes[done : _allocating(passes)])


def _timed(best: Candidate) -> Candidate:
    """The candidate with places in local memory by time, if that is worth it. It is not tried where
    an engine has hardly a pause."""
    if best.module is None or best.cycles is None or WORTH * _busy(best.module) > best.cycles:
        return best
    found = _allocated(best, timed=True)
    if found.cycles is None or WORTH * found.cycles > best.cycles:
        return best
    return found


def _in_banks(best: Candidate) -> Candidate:
    """The candidate with its buffers, or some of them, in different banks, if that costs no
    cycle."""
    for kind in ("all", "loaded", "computed"):
        found = _allocated(best, apart=kind)
        if found.cycles is not None and best.cycles is not None and found.cycles <= best.cycles:
            return found
    return best


def _allocated(best: Candidate, **options: Any) -> Candidate:
    """The candidate with other options of the allocation of local memory."""
    at = _allocating(best.passes)
    if best.module is None or at == len(best.passes):
        return best
    allocate = replace(best.passes[at], **options)  # pyright: ignore
    if best.unallocated is None:
        best.unallocated = _unallocated(best.passes, len(best.stages) - 1, best.stages[-1])
    passes = (*best.passes[:at], allocate, *best.passes[at + 1 :])
    found = Candidate(passes, best.stages, best.unallocated)
    _finish(found, best.unallocated, passes[at:])
    return found


def _best(
    module: ModuleOp,
    passes: Passes,
    options: Sequence[tuple[int, TriedOption]],
    budget: int,
    progress: Callable[[str], None],
) -> Candidate:
    """The best candidate of these options of the passes at these places."""
    progress(f"candidate 1 of {budget}")
    best = _compiled(passes, [module])
    fewest = best.cycles
    count = 1
    for i, option in options:
        for value in option.values:
            if count == budget:
                return best
            changed = replace(best.passes[i], **{option.name: value})  # pyright: ignore
            stages = _changed(best, i, changed)
            if stages is None and changed.name.startswith("quant-"):
                continue
            count += 1
            progress(f"candidate {count} of {budget}: {changed.name}{{{option.name}}}")
            if stages is None:
                continue
            found = _compiled((*best.passes[:i], changed, *best.passes[i + 1 :]), stages)
            if found.cycles is not None:
                fewest = min(fewest or found.cycles, found.cycles)
                best = found if _price(found, fewest) < _price(best, fewest) else best
    return best


def _price(each: Candidate, fewest: int) -> tuple[int, ...]:
    """What is compared between candidates; the least wins."""
    if each.cycles is None:
        return (2,)
    if each.cycles > NEAR * fewest:
        return 1, each.cycles
    return 0, each.slow, each.cycles


def _changed(best: Candidate, at: int, item: ModulePass) -> list[ModuleOp] | None:
    """The stages that are known with another setting of a pass; None where the pass has the same
    result with it."""
    stages = best.stages[: at + 1]
    if at + 1 < len(best.stages):
        with suppress(LayerError):  # it comes again where the candidate is compiled
            stages.append(_after(stages[at], item))
            if stages[-1].is_structurally_equivalent(best.stages[at + 1]):
                return None
    return stages


def _compiled(passes: Passes, stages: list[ModuleOp]) -> Candidate:
    """Runs passes on the last of the stages: those before it are done."""
    found = Candidate(passes, stages)
    try:
        while (item := passes[len(stages) - 1]).name.startswith(QUANT_LEVEL):
            stages.append(_after(stages[-1], item))
    except LayerError:
        return found
    _finish(found, stages[-1], passes[len(stages) - 1 :])
    return found


def _finish(found: Candidate, module: ModuleOp, passes: Passes) -> None:
    """Runs the last passes of a candidate, but for the compare."""
    with suppress(LayerError):
        found.module = _after(module, *(p for p in passes if not isinstance(p, ComparePass)))
        found.cycles, found.slow = _cost(found.module)


def _cost(module: ModuleOp) -> tuple[int, int]:
    """Cycles of a network's commands, and those with a slow DDR."""
    commands = _commands(module)
    return schedule(commands).total, schedule(commands, slow_cycles_of).total


def _busy(module: ModuleOp) -> int:
    """Cycles that the engine is at work that has more to do."""
    return max(schedule(_commands(module)).busy.values())


def _commands(module: ModuleOp) -> list[list[Instruction]]:
    groups = (group for f in npu_functions(module) for group in command_groups(f))
    return [[op.instruction for op in group.commands] for group in groups]


def _after(module: ModuleOp, *passes: ModulePass) -> ModuleOp:
    """A copy of the module after these passes."""
    copy = module.clone()
    run_pipeline(copy, passes, verify=False)
    return copy
