"""What numbers each blob holds: floats, or 8-bit integers with the scale of the umodel."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from pathlib import Path

from xdsl.dialects.builtin import f32

from bmnetu.errors import InputFileError
from bmnetu.frontend.ufw_pb2 import ActivationScale
from dialects.quant.scale import ScaleAttr
from dialects.ufw.layer import SI8, UI8, Top

FULL_SCALE_SIGNED = 127
FULL_SCALE_UNSIGNED = 255
LEAST_THRESHOLD = 1e-30
"""Below it, a scale would not be a normal float32 number."""


class Scales:
    """The activation records of an int8umodel, by unique blob name."""

    def __init__(self, path: Path, records: Iterable[ActivationScale]) -> None:
        self.path = path
        self.records: dict[str, ActivationScale] = {}
        for record in records:
            threshold = record.threshold
            usable = threshold >= LEAST_THRESHOLD or (threshold == 0 and record.is_float)
            if not (usable and isfinite(threshold)):
                raise InputFileError(
                    f'{path}: blob "{record.blob}" has threshold {threshold}; '
                    "a positive number is required"
                )
            self.records[record.blob] = record

    def top(self, name: str) -> Top:
        """The kind of numbers a blob holds. Raises :class:`InputFileError` for an unknown one."""
        record = self.records.get(name)
        if record is None:
            raise InputFileError(
                f'{self.path}: has no activation scale of blob "{name}"; '
                "was it calibrated with another prototxt? Run bmnetu-calibrate again"
            )
        full_scale = FULL_SCALE_UNSIGNED if record.is_unsigned else FULL_SCALE_SIGNED
        scale = record.threshold / full_scale
        if record.is_float:
            return Top(name, f32, ScaleAttr.of(scale, record.is_unsigned) if scale else None)
        return Top(name, UI8 if record.is_unsigned else SI8, ScaleAttr.of(scale))


def prototxt_scale_note(blob: str, required: float, scales: Scales) -> str | None:
    """What to say when the prototxt's ``int8_scale`` differs from the umodel's by over 1e-4."""
    record = scales.records.get(blob)
    if record is None or not record.threshold:
        return None
    found = FULL_SCALE_SIGNED / record.threshold
    if abs(required - found) <= 1e-4 * found:
        return None
    return (
        f"the prototxt's int8_scale is {required:g}, the umodel's scale of input "
        f'"{blob}" is {found:g}; the umodel wins'
    )
