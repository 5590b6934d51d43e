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
from dialects.quant import reference as quant_reference
from dialects.quant.base import QuantOp
from dialects.ufw import reference as ufw_reference
from passes.support.program import layer_name, location_text, names
from passes.verification.findings import Difference, TensorFinding

Array = NDArray[Any]


def evaluate(op: Operation, inputs: Sequence[Array]) -> Sequence[Array]:
    """The results of a ufw or quant op."""
    if isinstance(op, QuantOp):
        return quant_reference.evaluate(op, inputs)
    return ufw_reference.evaluate(op, inputs)


class ReferenceRun:
    """Walks the reference function as the NPU's tensors come in; frees what is no longer read.

    Every value exists twice: ``npu`` (the NPU's own tensor where it was observed, else computed
    from such) and ``cpu`` (computed from the network's inputs alone). Where both are equal they
    are one array, and the next op is computed once.
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
        self._report = report
        self._uses: Counter[SSAValue] = Counter(v for op in self._ops for v in op.operands)
        self._npu: dict[SSAValue, Array] = {}
        self._cpu: dict[SSAValue, Array] = {}
        for value, name in zip(block.args, names(function, "input_names"), strict=True):
            self._npu[value] = self._cpu[value] = inputs[name]

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

    def results(self) -> list[Array]:
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
                self._compare(op, top, got, own, all_the_way)
                own = got
            if own is not all_the_way and np.array_equal(own, all_the_way):
                own = all_the_way
            self._npu[value], self._cpu[value] = own, all_the_way
        self._release(op)

    def _compare(self, op: Operation, top: str, got: Array, own: Array, all_way: Array) -> None:
        isolated = Difference.between(got, own)
        same = own is all_way
        self._report(
            TensorFinding(
                top=top,
                layer=layer_name(op),
                where=location_text(getattr(op.location, "location", op.location)),
                kind=op.name.split(".")[-1],
                dtype=str(got.dtype),
                shape=got.shape,
                isolated=isolated,
                accumulated=isolated if same else Difference.between(got, all_way),
            )
        )

    def _release(self, op: Operation) -> None:
        for value in op.operands:
            self._uses[value] -= 1
        for value in (*op.operands, *op.results):
            if not self._uses[value]:
                self._npu.pop(value, None)
                self._cpu.pop(value, None)
