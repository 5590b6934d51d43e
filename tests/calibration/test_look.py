"""What is said of data that do not look like their contract."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bmnetu.calibration.data.accumulate import accumulate
from bmnetu.calibration.data.dataset import open_data
from bmnetu.calibration.data.look import Look, oddities
from bmnetu.calibration.data.preprocess import Preprocess
from dialects.blob import Array

INPUTS = {"data": (2, 3, 4, 5)}
NORMAL = np.random.default_rng(0).uniform(0, 255, (5, 3, 4, 5))


def reported(folder: Path, array: Array, contract: Preprocess | None) -> list[str]:
    np.save(folder / "x.npy", array)
    made = None if contract is None else contract.resolved(INPUTS["data"])
    data = open_data(folder / "x.npy", INPUTS, 100, made)
    return list(oddities(accumulate(None, data, Look), data))


COMMON = Preprocess(mean=(104, 117, 123), scale=(0.017,))


@pytest.mark.parametrize(
    ("factor", "shift", "contract"),
    [
        (1, 0, Preprocess()),
        (1, 0, COMMON),
        (1, 0, Preprocess(mean=(127.5,), scale=(1 / 128,))),
        (1 / 255, 0, None),
        (2 / 255, -1, None),
    ],
)
def test_usual_data_are_passed_over(
    tmp_path: Path, factor: float, shift: float, contract: Preprocess | None
) -> None:
    assert reported(tmp_path, NORMAL * factor + shift, contract) == []


@pytest.mark.parametrize(
    ("factor", "shift", "contract", "sentence"),
    [
        (2 / 255, -1, COMMON, "before mean and scale, as if these had been applied already"),
        (1 / 255, 0, COMMON, "as if these had been applied already"),
        (1 / 255, 0, Preprocess(), "before mean and scale; 0 to 255 is usual"),
        (1, -128, COMMON, "before mean and scale; pixels are 0 to 255"),
        (9, 0, Preprocess(), "pixels are 0 to 255"),
        (1, 0, Preprocess(mean=(0.5,), scale=(4.4,)), "are these meant for pixels of 0 to 1?"),
    ],
)
def test_odd_ranges_are_reported(
    tmp_path: Path, factor: float, shift: float, contract: Preprocess, sentence: str
) -> None:
    (found,) = reported(tmp_path, NORMAL * factor + shift, contract)
    assert found.endswith(sentence)
    numbers = re.findall(r"-?[\d.]+(?:e-?\d+)?", found.split(" to ", 1)[0])
    if "before" in found:
        assert float(numbers[0]) == pytest.approx(
            (NORMAL * factor + shift).min(), rel=1e-3, abs=1e-4
        )


@pytest.mark.parametrize("contract", [None, COMMON])
def test_constant_samples_are_named(tmp_path: Path, contract: Preprocess | None) -> None:
    array = NORMAL.copy()
    array[2] = np.array([3, 4, 5])[:, None, None]
    where = f'{tmp_path}/x.npy: array "data": sample'
    assert reported(tmp_path, array, contract) == [f"{where} 2: all its pixels are equal"]
    array[4] = 7
    both = f"{where} 2 and 1 more: all its pixels are equal"
    assert reported(tmp_path, array, contract) == [both]


def test_samples_of_one_pixel_are_not_constant(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(6, 5))
    np.save(tmp_path / "x.npy", array)
    data = open_data(tmp_path / "x.npy", {"a": (2, 5)}, 100)
    assert list(oddities(accumulate(None, data, Look), data)) == []
