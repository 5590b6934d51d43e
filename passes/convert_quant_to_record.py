"""convert-quant-to-record: quant ops become the records of a dynamic network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, TensorType
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684.record.movement import ReshapeOp
from dialects.execute import names_of
from dialects.host.base import HostOp
from dialects.quant import types
from dialects.quant.base import QuantOp
from passes.module.functions import main_function, names, replace_body, samples
from passes.module.locations import LayerError, layer_name, location_text
from passes.records import FREE, RECORDS, NoRecord, Recorder, ShapeFixed
from passes.records.recorder import eight


@dataclass(frozen=True)
class ConvertQuantToRecordPass(ModulePass):
    """Replaces every op of ``@main`` by records, and takes the samples away.

    Before: quant ops, in ``@main`` at the largest shapes, and in functions of the same network at
    smaller ones (see ``sample_of``). After: ``@main`` holds record ops that compute all of these.
    Raises LayerError that names every layer without a record, ShapeFixed for a layer that a sample
    has otherwise.
    """

    name = "convert-quant-to-record"
    level = "quant"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        main, others = main_function(op), samples(op)
        functions = [main, *others]
        recorder = Recorder(Block(), len(functions))
        for args in zip(*(f.body.block.args for f in functions), strict=True):
            _add_input(recorder, args)
        refused: list[tuple[Operation, str]] = []
        for ops in zip_longest(*(f.body.block.ops for f in functions)):
            _check_alike(ops)
            first = ops[0]
            if isinstance(first, ReturnOp):
                results = _results(recorder, first, names(main, "output_names"))
                recorder.block.add_op(ReturnOp(*results))
                break
            recorder.location = first.location
            try:
                _lower(recorder, ops)
            except NoRecord as error:
                _check_samples(recorder, ops)
                refused.append((first, str(error)))
                _stand_in(recorder, ops)
        if refused:
            raise _refusal(refused)
        replace_body(main, recorder.block)
        for function in others:
            function.detach()
            function.erase()


def _add_input(c: Recorder, args: Sequence[SSAValue]) -> None:
    kind = types.tensor_type(args[0])
    value = c.block.insert_arg(
        TensorType(kind.element_type, kind.get_shape(), kind.encoding), len(c.block.args)
    )
    c.values[args[0]] = value
    c.shapes[value] = [types.shape_of(arg) for arg in args]


def _check_alike(ops: Sequence[Operation | None]) -> None:
    """Raises ShapeFixed where the op of a sample is another one than the first."""
    first = ops[0]
    for sample, other in enumerate(ops):
        if type(first) is not type(other):
            where = other if first is None or isinstance(first, ReturnOp) else first
            assert where is not None
            raise ShapeFixed(where.location, "it becomes other ops for other shapes", sample)
        if not isinstance(first, QuantOp) or other is None:
            continue
        free = FREE.get(type(first), set[str]())
        for name in first.properties.keys() | other.properties.keys():
            same = first.properties.get(name) == other.properties.get(name)
            if not same and name not in free:
                message = f'it computes with numbers that follow from the shape (its "{name}")'
                raise ShapeFixed(first.location, message, sample)


def _lower(c: Recorder, ops: Sequence[Operation | None]) -> None:
    """Appends the records of one op, and names the tensors that the network has."""
    first = ops[0]
    assert first is not None
    lowering = RECORDS.get(type(first))  # pyright: ignore[reportArgumentType]
    if isinstance(first, HostOp):
        raise NoRecord(f"the host computes {first.name}, and a dynamic network has no host layers:"
                       " -host=false ends the network before them")
    if lowering is None:
        raise NoRecord(f"the chip's firmware has nothing for a part of it ({first.name})")
    lowering(c, ops)
    for value, top in zip(first.results, names_of(first, "tops"), strict=True):
        made = c.values.get(value)
        if made is None:
            continue
        expected = [types.shape_of(other.results[value.index]) for other in ops if other]
        for sample, (found, wanted) in enumerate(zip(c.shapes[made], expected, strict=True)):
            if found != wanted:
                if not sample:
                    raise PassFailedException(
                        f"{location_text(first.location)}: the records of {first.name} make"
                        f" {found}, not {wanted}"
                    )
                raise ShapeFixed(first.location, f"its records make {found} there", sample)
        _name(c, made, value, top)


def _check_samples(c: Recorder, ops: Sequence[Operation | None]) -> None:
    """Raises ShapeFixed for the first sample without which the op has records."""
    for sample in range(len(ops)):
        kept = sorted({0, sample})
        try:
            _lower(c.trial(kept), [ops[each] for each in kept])
        except NoRecord as error:
            if not sample:
                return
            first = ops[0]
            assert first is not None
            raise ShapeFixed(first.location, str(error), sample) from None


def _name(c: Recorder, made: SSAValue, value: SSAValue, top: str) -> None:
    """The last record's result gets the tensor's name, scale and sign."""
    op = made.owner
    if not isinstance(op, Operation):
        return
    (name,) = names_of(op, "tops")
    if name and not name.startswith(f"{top}/"):  # a step of the same layer
        return
    op.properties["tops"] = ArrayAttr([StringAttr(top)])
    kept = c.shapes.pop(made)
    new = Rewriter.replace_value_with_new_type(made, value.type)
    c.shapes[new] = kept
    c.values[value] = new


def _stand_in(c: Recorder, ops: Sequence[Operation | None]) -> None:
    """Values for the results of a layer without a record, so that the others can be looked at."""
    first = ops[0]
    assert first is not None
    for value in first.results:
        stand_in = Block(arg_types=[value.type]).args[0]
        c.values[value] = stand_in
        c.shapes[stand_in] = [types.shape_of(op.results[value.index]) for op in ops if op]


def _results(
    c: Recorder, returned: ReturnOp, outputs: Sequence[str]
) -> list[SSAValue]:
    """The network's outputs, each a value of its own that a record makes."""
    found: list[SSAValue] = []
    for value, name in zip(returned.operands, outputs, strict=True):
        c.location = returned.location
        made = c.value(value)
        if made in found or not isinstance(made.owner, Operation) or value in c.constants:
            shape = c.shapes[made][0]
            made = c.one(
                ReshapeOp, [made], types.tensor_type(made).element_type, rank=len(shape),
                shape=eight([0] * len(shape)),
            )  # fmt: skip
            _name(c, made, value, name)
            made = c.values[value]
        found.append(made)
    return found


def _refusal(refused: Sequence[tuple[Operation, str]]) -> LayerError:
    lines: dict[str, None] = {}
    for op, message in refused:
        lines[f"{location_text(op.location)}: {message}"] = None
    first, *rest = lines
    count = len({layer_name(op) for op, _ in refused})
    error = LayerError(
        refused[0][0].location,
        "\n  ".join([
            f"{count} layer(s) cannot be computed at run-time shapes:", first, *rest,
            "compile without -dyn, or end the network before them (-output_whitelist)",
        ]),
    )  # fmt: skip
    error.args = (error.message,)
    return error
