"""From a function of npu ops to the container, and back for the check of what was written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr

from bmnetu.bmodel import (
    Bmodel,
    CommandGroup,
    DataType,
    Net,
    Stage,
    StoreMode,
    Tensor,
    read,
    tensor_bytes,
)
from bmnetu.compare_data import Given, given_data
from bmnetu.errors import BmnetuError, InputFileError
from bmnetu.files.reading import read_bytes
from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from passes.image.program import Program, integer
from passes.image.tensors import NetworkTensor, network_tensors
from passes.module.functions import main_function
from passes.verification.findings import Findings
from passes.verify_layers import verify_program


def _tensor(at: NetworkTensor, is_input: bool) -> Tensor:
    kind = DataType[at.dtype.upper()]
    mode = StoreMode.N4 if at.packed else StoreMode.N1
    step = at.scale or 1.0
    scale = 1.0 if at.scale is None else float(np.float32(1.0 / step if is_input else step))
    size = tensor_bytes(kind, mode, at.shape)
    return Tensor(at.name, kind, mode, at.address, size, at.shape, scale)


def network_name(module: ModuleOp) -> str:
    """The name the runtime launches the network by."""
    found = module.attributes.get("bmnetu.net_name")
    return found.data if isinstance(found, StringAttr) else "network"


def bmodel_of(module: ModuleOp) -> Bmodel:
    """The container's contents for a compiled module."""
    function = main_function(module)
    program = Program.of(function)
    stage = Stage(
        inputs=tuple(_tensor(t, True) for t in network_tensors(function, tile.InputOp)),
        outputs=tuple(_tensor(t, False) for t in network_tensors(function, tile.OutputOp)),
        context_address=integer(function, "context_address"),
        context_size=integer(function, "context_size"),
        coeff_address=BM1684.context_start,
        coeff=program.coeff,
        groups=tuple(CommandGroup(tiu, gdma) for tiu, gdma in program.groups),
    )
    return Bmodel((Net(network_name(module), (stage,)),))


def program_of(bmodel: Bmodel, name: str) -> Program:
    """What the chip gets from a file with one net and one stage."""
    if len(bmodel.nets) != 1 or len(bmodel.nets[0].stages) != 1:
        raise InputFileError(f"{name}: only a bmodel of one net and one stage can be checked")
    stage = bmodel.nets[0].stages[0]
    end = stage.context_address + stage.context_size - BM1684.context_start
    return Program(tuple((g.tiu, g.gdma) for g in stage.groups), stage.coeff, end)


def check_written(written: Bmodel, module: ModuleOp, name: str) -> None:
    """The file must hold the very commands and weights that were checked, and the module's border:
    names, shapes, types, scales and places of inputs and outputs."""
    program = program_of(written, name)
    for difference in border_differences(written, bmodel_of(module)):
        raise BmnetuError(f"{name}: {difference}")
    if program != Program.of(main_function(module)):
        raise BmnetuError(f"{name}: the file does not hold what was compiled")


def border_differences(written: Bmodel, compiled: Bmodel) -> Iterator[str]:
    """A sentence for everything but commands and weights in which two files of one net differ."""
    (net,), (own,) = written.nets, compiled.nets
    yield from _differences("the net", net, own, ("name",))
    (stage,), (kept,) = net.stages, own.stages
    memory = ("context_address", "context_size", "coeff_address", "weights")
    yield from _differences("the net", stage, kept, memory)
    for what, tensors, ours in (
        ("input", stage.inputs, kept.inputs),
        ("output", stage.outputs, kept.outputs),
    ):
        if len(tensors) != len(ours):
            yield f"the file has {len(tensors)} {what}s, the module {len(ours)}"
        for tensor, other in zip(tensors, ours, strict=False):
            yield from _differences(f"{what} {other.name!r}", tensor, other, TENSOR_FIELDS)


TENSOR_FIELDS = tuple(field.name for field in fields(Tensor))


def _differences(owner: str, found: object, ours: object, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        own, theirs = getattr(ours, name), getattr(found, name)
        if own != theirs:
            yield f"{owner} has {name} {theirs!r} in the file, {own!r} in the module"


def verify(
    bmodel: Bmodel | str | Path,
    module: ModuleOp,
    seed: int = 0,
    cmp_data: Given | str | None = None,
) -> Findings:
    """Runs a bmodel's commands and weights against the reference that a module carries.

    ``module``: npu level with ``@reference``, as a compilation leaves it (it says where each
    tensor lies and which layer a command belongs to). A border (names, shapes, types, scales,
    places) that is not the module's is found first, and nothing runs then. ``cmp_data``: the
    input, real numbers: a file, or arrays by input name; without it ``seed`` makes one up. Raises
    InputFileError when bmodel and module do not belong together.
    """
    name = "the bmodel"
    if not isinstance(bmodel, Bmodel):
        name = str(bmodel)
        bmodel = read(read_bytes(Path(bmodel), "a bmodel"), name)
    program = program_of(bmodel, name)
    own = Program.of(main_function(module))
    same = [len(x) for g in program.groups for x in g] == [len(x) for g in own.groups for x in g]
    if not same or len(program.coeff) != len(own.coeff):
        raise InputFileError(f"{name}: this bmodel was not made from that module")
    shapes = {t.name: t.shape for t in network_tensors(main_function(module), tile.InputOp)}
    data = given_data(Path(cmp_data) if isinstance(cmp_data, str) else cmp_data, shapes)
    findings = Findings()
    for difference in border_differences(bmodel, bmodel_of(module)):
        findings.fail(difference)
    if findings.ok:
        verify_program(module, program, findings, data, seed)
    return findings
