"""Groups of layers in local memory: what the vendor's compiler makes of layers that follow each
other. Our own streams have none.

A group runs in steps, once for each slice of the batch and of the rows that fits. In each step some
layers compute while the transfers of the step run. With a software pipeline a slice goes
through stages: while it is in one, the next slice is in the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

from xdsl.utils.exceptions import VerifyException

from dialects.bm1684.record.reader import Head, Reader, StreamError, read_head, words
from dialects.bm1684.record.transfers import Transfer, read_transfer
from dialects.c_struct import U8, U32, CStruct, Values

T = TypeVar("T")
FLOAT_SIZE = 0
SPLIT, WIDE, KIND_SHIFT, COUNTED = 1, 2, 2, 0x20
"""Flags of a group: rows are split; its description has 16 bytes; the type of the group in three
bits (0: normal); consumers are counted."""
LOW = 0xFFFF
CONCAT, CONCAT_VERSION = 7, 2


@dataclass(frozen=True)
class Rows:
    """How many rows of an input the slices of the group need: the most that a slice has, and
    stride, kernel and pads of all layers taken as one window. ``least_kernel``: below so many rows
    an output would have none."""

    most: int
    stride: int
    kernel: int
    pad_top: int
    pad_bottom: int
    least_kernel: int


@dataclass(frozen=True)
class GroupInput:
    """A tensor that the group reads; ``rows`` where it is split along them."""

    id: int
    rows: Rows | None = None


@dataclass(frozen=True)
class GroupOutput:
    """A tensor that the group makes, and how many read it later."""

    id: int
    readers: int


@dataclass(frozen=True)
class LocalTensor:
    """A tensor in local memory: bytes from its start. Coefficients may have no id."""

    offset: int
    id: int | None = None


@dataclass(frozen=True)
class LocalLayer:
    """One layer. ``readers``: so many layers and transfers of the group read the result.
    ``buffer``: the offset of memory that it needs besides, None without. ``extra`` as of a record.
    """

    head: Head
    sources: tuple[LocalTensor, ...]
    result: LocalTensor
    readers: int
    buffer: int | None = None
    extra: tuple[int, ...] = ()
    stage: int = 0

    @property
    def parameters(self) -> CStruct:
        """The struct of its parameters."""
        return FORMS[self.head.kind.RECORD.number].struct or self.head.kind.RECORD.struct


@dataclass(frozen=True)
class LocalStep:
    """What happens at the same time."""

    layers: tuple[LocalLayer, ...]
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True)
class LocalGroup:
    """A group. ``batch`` is the largest slice of the batch, ``stages`` those of the software
    pipeline, 1 without; ``kind`` is 0 for maps of rank 4."""

    inputs: tuple[GroupInput, ...]
    outputs: tuple[GroupOutput, ...]
    steps: tuple[LocalStep, ...]
    batch: int
    stages: int = 1
    kind: int = 0

    @property
    def is_split(self) -> bool:
        """Whether the rows are split."""
        return any(each.rows is not None for each in self.inputs)


# -- how the operands of a layer stand -------------------------------------------------------------


class Order(Enum):
    """Where ids and offsets stand behind the block; then come the buffer and ``readers``."""

    PAIR = auto()
    """Ids of operand and result in one word; offsets of operand, coefficients, result."""
    EACH = auto()
    """Id and offset of each operand and of the result; the factor of an operand, where there is
    one, stands between."""
    IDS_FIRST = auto()
    """The ids of all, then the offsets."""
    JOINED = auto()
    """Of a concat: id of the result with the count of operands; their ids, two in a word; their
    offsets, that of the result; what a record has as extra words."""


@dataclass(frozen=True)
class Form:
    """A type of layer in local memory. ``has_buffer`` is for its parameters, and the size of its
    data."""

    order: Order
    has_buffer: Callable[[Values, int], bool] = lambda values, size: False
    struct: CStruct | None = None


def _always(values: Values, size: int) -> bool:
    return True


def _of_bytes(values: Values, size: int) -> bool:
    return size != FLOAT_SIZE


SHORT_FUNCTIONS = (5, 7, 8)
"""Square root, its reciprocal, absolute value: those that need no buffer. The vendor's compiler
writes none for a square (6), either, and the firmware then fails."""


def _long_function(values: Values, size: int) -> bool:
    return size == FLOAT_SIZE and values["function"] not in SHORT_FUNCTIONS


IN_RELU = 4
"""The upper bits of a convolution's relu say that it has a buffer."""
FORMS = {
    0: Form(Order.PAIR, lambda v, size: v["relu"] >> IN_RELU != 0),
    1: Form(Order.PAIR),
    10: Form(Order.EACH, _of_bytes),
    CONCAT: Form(Order.JOINED, struct=CStruct(
        channels=U32, height=U32, width=U32, version=U32, axis=U8,
    ).with_defaults(version=CONCAT_VERSION)),
    11: Form(Order.PAIR, lambda v, size: not (v["shared"] and v["slope"] == 0)),
    22: Form(Order.PAIR),
    26: Form(Order.IDS_FIRST),
    31: Form(Order.EACH, _of_bytes),
    32: Form(Order.EACH, _of_bytes),
    35: Form(Order.PAIR, _long_function),
    51: Form(Order.EACH),
    74: Form(Order.EACH, _always),
    106: Form(Order.IDS_FIRST, _always),
}  # fmt: skip
"""The types of layers by number. Seen in files of the vendor: 0, 1, 31, 32, 35, 74, 106. Our own of
type 1, 7, 10, 11, 26, 31, 32, 35 and 51 run on the vendor's runtime. Type 22, and the buffer of
type 0, are read off sophgo/tpu-mlir, BM1684DynLocal.cpp."""
OTHER_STRUCTS = {n: form.struct for n, form in FORMS.items() if form.struct is not None}


# -- writing ---------------------------------------------------------------------------------------


def pack_group(group: LocalGroup) -> bytes:
    """The bytes of a group, from its description on."""
    flags = COUNTED | WIDE | group.kind << KIND_SHIFT | (SPLIT if group.is_split else 0)
    counts = bytes([255, len(group.inputs), len(group.outputs), flags, group.stages, 0, 0, 0])
    parts = [words(0, len(group.steps) << 16), counts, words(group.batch)]
    parts += [_input(each) for each in group.inputs]
    parts += [words(each.id << 16 | each.readers) for each in group.outputs]
    for step in group.steps:
        for items in (step.layers, step.transfers):
            parts.append(words(len(items)))
            for item in items:
                data = _layer(item) if isinstance(item, LocalLayer) else item.pack()
                parts += [words(item.stage << 16 | len(data))] if group.stages > 1 else []
                parts.append(data)
    return b"".join(parts)


def _input(found: GroupInput) -> bytes:
    rows = found.rows
    if rows is None:
        return words(found.id)
    return words(
        found.id << 16 | rows.most, rows.stride << 16 | rows.kernel,
        rows.pad_top << 16 | rows.pad_bottom, rows.least_kernel,
    )  # fmt: skip


def _layer(layer: LocalLayer) -> bytes:
    form = FORMS[layer.head.kind.RECORD.number]
    sources, result = layer.sources, layer.result
    every = [*sources, result]
    offsets = [each.offset for each in every]
    match form.order:
        case Order.PAIR:
            tail = [(sources[0].id or 0) << 16 | (result.id or 0), *offsets]
        case Order.EACH:
            factors = [[word] for word in layer.extra] or [[]] * len(sources)
            own = zip(every, [*factors, []], strict=True)
            tail = [word for x, factor in own for word in (x.id or 0, *factor, x.offset)]
        case Order.IDS_FIRST:
            tail = [*(each.id or 0 for each in every), *offsets]
        case Order.JOINED:
            ids = [*(each.id or 0 for each in sources), *([0] if len(sources) % 2 else [])]
            pairs = [b << 16 | a for a, b in zip(ids[::2], ids[1::2], strict=True)]
            sizes = [word for size in layer.extra for word in (0, size)]
            tail = [(result.id or 0) << 16 | len(sources), *pairs, *offsets, *sizes]
    buffer = [] if layer.buffer is None else [layer.buffer]
    return layer.head.pack(form.struct) + words(*tail, *buffer, layer.readers)


# -- reading ---------------------------------------------------------------------------------------


def read_group(
    reader: Reader, steps: int, inputs: int, outputs: int, flags: int, stages: int, batch: int
) -> LocalGroup:
    """The group behind its description of 16 bytes. Raises StreamError."""
    found = tuple(_read_input(reader, bool(flags & SPLIT)) for _ in range(inputs))
    made = tuple(GroupOutput(word >> 16, word & LOW) for word in reader.words(outputs))
    read = tuple(
        LocalStep(
            _items(reader, stages, _read_layer), _items(reader, stages, read_transfer)
        )
        for _ in range(steps)
    )
    return LocalGroup(found, made, read, batch, stages, flags >> KIND_SHIFT & 7)


def _read_input(reader: Reader, is_split: bool) -> GroupInput:
    if not is_split:
        return GroupInput(reader.word())
    first, window, pads, least = reader.words(4)
    rows = Rows(first & LOW, window >> 16, window & LOW, pads >> 16, pads & LOW, least)
    return GroupInput(first >> 16, rows)


def _items(reader: Reader, stages: int, read: Callable[[Reader, int], T]) -> tuple[T, ...]:
    """So many layers or transfers as the next word says. In a pipeline each has its stage and its
    length before it."""
    found: list[T] = []
    for _ in range(reader.word()):
        word = reader.word() if stages > 1 else 0
        begin = reader.at
        found.append(read(reader, word >> 16))
        if stages > 1 and reader.at - begin != word & LOW:
            raise StreamError(f"{reader.at - begin} bytes at {begin}, which should be {word & LOW}")
    return tuple(found)


def _read_layer(reader: Reader, stage: int) -> LocalLayer:
    head = read_head(reader, OTHER_STRUCTS)
    form = FORMS.get(head.kind.RECORD.number)
    if form is None:
        raise StreamError(f"{head.kind.name} in local memory at {reader.at}, which is not known")
    if form.order is Order.JOINED:
        sources, result, extra = _read_joined(reader, head)
    elif form.order is Order.EACH:
        sources, result, extra = _read_each(reader, _count(head), head.kind.has_words(head.values))
    else:
        sources, result, extra = _read_offsets(reader, form.order, _count(head))
    buffer = reader.word() if form.has_buffer(head.values, head.data_size) else None
    return LocalLayer(head, sources, result, reader.word(), buffer, extra, stage)


Tensors = tuple[tuple[LocalTensor, ...], LocalTensor, tuple[int, ...]]
"""Operands, result, and extra words of a layer."""


def _count(head: Head) -> int:
    try:
        return len(head.kind.sources(head.values, ()))
    except (VerifyException, IndexError, ValueError) as error:
        raise StreamError(f"{head.kind.name}: {error}") from None


def _read_each(reader: Reader, count: int, has_factors: bool) -> Tensors:
    sources: list[LocalTensor] = []
    factors: list[int] = []
    for _ in range(count):
        id, *factor, offset = reader.words(2 + has_factors)
        sources.append(LocalTensor(offset, id))
        factors += factor
    id, offset = reader.words(2)
    return tuple(sources), LocalTensor(offset, id), tuple(factors)


def _read_offsets(reader: Reader, order: Order, count: int) -> Tensors:
    ids: Sequence[int | None]
    if order is Order.PAIR:
        pair = reader.word()
        ids = [pair >> 16, *[None] * (count - 1), pair & LOW]
    else:
        ids = reader.words(count + 1)
    *sources, result = map(LocalTensor, reader.words(count + 1), ids)
    return tuple(sources), result, ()


def _read_joined(reader: Reader, head: Head) -> Tensors:
    if head.values["version"] != CONCAT_VERSION:
        raise StreamError(f"a concat of version {head.values['version']}, which is not read here")
    id, count = divmod(reader.word(), LOW + 1)
    pairs = reader.words((count + 1) // 2)
    ids = [half for pair in pairs for half in (pair & LOW, pair >> 16)][:count]
    *offsets, last = reader.words(count + 1)
    given = reader.words(2 * count)
    if any(word & 0xFF for word in given[::2]):
        raise StreamError(f"a concat of coefficients at {reader.at}, which is not read here")
    return tuple(map(LocalTensor, offsets, ids)), LocalTensor(last, id), given[1::2]
