"""Rows and columns that the tensor unit moves: equal to the reference at every opt level, and at
opt 2 in local memory between layers that keep their tensors there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import FloatAttr, f32

from dialects.constant import ConstantAttr
from dialects.quant import movement
from dialects.quant.base import i64s, int_attr
from passes.kernels.movement.runs import Run, runs_of
from tests.passes.kernels.one_quant_op import check, tensor, transfers

KINDS = st.sampled_from(["f32", "si8", "ui8"])
OPTS = st.sampled_from([0, 1, 2])
FEW = settings(max_examples=8, deadline=None)
SHAPES = st.tuples(
    st.sampled_from([1, 2, 5]), st.sampled_from([1, 3, 64, 70]), st.sampled_from([1, 5, 9]),
    st.sampled_from([1, 6, 8]),
)  # fmt: skip
LISTS: dict[str, Callable[[int], list[int]]] = {
    "twice": lambda size: [i // 2 for i in range(2 * size)],
    "backwards": lambda size: list(range(size))[::-1],
    "padded": lambda size: [-1, -1, *range(size), -1],
    "every second": lambda size: list(range(size))[::2],
    "odd": lambda size: [i * size // 7 for i in range(7)],
}  # fmt: skip


@given(
    kind=KINDS, opt=OPTS, shape=SHAPES, rank=st.integers(2, 5),
    name=st.sampled_from(list(LISTS)), axis=st.integers(0, 4),
)  # fmt: skip
@FEW
def test_take(
    kind: str, opt: int, shape: tuple[int, ...], rank: int, name: str, axis: int
) -> None:
    shape = (*shape, 2)[:rank]
    axis %= rank
    wanted, result = LISTS[name](shape[axis]), list(shape)
    result[axis] = len(wanted)
    check(
        movement.TakeOp, [tensor(shape, kind)], [tensor(result, kind)], opt, axis=int_attr(axis),
        indices=ConstantAttr.of(np.array(wanted, np.int32)), fill=FloatAttr(3.0, f32),
    )  # fmt: skip


@given(kind=KINDS, opt=OPTS, shape=SHAPES, axis=st.integers(2, 3), count=st.integers(2, 19))
@FEW
def test_interpolate(kind: str, opt: int, shape: tuple[int, ...], axis: int, count: int) -> None:
    at = np.linspace(0, shape[axis] - 1, count)
    first = np.floor(at).astype(np.int32)
    weights = (at - first) * (first < shape[axis] - 1)
    result = list(shape)
    result[axis] = count
    numbers = weights.astype(np.float32) if kind == "f32" else (weights * 127).astype(np.int8)
    check(
        movement.InterpolateOp, [tensor(shape, kind)], [tensor(result, kind)], opt,
        axis=int_attr(axis), indices=ConstantAttr.of(first), weights=ConstantAttr.of(numbers),
    )  # fmt: skip


@given(kind=KINDS, opt=OPTS, shape=SHAPES, step=st.tuples(st.integers(1, 3), st.integers(1, 3)),
       together=st.booleans(), data=st.data())  # fmt: skip
@FEW
def test_interleave(
    kind: str, opt: int, shape: tuple[int, ...], step: tuple[int, int], together: bool, data: Any
) -> None:
    n, c, h, w = shape
    phases = step[0] * step[1]
    begin = [data.draw(st.integers(0, size * s - 1)) for size, s in zip((h, w), step, strict=True)]
    extent = [
        data.draw(st.integers(1, size * s - b))
        for size, s, b in zip((h, w), step, begin, strict=True)
    ]
    operands = [tensor((n, c * phases, h, w), kind)] if together else [tensor(shape, kind)] * phases
    check(
        movement.InterleaveOp, operands, [tensor((n, c, *extent), kind)], opt,
        step=i64s(step), begin=i64s(begin),
    )  # fmt: skip


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"), [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 1), (1, 1))]
)
def test_unpooling(kernel: Any, stride: Any, pad: Any, opt: int) -> None:
    whole, pooled = tensor((2, 70, 9, 8), "f32"), tensor((2, 70, 4, 4 * (3 - stride[1])), "f32")
    window = {"kernel": i64s(kernel), "stride": i64s(stride), "pad": i64s(pad)}
    check(movement.PoolIndexOp, [whole, pooled], [pooled], opt, **window)
    check(movement.UnpoolOp, [pooled, pooled], [whole], opt, **window)


@pytest.mark.parametrize(("kind", "batch"), [("f32", 1), ("f32", 4), ("si8", 4)])
def test_local_memory_holds_them_between_layers(kind: str, batch: int) -> None:
    """An upsampling, a crop, and phases of a deconvolution: no transfer at opt 2."""
    x, wide = tensor((batch, 70, 6, 5), kind), tensor((batch, 70, 12, 5), kind)
    twice = ConstantAttr.of(np.arange(12, dtype=np.int32) // 2)
    settings_ = {"axis": int_attr(2), "indices": twice}
    assert transfers(check(movement.TakeOp, [x], [wide], 2, **settings_)) == 0
    inner = ConstantAttr.of(np.arange(1, 4, dtype=np.int32))
    cut = tensor((batch, 70, 6, 3), kind)
    settings_ = {"axis": int_attr(3), "indices": inner}
    assert transfers(check(movement.TakeOp, [x], [cut], 2, **settings_)) == 0
    module = check(movement.InterleaveOp, [x] * 2, [wide], 2, step=i64s([2, 1]))
    assert transfers(module) == 0


@pytest.mark.parametrize("shape", [(1, 3, 500, 200), (6, 130, 60, 20), (1, 1, 2, 40000)])
def test_large_tensors_are_cut(shape: tuple[int, ...]) -> None:
    n, c, h, w = shape
    twice = ConstantAttr.of(np.arange(2 * h, dtype=np.int32) // 2)
    result = tensor((n, c, 2 * h, w), "f32")
    check(
        movement.TakeOp, [tensor(shape, "f32")], [result], 1, axis=int_attr(2), indices=twice
    )
    shares = ConstantAttr.of(
        (np.arange(2 * h) % 2 / 2 * (twice.array < h - 1)).astype(np.float32)
    )
    check(
        movement.InterpolateOp, [tensor(shape, "f32")], [result], 2,
        axis=int_attr(2), indices=twice, weights=shares,
    )  # fmt: skip


@given(st.lists(st.integers(-1, 9), min_size=1, max_size=30))
def test_runs_cover_every_index_once(wanted: list[int]) -> None:
    found = [-2] * len(wanted)
    for run in runs_of(wanted):
        for k in range(run.count):
            assert found[run.first + k * run.step] == -2
            source = run.source if run.source == -1 else run.source + k * run.source_step
            found[run.first + k * run.step] = source
    assert found == wanted


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (list(range(50)), 1),
        ([i // 2 for i in range(100)], 2),
        ([i * 2 for i in range(20)], 1),
        ([0] * 9, 1),
        ([i * 2 // 3 for i in range(60)], 3),
        ([-1, -1, *range(7), -1], 3),
    ],
)
def test_equal_steps_are_one_run(wanted: list[int], count: int) -> None:
    assert len(runs_of(wanted)) == count


@given(
    st.integers(0, 5), st.integers(1, 4), st.integers(1, 9), st.integers(0, 30), st.integers(1, 30)
)
def test_a_part_of_a_run(first: int, step: int, count: int, begin: int, extent: int) -> None:
    part = Run(first, step, count, 7, 2).within(begin, begin + extent)
    whole = {first + k * step: 7 + 2 * k for k in range(count)}
    inside = {at: source for at, source in whole.items() if begin <= at < begin + extent}
    if part is None:
        assert not inside
    else:
        places = range(part.count)
        assert {part.first + k * step: part.source + 2 * k for k in places} == inside
