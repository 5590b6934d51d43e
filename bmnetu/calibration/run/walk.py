"""Runs a function op by op over several batches at once, as far as it is asked to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue

from dialects.constant import Array
from dialects.execute import Evaluate
from passes.module.functions import names


class Walk:
    """A function between two of its ops: what is still to be read is held, for every batch."""

    def __init__(
        self, function: FuncOp, batches: Sequence[Mapping[str, Array]], evaluate: Evaluate
    ) -> None:
        block = function.body.block
        self._evaluate = evaluate
        self.ops = [op for op in block.ops if not isinstance(op, ReturnOp)]
        self._uses = Counter(value for op in block.ops for value in op.operands)
        self._at, self._batches = 0, len(batches)
        args = zip(block.args, names(function, "input_names"), strict=True)
        self.values: dict[SSAValue, list[Array]] = {
            value: [batch[name] for batch in batches] for value, name in args
        }

    def step(self) -> None:
        """Runs one op for all batches."""
        op = self.ops[self._at]
        self._at += 1
        operands = [self.values[value] for value in op.operands]
        for value in op.operands:
            self._uses[value] -= 1
            if not self._uses[value]:
                del self.values[value]
        columns = list(zip(*operands, strict=True)) if operands else [()] * self._batches
        found = [self._evaluate(op, inputs) for inputs in columns]
        for i, value in enumerate(op.results):
            if self._uses[value]:
                self.values[value] = [results[i] for results in found]

    def run_to(self, value: SSAValue) -> list[Array]:
        """A value that is still to be read, after running what makes it."""
        while value not in self.values:
            self.step()
        return self.values[value]
