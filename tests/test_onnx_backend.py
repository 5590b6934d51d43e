"""A sample of ONNX's own backend tests; ``python -m tests.onnx_backend`` tries all."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.onnx_backend import EQUAL, GOOD, REFUSED, Case, cases, tried

EVERY = 16


@pytest.fixture(scope="module")
def sample() -> list[Case]:
    return list(cases())[::EVERY]


def test_every_one_is_equal_or_refused(sample: list[Case]) -> None:
    found = {case.name: tried(case, opt=1) for case in sample}
    counts = Counter(outcome for outcome, _ in found.values())
    assert {name: each for name, each in found.items() if each[0] not in GOOD} == {}
    assert counts[EQUAL] > 40, "most of them compile"
    assert counts[REFUSED] < 10


def test_a_wrong_number_is_seen(sample: list[Case]) -> None:
    case = next(each for each in sample if tried(each, opt=1)[0] == EQUAL)
    outputs = {name: array + np.float32(0.1) for name, array in case.outputs.items()}
    wrong = Case(case.name, case.model, case.inputs, outputs)
    assert tried(wrong, opt=1)[0] == "wrong"
