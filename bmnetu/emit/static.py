"""From a function of npu ops to the container, and back for the check of what was written."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from xdsl.dialects.builtin import ModuleOp

from bmnetu.bmodel import (
    Bmodel,
    CommandGroup,
    HostCall,
    Net,
    Stage,
    StoreMode,
    Subnet,
    Tensor,
)
from bmnetu.emit.border import border_differences, border_tensor, network_name
from bmnetu.emit.notes import static_notes
from bmnetu.errors import BmnetuError, InputFileError
from dialects.bm1684.chip import BM1684
from dialects.host.ops import BY_NUMBER, HostOp
from passes.image import host as image
from passes.image.groups import CodedGroup
from passes.image.program import Call, NpuCall, Program, integer, module_tensors
from passes.image.tensors import NetworkTensor
from passes.module.functions import functions
from passes.module.locations import location_text
from passes.verify_layers import host_layers


def _tensor(at: NetworkTensor, is_input: bool) -> Tensor:
    return border_tensor(
        at.name, at.dtype, at.shape, at.address, at.scale, packed=at.packed, is_input=is_input
    )


def bmodel_of(module: ModuleOp) -> Bmodel:
    """The container's contents for a compiled module."""
    return _bmodel(module, Program.of(module))


def _bmodel(module: ModuleOp, program: Program) -> Bmodel:
    function = functions(module)[0]
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
        notes=static_notes(module).pack(),
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
    return stage_program(bmodel.nets[0].stages[0])


def stage_program(stage: Stage) -> Program:
    """What the chip gets of a static stage."""
    end = stage.context_address + stage.context_size - BM1684.context_start
    whole = Subnet(stage.inputs, stage.outputs, len(stage.groups))
    groups = iter((g.tiu, g.gdma) for g in stage.groups)
    calls = tuple(_call(subnet, groups) for subnet in stage.subnets or (whole,))
    return Program(calls, stage.coeff, end, stage.coeff_address)


def _call(subnet: Subnet, groups: Iterator[CodedGroup]) -> Call:
    if subnet.host is not None:
        return host_call(subnet, subnet.host)
    return NpuCall(tuple(islice(groups, subnet.group_count)), *_borders(subnet))


def host_call(subnet: Subnet, host: HostCall) -> image.HostCall:
    """The call of a subnet that is a layer on the host."""
    return image.HostCall(host.number, host.params, *_borders(subnet))


def _borders(subnet: Subnet) -> tuple[tuple[NetworkTensor, ...], tuple[NetworkTensor, ...]]:
    return tuple(map(placed, subnet.inputs)), tuple(map(placed, subnet.outputs))


def placed(tensor: Tensor) -> NetworkTensor:
    """A tensor of a file as the NPU's memory has it."""
    is_packed = tensor.store_mode == StoreMode.N4
    kind = tensor.data_type.numpy.name
    return NetworkTensor(
        tensor.name, tensor.shape, kind, tensor.address, tensor.size, None, is_packed
    )


def check_written(written: Bmodel, module: ModuleOp, name: str) -> None:
    """The file must hold the very commands and weights that were checked, and the module's border:
    names, shapes, types, scales and places of inputs and outputs."""
    found, program = program_of(written, name), Program.of(module)
    for difference in border_differences(written, _bmodel(module, program)):
        raise BmnetuError(f"{name}: {difference}")
    if found != program:
        raise BmnetuError(f"{name}: the file does not hold what was compiled")


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
