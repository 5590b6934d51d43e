"""From a module of records to the container, and back for the check of what was written."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

from bmnetu.bmodel import Bmodel, Net, Stage, Tensor, align
from bmnetu.emit.border import border_differences, border_tensor, network_name
from bmnetu.emit.notes import dynamic_notes
from bmnetu.errors import BmnetuError, InputFileError
from dialects.bm1684.chip import BM1684
from dialects.bm1684.record.stream import StreamError, pack, unpack
from dialects.execute import names_of
from passes.image.program import integer
from passes.image.records import BorderTensor, DynamicProgram, border
from passes.module.functions import FREE, main_function


def _tensors(found: list[BorderTensor], at: int, is_input: bool) -> tuple[Tensor, ...]:
    """The border's tensors; the records never use the places, but the runtime wants some."""
    tensors: list[Tensor] = []
    for each in found:
        tensors.append(border_tensor(
            each.name, each.dtype, each.shape, at, each.scale, packed=each.dtype != "float32",
            is_input=is_input,
        ))  # fmt: skip
        at = align(at + tensors[-1].size)
    return tuple(tensors)


def _end(tensors: tuple[Tensor, ...], begin: int) -> int:
    return align(tensors[-1].address + tensors[-1].size) if tensors else begin


def dynamic_bmodel(module: ModuleOp) -> Bmodel:
    """The container's contents for a compiled dynamic network."""
    function, program = main_function(module), DynamicProgram.of(module)
    context = integer(function, "context_address")
    size = integer(function, "context_size")
    inputs, outputs = border(module)
    made = _tensors(inputs, context + size, True)
    results = _tensors(outputs, _end(made, context + size), False)
    end = _end(results, _end(made, context + size))
    free = set(names_of(function, FREE))
    stage = Stage(
        inputs=made,
        outputs=results,
        context_address=context,
        context_size=end - context,
        coeff_address=BM1684.context_start,
        coeff=program.coeff,
        groups=(),
        records=pack(program.stream),
        batch_is_free="batch" in free,
        size_is_free=bool(free & {"height", "width"}),
        notes=dynamic_notes(module).pack(),
    )
    return Bmodel((Net(network_name(module), (stage,)),))


def dynamic_program(bmodel: Bmodel, name: str) -> DynamicProgram:
    """What the chip gets from a dynamic file with one net and one stage."""
    if len(bmodel.nets) != 1 or len(bmodel.nets[0].stages) != 1:
        raise InputFileError(f"{name}: only a bmodel of one net and one stage can be checked")
    stage = bmodel.nets[0].stages[0]
    try:
        stream = unpack(stage.records, len(stage.inputs), len(stage.outputs))
    except StreamError as error:
        raise InputFileError(f"{name}: {error}") from None
    end = stage.context_address + stage.context_size - BM1684.context_start
    return DynamicProgram(stream, stage.coeff, end)


def check_written(written: Bmodel, module: ModuleOp, name: str) -> None:
    """The file must hold the very records and coefficients that were checked, and the module's
    border."""
    for difference in border_differences(written, dynamic_bmodel(module)):
        raise BmnetuError(f"{name}: {difference}")
    found, own = dynamic_program(written, name), DynamicProgram.of(module)
    if (found.stream, found.coeff) != (own.stream, own.coeff):
        raise BmnetuError(f"{name}: the file does not hold what was compiled")
