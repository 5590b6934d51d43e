"""The search of opt level 2: options of its passes, tried and judged by the cycle model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from bmnetu.pipeline import run_pipeline
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles import schedule
from passes.convert_quant_to_tile import ConvertQuantToTilePass
from passes.image.groups import command_groups
from passes.module.functions import npu_functions
from passes.module.locations import LayerError
from passes.quant.quant_cut_strips import QuantCutStripsPass
from passes.quant.quant_slice_batch import QuantSliceBatchPass
from passes.quant.quant_slice_rows import QuantSliceRowsPass
from passes.tile.tile_keep_local import TileKeepLocalPass
from passes.verify_layers import VerifyLayersPass

Passes = tuple[ModulePass, ...]


NO_SLICES = 1 << 40
"""More bytes than any tensor has."""


@dataclass(frozen=True)
class TriedOption:
    """An option of a pass, and the values that are tried in place of its own."""

    item: type[ModulePass]
    name: str
    values: tuple[Any, ...]


TRIED_OPTIONS = (
    TriedOption(QuantSliceRowsPass, "space", (NO_SLICES,)),
    TriedOption(ConvertQuantToTilePass, "fold", (False,)),
    TriedOption(QuantCutStripsPass, "margin", (80, 125)),
    TriedOption(QuantSliceBatchPass, "space", (BM1684.lane_bytes // 64, BM1684.lane_bytes // 4)),
    TriedOption(ConvertQuantToTilePass, "share", (1, 4)),
    TriedOption(TileKeepLocalPass, "reserve", (BM1684.lane_bytes // 4, BM1684.lane_bytes // 2)),
)
"""In the order in which they are tried; each keeps the best value before the next one's turn."""


def search(
    module: ModuleOp,
    passes: Passes,
    budget: int,
    progress: Callable[[str], None] = lambda text: None,
) -> Passes:
    """The passes with the options that take fewest cycles, ``budget`` candidates tried at most.

    The first candidate is ``passes`` itself; settings that change nothing do not count. The same
    module, passes and budget give the same answer, whatever the machine. The module stays as it is.
    ``progress`` gets a line before each candidate.
    """
    candidates = [(i, tried) for tried in TRIED_OPTIONS for i, p in enumerate(passes)
                  if type(p) is tried.item]  # fmt: skip
    if budget < 2 or not candidates:
        return passes
    first = min(i for i, _ in candidates)
    begun = module.clone()
    progress(f"candidate 1 of {budget}")
    run_pipeline(begun, passes[:first], verify=False)
    best, least = passes, _cycles(begun, passes[first:])
    count = 1
    for i, option in candidates:
        for value in option.values:
            if count == budget:
                return best
            changed = replace(best[i], **{option.name: value})  # pyright: ignore
            if _same(begun, best[first:i], best[i], changed):
                continue
            progress(f"candidate {count + 1} of {budget}: {changed.name}{{{option.name}}}")
            candidate = (*best[:i], changed, *best[i + 1 :])
            cycles = _cycles(begun, candidate[first:])
            count += 1
            if cycles is not None and (least is None or cycles < least):
                best, least = candidate, cycles
    return best


def _same(module: ModuleOp, before: Passes, one: ModulePass, other: ModulePass) -> bool:
    """Whether two settings of a pass of the quant level have the same result."""
    if not one.name.startswith("quant-"):
        return False
    begun = module.clone()
    run_pipeline(begun, before, verify=False)
    results = [begun, begun.clone()]
    for result, item in zip(results, (one, other), strict=True):
        run_pipeline(result, (item,), verify=False)
    return results[0].is_structurally_equivalent(results[1])


def _cycles(module: ModuleOp, passes: Passes) -> int | None:
    """Cycles of the network after these passes; None where they do not serve it."""
    copy = module.clone()
    try:
        run_pipeline(copy, _compiling(passes), verify=False)
    except LayerError:
        return None
    groups = [group for f in npu_functions(copy) for group in command_groups(f)]
    return schedule([op.instruction for op in group.commands] for group in groups).total


def _compiling(passes: Sequence[ModulePass]) -> Passes:
    return tuple(p for p in passes if not isinstance(p, VerifyLayersPass))
