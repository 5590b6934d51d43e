"""A look at all data before the net is run: faults come early, and what is odd is reported."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from bmnetu.calibration.data.dataset import CalibrationData, Source
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.note import Note
from dialects.constant import Array

PIXEL = 255
"""The largest value of a pixel."""
ROUNDING = 0.01
"""How far beyond their range values may be that went through mean and scale and back."""


class Look:
    """The range of every input, one value a channel, and which of its samples are constant."""

    def __init__(self) -> None:
        self.low: dict[str, Array] = {}
        self.high: dict[str, Array] = {}
        self.constant: dict[str, list[int]] = {}
        self.seen: dict[str, int] = {}

    def watch(self, name: str, array: Array) -> None:
        channels = array.shape[1] if prod(array.shape[2:]) > 1 else 1
        samples = array.reshape(len(array), channels, -1)
        lows, highs = samples.min(axis=2), samples.max(axis=2)
        self.low[name], self.high[name] = lows.min(axis=0), highs.max(axis=0)
        same = (lows == highs).all(axis=1) & (samples.shape[2] > 1)
        self.constant[name] = np.flatnonzero(same).tolist()
        self.seen[name] = len(array)

    def merge(self, other: Look) -> None:
        for name, count in other.seen.items():
            before = self.seen.get(name, 0)
            self.low[name] = np.minimum(self.low.get(name, np.inf), other.low[name])
            self.high[name] = np.maximum(self.high.get(name, -np.inf), other.high[name])
            found = self.constant.setdefault(name, [])
            found += [before + index for index in other.constant[name]]
            self.seen[name] = before + count


def oddities(look: Look, data: CalibrationData) -> Iterator[Note]:
    """A note for each thing that does not look like the data that are meant."""
    for name, source in data.sources.items():
        constant = [index for index in look.constant[name] if index < source.count]
        if constant:
            yield _constant(source, constant)
        if data.contract is not None and len(constant) < min(look.seen[name], source.count):
            for said in _out_of_range(look.low[name], look.high[name], data.contract):
                yield Note("data-range", said)


def _constant(source: Source, indices: list[int]) -> Note:
    more = f" and {len(indices) - 1} more" if len(indices) > 1 else ""
    return Note("equal-pixels", f"{source.name(indices[0])}{more}: all its pixels are equal")


def _out_of_range(low: Array, high: Array, contract: Preprocess) -> Iterator[str]:
    """Ranges that do not fit pixels of 0 to 255 before mean and scale, or a net after them."""
    ends = np.stack([contract.before(low), contract.before(high)])
    least, most = float(ends.min()), float(ends.max())
    said = f"the data are from {least:.4g} to {most:.4g} before mean and scale"
    small = max(-least, most) <= 1 + ROUNDING
    if small and (any(contract.mean) or contract.scale != (1,)):
        yield f"{said}, as if these had been applied already"
    elif small:
        yield f"{said}; 0 to {PIXEL} is usual"
    elif least < -ROUNDING * PIXEL or most > PIXEL * (1 + ROUNDING):
        yield f"{said}; pixels are 0 to {PIXEL}"
    elif max(-float(low.min()), float(high.max())) > PIXEL * (1 + ROUNDING):
        yield (
            f"the input is from {low.min():.4g} to {high.max():.4g} after mean and scale; are these"
            " meant for pixels of 0 to 1?"
        )
