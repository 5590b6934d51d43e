"""Networks of quant ops at several shapes, from one text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.parser import Parser

from bmnetu.files.dump import fill_constants
from bmnetu.pipeline import new_context, parse_pipeline, run_pipeline
from dialects.bm1684.record.base import RecordOp
from dialects.constant import Constant
from passes.image.records import records_of
from passes.module.functions import main_function
from passes.verification.findings import Findings
from passes.verify_records import VerifyRecordsPass
from tests.lit_inputs import BLOBS

Size = tuple[int, int, int]
"""Batch, height and width."""
Text = Callable[[int, int, int], str]
"""The function at these sizes, from its arguments on; see :func:`at_shapes`."""


def at_shapes(
    text: Text, *sizes: Size, constants: Mapping[str, NDArray[Any]] | None = None
) -> ModuleOp:
    """A module of the function at several sizes: ``@main`` and samples of it. Its constants are
    those of lit_tests, and ``constants`` by their digests, looked up when the text is made."""
    parts: list[str] = []
    for i, size in enumerate(sizes):
        body = text(*size)
        if i:
            body = body.replace("attributes {", 'attributes {sample_of = ["height"], ')
        parts.append(f"func.func @{f'sample_{i}' if i else 'main'}{body}")
    module = Parser(new_context(), "\n".join(parts)).parse_module()
    known = {Constant.of(array).digest: array for array in BLOBS.values()}
    fill_constants(module, {**known, **(constants or {})})
    module.verify()
    return module


def run(module: ModuleOp, passes: str) -> ModuleOp:
    """Runs passes on a module in place."""
    run_pipeline(module, parse_pipeline(passes), lambda item: None)
    return module


def recorded(module: ModuleOp) -> list[RecordOp]:
    """The records of a module of quant ops."""
    return records_of(main_function(run(module, "convert-quant-to-record")))


def compared(module: ModuleOp, seed: int = 0) -> Findings:
    """Brings a module of quant ops down, and what the compare finds."""
    run(module, "keep-reference,convert-quant-to-record,record-allocate-ddr")
    item = VerifyRecordsPass(seed)
    item.findings.fatal = False
    item.apply(new_context(), module)
    return item.findings


def names(ops: Sequence[Operation]) -> list[str]:
    """What kinds the ops are, without their dialect."""
    return [op.name.split(".")[1] for op in ops]
