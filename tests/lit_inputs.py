"""Makes the binary files that the lit tests read: ``python -m tests.lit_inputs``."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bmnetu.api import calibrate
from bmnetu.frontend import write_umodel
from dialects.constant import Array, Constant
from tests.networks import random_weights

LIT = Path(__file__).parents[1] / "lit_tests"
PIPELINE = LIT / "pipeline"
WEIGHTS = LIT / "passes" / "Inputs" / "weights.npz"
WEIGHT = np.arange(1, 7, dtype=np.float32).reshape(2, 3, 1, 1)
INT8_WEIGHT = (np.arange(108) % 255 - 50).astype(np.int8).reshape(4, 3, 3, 3)
BLOBS: dict[str, Array] = {
    "weight 1 .. 6": WEIGHT,
    "weight 2, 4, 6, 16, 20, 24": WEIGHT * np.array([2, 4], np.float32).reshape(2, 1, 1, 1),
    "square weight 1 .. 4": np.arange(1, 5, dtype=np.float32).reshape(2, 2, 1, 1),
    "bias 1, 2": np.array([1, 2], np.float32),
    "variance 1, 1": np.array([1, 1], np.float32),
    "bias -1, -6": np.array([-1, -6], np.float32),
    "bias 2, 4": np.array([2, 4], np.float32),
    "matrix 1 .. 24": np.arange(1, 25, dtype=np.float32).reshape(2, 12),
    "slope 0": np.array([0], np.float32),
    "slope 0.5": np.array([0.5], np.float32),
    "slopes 0.5, 0.25, 0": np.array([0.5, 0.25, 0], np.float32),
    "int8 weight": INT8_WEIGHT,
    "int8 depthwise weight": np.arange(-13, 14).astype(np.int8).reshape(3, 1, 3, 3),
    "int16 bias": np.array([-300, 0, 300, 30000], np.int16),
    "int8 slopes": np.array([64, 32, 0], np.int8),
    "int8 slope 0": np.array([0], np.int8),
    "int8 square weight": (np.arange(2304) % 251 - 125).astype(np.int8).reshape(16, 16, 3, 3),
    "int8 factors": np.array([64, 32, 127], np.int8),
    "int8 weights 0 .. 66": np.arange(67, dtype=np.int8).reshape(1, 67, 1, 1),
    "int8 weights 3 .. 66, 0 .. 2": np.roll(np.arange(67, dtype=np.int8), -3).reshape(1, 67, 1, 1),
    "int8 weight, channels 0, 2, 1, 3": INT8_WEIGHT[[0, 2, 1, 3]],
    "words 1 .. 24": np.arange(1, 25, dtype=np.uint32).reshape(1, 8, 1, 3),
    "words 101 .. 120": np.arange(101, 121, dtype=np.uint32).reshape(1, 4, 1, 5),
    "words 201 .. 212": np.arange(201, 213, dtype=np.uint32).reshape(1, 4, 1, 3),
}
"""The constants of the .mlir files by what they hold."""


def write_all() -> None:
    """Writes weights.npz, and the umodels of lit_tests/pipeline."""
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {Constant.of(array).digest: array for array in BLOBS.values()}
    np.savez_compressed(WEIGHTS, allow_pickle=False, **arrays)
    inputs = PIPELINE / "Inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    write_umodel(inputs / "fp32.fp32umodel", random_weights(PIPELINE / "fp32.prototxt", 1))
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_int8(folder)
        shutil.copy(next(folder.glob("*.int8umodel")), inputs / "int8.int8umodel")


def write_int8(folder: Path) -> None:
    """Calibrates int8.prototxt with random weights on random data."""
    model = PIPELINE / "int8.prototxt"
    write_umodel(folder / "weights.fp32umodel", random_weights(model, 2))
    data = np.random.default_rng(3).standard_normal((5, 3, 9, 9)).astype(np.float32)
    np.savez(folder / "data.npz", data=data)
    calibrate(model, folder / "weights.fp32umodel", folder / "data.npz", folder)


def digests() -> str:
    """The handles of the constants, a line each, as they stand in IR text."""
    lines: list[str] = []
    for name, array in BLOBS.items():
        blob = Constant.of(array)
        shape = ", ".join(map(str, blob.shape))
        lines.append(f'{name}: <"{blob.digest}", "{blob.dtype}", [{shape}]>')
    return "\n".join(lines)


if __name__ == "__main__":
    write_all()
    print(digests())
