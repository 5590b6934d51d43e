"""The search of opt level 2: never worse, never more tries than allowed, always the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from bmnetu.pipeline import parse_pipeline, run_pipeline
from bmnetu.ways import search as searching
from bmnetu.ways.search import TRIED_OPTIONS, search
from passes.convert_quant_to_tile import ConvertQuantToTilePass
from passes.quant.quant_slice_rows import QuantSliceRowsPass
from tests.pipelines import static_passes
from tests.random_nets import random_module

CANDIDATES = 1 + sum(len(tried.values) for tried in TRIED_OPTIONS)


def passes_of(precision: str, opt: int = 2) -> tuple[ModulePass, ...]:
    return static_passes(opt, precision, verify=True)


@pytest.mark.parametrize("budget", [1, 2, 5, 100])
def test_no_more_candidates_than_the_budget(
    budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sequence[ModulePass]] = []

    def count(module: ModuleOp, passes: Sequence[ModulePass]) -> int:
        seen.append(passes)
        return 1000 - len(seen)

    monkeypatch.setattr(searching, "_cycles", count)
    monkeypatch.setattr(searching, "_same", lambda *given: False)  # pyright: ignore
    passes = passes_of("INT8")
    found = search(random_module(3, integer=True), passes, budget)
    assert len(seen) == (0 if budget == 1 else min(budget, CANDIDATES))
    assert (found == passes) == (budget == 1)
    assert [type(p) for p in found] == [type(p) for p in passes]


def test_settings_that_change_nothing_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this network is cut into slices of rows, whatever the space."""
    seen: list[Sequence[ModulePass]] = []

    def count(module: ModuleOp, passes: Sequence[ModulePass]) -> int:
        seen.append(passes)
        return 1000

    monkeypatch.setattr(searching, "_cycles", count)
    module = random_module(3, integer=True)
    lowered = parse_pipeline("convert-ufw-to-quant")
    run_pipeline(module, lowered, lambda p: None)
    search(module, passes_of("INT8")[2:], 100)
    folders = {p.space for passes in seen for p in passes if isinstance(p, QuantSliceRowsPass)}
    assert folders == {QuantSliceRowsPass().space}
    folds = {p.fold for passes in seen for p in passes if isinstance(p, ConvertQuantToTilePass)}
    assert folds == {True, False}


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
def test_the_best_is_kept_and_the_module_untouched(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = random_module(8, integer=precision == "INT8")
    before, price = str(module), searching._cycles  # pyright: ignore[reportPrivateUsage]
    costs: list[int | None] = []

    def note(module: ModuleOp, passes: tuple[ModulePass, ...]) -> int | None:
        costs.append(price(module, passes))
        return costs[-1]

    monkeypatch.setattr(searching, "_cycles", note)
    first = search(module, passes_of(precision), 100)
    known = [cost for cost in costs if cost is not None]
    begun = price(module, first)
    assert begun == min(known)
    assert search(module, passes_of(precision), 100) == first
    assert str(module) == before


def test_a_candidate_that_does_not_serve_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(module: ModuleOp, passes: Sequence[ModulePass]) -> int | None:
        (tiles,) = (p for p in passes if isinstance(p, ConvertQuantToTilePass))
        return 5 if tiles.fold else None

    monkeypatch.setattr(searching, "_cycles", refuses)
    passes = passes_of("INT8")
    assert search(random_module(3, integer=True), passes, 100) == passes


def test_other_levels_have_nothing_to_search() -> None:
    passes = passes_of("INT8", 0)[:1]
    assert search(random_module(3, integer=True), passes, 100) == passes
