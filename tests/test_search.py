"""The search of opt level 2: never worse, never more tries than allowed, always the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from bmnetu.pipeline import run_pipeline
from bmnetu.report.profile import one_bank
from bmnetu.ways import search as searching
from bmnetu.ways.search import TRIED_OPTIONS, search, untried
from dialects.bm1684.isa import Instruction
from passes.base import ComparePass
from passes.convert_quant_to_tile import ConvertQuantToTilePass
from passes.image.groups import command_groups
from passes.module.functions import main_function
from passes.module.locations import LayerError
from passes.quant.quant_slice_rows import QuantSliceRowsPass
from passes.tile.tile_allocate_local import TileAllocateLocalPass
from passes.tile.tile_merge_loads import TileMergeLoadsPass
from tests.pipelines import static_passes
from tests.random_nets import random_module

CANDIDATES = 1 + sum(len(tried.values) for tried in TRIED_OPTIONS)


def begun(precision: str) -> tuple[ModuleOp, tuple[ModulePass, ...]]:
    """A network behind the passes that have nothing to try, and those that follow."""
    module = random_module(8, precision == "INT8")
    passes = static_passes(2, precision, verify=True)
    done = untried(passes)
    run_pipeline(module, passes[:done])
    return module, passes[done:]


@pytest.mark.parametrize("budget", [1, 2, 5, 100])
def test_no_more_candidates_than_the_budget(
    budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every candidate is better than those before it, and no setting leaves all as it is."""
    seen: list[str] = []
    monkeypatch.setattr(searching, "_cost", lambda module: (1000 - len(seen), 1000 - len(seen)))  # pyright: ignore
    monkeypatch.setattr(ModuleOp, "is_structurally_equivalent", lambda *given: False)  # pyright: ignore
    module, passes = begun("INT8")
    found = search(module, passes, budget, seen.append).passes
    assert len(seen) == (0 if budget == 1 else min(budget, CANDIDATES))
    assert (found == passes) == (budget == 1)
    assert [type(p) for p in found] == [type(p) for p in passes]


def test_settings_that_change_nothing_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this network is cut into slices of rows, whatever the space."""
    seen: list[str] = []
    monkeypatch.setattr(searching, "_cost", lambda module: (1000, 0))  # pyright: ignore
    search(*begun("INT8"), 100, seen.append)
    assert not any(QuantSliceRowsPass.name in line for line in seen)
    assert any(f"{ConvertQuantToTilePass.name}{{fold}}" in line for line in seen)


def as_it_is(best: searching.Candidate) -> searching.Candidate:
    return best


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
def test_the_best_is_kept_and_the_module_untouched(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, passes = begun(precision)
    before, price = str(module), searching._cost  # pyright: ignore[reportPrivateUsage]
    costs: list[tuple[int, int]] = []

    def note(module: ModuleOp) -> tuple[int, int]:
        costs.append(price(module))
        return costs[-1]

    monkeypatch.setattr(searching, "_cost", note)
    for later in ("_merged", "_timed", "_in_banks"):  # they look at cycles alone
        monkeypatch.setattr(searching, later, as_it_is)
    first = search(module, passes, 100)
    near = [cost for cost in costs if cost[0] <= searching.NEAR * min(costs)[0]]
    assert (first.cycles, first.slow) in near
    assert first.slow == min(slow for _, slow in near)
    assert search(module, passes, 100).passes == first.passes
    assert str(module) == before


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
def test_the_module_is_what_its_passes_make(precision: str) -> None:
    """Candidates share what they have in common; another run of the best one's passes does not."""
    module, passes = begun(precision)
    found = search(module, passes, 100)
    run_pipeline(module, [p for p in found.passes if not isinstance(p, ComparePass)])
    assert found.module is not None
    assert str(found.module) == str(module)


@pytest.mark.parametrize(
    ("costs", "wins"),
    [
        ([(1000, 50), (1015, 40)], 1),  # near, and less with a slow DDR
        ([(1000, 50), (1030, 40)], 0),  # too far
        ([(1000, 50), (990, 50)], 1),
        ([(1000, 50), (990, 60)], 0),  # near, but more with a slow DDR
        ([(1000, 50), (900, 60)], 1),
    ],
)
def test_of_candidates_that_are_near_the_one_for_a_slow_ddr_wins(
    costs: list[tuple[int, int]], wins: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, passes = begun("INT8")
    given = iter([*costs, *[(9999, 99)] * 4])
    monkeypatch.setattr(searching, "cycles_saved", lambda *given: 0)  # pyright: ignore
    monkeypatch.setattr(searching, "_cost", lambda module: next(given))  # pyright: ignore
    monkeypatch.setattr(ModuleOp, "is_structurally_equivalent", lambda *given: False)  # pyright: ignore
    found = search(module, passes, 2)
    assert (found.cycles, found.slow) == costs[wins]


@pytest.mark.parametrize(
    ("cycles", "busy", "timed"),
    [(990, 900, True), (999, 900, False), (1010, 900, False), (990, 999, False)],
)
def test_places_by_time_where_they_are_worth_it(
    cycles: int, busy: int, timed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the two candidates come these places, then those of other banks; where an engine has
    no pause they are not tried."""
    module, passes = begun("INT8")
    tried = [] if busy == 999 else [(cycles, 50)]
    given = iter([(1000, 50), (2000, 50), *tried, *[(9999, 99)] * 3])
    monkeypatch.setattr(searching, "cycles_saved", lambda *given: 0)  # pyright: ignore
    monkeypatch.setattr(searching, "_busy", lambda module: busy)  # pyright: ignore
    monkeypatch.setattr(searching, "_cost", lambda module: next(given))  # pyright: ignore
    monkeypatch.setattr(ModuleOp, "is_structurally_equivalent", lambda *given: False)  # pyright: ignore
    found = search(module, passes, 2)
    (placed,) = (p for p in found.passes if isinstance(p, TileAllocateLocalPass))
    assert placed.timed == timed
    assert found.cycles == (cycles if timed else 1000)


@pytest.mark.parametrize(
    ("saved", "cycles", "alone", "wins"),
    [(50, (990, 995), True, 0), (50, (999, 980), True, 1), (50, (1000, 1001), True, None),
     (0.5, (990, 990), True, None), (50, (990, 990), False, None)],
)  # fmt: skip
def test_merged_loads_where_they_save_cycles(
    saved: float,
    cycles: tuple[int, int],
    alone: bool,
    wins: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind the two candidates come these, if they may be worth it, then other places."""
    module, passes = begun("INT8")
    tried = [(each, 50) for each in cycles] if saved > 1 and alone else []
    given = iter([(1000, 50), (2000, 50), *tried, *[(9999, 99)] * 4])
    monkeypatch.setattr(searching, "cycles_saved", lambda *given: saved)  # pyright: ignore
    monkeypatch.setattr(searching, "_cost", lambda module: next(given))  # pyright: ignore
    monkeypatch.setattr(ModuleOp, "is_structurally_equivalent", lambda *given: False)  # pyright: ignore
    found = search(module, passes, 2, one_stage=alone)
    (merging,) = (p for p in found.passes if isinstance(p, TileMergeLoadsPass))
    assert merging.late == (0 if wins is None else searching.LATE[wins])
    assert found.cycles == (1000 if wins is None else cycles[wins])


def test_other_banks_where_they_cost_nothing() -> None:
    module, passes = begun("INT8")
    found = search(module, passes, 2)
    (placed,) = (p for p in found.passes if isinstance(p, TileAllocateLocalPass))
    plain = [replace(p, apart="") if p is placed else p for p in found.passes]
    shares = [one_bank(commands(after(module, each))) for each in (found.passes, plain)]
    assert placed.apart
    assert shares[0] < shares[1]


def after(module: ModuleOp, passes: Sequence[ModulePass]) -> ModuleOp:
    copy = module.clone()
    run_pipeline(copy, [p for p in passes if not isinstance(p, ComparePass)])
    return copy


def commands(module: ModuleOp) -> list[Instruction]:
    groups = command_groups(main_function(module))
    return [op.instruction for group in groups for op in group.commands]


def test_a_candidate_that_does_not_serve_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    apply_to = ConvertQuantToTilePass.apply_to

    def refuses(item: ConvertQuantToTilePass, function: FuncOp) -> None:
        if not item.fold:
            raise LayerError(function.location, "no folds")
        apply_to(item, function)

    monkeypatch.setattr(ConvertQuantToTilePass, "apply_to", refuses)
    monkeypatch.setattr(searching, "_cost", lambda module: (5, 0))  # pyright: ignore
    module, passes = begun("INT8")
    found = search(module, passes, 100).passes
    assert [p for p in found if not isinstance(p, TileAllocateLocalPass)] == [
        p for p in passes if not isinstance(p, TileAllocateLocalPass)
    ]


def test_a_network_that_no_candidate_serves_has_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(item: ConvertQuantToTilePass, function: FuncOp) -> None:
        raise LayerError(function.location, "no tiles")

    monkeypatch.setattr(ConvertQuantToTilePass, "apply_to", refuses)
    module, passes = begun("INT8")
    found = search(module, passes, 3)
    assert (found.passes, found.module, found.cycles) == (passes, None, None)


def test_other_levels_have_nothing_to_search() -> None:
    passes = static_passes(0, "INT8")[:1]
    assert untried(passes) == len(passes)
    assert search(random_module(8, integer=True), passes, 100).passes == passes
