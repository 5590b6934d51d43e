"""What the compare finds, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passes.verification.explanation import Explanation

Array = NDArray[Any]
FLOAT_TOLERANCE = 1e-3
"""Allowed error of a float32 tensor: see :func:`float_gap`."""
ROUNDED = 1e-2
"""Elements below this part of the tensor's largest are measured against it. Sums round by their
largest terms, and what is left where terms cancel can be small: the order of the terms, which both
sides choose freely, then decides more than 1e-3 of it."""


@dataclass(frozen=True)
class Difference:
    """How far two tensors are apart: the largest error (float: |a-b| / max(1, |b|, ROUNDED * the
    largest |b|), integers: |a-b|), how many elements differ, and the first one beyond the
    tolerance with both values.
    ``undefined`` elements of the second one have no meaning and are not compared."""

    error: float
    unequal: int
    index: tuple[int, ...] = ()
    npu: float = 0.0
    cpu: float = 0.0
    undefined: int = 0

    @staticmethod
    def between(
        npu: Array, cpu: Array, undefined: Array | None = None, slack: Array | None = None
    ) -> Difference:
        """Compares an NPU tensor with a CPU one of the same shape, but for ``undefined``. Floats
        may be off by ``slack``."""
        if npu.dtype.kind == "f":
            gap, same = float_gap(npu, cpu.astype(np.float32), 0.0 if slack is None else slack)
            limit = FLOAT_TOLERANCE
        else:
            gap = np.abs(npu.astype(np.int64) - cpu.astype(np.int64)).astype(np.float64)
            same, limit = gap == 0, 0.0
        count = 0
        if undefined is not None:
            gap, same = np.where(undefined, 0.0, gap), same | undefined
            count = int(np.count_nonzero(undefined))
        error, unequal = float(gap.max(initial=0.0)), int(np.count_nonzero(~same))
        bad = gap > limit
        if not bad.any():
            return Difference(error, unequal, undefined=count)
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), gap.shape))
        return Difference(error, unequal, index, float(npu[index]), float(cpu[index]), count)


def float_gap(npu: Array, cpu: Array, slack: Array | float = 0.0) -> tuple[Array, Array]:
    """The errors, ``(|npu - cpu| - slack) / max(1, |cpu|, ROUNDED * largest |cpu|)``, and where
    both are the same."""
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(cpu.astype(np.float64))
        largest = size.max(initial=0.0, where=np.isfinite(size))
        apart = np.maximum(np.abs(npu.astype(np.float64) - cpu) - slack, 0.0)
        gap = apart / np.maximum(max(1.0, ROUNDED * largest), size)
    same = (npu == cpu) | (np.isnan(npu) & np.isnan(cpu))
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap)), same


@dataclass(frozen=True)
class TensorFinding:
    """One tensor: ``isolated`` is the error of its own layer (the reference is fed with the NPU's
    inputs), ``accumulated`` the error against the reference run from the network's inputs on."""

    top: str
    layer: str
    where: str
    kind: str
    dtype: str
    shape: tuple[int, ...]
    isolated: Difference
    accumulated: Difference

    @property
    def size(self) -> int:
        """How many elements it has."""
        return int(np.prod(self.shape))

    @property
    def undefined(self) -> int:
        """How many elements the CPU leaves undefined (NaN, an infinity): they are not compared."""
        return self.isolated.undefined

    @property
    def ok(self) -> bool:
        """Equality for integers; within the tolerance for floats."""
        limit = FLOAT_TOLERANCE if self.dtype == "float32" else 0.0
        return self.isolated.error <= limit

    def sentence(self) -> str:
        """What is wrong, with both values."""
        at, d = ", ".join(map(str, self.isolated.index)), self.isolated
        place = f"{self.where}: " if self.where else ""
        return (
            f'{place}layer "{self.layer}": tensor "{self.top}" at [{at}]: the NPU has {d.npu:g},'
            f" the CPU {d.cpu:g}; {d.unequal} of {self.size} elements differ,"
            f" isolated error {d.error:g}, accumulated error {self.accumulated.error:g}"
        )


@dataclass(repr=False)
class Findings:
    """Everything the compare found. ``on_tensor`` is called for each tensor as it becomes final;
    ``failure``: a sentence about commands that could not be executed at all. ``fatal``: a
    difference ends the pass pipeline; a driver that reads the verdict clears it. ``explanation``
    says why the first bad tensor or the failure is as it is, where that is known. ``smaller`` is
    what was found of a dynamic network at smaller shapes, ``at`` says which."""

    tensors: list[TensorFinding] = field(default_factory=list[TensorFinding])
    failure: str | None = None
    inputs: dict[str, Array] = field(default_factory=dict[str, Array])
    outputs: dict[str, Array] = field(default_factory=dict[str, Array])
    on_tensor: Callable[[TensorFinding], None] | None = None
    fatal: bool = True
    at: str = ""
    explanation: Explanation | None = None
    smaller: list[Findings] = field(default_factory=list["Findings"])

    def __repr__(self) -> str:
        return f"<Findings: {self.verdict()}>"

    def add(self, finding: TensorFinding) -> None:
        self.tensors.append(finding)
        if self.on_tensor is not None:
            self.on_tensor(finding)

    def fail(self, sentence: str) -> None:
        """Records what stopped the run; the first one counts."""
        self.failure = self.failure or sentence

    @property
    def first_bad(self) -> TensorFinding | None:
        """The first tensor whose own layer is wrong."""
        return next((t for t in self.tensors if not t.ok), None)

    @property
    def undefined(self) -> int:
        """How many elements the CPU leaves undefined, over all tensors."""
        return sum(t.undefined for t in self.tensors)

    @property
    def unproved(self) -> list[TensorFinding]:
        """The tensors of which every element is undefined: nothing is proved of them."""
        return [t for t in self.tensors if t.undefined == t.size]

    @property
    def ok(self) -> bool:
        own = self.failure is None and self.first_bad is None
        return own and all(each.ok for each in self.smaller)

    @property
    def explained(self) -> Explanation | None:
        """The explanation of what :meth:`verdict` names."""
        if self.first_bad is not None or self.failure is not None:
            return self.explanation
        return next((each.explanation for each in self.smaller if not each.ok), None)

    def verdict(self) -> str:
        """One sentence: passed, or the first thing that went wrong."""
        bad = self.first_bad
        if bad is not None:
            return bad.sentence()
        if self.failure is not None:
            return self.failure
        for each in self.smaller:
            if not each.ok:
                return f"with an input of {each.at}: {each.verdict()}"
        left_out = f", {self.undefined} undefined elements left out" if self.undefined else ""
        return f"all {len(self.tensors)} tensors agree{left_out}"
