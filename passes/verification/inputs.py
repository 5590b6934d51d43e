"""Inputs for runs while compiling: the user's own, or made-up ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.quant.arithmetic import quantize

Array = NDArray[Any]


@dataclass(frozen=True)
class InputTensor:
    """A network input; ``scale`` is the real value of one step of its integers."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float | None = None


@dataclass
class InputData:
    """Real float32 numbers by input name, of the inputs' shapes; made-up ones where it is empty."""

    arrays: dict[str, Array] = field(default_factory=dict[str, Array])

    def of(self, tensors: Sequence[InputTensor], seed: int) -> dict[str, Array]:
        """The inputs in the tensors' dtypes: numbers of 8 bit are ``round(real / scale)``, half to
        even. ``seed`` is that of made-up inputs.
        """
        if self.arrays:
            return {t.name: _stored(self.arrays[t.name], t) for t in tensors}
        made = random_inputs([(t.shape, t.dtype) for t in tensors], seed)
        return {t.name: array for t, array in zip(tensors, made, strict=True)}


def _stored(array: Array, tensor: InputTensor) -> Array:
    if tensor.dtype == np.float32:
        return array.astype(np.float32)
    return quantize(array, tensor.scale or 1.0, tensor.dtype.type)


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
