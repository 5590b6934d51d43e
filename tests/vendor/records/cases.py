"""What a case of a record is: its parameters, and the shapes and types of its operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from dialects.bm1684.chip import BM1684
from dialects.bm1684.record.base import RecordOp, Shape
from tests.vendor.runtime import Array

F32, I8, U8 = np.float32, np.int8, np.uint8
START = BM1684.context_start
MEMORY = 1 << 24
"""Bytes for the coefficients and the scratch memory of all cases of a record."""
RNG = np.random.default_rng(5)
MAP = (5, 4, 9, 8)
"""An ordinary map."""


def numbers(shape: Sequence[int], dtype: Any) -> Array:
    """Random numbers of the whole range, or normal floats."""
    if dtype is F32:
        return RNG.standard_normal(shape, np.float32)
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max + 1, shape).astype(dtype)


@dataclass(frozen=True)
class Case:
    """One record: ``shapes`` are those of its operands, the largest and then smaller ones, of the
    types ``given``; the result is of the type ``made``."""

    parameters: Mapping[str, Any]
    shapes: Sequence[Sequence[Shape]]
    given: Sequence[Any] = (F32,)
    made: Any = F32
    coefficients: Mapping[str, Array] = field(default_factory=dict[str, Array])
    extra: tuple[int, ...] = ()
    positive: bool = False


def maps(*shapes: Shape) -> list[list[Shape]]:
    """Operands of these shapes, and the same with a smaller batch, height and width."""
    smaller = [(max(1, n - 2), c, max(1, h - 3), max(1, w - 2)) for n, c, h, w in shapes]
    return [list(shapes), smaller]


@dataclass(frozen=True)
class Step:
    """A record in a chain. ``xs``: "x0", "x1", ... are the chain's inputs, other names results of
    the steps before."""

    name: str
    kind: type[RecordOp]
    xs: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Chain:
    """Records one behind the other, of which the last makes an output of the network: a shape
    alone is none. ``shapes`` are those of the inputs at each launch."""

    steps: Sequence[Step]
    shapes: Sequence[Sequence[Shape]]
    kind: Any = F32
    positive: ClassVar = False

    @property
    def given(self) -> Sequence[Any]:
        """The types of the inputs."""
        return (self.kind,) * len(self.shapes[0])

    @property
    def made(self) -> Any:
        """The type of the output."""
        return self.kind
