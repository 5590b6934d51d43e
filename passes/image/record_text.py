"""A stream of records as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dialects.bm1684.record.base import RecordOp
from dialects.bm1684.record.local import GroupInput, LocalGroup, LocalLayer, LocalTensor
from dialects.bm1684.record.reader import Head
from dialects.bm1684.record.stream import Coefficient, Operand, RecordCode, Stream
from dialects.bm1684.record.transfers import Transfer
from dialects.c_struct import U32, U64, CStruct, Values, ints
from passes.module.locations import location_text

SIZES = {0: "f32", 1: "16bit", 2: "8bit", 3: "i32"}
MODES = {0: "1N", 1: "2N", 2: "4N"}
HALF = 16
EXTENTS = ints(8)
OFFSETS = ("offset", "l2_offset")
PLACES = ("id", "address", *OFFSETS)
"""Fields of a transfer that are shown even where they are 0."""
PREFIX = "record."


def record_lines(stream: Stream, records: Sequence[RecordOp] = ()) -> Iterator[str]:
    """A line for the network, and one a record: its place in the stream, results, operands, the
    size of the data, the store modes of operand and result, the parameters that are not 0 (or their
    default), of shapes as much as the rank says; then, where ``records`` has the ops of the stream,
    the layer and the names of its tensors.

    ``t5`` is the tensor with the id 5, in the user's buffer where it has no address. A group of
    layers in local memory has a line for itself, and one a layer and a transfer with the step
    behind the point; ``@L`` is then an offset there.
    """
    yield f"network {_tensors(stream.outputs)} <- {_tensors(stream.inputs)} batch={stream.batch}"
    for number, group in enumerate(stream.groups):
        if isinstance(group, LocalGroup):
            yield from _group(number, group)
            continue
        line = f"{number} {_record(group)}"
        if number < len(records):
            op = records[number]
            tops = "".join(f" {top}" for top in op.top_names if top)
            line += f" ; {location_text(op.location)}{tops}"
        yield line


def _tensors(ids: Sequence[int]) -> str:
    return ", ".join(f"t{id}" for id in ids) or "nothing"


def _record(record: RecordCode) -> str:
    kind = record.kind
    names = [source.name for source in kind.sources(record.values, record.extra)]
    own = record.extra if kind.has_words(record.values) else ()
    operands = [_operand(each, name) for each, name in zip(record.sources, names, strict=True)]
    operands = _times(operands, own)
    results = ", ".join(_operand(each, "") for each in record.results)
    head = Head(kind, record.values, record.data_size, record.input_mode, record.output_mode)
    extra = "" if own else _extra(record.extra)
    return f"{_name(kind)} {results} <- {', '.join(operands)} {_head(head)}{extra}"


def _name(kind: type[RecordOp]) -> str:
    return f"{kind.name.removeprefix(PREFIX):14}"


def _operand(operand: Operand, name: str) -> str:
    if isinstance(operand, Coefficient):
        return f"{name}@{operand.address:#x}"
    return f"t{operand.id}" + ("" if operand.address is None else f"@{operand.address:#x}")


def _times(operands: Sequence[str], factors: Sequence[int]) -> list[str]:
    """Operands with the words that stand within them."""
    if not factors:
        return [*operands]
    return [f"{x}*{factor:#x}" for x, factor in zip(operands, factors, strict=True)]


def _extra(numbers: Sequence[int]) -> str:
    return f" extra={_value(U32 * len(numbers), tuple(numbers))}" if numbers else ""


def _head(head: Head, parameters: CStruct | None = None) -> str:
    size = SIZES.get(head.data_size, f"size{head.data_size}")
    modes = (MODES.get(mode, str(mode)) for mode in (head.input_mode, head.output_mode))
    return f"{size} {'>'.join(modes)}" + _parameters(
        parameters or head.kind.RECORD.struct, head.values
    )


def _parameters(parameters: CStruct, values: Values) -> str:
    return "".join(
        f" {name}={_hex(name, values[name]) or _value(kind, _up_to_rank(name, kind, values))}"
        for name, kind in parameters.types.items()
        if values[name] != parameters.defaults[name] or name in PLACES
    )


def _up_to_rank(name: str, kind: object, values: Values) -> Any:
    """A parameter; of one with room for the highest rank what the record's rank says, as the rest
    has no meaning."""
    value: Any = values[name]
    of = name.removesuffix("shape") if name.endswith("shape") else ""
    rank = values.get(f"{of}rank")
    if kind is EXTENTS and isinstance(rank, int):
        return value[: max(rank, 0)]
    return value


def _hex(name: str, value: object) -> str:
    return f"{value:#x}" if name in OFFSETS and isinstance(value, int) else ""


def _value(kind: object, value: object) -> str:
    """A parameter: addresses in hex, words of two numbers as high:low."""
    if isinstance(value, tuple):
        items: tuple[object, ...] = value  # pyright: ignore[reportUnknownVariableType]
        return f"({','.join(_value(None, each) for each in items)})"
    if isinstance(value, float):
        return f"{value:.9g}"
    if kind is U64:
        return f"{value:#x}"
    if kind is U32 and isinstance(value, int) and value >> HALF:
        return f"{value >> HALF}:{value & 0xFFFF}"
    return str(value)


# -- layers in local memory ------------------------------------------------------------------------


def _group(number: int, group: LocalGroup) -> Iterator[str]:
    made = ", ".join(f"t{each.id} readers={each.readers}" for each in group.outputs)
    read = ", ".join(map(_input, group.inputs))
    yield (
        f"{number} local {made} <- {read} steps={len(group.steps)} stages={group.stages}"
        f" batch={group.batch}" + (f" kind={group.kind}" if group.kind else "")
    )
    for place, step in enumerate(group.steps):
        for item in (*step.layers, *step.transfers):
            text = _layer(item) if isinstance(item, LocalLayer) else _transfer(item)
            yield f"{number}.{place} {text}" + (f" stage={item.stage}" if group.stages > 1 else "")


def _input(found: GroupInput) -> str:
    rows = found.rows
    if rows is None:
        return f"t{found.id}"
    return (
        f"t{found.id} rows={rows.most} stride={rows.stride} kernel={rows.kernel}"
        f" pads=({rows.pad_top},{rows.pad_bottom}) least={rows.least_kernel}"
    )


def _layer(layer: LocalLayer) -> str:
    head = layer.head
    names = [source.name for source in head.kind.sources(head.values, ())] if any(
        each.id is None for each in layer.sources
    ) else [""] * len(layer.sources)  # fmt: skip
    operands = list(map(_local, layer.sources, names))
    factors = layer.extra if head.kind.has_words(head.values) else ()
    operands = _times(operands, factors)
    extra = "" if factors else _extra(layer.extra)
    operands += [] if layer.buffer is None else [f"buffer@L{layer.buffer:#x}"]
    return (
        f"{_name(head.kind)} {_local(layer.result)} <- {', '.join(operands)}"
        f" {_head(head, layer.parameters)}{extra} readers={layer.readers}"
    )


def _local(tensor: LocalTensor, name: str = "") -> str:
    return f"{name if tensor.id is None else f't{tensor.id}'}@L{tensor.offset:#x}"


def _transfer(transfer: Transfer) -> str:
    stated = f" stated={transfer.stated}" if transfer.stated else ""
    return transfer.kind.name + _parameters(transfer.kind.struct, transfer.values) + stated
