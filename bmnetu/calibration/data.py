"""Calibration data, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from bmnetu.calibration.statistics import Batch
from bmnetu.errors import InputFileError
from dialects.ufw.shapes import Shape


class Data(Protocol):
    def batches(self) -> Iterator[Batch]: ...


def open_data(path: Path, inputs: Mapping[str, Shape], limit: int) -> Data:
    return Npz(path, inputs, limit)


class Npz:
    def __init__(self, path: Path, inputs: Mapping[str, Shape], limit: int) -> None:
        with np.load(path, allow_pickle=False) as file:
            self.arrays = {k: np.asarray(file[k], np.float32) for k in file.files}
        if len(inputs) == 1 and len(self.arrays) == 1:
            self.arrays = dict(zip(inputs, self.arrays.values(), strict=True))
        self.inputs, self.limit = inputs, limit
        for name, shape in inputs.items():
            if self.arrays[name].shape[1:] != shape[1:]:
                raise InputFileError(f"{path}: shape")

    def batches(self) -> Iterator[Batch]:
        for i in range(self.limit):
            batch: dict[str, np.ndarray] = {}
            for name, shape in self.inputs.items():
                part = self.arrays[name][i * shape[0] : (i + 1) * shape[0]]
                if not len(part):
                    return
                batch[name] = np.resize(part, shape)
            yield batch
