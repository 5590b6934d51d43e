"""The methods on known distributions, and the noise that they weigh against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmnetu.calibration.thresholds.histogram import Histogram
from bmnetu.calibration.thresholds.histograms import Histograms
from bmnetu.calibration.thresholds.methods import METHODS, threshold
from dialects.constant import Array

RANDOM = np.random.default_rng(0)
SAMPLES = {
    "normal": RANDOM.normal(0, 1, 200_000),
    "laplace": RANDOM.laplace(0, 1, 200_000),
    "uniform": RANDOM.uniform(-1, 1, 200_000),
    "half normal": np.abs(RANDOM.normal(0, 1, 200_000)),
}


def histogram(values: Array, full_scale: int = 127) -> Histogram:
    largest = float(np.abs(values).max())
    counted = Histograms({"x": largest})
    counted.watch("x", values.astype(np.float32))
    return Histogram(counted.counts["x"], largest, full_scale)


def lost(values: Array, limit: float, full_scale: int) -> float:
    """The sum of square errors by definition."""
    step = limit / full_scale
    held = np.clip(np.rint(values / step), -full_scale, full_scale) * step
    return float(((values - held) ** 2).sum())


@pytest.mark.parametrize("full_scale", [127, 255])
@pytest.mark.parametrize("part", [0.05, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("name", SAMPLES)
def test_noise_is_what_8_bits_lose(name: str, part: float, full_scale: int) -> None:
    values = SAMPLES[name]
    found = histogram(values, full_scale)
    limit = part * found.largest
    assert found.noise(np.array([limit]))[0] == pytest.approx(
        lost(values, limit, full_scale), rel=0.1
    )


def test_max_clips_nothing() -> None:
    assert threshold("MAX", histogram(np.array([0.5, -3.0, 1.0]))) == 3


@pytest.mark.parametrize("name", SAMPLES)
def test_percentile_keeps_9999_of_10000(name: str) -> None:
    values = np.abs(SAMPLES[name])
    bin_width = values.max() / 2048
    found = threshold("PERCENTILE", histogram(values))
    assert found == pytest.approx(np.quantile(values, 0.9999), abs=bin_width)


@pytest.mark.parametrize("full_scale", [127, 255])
@pytest.mark.parametrize("name", SAMPLES)
def test_mse_loses_least(name: str, full_scale: int) -> None:
    values = SAMPLES[name]
    found = threshold("MSE", histogram(values, full_scale))
    limits = np.linspace(0.05, 1, 40) * np.abs(values).max()
    least = min(lost(values, limit, full_scale) for limit in limits)
    assert lost(values, found, full_scale) <= 1.05 * least


@pytest.mark.parametrize("name", SAMPLES)
def test_admm_ends_where_the_step_fits_its_integers(name: str) -> None:
    values = SAMPLES[name]
    step = threshold("ADMM", histogram(values)) / 127
    q = np.clip(np.rint(values / step), -127, 127)
    assert step == pytest.approx(float(values @ q / (q @ q)), rel=1e-3)
    assert step * 127 < np.abs(values).max()


@pytest.mark.parametrize(
    ("name", "full_scale", "known"),
    [("normal", 127, 3.92), ("laplace", 127, 9.90), ("half normal", 255, 4.21)],
)
def test_aciq_gives_the_published_factors(name: str, full_scale: int, known: float) -> None:
    """Of Banner et al., table of optimal clipping: for 8 bits, and 9 where half is unused."""
    wide = np.append(SAMPLES[name], 12.0)
    assert threshold("ACIQ", histogram(wide, full_scale)) == pytest.approx(known, rel=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_stays_within_the_data(method: str) -> None:
    for values in (*SAMPLES.values(), np.full(5, 2.5), np.array([1e-5, 4.0])):
        found = histogram(values)
        assert 0 < threshold(method, found) <= found.largest * (1 + 1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-6, 1e6))
def test_methods_follow_the_unit(seed: int, unit: float) -> None:
    counts = np.random.default_rng(seed).poisson(np.geomspace(50, 0.1, 2048))
    counts[-1] += 1
    for method in METHODS:
        one = threshold(method, Histogram(counts, 1.0, 127))
        other = threshold(method, Histogram(counts, unit, 127))
        assert other == pytest.approx(one * unit, rel=0.01)


def test_an_empty_histogram_has_its_largest() -> None:
    assert threshold("KL", Histogram(np.zeros(2048), 3.0, 127)) == 3
