"""The CPU reference, run beside the NPU: twice, on the NPU's tensors and on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from dialects.execute import names_of
from dialects.host.base import HostOp
from dialects.quant import types
from passes.module.functions import named_inputs
from passes.module.locations import layer_name, location_text
from passes.verification.explain import Evidence
from passes.verification.findings import FLOAT_TOLERANCE, Difference, TensorFinding
from passes.verification.known import Known, evaluate
from passes.verification.pattern import Pattern
from passes.verification.rounding import rounding_of

Array = NDArray[Any]


class ReferenceRun:
    """Walks the reference function as the NPU's tensors come in; frees what is no longer read.

    Every value exists twice: ``npu`` (the NPU's own tensor where it was observed, else computed
    from such) and ``cpu`` (computed from the network's inputs alone). Where both are equal they
    are one array, and the next op is computed once. Where the CPU leaves an element undefined, it
    goes on with the NPU's number if that is of a usual size: what follows is compared again.
    ``evidence`` is the first bad tensor, but for those of host layers.
    """

    def __init__(
        self,
        function: FuncOp,
        inputs: Mapping[str, Array],
        observed: set[str],
        report: Callable[[TensorFinding], None],
    ):
        block = function.body.block
        self._ops = list(block.ops)
        self._at = 0
        self._observed = observed
        self._pending: dict[str, Array] = {}
        self.evidence: Evidence | None = None
        self._report = report
        self._uses: Counter[SSAValue] = Counter(v for op in self._ops for v in op.operands)
        self._npu: dict[SSAValue, Known] = {}
        self._cpu: dict[SSAValue, Known] = {}
        for value, name in named_inputs(function):
            given = inputs.get(name)
            if given is None:  # the network does without: only the shape is read
                given = np.zeros(types.shape_of(value), types.dtype_of(value))
            self._npu[value] = self._cpu[value] = Known.of(given)

    def observe(self, top: str, value: Array) -> None:
        """A tensor of the NPU is final; computes and compares as far as possible."""
        self._pending[top] = value
        while self._at < len(self._ops) and self._ready(self._ops[self._at]):
            self._step(self._ops[self._at])
            self._at += 1

    def missing(self) -> str | None:
        """The first observed tensor that never came, or None."""
        for op in self._ops[self._at :]:
            late = [t for t in names_of(op, "tops") if t in self._observed]
            if late:
                return late[0]
        return None

    def results(self) -> list[Known]:
        """The NPU's view of the function's results, once every tensor has come."""
        last = self._ops[-1]
        assert isinstance(last, ReturnOp)
        while self._at < len(self._ops) - 1:
            self._step(self._ops[self._at])
            self._at += 1
        return [self._npu[v] for v in last.operands]

    def _ready(self, op: Operation) -> bool:
        if isinstance(op, ReturnOp):
            return False
        return all(t in self._pending for t in names_of(op, "tops") if t in self._observed)

    def _step(self, op: Operation) -> None:
        npu = [self._npu[v] for v in op.operands]
        cpu = [self._cpu[v] for v in op.operands]
        isolated = evaluate(op, npu)
        same = all(a is b for a, b in zip(npu, cpu, strict=True))
        accumulated = isolated if same else evaluate(op, cpu)
        tops = names_of(op, "tops")
        for value, top, own, all_the_way in zip(
            op.results, tops, isolated, accumulated, strict=True
        ):
            if top in self._pending:
                got = self._pending.pop(top)
                self._compare(op, npu, top, got, own, all_the_way)
                own, all_the_way = own.replaced(got), all_the_way.filled(got)
            if own is not all_the_way and own.same(all_the_way):
                own = all_the_way
            self._npu[value], self._cpu[value] = own, all_the_way
        self._release(op)

    def _compare(
        self,
        op: Operation,
        inputs: Sequence[Known],
        top: str,
        got: Array,
        own: Known,
        all_way: Known,
    ) -> None:
        accumulated = isolated = _isolated(op, inputs, got, own)
        if own is not all_way:
            detects = isinstance(op, HostOp) and op.LAYER.is_detection
            compare = detections_apart if detects else _difference
            accumulated = compare(op, got, all_way)
        finding = TensorFinding(
            top=top,
            layer=layer_name(op),
            where=location_text(getattr(op.location, "location", op.location)),
            kind=op.name.split(".")[-1],
            dtype=str(got.dtype),
            shape=got.shape,
            isolated=isolated,
            accumulated=accumulated,
        )
        if not finding.ok and self.evidence is None and not isinstance(op, HostOp):
            pattern = Pattern(got, own.array, own.undefined)
            self.evidence = Evidence(top, isolated.index, op, pattern, frozenset(self._observed))
        self._report(finding)

    def _release(self, op: Operation) -> None:
        for value in op.operands:
            self._uses[value] -= 1
        for value in (*op.operands, *op.results):
            if not self._uses[value]:
                self._npu.pop(value, None)
                self._cpu.pop(value, None)


def _isolated(op: Operation, inputs: Sequence[Known], got: Array, known: Known) -> Difference:
    """How far a tensor is from what its layer makes of these inputs. Sums of floats may be off by
    what they round."""
    found = _difference(op, got, known)
    if got.dtype.kind != "f" or found.error <= FLOAT_TOLERANCE:
        return found
    slack = rounding_of(op, [x.array for x in inputs])
    return found if slack is None else Difference.between(got, known.array, known.undefined, slack)


def _difference(op: Operation, got: Array, known: Known) -> Difference:
    """How far a tensor is from what is known of it. A host layer also states how much of its result
    is undefined."""
    if isinstance(op, HostOp):
        return Difference.between(_finite(got), known.array)
    return Difference.between(got, known.array, known.undefined)


def detections_apart(op: Operation, got: Array, known: Known) -> Difference:
    """How far the rows of two detections are apart, in any order: each row of one beside the
    nearest of the other with its image and class."""
    rows, others = (_rows(x) for x in (got, known.array))
    alike = (rows[:, None, :2] == others[None, :, :2]).all(axis=2)
    gaps = np.abs(rows[:, None, 2:] - others[None, :, 2:]).max(axis=2, initial=0.0)
    gaps = np.where(alike, gaps, np.inf)
    nearest = [gaps.min(axis=axis, initial=np.inf) for axis in (0, 1)]
    worst = np.concatenate(nearest)
    count = int(np.count_nonzero(worst > 0))
    return Difference(float(worst.max(initial=0.0)), count)


def _finite(array: Array) -> Array:
    """An array with NaN for what is no finite number, as the CPU's have it."""
    if array.dtype.kind != "f":
        return array
    return np.where(np.isfinite(array), array, np.float32(np.nan))


def _rows(array: Array) -> Array:
    rows = array.reshape(-1, array.shape[-1]).astype(np.float64)
    return rows[~np.isnan(rows).any(axis=1)]
