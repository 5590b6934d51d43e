"""The stream of records: its bytes, and what they say.

Words of 32 bits, little endian. Ids of the network's inputs, ids of its outputs, the number of
groups, and the groups. A group begins with a word 0 (extra shapes) and 16 bytes that describe it;
then come the ids of its inputs, and those of its outputs with the number of their readers. Here
every group is one record: type, size of the data, store modes of input and output, the bytes of the
parameter block, the block, its operands and its results.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue
from xdsl.utils.exceptions import VerifyException

from dialects.bm1684.record.base import WORD, RecordOp, is_float
from dialects.bm1684.record.ops import BY_NUMBER
from dialects.c_struct import Values

MAX_ID = 0xFFFF
FLOAT_SIZE, BYTE_SIZE = 0, 2
"""The word for the size of the data: float32, or 8 bits."""
N1, N4 = 0, 2
"""Store modes."""
ONE_STEP = 1 << 16
BASE_FLAGS = 0x22
"""The group has the wide description of 16 bytes; consumers are counted."""


class StreamError(ValueError):
    """Bytes that are no stream of records; the message says what is wrong."""


@dataclass(frozen=True)
class Neuron:
    """A tensor of the network: its id, and its address, None for the user's buffer."""

    id: int
    address: int | None = None


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


@dataclass(frozen=True)
class Stream:
    """A network's records."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    records: tuple[RecordCode, ...]
    batch: int = 1
    """The largest batch, which the description of a group repeats."""


# -- writing ---------------------------------------------------------------------------------------


def _words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def pack(stream: Stream) -> bytes:
    """The bytes of a stream."""
    readers: dict[int, int] = {}
    for record in stream.records:
        for id in {neuron.id for neuron in record.neurons}:
            readers[id] = readers.get(id, 0) + 1
    for id in stream.outputs:
        readers[id] = readers.get(id, 0) + 1
    parts = [_words(*stream.inputs, *stream.outputs, len(stream.records))]
    for record in stream.records:
        parts += [_base(record, stream.batch, readers), _record(record)]
    return b"".join(parts)


def _base(record: RecordCode, batch: int, readers: dict[int, int]) -> bytes:
    inputs = list(dict.fromkeys(neuron.id for neuron in record.neurons))
    counts = bytes([255, len(inputs), len(record.results), BASE_FLAGS, 1, 0, 0, 0])
    outputs = [each.id << 16 | readers.get(each.id, 0) for each in record.results]
    return _words(0, ONE_STEP) + counts + _words(batch, *inputs, *outputs)


def _record(record: RecordCode) -> bytes:
    kind = record.kind
    block = kind.RECORD.struct.pack(record.values)
    sources = kind.sources(record.values, record.extra)
    head = _words(
        kind.RECORD.number, record.data_size, record.input_mode, record.output_mode, len(block)
    )
    operands = b"".join(
        _operand(each, word)
        for each, word in zip(
            record.sources, _words_each(record), strict=True
        )
    )
    results = b"".join(_operand(each) for each in record.results)
    return head + block + kind.extra_bytes(record.extra, sources) + operands + results


def _words_each(record: RecordCode) -> Sequence[int | None]:
    """The word within each operand, where there is one."""
    count = len(record.sources)
    return record.extra if record.kind.has_words(record.values) else [None] * count


def _operand(operand: Operand, word: int | None = None) -> bytes:
    if isinstance(operand, Coefficient):
        return struct.pack("<Q", operand.address)
    address = b"" if operand.address is None else struct.pack("<Q", operand.address)
    between = b"" if word is None else _words(word)
    return _words(int(operand.address is None), operand.id) + between + address


# -- reading ---------------------------------------------------------------------------------------


class Reader:
    """Reads words one after the other. Raises StreamError where there are too few."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """So many bytes."""
        if not 0 <= count <= len(self.data) - self.at:
            raise StreamError(f"the records end within {count} bytes at {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def words(self, count: int) -> tuple[int, ...]:
        """So many words."""
        return struct.unpack(f"<{count}I", self.take(count * WORD))

    def word(self) -> int:
        """One word."""
        return self.words(1)[0]

    def address(self) -> int:
        """One address."""
        return struct.unpack("<Q", self.take(8))[0]


def unpack(data: bytes, inputs: int, outputs: int) -> Stream:
    """The stream in these bytes, of a network with so many inputs and outputs.

    Raises StreamError for bytes that are no records, or records that are not known.
    """
    reader = Reader(data)
    first, last = reader.words(inputs), reader.words(outputs)
    count = reader.word()
    records: list[RecordCode] = []
    batch = 1
    for _ in range(count):
        if reader.word():
            raise StreamError(f"a group with extra shapes at {reader.at}, which is not read here")
        steps = reader.word()
        _, group_inputs, group_outputs, _, *_ = reader.take(8)
        batch = reader.word()
        if steps != ONE_STEP:
            raise StreamError(f"a group of layers in local memory at {reader.at}, which is not read"
                              " here")
        reader.words(group_inputs + group_outputs)
        records.append(_read_record(reader))
    if reader.at != len(data):
        raise StreamError(f"{len(data) - reader.at} bytes behind the records")
    return Stream(first, last, tuple(records), batch)


def _read_record(reader: Reader) -> RecordCode:
    number, size, input_mode, output_mode, length = reader.words(5)
    kind = BY_NUMBER.get(number)
    if kind is None:
        raise StreamError(f"a record of type {number} at {reader.at}, which is not known")
    if length != kind.RECORD.struct.size:
        raise StreamError(f"{kind.name} has {kind.RECORD.struct.size} bytes, not {length}")
    values = kind.RECORD.struct.unpack(reader.take(length))
    try:
        extra = kind.read_extra(values, reader.words)
        sources = kind.sources(values, extra)
        results = kind.result_count(values)
    except (VerifyException, IndexError, ValueError) as error:
        raise StreamError(f"{kind.name}: {error}") from None
    found: list[Operand] = []
    for source in sources:
        if source.is_coefficient:
            found.append(Coefficient(reader.address()))
            continue
        neuron, words = _read_neuron(reader, int(kind.has_words(values)))
        extra += words
        found.append(neuron)
    made = tuple(_read_neuron(reader, 0)[0] for _ in range(results))
    return RecordCode(
        kind, values, extra, size, input_mode, output_mode, tuple(found), made
    )


def _read_neuron(reader: Reader, words: int) -> tuple[Neuron, tuple[int, ...]]:
    is_border, id = reader.words(2)
    between = reader.words(words)
    if id > MAX_ID or is_border > 1:
        raise StreamError(f"no tensor at {reader.at}")
    return Neuron(id, None if is_border else reader.address()), between


def word_size(value: SSAValue) -> int:
    """The word for the size of a tensor's numbers."""
    return FLOAT_SIZE if is_float(value) else BYTE_SIZE


def store_mode(value: SSAValue) -> int:
    """How a tensor lies in memory: float32 1N, 8 bits 4N."""
    return N1 if is_float(value) else N4
