"""The bytes of streams: what they say, and what is refused."""

from __future__ import annotations

import struct
import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest

from dialects.bm1684.record.local import (
    FORMS,
    GroupInput,
    GroupOutput,
    LocalGroup,
    LocalLayer,
    LocalStep,
    LocalTensor,
    Rows,
)
from dialects.bm1684.record.machine import MachineError, execute
from dialects.bm1684.record.reader import Head
from dialects.bm1684.record.stream import Stream, StreamError, pack, unpack
from dialects.bm1684.record.transfers import BY_KIND, Transfer
from passes.image.record_text import record_lines
from tests.dialects.record.streams import LAYERS, layer, record, sample

BYTES = {stages: pack(sample(stages)) for stages in (1, 3)}
FLIPS = 600
LARGEST_MEMORY = 4 << 20
"""Bytes; the streams have some thousand."""
LONGEST = 60
"""Seconds for five hundred streams; each takes a millisecond, more under tracemalloc."""


def words(*numbers: int) -> bytes:
    """Words of 32 bits."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


@pytest.mark.parametrize("stages", BYTES)
def test_a_stream_survives_the_bytes(stages: int) -> None:
    assert unpack(BYTES[stages], 1, 1) == sample(stages)
    assert {number for number, _ in LAYERS} == {n for n in FORMS if n != 22}


POOL = struct.pack("<II4B2BBBBxxxfBBBB", 8, 2 << 16 | 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, -1, 1, 1, 0, 0)
STORE = struct.pack("<IHHHHIBBxxIBxxx", 0x400, 7, 8, 0, 0, 0, 0, 0, 0, 0)


def group(stages: int, flags: int, rows: tuple[int, ...] = ()) -> bytes:
    """The words of a stream with a group of two steps: a pooling, and the store of its result."""
    counted = stages > 1
    layer_words = words(1, 0, 0, 0, len(POOL)) + POOL + words(5 << 16 | 7, 0x100, 0x400, 1)
    store = words(1, len(STORE)) + STORE
    return b"".join([
        words(5, 7, 1, 0, 2 << 16), bytes([255, 1, 1, flags, stages, 9, 9, 9]), words(4),
        words(*rows) if rows else words(5), words(7 << 16 | 1),
        words(1), words(1 << 16 | len(layer_words)) if counted else b"", layer_words, words(0),
        words(0), words(1), words(2 << 16 | len(store)) if counted else b"", store,
    ])  # fmt: skip


def pool_group(stages: int, rows: Rows | None = None) -> Stream:
    """What these words say."""
    found = local_layers(stages)
    values = BY_KIND[1].struct.defaults | {"offset": 0x400, "id": 7, "channels": 8}
    store = Transfer(BY_KIND[1], values, (), 2 if stages > 1 else 0)
    steps = (LocalStep(found, ()), LocalStep((), (store,)))
    made = LocalGroup((GroupInput(5, rows),), (GroupOutput(7, 1),), steps, 4, stages)
    return Stream((5,), (7,), (made,), 4)


def local_layers(stages: int) -> tuple[LocalLayer, ...]:
    """The pooling."""
    made = layer(1, channels=8, kernel=2 << 16 | 2, stride=(2, 2), input_sign=1, output_sign=1)
    head = Head(made.head.kind, made.head.values, 0, 0, 0)
    source, result = LocalTensor(0x100, 5), LocalTensor(0x400, 7)
    return (LocalLayer(head, (source,), result, 1, None, (), 1 if stages > 1 else 0),)


def test_a_group_in_words() -> None:
    assert unpack(group(1, 0x22), 1, 1) == pool_group(1)


def test_a_pipeline_in_words() -> None:
    assert unpack(group(3, 0x22), 1, 1) == pool_group(3)


def test_split_rows_in_words() -> None:
    rows = (5 << 16 | 9, 2 << 16 | 4, 1 << 16 | 3, 6)
    assert unpack(group(1, 0x23, rows), 1, 1) == pool_group(1, Rows(9, 2, 4, 1, 3, 6))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (3, 1, "a group with extra shapes at 12, which is not read here"),
        (4, 0, "a group of an unknown form at 12"),
        (4, 2 << 16 | 1, "a group of an unknown form at 12"),
        (5, 0x200101FF, "a group of an unknown form at 12"),
        (12, 6, "a record of type 6 at 68, which is not known"),
        (12, 3, "record.matrix has 64 bytes, not 28"),
        (12, 19, "record.softmax has 24 bytes, not 28"),
        (16, 29, "record.pool has 28 bytes, not 29"),
        (32, 14, "a transfer of type 14 at 136, which is not known"),
        (33, 40, "store_output has 28 bytes, not 40"),
        (11, 1 << 16 | 63, "64 bytes at 48, which should be 63"),
    ],
)
def test_wrong_words_are_refused(place: int, value: int, message: str) -> None:
    data = bytearray(group(3, 0x22))
    data[4 * place : 4 * place + 4] = words(value)
    with pytest.raises(StreamError) as caught:
        unpack(bytes(data), 1, 1)
    assert str(caught.value) == message


def test_what_has_other_operands_is_refused() -> None:
    fused = bytearray(pack(Stream((0,), (2,), (record(0, 2, 0, channels=0x30004),))))
    fused[12 + 20 + 8 + 20 + 92] = 1
    with pytest.raises(StreamError, match="holds another layer"):
        unpack(bytes(fused), 1, 1)
    computed = record(3, 2, 0, inputs=4, outputs=4, weight_is_tensor=1)
    with pytest.raises(StreamError, match="has a weight that is computed"):
        unpack(pack(Stream((0,), (2,), (computed,))), 1, 1)
    with pytest.raises(StreamError, match="4 bytes behind the records"):
        unpack(BYTES[1] + words(0), 1, 1)


def test_the_model_refuses_local_memory() -> None:
    data = np.zeros((1, 8, 4, 4), np.float32)
    with pytest.raises(MachineError, match="group 0 has layers in local memory") as caught:
        execute(pool_group(1), np.zeros(64, np.uint8), 0, {5: data})
    assert caught.value.index == 0


# -- hostile bytes ---------------------------------------------------------------------------------


def survives(data: bytes) -> bool:
    """Whether the bytes are a stream. One is shown and packed without an error, the others are
    refused in a sentence."""
    try:
        stream = unpack(data, 1, 1)
    except StreamError as error:
        message = str(error)
    else:
        message = ""
        _is_shown_and_packed(stream)
    assert message.isprintable()
    return not message


def _is_shown_and_packed(stream: Stream) -> None:
    assert all(line.isprintable() for line in record_lines(stream))
    again = pack(stream)
    assert pack(unpack(again, 1, 1)) == again


@pytest.mark.parametrize("stages", BYTES)
def test_truncated_bytes_are_refused(stages: int) -> None:
    data = BYTES[stages]
    lengths = [*range(0, len(data), 4), *range(1, 400)]
    assert not any(survives(data[:length]) for length in lengths)


@pytest.mark.parametrize("stages", BYTES)
def test_flipped_bits_do_no_harm(stages: int) -> None:
    rng = np.random.default_rng(stages)
    results: set[bool] = set()
    for _ in range(FLIPS):
        data = bytearray(BYTES[stages])
        for bit in rng.integers(0, 8 * len(data), rng.integers(1, 5)):
            data[bit // 8] ^= 1 << bit % 8
        results.add(survives(bytes(data)))
    assert results == {True, False}


@pytest.mark.parametrize("value", [0xFFFFFFFF, 0x7FFF7FFE])
def test_extreme_numbers_take_little_time_and_memory(value: int) -> None:
    data = BYTES[3]
    begin = time.process_time()
    tracemalloc.start()
    for at in range(4 * (value & 1), len(data), 8):
        with suppress(StreamError):
            unpack(data[:at] + words(value) + data[at + 4 :], 1, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < LARGEST_MEMORY
    assert time.process_time() - begin < LONGEST


def test_noise_does_no_harm() -> None:
    rng = np.random.default_rng(0)
    for _ in range(FLIPS):
        noise = rng.integers(0, 4, 256, np.uint8) * (rng.random(256) < 0.2)
        survives(noise.astype(np.uint8).tobytes())
