"""verify-records: a dynamic network must compute what the CPU computes, at several shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684.record.base import RecordOp
from dialects.bm1684.record.machine import MachineError
from dialects.execute import names_of
from dialects.quant import types
from dialects.ufw.shapes import show
from passes.base import ComparePass
from passes.image.records import DynamicProgram, border, records_of
from passes.module.functions import functions, main_function, names, reference_module
from passes.module.locations import location_text
from passes.verification.explain import explain_tensor
from passes.verification.findings import Difference, Findings
from passes.verification.firmware import Observe, execute_records
from passes.verification.inputs import InputData, InputTensor
from passes.verification.reference import ReferenceRun

Array = NDArray[Any]
NOISE = 30011
"""Seed of the noise that fills the memory at first."""


def verify_dynamic(
    module: ModuleOp,
    program: DynamicProgram,
    findings: Findings,
    data: InputData | None = None,
    seed: int = 0,
) -> None:
    """Runs ``program`` on the model of the firmware beside the module's reference.

    The module holds records with addresses, and ``@reference`` the network at the largest shape and
    at smaller ones; the program may come from a file. The smaller shapes run on the memory that
    those before left. ``data`` is the input at the largest shape.
    """
    reference = reference_module(module)
    if reference is None:
        raise PassFailedException("there is no @reference: run keep-reference first")
    main, *others = functions(reference)
    records = records_of(main_function(module))
    run = _Run(program, records, _memory(program))
    names_ = names(main_function(module), "output_names")
    inputs = [
        InputTensor(t.name, t.shape, np.dtype(t.dtype), t.scale) for t in border(module)[0]
    ]
    given = (data or InputData()).of(inputs, seed)
    findings.inputs = given
    run.compare(main, given, names_, findings)
    for index, function in enumerate(others):
        smaller = Findings(at=shapes_text(function))
        findings.smaller.append(smaller)
        kinds = zip(inputs, function.body.block.args, strict=True)
        required = [
            InputTensor(t.name, types.shape_of(arg), t.dtype, t.scale) for t, arg in kinds
        ]
        made = InputData().of(required, seed + 1 + index)
        run.compare(function, made, names_, smaller)


def shapes_text(function: FuncOp) -> str:
    """The shapes of a function's inputs."""
    return " ".join(show(types.shape_of(arg)) for arg in function.body.block.args)


def _memory(program: DynamicProgram) -> Array:
    noise = np.random.default_rng(NOISE).integers(0, 256, program.ddr_bytes, np.uint8)
    noise[: len(program.coeff)] = np.frombuffer(program.coeff, np.uint8)
    return noise


@dataclass
class _Run:
    """The records on one memory."""

    program: DynamicProgram
    records: list[RecordOp]
    memory: Array

    def _results(self, given: Mapping[str, Array], observe: Observe) -> dict[int, Array]:
        """The network's results by id, for inputs in the network's order. Raises MachineError."""
        return execute_records(self.program.stream, self.memory, list(given.values()), observe)

    def compare(
        self,
        reference: FuncOp,
        given: Mapping[str, Array],
        outputs: tuple[str, ...],
        findings: Findings,
    ) -> None:
        """Compares every tensor with that of a function of the reference."""
        tops = {top for record in self.records for top in record.top_names if top}
        shapes = _shapes(reference)
        walker = ReferenceRun(reference, dict(given), tops, findings.add)

        def observe(index: int, results: list[Array]) -> None:
            record = self.records[index]
            for top, y, value in zip(record.top_names, record.ys, results, strict=True):
                if not top:
                    continue
                if value.shape != shapes.get(top, value.shape):
                    found, own = show(value.shape), show(shapes[top])
                    raise MachineError(index, f'tensor "{top}" is {found}, the CPU has {own}')
                # a record that moves 8-bit numbers does not know their sign
                walker.observe(top, value.view(types.dtype_of(y)))

        try:
            found = self._results(given, observe)
        except MachineError as error:
            where = location_text(self.records[error.index].location)
            findings.fail(f"{where}: {error.message}")
            return
        finally:
            if walker.evidence is not None:
                findings.explanation = explain_tensor(walker.evidence)
        late = walker.missing()
        if late is not None:
            findings.fail(f'tensor "{late}" was never computed')
            return
        for id, name, known in zip(
            self.program.stream.outputs, outputs, walker.results(), strict=True
        ):
            if id not in found or found[id].shape != known.array.shape:
                findings.fail(f'output "{name}" is not the tensor that was compared')
                return
            value = findings.outputs[name] = found[id].view(known.array.dtype)
            bad = Difference.between(value, known.array, known.undefined).index
            if bad and findings.first_bad is None:
                findings.fail(f'output "{name}" is not the tensor that was compared')


def _shapes(function: FuncOp) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a function of the reference, by its name."""
    return {
        top: types.shape_of(value)
        for op in function.body.block.ops
        for value, top in zip(op.results, names_of(op, "tops"), strict=True)
    }


@dataclass(frozen=True)
class VerifyRecordsPass(ComparePass):
    """Executes the records' bytes on a model of the firmware and compares every tensor with the CPU
    reference, at the largest shape and at those of the samples.

    Before: records with addresses, and ``@reference``. After: the same; see :class:`ComparePass`.
    """

    name = "verify-records"
    level = "record"

    def compare(self, module: ModuleOp) -> None:
        verify_dynamic(module, DynamicProgram.of(module), self.findings, self.data, self.seed)
