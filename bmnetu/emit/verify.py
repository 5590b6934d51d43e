"""A bmodel's file against the reference that a module carries."""

from __future__ import annotations

from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from bmnetu.bmodel import Bmodel, read
from bmnetu.compare_data import Given, given_data
from bmnetu.emit.border import border_differences
from bmnetu.emit.dynamic import dynamic_bmodel, dynamic_program
from bmnetu.emit.static import bmodel_of, host_differences, program_of
from bmnetu.errors import InputFileError
from bmnetu.files.reading import read_bytes
from dialects.bm1684.record.local import LocalGroup
from passes.image.program import Program, module_tensors
from passes.image.records import DynamicProgram, border, records_of
from passes.module.functions import functions
from passes.verification.findings import Findings
from passes.verify_layers import verify_program
from passes.verify_records import verify_dynamic


def verify(
    bmodel: Bmodel | str | Path,
    module: ModuleOp,
    seed: int = 0,
    cmp_data: Given | str | None = None,
) -> Findings:
    """Runs a bmodel's commands or records, and weights, against the reference that a module
    carries.

    ``module``: npu or record level with ``@reference``, as a compilation leaves it (it says where
    each tensor lies and which layer a command belongs to). A border (names, shapes, types, scales,
    places) that is not the module's is found first, and nothing runs then. ``cmp_data``: the
    input, real numbers: a file, or arrays by input name; without it ``seed`` makes one up. Raises
    InputFileError when bmodel and module do not belong together.
    """
    name = "the bmodel"
    if not isinstance(bmodel, Bmodel):
        name = str(bmodel)
        bmodel = read(read_bytes(Path(bmodel), "a bmodel"), name)
    given = Path(cmp_data) if isinstance(cmp_data, str) else cmp_data
    if any(records_of(function) for function in functions(module)):
        return _verify_dynamic(bmodel, module, name, seed, given)
    if any(stage.is_dynamic for net in bmodel.nets for stage in net.stages):
        raise _not_from(name)
    program = program_of(bmodel, name)
    own = Program.of(module)
    same = [len(x) for g in program.groups for x in g] == [len(x) for g in own.groups for x in g]
    if not same or len(program.coeff) != len(own.coeff):
        raise _not_from(name)
    data = given_data(given, {t.name: t.shape for t in module_tensors(module)[0]})
    findings = Findings()
    for difference in border_differences(bmodel, bmodel_of(module)):
        findings.fail(difference)
    for difference in host_differences(program, module):
        findings.fail(difference)
    if findings.ok:
        verify_program(module, program, findings, data, seed)
    return findings


def _not_from(name: str) -> InputFileError:
    return InputFileError(f"{name}: this bmodel was not made from that module")


def _verify_dynamic(
    bmodel: Bmodel, module: ModuleOp, name: str, seed: int, given: Given | None
) -> Findings:
    if not all(stage.is_dynamic for net in bmodel.nets for stage in net.stages):
        raise _not_from(name)
    program, own = dynamic_program(bmodel, name), DynamicProgram.of(module)
    kinds = [
        [type(group) if isinstance(group, LocalGroup) else group.kind for group in each.groups]
        for each in (program.stream, own.stream)
    ]
    if kinds[0] != kinds[1] or len(program.coeff) != len(own.coeff):
        raise _not_from(name)
    data = given_data(given, {t.name: t.shape for t in border(module)[0]})
    findings = Findings()
    for difference in border_differences(bmodel, dynamic_bmodel(module)):
        findings.fail(difference)
    if findings.ok:
        verify_dynamic(module, program, findings, data, seed)
    return findings
