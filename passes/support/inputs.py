"""Inputs that the compiler makes up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def random_inputs(tensors: Iterable[tuple[Sequence[int], Any]], seed: int) -> list[Array]:
    """Arrays of these shapes and dtypes: standard normal floats, or normal 8-bit integers of a wide
    spread."""
    rng = np.random.default_rng(seed)
    return [_noise(rng, shape, np.dtype(dtype)) for shape, dtype in tensors]


def _noise(rng: np.random.Generator, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    real = rng.standard_normal(shape, np.float32)
    if dtype == np.float32:
        return real
    info = np.iinfo(dtype)
    spread = np.rint(real * 48 + (0 if info.min else 96))
    return np.clip(spread, info.min, info.max).astype(dtype)
