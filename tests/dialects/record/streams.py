"""Streams for tests: a record of many types, and a group of each form of layer and transfer."""

from __future__ import annotations

from typing import Any

from dialects.bm1684.record.local import (
    CONCAT,
    FORMS,
    GroupInput,
    GroupOutput,
    LocalGroup,
    LocalLayer,
    LocalStep,
    LocalTensor,
    Order,
    Rows,
)
from dialects.bm1684.record.ops import BY_NUMBER
from dialects.bm1684.record.reader import Head
from dialects.bm1684.record.stream import Coefficient, Neuron, RecordCode, Stream
from dialects.bm1684.record.transfers import KINDS, STATED, Transfer

START = 0x105100000


def record(
    number: int, result: int, *operands: int, extra: tuple[int, ...] = (), **values: Any
) -> RecordCode:
    """A record of 8-bit data with results and operands of these ids, and coefficients."""
    kind = BY_NUMBER[number]
    v = {**kind.RECORD.struct.defaults, **values}
    ids = iter(operands)
    sources = tuple(
        Coefficient(START + 64 * i) if source.is_coefficient else _neuron(next(ids))
        for i, source in enumerate(kind.sources(v, extra))
    )
    return RecordCode(kind, v, extra, 2, 2, 2, sources, (_neuron(result),))


def _neuron(id: int) -> Neuron:
    return Neuron(id) if id < 2 else Neuron(id, START + 0x1000 * id)


def layer(number: int, stage: int = 0, **values: Any) -> LocalLayer:
    """A layer in local memory."""
    form, kind = FORMS[number], BY_NUMBER[number]
    v = {**(form.struct or kind.RECORD.struct).defaults, **values}
    count = 3 if number == CONCAT else len(kind.sources(v, ()))
    has_extra = number == CONCAT or kind.has_words(v)
    extra = tuple(range(3, 3 + count)) if has_extra else ()
    sources = tuple(
        LocalTensor(0x100 * i, None if form.order is Order.PAIR and i else 20 + i)
        for i in range(count)
    )
    head = Head(kind, v, 2, 2, 2)
    buffer = 0x8000 if form.has_buffer(v, head.data_size) else None
    return LocalLayer(head, sources, LocalTensor(0x4000, 9), 2, buffer, extra, stage)


def transfers(stage: int = 0) -> tuple[Transfer, ...]:
    """One of each type; each field has another value."""
    found: list[Transfer] = []
    for kind in KINDS:
        values = {name: 1 + place for place, name in enumerate(kind.struct.types)}
        stated = tuple(range(STATED)) if kind.number == 5 else ()
        found.append(Transfer(kind, values, stated, stage))
    return tuple(found)


LAYERS: list[tuple[int, dict[str, Any]]] = [
    (0, {"channels": 0x30004, "has_bias": 1}), (0, {"channels": 0x30004, "relu": 0x11}),
    (1, {"kernel": 0x20002}), (7, {"axis": 1}), (10, {"count": 2, "op": 1}),
    (10, {"count": 2, "op": 2}), (11, {"shared": 1}), (11, {"channels": 3}),
    (26, {"pads": (0, 0, 0, 0, 1, 1, 0, 0)}), (31, {"op": 4}), (32, {"op": 2, "value": 0.5}),
    (35, {"function": 1}), (51, {"rank": 4}), (74, {"source": 2}), (106, {"rank": 4}),
]  # fmt: skip


def local_group(stages: int) -> LocalGroup:
    """A group of two steps with every layer and transfer; rows are split without a pipeline."""
    last = stages - 1
    rows = Rows(9, 2, 5, 1, 2, 3) if stages == 1 else None
    layers = tuple(layer(number, last, **values) for number, values in LAYERS)
    return LocalGroup(
        (GroupInput(0, rows), GroupInput(6, rows)), (GroupOutput(9, 2),),
        (LocalStep(layers, ()), LocalStep((), transfers(last))), 4, stages,
    )  # fmt: skip


def records() -> tuple[RecordCode, ...]:
    """Records of many types."""
    return (
        record(0, 2, 0, channels=0x30004, kernel=0x30003, has_bias=1),
        record(1, 3, 2, channels=4, kernel=0x20002),
        record(3, 4, 3, inputs=12, outputs=5, shift=-3),
        record(7, 5, 2, 3, extra=(4, 4), count=2, rank=4, axis=1),
        record(10, 6, 2, 3, extra=(100, 27), count=2, op=1, relu=1),
        record(10, 6, 2, 3, count=2, op=2),
        record(11, 7, 6, channels=4),
        record(26, 8, 7, pads=(0, 0, 0, 0, 1, 1, 0, 0), value=0.25),
        record(31, 9, 8, b_is_coefficient=1, a_rank=4, b_rank=4),
        record(18, 10, 9, rank=2, shape=(0, -1, 0, 0, 0, 0, 0, 0)),
        record(106, 1, 10, rank=2),
    )


def sample(stages: int = 1) -> Stream:
    """A stream of all of these."""
    return Stream((0,), (1,), (*records(), local_group(stages)), 4)
