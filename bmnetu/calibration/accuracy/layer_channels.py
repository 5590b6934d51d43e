"""How close each channel of one blob is, when its layer reads the float net's blobs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bmnetu.calibration.accuracy.closeness import decibels
from bmnetu.calibration.accuracy.isolated import blob_values, float_blobs, isolated_tensors
from bmnetu.calibration.data.accumulate import merged
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.int8_net import Int8Net, real
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.run.portable import PortableFunction
from dialects.constant import Array


@dataclass
class _Sums:
    """Signal and noise of every channel; empty until the first batch."""

    signal: Array = field(default_factory=lambda: np.zeros(0))
    noise: Array = field(default_factory=lambda: np.zeros(0))

    def merge(self, other: _Sums) -> None:
        if self.signal.size:
            self.signal += other.signal
            self.noise += other.noise
        else:
            self.signal, self.noise = other.signal.copy(), other.noise.copy()


@dataclass(frozen=True)
class _Comparison:
    net: PortableFunction
    int8: Int8Net
    data: CalibrationData
    blob: str

    def run(self, index: int) -> _Sums:
        blobs = float_blobs(self.net.function, self.data.batch(index))
        value = blob_values(self.int8, blobs)[self.blob]
        found = real(isolated_tensors(self.int8, blobs)[self.blob], value)
        expected = blobs[self.blob].astype(np.float64)
        others = tuple(i for i in range(expected.ndim) if i != 1)
        error = np.nan_to_num(expected - found)
        signal = np.nan_to_num(expected)
        return _Sums(np.square(signal).sum(axis=others), np.square(error).sum(axis=others))


def worst_channel(
    net: FloatNet, int8: Int8Net, data: CalibrationData, blob: str
) -> tuple[int, float, float] | None:
    """The channel (axis 1) with the most noise: its number, its SQNR in dB, and its part of the
    blob's noise. None where there is no noise, or no channel."""
    job = _Comparison(PortableFunction(net.judged_function()), int8, data, blob)
    found = merged(job, data, _Sums(), "channels")
    total = float(found.noise.sum()) if found.noise.ndim else 0.0
    if not total:
        return None
    worst = int(np.argmax(found.noise))
    signal = float(found.signal[worst])
    noise = float(found.noise[worst])
    return worst, decibels(noise / signal if signal else np.inf), noise / total
