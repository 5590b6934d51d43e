"""From a function of npu ops to the container, and back for the check of what was written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr

from bmnetu.bmodel import (
    Bmodel,
    CommandGroup,
    DataType,
    HostCall,
    Net,
    Stage,
    StoreMode,
    Subnet,
    Tensor,
    read,
    tensor_bytes,
)
from bmnetu.compare_data import Given, given_data
from bmnetu.errors import BmnetuError, InputFileError
from bmnetu.files.reading import read_bytes
from dialects.bm1684.chip import BM1684
from dialects.host.ops import BY_NUMBER, HostOp
from passes.image import host as image
from passes.image.groups import CodedGroup
from passes.image.program import Call, NpuCall, Program, integer, module_tensors
from passes.image.tensors import NetworkTensor
from passes.module.functions import functions
from passes.module.locations import location_text
from passes.verification.findings import Findings
from passes.verify_layers import host_layers, verify_program


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
    function = functions(module)[0]
    program = Program.of(module)
    inputs, outputs = module_tensors(module)
    stage = Stage(
        inputs=tuple(_tensor(t, True) for t in inputs),
        outputs=tuple(_tensor(t, False) for t in outputs),
        context_address=integer(function, "context_address"),
        context_size=integer(function, "context_size"),
        coeff_address=BM1684.context_start,
        coeff=program.coeff,
        groups=tuple(CommandGroup(tiu, gdma) for tiu, gdma in program.groups),
        subnets=() if _is_one_function(program) else tuple(map(_subnet, program.calls)),
    )
    return Bmodel((Net(network_name(module), (stage,)),))


def _is_one_function(program: Program) -> bool:
    return len(program.calls) == 1 and isinstance(program.calls[0], NpuCall)


def _subnet(call: Call) -> Subnet:
    inputs = tuple(_tensor(t, True) for t in call.inputs)
    outputs = tuple(_tensor(t, False) for t in call.outputs)
    if isinstance(call, NpuCall):
        return Subnet(inputs, outputs, len(call.groups))
    return Subnet(inputs, outputs, 0, HostCall(call.number, call.params))


def program_of(bmodel: Bmodel, name: str) -> Program:
    """What the chip gets from a file with one net and one stage."""
    if len(bmodel.nets) != 1 or len(bmodel.nets[0].stages) != 1:
        raise InputFileError(f"{name}: only a bmodel of one net and one stage can be checked")
    stage = bmodel.nets[0].stages[0]
    end = stage.context_address + stage.context_size - BM1684.context_start
    whole = Subnet(stage.inputs, stage.outputs, len(stage.groups))
    groups = iter((g.tiu, g.gdma) for g in stage.groups)
    calls = tuple(_call(subnet, groups) for subnet in stage.subnets or (whole,))
    return Program(calls, stage.coeff, end)


def _call(subnet: Subnet, groups: Iterator[CodedGroup]) -> Call:
    inputs, outputs = (
        tuple(
            NetworkTensor(
                t.name, t.shape, t.data_type.numpy.name, t.address, t.size, None,
                t.store_mode == StoreMode.N4,
            )
            for t in some
        )
        for some in (subnet.inputs, subnet.outputs)
    )  # fmt: skip
    if subnet.host is not None:
        return image.HostCall(subnet.host.number, subnet.host.params, inputs, outputs)
    return NpuCall(tuple(islice(groups, subnet.group_count)), inputs, outputs)


def check_written(written: Bmodel, module: ModuleOp, name: str) -> None:
    """The file must hold the very commands and weights that were checked, and the module's border:
    names, shapes, types, scales and places of inputs and outputs."""
    program = program_of(written, name)
    for difference in border_differences(written, bmodel_of(module)):
        raise BmnetuError(f"{name}: {difference}")
    if program != Program.of(module):
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


def host_differences(program: Program, module: ModuleOp) -> Iterator[str]:
    """A sentence for each host layer whose operation or parameters are not the module's."""
    own = Program.of(module)
    layers = host_layers(module)
    for place, (call, kept) in enumerate(zip(program.calls, own.calls, strict=False)):
        if not isinstance(kept, image.HostCall):
            continue
        where = location_text(layers[place].location)
        if not isinstance(call, image.HostCall):
            yield f"{where}: the file has no host layer in its place"
        elif call.number != kept.number:
            known = call.number in BY_NUMBER
            yield f"{where}: the file has " + (
                f"{BY_NUMBER[call.number].name}, the module {layers[place].name}" if known
                else f"no host layer that is known: there is no host layer of number {call.number}"
            )  # fmt: skip
        elif call.params != kept.params:
            yield f"{where}: " + _parameters_apart(layers[place], call.params)


def _parameters_apart(op: HostOp, params: bytes) -> str:
    """The first parameter of a host layer that a file has otherwise."""
    try:
        found = op.LAYER.struct.unpack(params)
    except ValueError as error:
        return str(error)
    for name, value in op.values.items():
        if found[name] != value:
            return f"{name} is {found[name]} in the file, {value} in the module"
    return "the parameters are not the module's"


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
    own = Program.of(module)
    same = [len(x) for g in program.groups for x in g] == [len(x) for g in own.groups for x in g]
    if not same or len(program.coeff) != len(own.coeff):
        raise InputFileError(f"{name}: this bmodel was not made from that module")
    shapes = {t.name: t.shape for t in module_tensors(module)[0]}
    data = given_data(Path(cmp_data) if isinstance(cmp_data, str) else cmp_data, shapes)
    findings = Findings()
    for difference in border_differences(bmodel, bmodel_of(module)):
        findings.fail(difference)
    for difference in host_differences(program, module):
        findings.fail(difference)
    if findings.ok:
        verify_program(module, program, findings, data, seed)
    return findings
