"""The stream of records: its bytes, and what they say.

Words of 32 bits, little endian. Ids of the network's inputs, ids of its outputs, the number of
groups, and the groups. A group begins with a word 0 (extra shapes) and 16 bytes that describe it;
then come the ids of its inputs, and those of its outputs with the number of their readers. A group
of one step is a record: type, size of the data, store modes of input and output, the bytes of the
parameter block, the block, its operands and its results. Those of more steps are in
:mod:`dialects.bm1684.record.local`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue
from xdsl.utils.exceptions import VerifyException

from dialects.bm1684.record.base import RecordOp, is_float, is_shape
from dialects.bm1684.record.local import (
    COUNTED,
    FLOAT_SIZE,
    WIDE,
    LocalGroup,
    pack_group,
    read_group,
)
from dialects.bm1684.record.reader import MAX_ID, Head, Reader, StreamError, read_head, words
from dialects.c_struct import Values

__all__ = [
    "BYTE_SIZE", "FLOAT_SIZE", "MAX_ID", "N1", "N4", "SHAPE_SIZE", "Coefficient", "Neuron",
    "Operand", "RecordCode", "Stream", "StreamError", "pack", "store_mode", "unpack", "word_size",
]  # fmt: skip

BYTE_SIZE = 2
"""The word for the size of the data: float32 is 0, 8 bits."""
SHAPE_SIZE = 3
"""That of shapes, 32-bit integers."""
N1, N4 = 0, 2
"""Store modes."""
ONE_STEP = 1 << 16
BASE_FLAGS = COUNTED | WIDE
"""The group has the wide description of 16 bytes; consumers are counted."""


@dataclass(frozen=True)
class Neuron:
    """A tensor of the network: its id, and its address, None for the user's buffer. A shape has an
    id alone."""

    id: int
    address: int | None = None
    is_shape: bool = False


@dataclass(frozen=True)
class Coefficient:
    """The address of a coefficient."""

    address: int


Operand = Neuron | Coefficient


@dataclass(frozen=True)
class RecordCode:
    """One record as the stream has it."""

    kind: type[RecordOp]
    values: Values
    extra: tuple[int, ...]
    data_size: int
    input_mode: int
    output_mode: int
    sources: tuple[Operand, ...]
    results: tuple[Neuron, ...]

    @property
    def neurons(self) -> list[Neuron]:
        """The operands that are made at run time."""
        return [each for each in self.sources if isinstance(each, Neuron)]


Group = RecordCode | LocalGroup


@dataclass(frozen=True)
class Stream:
    """A network's records, and groups of layers in local memory in files of others."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    groups: tuple[Group, ...]
    batch: int = 1
    """The largest batch, which the description of a group repeats."""


# -- writing ---------------------------------------------------------------------------------------


def pack(stream: Stream) -> bytes:
    """The bytes of a stream."""
    readers: dict[int, int] = {}
    for group in stream.groups:
        for id in _read_by(group):
            readers[id] = readers.get(id, 0) + 1
    for id in stream.outputs:
        readers[id] = readers.get(id, 0) + 1
    parts = [words(*stream.inputs, *stream.outputs, len(stream.groups))]
    for group in stream.groups:
        if isinstance(group, LocalGroup):
            parts.append(pack_group(group))
        else:
            parts += [_base(group, stream.batch, readers), _record(group)]
    return b"".join(parts)


def _read_by(group: Group) -> set[int]:
    return {each.id for each in (group.inputs if isinstance(group, LocalGroup) else group.neurons)}


def _base(record: RecordCode, batch: int, readers: dict[int, int]) -> bytes:
    inputs = list(dict.fromkeys(neuron.id for neuron in record.neurons))
    counts = bytes([255, len(inputs), len(record.results), BASE_FLAGS, 1, 0, 0, 0])
    outputs = [each.id << 16 | readers.get(each.id, 0) for each in record.results]
    return words(0, ONE_STEP) + counts + words(batch, *inputs, *outputs)


def _record(record: RecordCode) -> bytes:
    kind = record.kind
    modes = (record.data_size, record.input_mode, record.output_mode)
    head = Head(kind, record.values, *modes).pack()
    sources = kind.sources(record.values, record.extra)
    operands = b"".join(
        _operand(each, word) for each, word in zip(record.sources, _words_each(record), strict=True)
    )
    results = b"".join(_operand(each) for each in record.results)
    return head + kind.extra_bytes(record.extra, sources) + operands + results


def _words_each(record: RecordCode) -> Sequence[int | None]:
    """The word within each operand, where there is one."""
    count = len(record.sources)
    return record.extra if record.kind.has_words(record.values) else [None] * count


def _operand(operand: Operand, word: int | None = None) -> bytes:
    if isinstance(operand, Coefficient):
        return struct.pack("<Q", operand.address)
    if operand.is_shape:
        return words(operand.id)
    address = b"" if operand.address is None else struct.pack("<Q", operand.address)
    between = b"" if word is None else words(word)
    return words(int(operand.address is None), operand.id) + between + address


# -- reading ---------------------------------------------------------------------------------------


def unpack(data: bytes, inputs: int, outputs: int) -> Stream:
    """The stream in these bytes, of a network with so many inputs and outputs.

    Raises StreamError for bytes that are no records, or records that are not known.
    """
    reader = Reader(data)
    first, last = reader.words(inputs), reader.words(outputs)
    groups: list[Group] = []
    batch = 1
    for _ in range(reader.word()):
        begin = reader.at
        if reader.word():
            raise StreamError(f"a group with extra shapes at {begin}, which is not read here")
        steps, split = divmod(reader.word(), ONE_STEP)
        _, group_inputs, group_outputs, flags, stages, *_ = reader.take(8)
        if not steps or split or not flags & WIDE:
            raise StreamError(f"a group of an unknown form at {begin}")
        largest = reader.word()
        batch = max(batch, largest)
        if steps > 1:
            counts = (group_inputs, group_outputs)
            groups.append(read_group(reader, steps, *counts, flags, stages, largest))
            continue
        reader.words(group_inputs + group_outputs)
        groups.append(_read_record(reader))
    if reader.at != len(data):
        raise StreamError(f"{len(data) - reader.at} bytes behind the records")
    return Stream(first, last, tuple(groups), batch)


def _read_record(reader: Reader) -> RecordCode:
    head = read_head(reader)
    kind, values = head.kind, head.values
    if values.get("weight_is_tensor"):
        raise StreamError(f"{kind.name} at {reader.at} has a weight that is computed")
    try:
        extra = kind.read_extra(values, reader.words)
        sources = kind.sources(values, extra)
    except (VerifyException, IndexError, ValueError) as error:
        raise StreamError(f"{kind.name}: {error}") from None
    found: list[Operand] = []
    for source in sources:
        if source.is_coefficient:
            found.append(Coefficient(reader.address()))
            continue
        if source.is_shape:
            found.append(_read_shape(reader))
            continue
        neuron, between = _read_neuron(reader, int(kind.has_words(values)))
        extra += between
        found.append(neuron)
    made = _read_shape(reader) if kind.RECORD.makes_shape else _read_neuron(reader, 0)[0]
    modes = (head.data_size, head.input_mode, head.output_mode)
    return RecordCode(kind, values, extra, *modes, tuple(found), (made,))


def _read_shape(reader: Reader) -> Neuron:
    id = reader.word()
    if id > MAX_ID:
        raise StreamError(f"no shape at {reader.at}")
    return Neuron(id, None, True)


def _read_neuron(reader: Reader, count: int) -> tuple[Neuron, tuple[int, ...]]:
    is_border, id = reader.words(2)
    between = reader.words(count)
    if id > MAX_ID or is_border > 1:
        raise StreamError(f"no tensor at {reader.at}")
    return Neuron(id, None if is_border else reader.address()), between


def word_size(value: SSAValue) -> int:
    """The word for the size of a tensor's numbers."""
    if is_shape(value):
        return SHAPE_SIZE
    return FLOAT_SIZE if is_float(value) else BYTE_SIZE


def store_mode(value: SSAValue) -> int:
    """How a tensor lies in memory: float32 1N, 8 bits 4N."""
    return N1 if is_float(value) or is_shape(value) else N4
