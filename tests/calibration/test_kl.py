"""The Kullback-Leibler choice on known distributions, and against its definition."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmnetu.calibration.thresholds.histogram import Histogram
from bmnetu.calibration.thresholds.histograms import BINS, Histograms
from bmnetu.calibration.thresholds.kl import (
    EMPTY,
    REACH,
    STANDING_OUT,
    kl_threshold,
    without_spikes,
)
from bmnetu.calibration.thresholds.methods import kl
from dialects.constant import Array


def threshold(values: Array, full_scale: int = 127) -> float:
    """The threshold of a sample, through its histogram."""
    largest = float(np.abs(values).max())
    histograms = Histograms({"x": largest})
    histograms.watch("x", values.astype(np.float32))
    return kl(Histogram(histograms.counts["x"], largest, full_scale))


def divergence(counts: list[int], kept: int, levels: int) -> float:
    """The definition, bin by bin."""
    level = [j * levels // kept for j in range(kept)]
    clipped = sum(counts[kept:])
    p = [*counts[: kept - 1], counts[kept - 1] + clipped]
    total, chance = 0.0, 0.0
    for k in range(levels):
        own = [j for j in range(kept) if level[j] == k]
        mass = sum(counts[j] for j in own)
        filled = [j for j in own if p[j]]
        for j in filled:
            q = mass / len(filled) if mass else EMPTY
            total += p[j] * log(p[j] / q)
        chance += max(sum(1 for j in own if counts[j]) - 1, 0) / 2
    return total - clipped - chance


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=8, max_size=24), st.integers(2, 6))
def test_the_choice_is_the_least_by_definition(counts: list[int], levels: int) -> None:
    found = kl_threshold(np.array(counts), float(len(counts)), levels)
    if not any(counts):
        assert found == len(counts)
        return
    each = {kept: divergence(counts, kept, levels) for kept in range(levels, len(counts) + 1)}
    assert each[round(found + 0.5)] <= min(each.values()) + 1e-9


def test_uniform_numbers_are_kept_whole() -> None:
    found = threshold(np.random.default_rng(0).uniform(-1, 1, 100_000))
    assert found == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("full_scale", [127, 255])
def test_a_rare_outlier_is_clipped(full_scale: int) -> None:
    values = np.random.default_rng(0).normal(0, 1, 1_000_000)
    found = threshold(np.append(values, 100.0), full_scale)
    assert 4 < found < 15


def test_a_normal_distribution_keeps_nearly_all() -> None:
    values = np.random.default_rng(0).normal(0, 1, 100_000)
    assert np.mean(np.abs(values) > threshold(values)) < 1e-4


@pytest.mark.parametrize("count", [50, 500, 5000])
def test_few_data_are_not_clipped_for_their_gaps(count: int) -> None:
    values = np.random.default_rng(1).laplace(0, 1, count)
    assert threshold(values) > 0.9 * np.abs(values).max()


def test_numbers_on_a_coarse_grid_are_kept_whole() -> None:
    values = np.random.default_rng(0).integers(0, 17, 5000) * 15.9375
    assert threshold(values) == pytest.approx(255, rel=0.01)


def test_one_single_magnitude_is_its_own_threshold() -> None:
    assert threshold(np.full(1000, 0.25)) == pytest.approx(0.25, rel=0.001)


def test_the_threshold_is_the_middle_of_the_last_bin() -> None:
    values = np.random.default_rng(0).uniform(0, 1, 100_000)
    bins = threshold(values) / np.abs(values).max() * BINS
    assert bins - np.floor(bins) == pytest.approx(0.5, abs=1e-6)


def test_zeros_do_not_count() -> None:
    values = np.random.default_rng(0).exponential(1, 20_000)
    assert threshold(values) == threshold(np.append(values, np.zeros(100_000)))


@pytest.mark.parametrize("full_scale", [127, 255])
@pytest.mark.parametrize("seed", range(3))
def test_constants_do_not_call_for_fine_steps(seed: int, full_scale: int) -> None:
    """Half of all numbers are those of a background, one a channel; the others are normal."""
    random = np.random.default_rng(seed)
    values = np.abs(random.normal(0, 1, 100_000))
    background = np.repeat(random.uniform(0, 1, 20), 5_000)
    assert threshold(np.append(values, background), full_scale) > 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=80))
def test_a_bin_that_stands_out_counts_as_its_neighbours_do(counts: list[int]) -> None:
    found = without_spikes(np.array(counts))
    for i, count in enumerate(counts):
        near = sorted(n for n in counts[max(i - REACH, 0) : i + REACH + 1] if n)
        most = STANDING_OUT * near[len(near) // 2] if near else 0
        assert found[i] == min(count, most)


def test_a_grid_has_no_spikes() -> None:
    counts = np.zeros(BINS, np.int64)
    counts[::8] = np.random.default_rng(0).integers(500, 900, BINS // 8)
    np.testing.assert_array_equal(without_spikes(counts), counts)


def test_histograms_count_every_finite_number_once() -> None:
    histograms = Histograms({"x": 2.0})
    histograms.watch("x", np.array([2.0, -2.0, 0.0, np.nan, 1e-9, -1.0], np.float32))
    histograms.watch("other", np.ones(3, np.float32))
    counts = histograms.counts["x"]
    assert counts.sum() == 4
    assert (counts[0], counts[BINS // 2], counts[BINS - 1]) == (1, 1, 2)
