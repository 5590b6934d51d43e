"""Where two tensors differ, and how: what a cause is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.chip import BM1684
from passes.verification.findings import FLOAT_TOLERANCE, float_gap

Array = NDArray[Any]
SHIFTS = range(-8, 9)
"""Powers of two that are tried as the factor between two tensors."""
LEAST = 8
"""Integers below it are too coarse to show a factor."""
NEARLY_ALL = 0.95
"""A relation holds where this part of the elements has it."""
SHOWN = 4
"""So many places are named of many."""


@dataclass(frozen=True)
class Pattern:
    """A tensor of the NPU beside the CPU's, both [N, C, ...] or [N], of one dtype (int8, uint8 or
    float32); ``undefined`` elements are not compared. At least one element is wrong: unequal
    integers, floats beyond the tolerance."""

    npu: Array
    cpu: Array
    undefined: Array | None = None

    @cached_property
    def is_float(self) -> bool:
        return self.npu.dtype.kind == "f"

    @cached_property
    def wrong(self) -> Array:
        """True where an element is wrong."""
        if self.is_float:
            mask = float_gap(self.npu, self.cpu.astype(np.float32))[0] > FLOAT_TOLERANCE
        else:
            mask = self.npu != self.cpu
        return mask if self.undefined is None else mask & ~self.undefined

    @cached_property
    def share(self) -> float:
        """The part of the elements that is wrong."""
        return float(self.wrong.mean())

    @cached_property
    def error(self) -> Array:
        """NPU minus CPU, float64; 0 where an element is not wrong."""
        with np.errstate(invalid="ignore"):
            error = self.npu.astype(np.float64) - self.cpu.astype(np.float64)
        return np.where(self.wrong, error, 0.0)

    @cached_property
    def largest(self) -> float:
        """The largest absolute error; infinity where the NPU has no finite number."""
        return float(np.nan_to_num(np.abs(self.error), nan=np.inf).max())

    def touched(self, axis: int) -> list[int]:
        """The indices along an axis at which anything is wrong; none where there is no such
        axis."""
        if axis >= self.wrong.ndim:
            return []
        others = tuple(i for i in range(self.wrong.ndim) if i != axis)
        return np.flatnonzero(self.wrong.any(axis=others)).tolist()

    @cached_property
    def channels(self) -> list[int]:
        """The channels in which anything is wrong."""
        return self.touched(1)

    @cached_property
    def lanes(self) -> list[int]:
        """The lanes of local memory that hold these channels, where they begin in lane 0."""
        return sorted({channel % BM1684.lanes for channel in self.channels})

    @cached_property
    def worst_channel(self) -> int | None:
        """The channel with the largest sum of absolute errors."""
        if not self.channels:
            return None
        others = tuple(i for i in range(self.wrong.ndim) if i != 1)
        size = np.nan_to_num(np.abs(self.error), nan=np.finfo(np.float64).max / self.wrong.size)
        return int(np.argmax(size.sum(axis=others)))

    @cached_property
    def few_channels(self) -> bool:
        """Whether at most half of several channels have wrong elements."""
        return bool(self.channels) and 2 * len(self.channels) <= self.wrong.shape[1]

    @cached_property
    def factor(self) -> int | None:
        """k where the wrong channels are 2^k of what they should be, rounded and saturated to the
        dtype; None where they are not."""
        mask = self._wrong_channels
        npu, cpu = (x[mask].astype(np.float64) for x in (self.npu, self.cpu))
        usable = np.isfinite(npu)
        if not self.is_float:
            low, high = self._limits
            usable &= (np.abs(cpu) >= LEAST) & (cpu > low) & (cpu < high)
        npu, cpu = npu[usable], cpu[usable]
        fits = {k: self._fits(npu, cpu, k) for k in sorted(SHIFTS, key=abs) if k}
        best = max(fits, key=lambda k: fits[k])
        return best if fits[best] >= NEARLY_ALL else None

    def _fits(self, npu: Array, cpu: Array, k: int) -> float:
        """The part of the elements that are 2^k of the CPU's; 0 where too few can tell."""
        expected = cpu * 2.0**k
        if self.is_float:
            near = np.abs(npu - expected) <= FLOAT_TOLERANCE * np.maximum(1e-6, np.abs(expected))
            return float(near.mean()) if np.unique(cpu).size >= 3 else 0.0
        low, high = self._limits
        slack = (1 + 2.0**k) / 2
        least, most = (np.clip(expected + x, low, high) for x in (-slack, slack))
        telling = (expected - slack < high) & (expected + slack > low)
        if np.unique(np.round(expected[telling])).size < 3:
            return 0.0
        return float(np.mean((least <= npu) & (npu <= most)))

    @cached_property
    def offset(self) -> float | None:
        """The error, where it is one number in each wrong channel (integers: but for rounding; and
        but for elements at a limit, as a ReLU's 0); that of the worst channel. None where it is
        not, or where a channel has too few different elements to tell."""
        if self.worst_channel is None:
            return None
        found: float | None = None
        for channel in self.channels:
            error = self._plain_error[:, channel].ravel()
            npu, cpu = self.npu[:, channel].ravel(), self.cpu[:, channel].ravel()
            low, high = self._limits
            inside = (npu > low) & (npu < high) & (cpu > low) & (cpu < high)
            error, cpu = error[inside], cpu[inside]
            if error.size < SHOWN or np.unique(cpu).size < SHOWN or not np.isfinite(error).all():
                return None
            middle = float(np.median(error))
            slack = 1.0 if not self.is_float else FLOAT_TOLERANCE * max(
                abs(middle), float(np.abs(cpu).max())
            )
            if float(error.max() - error.min()) > slack or abs(float(error.mean())) <= slack * 1e-2:
                return None
            if channel == self.worst_channel:
                found = middle if middle else float(error.mean())
        return found

    @cached_property
    def saturated(self) -> float:
        """The part of the wrong elements that lies at a limit of the dtype on the NPU alone, on the
        side of the CPU's number."""
        if self.is_float:
            return 0.0
        low, high = self._limits
        up, down = (self.npu == high) & (self.cpu > 0), (self.npu == low) & (self.cpu < 0)
        both: Array = up | down
        return float(np.mean(both[self.wrong]))

    @cached_property
    def garbage(self) -> bool:
        """Whether wrong elements have nothing to do with the right ones: no finite numbers, numbers
        of another size, or no correlation over at least 16 elements."""
        npu, cpu = (x[self.wrong].astype(np.float64) for x in (self.npu, self.cpu))
        if not np.isfinite(npu).all():
            return True
        usual = float(np.abs(self.cpu.astype(np.float64)).max()) or 1.0
        if float(np.abs(npu).max()) > 1e6 * usual:
            return True
        if npu.size < 16 or not np.ptp(npu) or not np.ptp(cpu):
            return False
        return abs(float(np.corrcoef(npu, cpu)[0, 1])) < 0.3

    @cached_property
    def _plain_error(self) -> Array:
        error = self.npu.astype(np.float64) - self.cpu.astype(np.float64)
        return error if self.undefined is None else np.where(self.undefined, 0.0, error)

    @cached_property
    def _wrong_channels(self) -> Array:
        """True at all defined elements of the wrong channels."""
        mask = np.ones(self.wrong.shape, bool)
        if self.channels:
            mask[:] = False
            mask[:, self.channels] = True
        return mask if self.undefined is None else mask & ~self.undefined

    @cached_property
    def _limits(self) -> tuple[float, float]:
        """Beyond what the tensor holds no numbers: the dtype's limits; of floats 0, where a ReLU
        left none below."""
        if self.is_float:
            positive = bool(np.all(self.npu >= 0) and np.all(np.nan_to_num(self.cpu) >= 0))
            return 0.0 if positive else -np.inf, np.inf
        info = np.iinfo(self.npu.dtype)
        return float(info.min), float(info.max)

    def places(self) -> str:
        """Where the wrong elements are and how large the error is, as a phrase."""
        shape, parts = self.wrong.shape, list[str]()
        for axis, name in enumerate(("image", "channel", "row", "column")[: len(shape)]):
            found = self.touched(axis)
            if len(found) < shape[axis]:
                parts.append(f"{listed(name, found)} of {shape[axis]}")
        if 1 < len(self.lanes) < min(len(self.channels), BM1684.lanes):
            parts.append(listed("lane", self.lanes))
        elif len(self.lanes) == 1 < len(self.channels):
            parts.append(f"all in lane {self.lanes[0]}")
        where = ", ".join(parts) or "spread over the whole tensor"
        worst = "" if self.worst_channel is None else f", the worst channel is {self.worst_channel}"
        return f"{self.share:.2%} of the elements are wrong: {where}{worst}, the largest error" \
            f" is {self.largest:g}"


def listed(name: str, numbers: Sequence[int]) -> str:
    """``channel 3``, ``rows 4 to 9``, or ``channels 1, 5, 7 and 20 more``."""
    if len(numbers) == 1:
        return f"{name} {numbers[0]}"
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{name}s {numbers[0]} to {numbers[-1]}"
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"{name}s {', '.join(map(str, numbers[:SHOWN]))}{more}"
