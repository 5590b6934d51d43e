"""The model of the firmware: how tensors lie in memory, and what it refuses to execute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dialects.bm1684.record import movement, pointwise, shape_ops, windows
from dialects.bm1684.record.base import RecordOp, room
from dialects.bm1684.record.machine import MachineError, execute, loaded, stored, stored_bytes
from dialects.bm1684.record.stream import (
    BYTE_SIZE,
    FLOAT_SIZE,
    N1,
    N4,
    Coefficient,
    Neuron,
    RecordCode,
    Stream,
)
from tests.dialects.quant.ops_by_hand import noise
from tests.dialects.record.examples import eight, values

Array = NDArray[Any]
START = 0x1000
X, Y = Neuron(1), Neuron(2)
FLIP = values(movement.ReverseOp, axis=1)


def test_bytes_of_four_images_lie_beside_each_other() -> None:
    x = np.arange(2 * 3 * 2, dtype=np.uint8).reshape(2, 3, 2)
    expected = [0, 6, 0, 0, 1, 7, 0, 0, 2, 8, 0, 0, 3, 9, 0, 0, 4, 10, 0, 0, 5, 11, 0, 0]
    assert stored(x, N4).tolist() == expected
    assert stored(x, N1).tolist() == list(range(12))


@pytest.mark.parametrize("shape", [(1, 3), (4, 2, 3, 3), (5, 2, 1, 4), (7, 1), (3,)])
@pytest.mark.parametrize(("dtype", "size", "mode"), [
    (np.uint8, BYTE_SIZE, N4), (np.uint8, BYTE_SIZE, N1), (np.float32, FLOAT_SIZE, N1),
])  # fmt: skip
def test_a_tensor_comes_back(shape: tuple[int, ...], dtype: Any, size: int, mode: int) -> None:
    x = noise(1, dtype, shape)
    data = stored(x, mode)
    assert data.size == stored_bytes(shape, size, mode)
    np.testing.assert_array_equal(loaded(data, shape, size, mode), x)
    if (mode == N4) == (size == BYTE_SIZE):
        assert data.size == room(shape, size == FLOAT_SIZE)


def record(
    kind: type[RecordOp],
    sources: list[Neuron | Coefficient],
    results: list[Neuron],
    v: Mapping[str, Any],
    *,
    size: int = FLOAT_SIZE,
    extra: tuple[int, ...] = (),
) -> RecordCode:
    mode = N1 if size == FLOAT_SIZE else N4
    return RecordCode(kind, v, extra, size, mode, mode, tuple(sources), tuple(results))


def ran(
    *records: RecordCode, x: Array, memory: Array | None = None, outputs: tuple[int, ...] = (2,)
) -> dict[int, Array]:
    """Runs records on some memory with one input."""
    memory = np.zeros(1024, np.uint8) if memory is None else memory
    return execute(Stream((1,), outputs, records), memory, START, {1: x})


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_any_batch_goes_through_memory(n: int) -> None:
    x = noise(n, np.int8, (n, 3, 2, 2))
    between = Neuron(3, START + 64)
    found = ran(
        record(movement.ReverseOp, [X], [between], FLIP, size=BYTE_SIZE),
        record(movement.ReverseOp, [between], [Y], FLIP, size=BYTE_SIZE), x=x,
    )  # fmt: skip
    np.testing.assert_array_equal(found[2].view(np.int8), x)


def test_only_what_a_record_makes_is_written() -> None:
    memory = noise(3, np.uint8, (256,))
    before = memory.copy()
    x = noise(1, np.float32, (2, 3))
    ran(record(movement.ReverseOp, [X], [Neuron(3, START + 64)], FLIP), x=x, memory=memory)
    changed = np.flatnonzero(memory != before)
    assert changed.min() >= 64
    assert changed.max() < 64 + x.nbytes
    np.testing.assert_array_equal(memory[64:88].view(np.float32).reshape(2, 3), x[:, ::-1])


def test_a_smaller_shape_takes_the_beginning_of_a_buffer() -> None:
    memory = np.zeros(256, np.uint8)
    chain = (
        record(movement.ReverseOp, [X], [Neuron(3, START)], FLIP),
        record(movement.ReverseOp, [Neuron(3, START)], [Y], FLIP),
    )
    for shape in ((4, 8), (2, 8), (3, 5)):
        x = noise(2, np.float32, shape)
        np.testing.assert_array_equal(ran(*chain, x=x, memory=memory)[2], x)


def test_a_result_over_its_operand_is_computed_from_what_was_there() -> None:
    place = Neuron(3, START)
    x = noise(5, np.float32, (2, 3))
    found = ran(
        record(movement.ReverseOp, [X], [place], FLIP),
        record(movement.ReverseOp, [place], [Neuron(4, START)], FLIP),
        record(movement.ReverseOp, [Neuron(4, START)], [Y], FLIP), x=x,
    )  # fmt: skip
    np.testing.assert_array_equal(found[2], x[:, ::-1])


def test_a_result_over_another_tensor_spoils_it() -> None:
    kept = Neuron(3, START)
    x = noise(6, np.float32, (2, 3))
    found = ran(
        record(movement.ReverseOp, [X], [kept], FLIP),
        record(pointwise.ConstBinaryOp, [X], [Neuron(4, START + 8)],
               values(pointwise.ConstBinaryOp, value=1.0)),
        record(movement.ReverseOp, [kept], [Y], FLIP), x=x,
    )  # fmt: skip
    flat = x[:, ::-1].reshape(-1).copy()
    flat[2:] = (x + 1).reshape(-1)[:4]
    np.testing.assert_array_equal(found[2], flat.reshape(2, 3)[:, ::-1])


def test_the_sources_of_coefficients() -> None:
    memory = np.zeros(64, np.uint8)
    memory[:24].view(np.float32)[:] = [1, 2, 3, 4, 5, 6]
    v = values(windows.MatrixOp, inputs=3, outputs=2)
    x = np.array([[1, 10, 100]], np.float32)
    found = ran(record(windows.MatrixOp, [X, Coefficient(START)], [Y], v), x=x, memory=memory)
    np.testing.assert_array_equal(found[2], [[531, 642]])


V = {"rank": 2, "shape": eight(0, -1)}
TABLE = values(pointwise.LookupOp, rank=2)
FAULTS: dict[str, tuple[list[RecordCode], int]] = {
    "tensor 7 is read before it is made": (
        [record(movement.ReverseOp, [Neuron(7, START)], [Y], FLIP)], 0),
    "tensor 3 is read before it is made": (
        [record(movement.ReverseOp, [X], [Neuron(4, START)], FLIP),
         record(movement.ReverseOp, [Neuron(3, START)], [Y], FLIP),
         record(movement.ReverseOp, [X], [Neuron(3, START)], FLIP)], 1),
    "24 bytes at 0xffc lie outside": (
        [record(windows.MatrixOp, [X, Coefficient(START - 4)], [Y],
                values(windows.MatrixOp, inputs=3, outputs=2))], 0),
    "lies in the user's buffer, the record has an address": (
        [record(movement.ReverseOp, [Neuron(1, START)], [Y], FLIP)], 0),
    "tensor 3 has no address": (
        [record(movement.ReverseOp, [X], [Neuron(3, START)], FLIP),
         record(movement.ReverseOp, [Neuron(3)], [Y], FLIP)], 1),
    "makes float32, the record says size 2": (
        [record(movement.ReverseOp, [X], [Y], FLIP, size=BYTE_SIZE)], 0),
    "there is no axis 2": (
        [record(movement.ReverseOp, [X], [Y], values(movement.ReverseOp, axis=2))], 0),
    "24 bytes at 0x13fc lie outside": (
        [record(windows.MatrixOp, [X, Coefficient(START + 1020)], [Y],
                values(windows.MatrixOp, inputs=3, outputs=2))], 0),
    "an input of 4 numbers an image is needed": (
        [record(windows.MatrixOp, [X, Coefficient(START)], [Y],
                values(windows.MatrixOp, inputs=4, outputs=2))], 0),
}  # fmt: skip


@pytest.mark.parametrize("sentence", FAULTS)
def test_records_that_cannot_be_executed(sentence: str) -> None:
    records, index = FAULTS[sentence]
    with pytest.raises(MachineError, match=sentence) as raised:
        ran(*records, x=noise(1, np.float32, (2, 3)))
    assert raised.value.index == index


@pytest.mark.parametrize("address", [START - 4, START + 1004])
def test_results_outside_of_the_memory(address: int) -> None:
    records = record(movement.ReverseOp, [X], [Neuron(3, address)], FLIP)
    with pytest.raises(ValueError, match=f"24 bytes at {address:#x} lie outside"):
        ran(records, x=noise(1, np.float32, (2, 3)))
    ran(
        record(movement.ReverseOp, [X], [Neuron(3, START + 1000)], FLIP),
        x=noise(1, np.float32, (2, 3)),
    )


S = Neuron(3, None, True)
"""A shape that is computed."""
SHAPE_FAULTS: dict[str, tuple[list[RecordCode], int]] = {
    "1 is no shape": ([record(shape_ops.ReshapeToOp, [X, Neuron(1, None, True)], [Y], {})], 0),
    "3 is a shape": (
        [record(shape_ops.ShapeOfOp, [X], [S], values(shape_ops.ShapeOfOp)),
         record(movement.ReverseOp, [Neuron(3, START)], [Y], FLIP)], 1),
    "tensor 3 is read before it is made": ([record(shape_ops.ReshapeToOp, [X, S], [Y], {})], 0),
    r"\(2, 3\) does not fit \(7,\)": (
        [record(shape_ops.ShapeNumbersOp, [], [S],
                values(shape_ops.ShapeNumbersOp, count=1, numbers=eight(7))),
         record(shape_ops.ReshapeToOp, [X, S], [Y], {})], 1),
}  # fmt: skip


@pytest.mark.parametrize("sentence", SHAPE_FAULTS)
def test_shapes_that_cannot_be_used(sentence: str) -> None:
    records, index = SHAPE_FAULTS[sentence]
    with pytest.raises(MachineError, match=sentence) as raised:
        ran(*records, x=noise(1, np.float32, (2, 3)))
    assert raised.value.index == index


def to_numbers(*shape: int, size: int) -> tuple[RecordCode, RecordCode]:
    """A reshape of the input to these numbers."""
    v = values(shape_ops.ShapeNumbersOp, count=len(shape), numbers=eight(*shape))
    numbers = record(shape_ops.ShapeNumbersOp, [], [S], v)
    return numbers, record(shape_ops.ReshapeToOp, [X, S], [Y], {}, size=size)


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_only_floats_change_their_batch(dtype: Any) -> None:
    x = noise(1, dtype, (4, 6))
    size = FLOAT_SIZE if dtype is np.float32 else BYTE_SIZE
    found = ran(*to_numbers(4, 3, 2, size=size), x=x)[2]
    np.testing.assert_array_equal(found.view(dtype), x.reshape(4, 3, 2))
    if dtype is np.float32:
        np.testing.assert_array_equal(ran(*to_numbers(8, 3, size=size), x=x)[2], x.reshape(8, 3))
        return
    with pytest.raises(MachineError, match="the batch of 8-bit numbers changes") as raised:
        ran(*to_numbers(8, 3, size=size), x=x)
    assert raised.value.index == 1


def test_shapes_follow_the_input() -> None:
    """[n, c, h, w] to [n, h * w / 2, c + c]: one stream at two shapes."""
    ids = {name: Neuron(10 + i, None, True) for i, name in enumerate("xnhwcamdrs")}
    piece, compute = shape_ops.ShapeSliceOp, shape_ops.ShapeArithmeticOp

    def part(name: str, axis: int) -> RecordCode:
        place = axis | axis + 1 << 8 | 1 << 16
        return record(piece, [ids["x"]], [ids[name]], values(piece, place=place))

    def of(op: int, a: str, b: str, y: str) -> RecordCode:
        return record(compute, [ids[a], ids[b]], [ids[y]], values(compute, op=op))

    two = values(shape_ops.ShapeNumbersOp, count=1, numbers=eight(2))
    chain = (
        record(shape_ops.ShapeOfOp, [X], [ids["x"]], values(shape_ops.ShapeOfOp)),
        part("n", 0), part("c", 1), part("h", 2), part("w", 3),
        record(shape_ops.ShapeNumbersOp, [], [ids["r"]], two),
        of(shape_ops.MUL, "h", "w", "m"), of(shape_ops.DIV, "m", "r", "d"),
        of(shape_ops.ADD, "c", "c", "a"),
        record(shape_ops.ShapeJoinOp, [ids[k] for k in "nda"], [ids["s"]],
               values(shape_ops.ShapeJoinOp, count=3)),
        record(shape_ops.ReshapeToOp, [X, ids["s"]], [Y], {}),
    )  # fmt: skip
    for n, c, h, w in ((2, 3, 4, 5), (1, 3, 2, 3)):
        x = noise(n, np.float32, (n, c, h, w))
        found = ran(*chain, x=x)[2]
        np.testing.assert_array_equal(found, x.reshape(n, h * w // 2, 2 * c))


@pytest.mark.parametrize(("rule", "expected"), [
    ("align_corners", [0, 1, 2, 3, 4]), ("half_pixel", [0, 0.8, 2, 3.2, 4]),
    ("asymmetric", [0, 1.2, 2.4, 3.6, 4]),
])  # fmt: skip
def test_the_positions_of_a_resize(rule: str, expected: list[float]) -> None:
    """Of a ramp of 3 (by 2) to 5 columns, the positions themselves, twice as large."""
    x = np.tile(np.array([0, 2, 4], np.float32), (2, 3, 4, 1))
    v = values(shape_ops.ResizeOp, **({} if rule == "asymmetric" else {rule: 1}))
    numbers = values(shape_ops.ShapeNumbersOp, count=4, numbers=eight(2, 3, 1, 5))
    found = ran(
        record(shape_ops.ShapeNumbersOp, [], [S], numbers),
        record(shape_ops.ResizeOp, [X, S], [Y], v), x=x,
    )[2]  # fmt: skip
    assert found.shape == (2, 3, 1, 5)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-6)


def test_every_record_is_observed_in_order() -> None:
    seen: list[tuple[int, list[tuple[int, ...]]]] = []
    chain = (
        record(movement.ReshapeOp, [X], [Neuron(3, START)], values(movement.ReshapeOp, **V)),
        record(movement.ReverseOp, [Neuron(3, START)], [Y], FLIP),
    )
    execute(
        Stream((1,), (2,), chain), np.zeros(256, np.uint8), START,
        {1: noise(1, np.float32, (2, 3, 2))},
        lambda index, results: seen.append((index, [y.shape for y in results])),
    )  # fmt: skip
    assert seen == [(0, [(2, 6)]), (1, [(2, 6)])]


@pytest.mark.parametrize("shape", [(7,), (2, 3), (1, 2, 3, 2, 2)])
def test_a_shared_slope_is_for_tensors_of_any_rank(shape: tuple[int, ...]) -> None:
    x = noise(3, np.float32, shape)
    v = values(pointwise.PReluOp, channels=shape[1] if len(shape) > 1 else 1, shared=1, slope=0.5)
    found = ran(record(pointwise.PReluOp, [X], [Y], v), x=x)[2]
    np.testing.assert_array_equal(found, np.where(x > 0, x, x * np.float32(0.5)))
