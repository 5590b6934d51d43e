"""Which way weights are rounded: so that errors of weights that meet alike numbers cancel."""

from __future__ import annotations

import numpy as np

from dialects.blob import Array

DAMPING = 0.03
"""Added to the diagonal of the products, as a part of its mean: what few data do not show."""
BLOCK = 32
"""Columns that are rounded before the rest is corrected in one matrix product."""


def round_weights(weights: Array, products: Array, largest: int) -> Array:
    """Integers near ``weights`` [G, O, K] with small ``sum_ij e_i products_ij e_j``, e the errors.

    ``products`` [G, K, K] are the mean products ``x_i x_j`` of the inputs. Weights are rounded one
    column after another; the error of each moves what is left of the row to where it is made up
    for best (Frantar et al. 2022, "GPTQ"): row i of the upper Cholesky factor of the inverse
    products, divided by its diagonal, says how.
    """
    count = products.shape[-1]
    diagonal = np.diagonal(products, axis1=1, axis2=2)
    order = np.argsort(-diagonal, axis=1, kind="stable")
    damping = DAMPING * diagonal.mean(axis=1) + np.finfo(np.float32).tiny
    damped = products + damping[:, None, None] * np.eye(count)
    damped = np.take_along_axis(damped, order[:, :, None], axis=1)
    damped = np.take_along_axis(damped, order[:, None, :], axis=2)
    factor = np.linalg.cholesky(np.linalg.inv(damped)).swapaxes(1, 2)
    factor /= np.diagonal(factor, axis1=1, axis2=2)[..., None]
    left = np.take_along_axis(weights.swapaxes(1, 2), order[:, :, None], axis=1)
    rounded = np.empty_like(left)
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        errors = np.empty((len(left), end - start, left.shape[2]))
        for i in range(start, end):
            rounded[:, i] = np.clip(np.rint(left[:, i]), -largest, largest)
            errors[:, i - start] = left[:, i] - rounded[:, i]
            row = factor[:, i, i + 1 : end, None]
            left[:, i + 1 : end] -= row * errors[:, None, i - start]
        left[:, end:] -= factor[:, start:end, end:].swapaxes(1, 2) @ errors
    result = np.empty_like(rounded)
    np.put_along_axis(result, order[:, :, None], rounded, axis=1)
    return result.swapaxes(1, 2)
