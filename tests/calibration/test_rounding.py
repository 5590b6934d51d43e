"""Rounding of weights together, against plain loops and against rounding each alone."""

from __future__ import annotations

import numpy as np
import pytest

from bmnetu.calibration.int8.rounding import DAMPING, round_weights
from dialects.blob import Array


def problem(groups: int, outputs: int, row: int, shared: float) -> tuple[Array, Array]:
    """Weights, and the mean products of inputs with a common part."""
    random = np.random.default_rng(row)
    x = random.normal(0, 1, (groups, row, 500)) + shared * random.normal(0, 1, (groups, 1, 500))
    return random.normal(0, 20, (groups, outputs, row)), x @ x.transpose(0, 2, 1) / 500


def one_by_one(weights: Array, products: Array) -> Array:
    """One group by the definition: the inverse shrinks by each column that is done."""
    order = sorted(range(len(products)), key=lambda i: -products[i, i])
    damping = DAMPING * float(np.diagonal(products).sum()) / len(products)
    inverse: Array = np.linalg.inv(products + damping * np.eye(len(products)))
    left: Array = weights.copy()
    rounded: Array = np.zeros_like(weights)
    for i in order:
        rounded[:, i] = np.clip(np.rint(left[:, i]), -127, 127)
        errors = left[:, i] - rounded[:, i]
        left -= errors[:, None] * inverse[i] / inverse[i, i]
        inverse -= inverse[:, i, None] * inverse[i] / inverse[i, i]
    return rounded


@pytest.mark.parametrize(("groups", "outputs", "row"), [(1, 5, 40), (3, 2, 70), (4, 1, 9)])
def test_it_is_the_published_method(groups: int, outputs: int, row: int) -> None:
    weights, products = problem(groups, outputs, row, shared=1)
    found = round_weights(weights, products, 127)
    expected = [one_by_one(w, p) for w, p in zip(weights, products, strict=True)]
    assert np.mean(found == np.stack(expected)) > 0.99


def test_errors_cancel_where_inputs_are_alike() -> None:
    weights, products = problem(1, 30, 100, shared=3)

    def cost(rounded: Array) -> float:
        errors = rounded - weights
        return float(np.einsum("goi,gij,goj->", errors, products, errors))

    assert cost(round_weights(weights, products, 127)) < 0.3 * cost(np.rint(weights))


def test_unrelated_inputs_call_for_the_nearest_integers() -> None:
    weights = np.random.default_rng(0).normal(0, 100, (2, 3, 50))
    found = round_weights(weights, np.stack([np.eye(50)] * 2), 127)
    assert np.array_equal(found, np.clip(np.rint(weights), -127, 127))


def test_inputs_that_are_all_zero_call_for_the_nearest_integers() -> None:
    weights = np.random.default_rng(0).normal(0, 20, (1, 3, 8))
    assert np.array_equal(round_weights(weights, np.zeros((1, 8, 8)), 127), np.rint(weights))
