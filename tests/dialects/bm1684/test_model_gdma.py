"""Data moves of the model against plain numpy indexing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Direction, Format
from dialects.bm1684.model import Npu, execute
from dialects.bm1684.model.arithmetic.convert import convert
from tests.dialects.bm1684.elements import Shape, load, store
from tests.dialects.bm1684.fields import DDR_A, DDR_B, DDR_BYTES, at, gdma_fields

Array = NDArray[Any]
SHAPE: Shape = (2, 70, 3, 4)
TYPES = {Format.FP32: "f4", Format.INT16: "i2", Format.UINT8: "u1", Format.INT8: "i1",
         Format.FP16: "f2"}


@pytest.fixture(scope="module")
def npu() -> Npu:
    return Npu(DDR_BYTES)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def put(npu: Npu, address: int, data: Array) -> None:
    raw = data.reshape(-1).view(np.uint8)
    npu.ddr_view(address, raw.size)[:] = raw


def take(npu: Npu, address: int, shape: tuple[int, ...], dtype: str) -> Array:
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return npu.ddr_view(address, count).copy().view(dtype).reshape(shape)


def dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    _, c, h, w = shape
    return (c * h * w, h * w, w, 1)


def formats(source: Format, target: Format) -> dict[str, int]:
    return {"src_data_format": source, "dst_data_format": target}


@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize("lane", [0, 60])
def test_load_and_store_again(npu: Npu, rng: np.random.Generator, form: Format, lane: int):
    data = rng.integers(0, 100, SHAPE).astype(TYPES[form])
    local: Shape = (200, 60, 17, 2)
    put(npu, DDR_A, data)
    common = {**formats(form, form), **gdma_fields("src", "size", SHAPE), "chw_copy": 1}
    execute(npu, isa.MOVE.build(
        **common, **isa.start("src", DDR_A), **isa.start("dst", at(lane, 0x1000)),
        **gdma_fields("src", "stride", dense(SHAPE)), **gdma_fields("dst", "stride", local),
    ))
    assert np.array_equal(load(npu, SHAPE, TYPES[form], lane, 0x1000, form.nbytes, 1, local), data)
    execute(npu, isa.MOVE.build(
        **common, direction=Direction.LOCAL_TO_SYSTEM, stride_enable=1,
        **isa.start("src", at(lane, 0x1000)), **isa.start("dst", DDR_B),
        **gdma_fields("src", "stride", local), **gdma_fields("dst", "stride", dense(SHAPE)),
    ))
    assert np.array_equal(take(npu, DDR_B, SHAPE, TYPES[form]), data)


def test_one_command_packs_four_images(npu: Npu, rng: np.random.Generator):
    shape = (4, 70, 3, 4)
    data = rng.integers(-128, 128, shape, np.int8)
    put(npu, DDR_A, data)
    execute(npu, isa.MOVE.build(
        **formats(Format.INT8, Format.INT8), chw_copy=1, **gdma_fields("src", "size", shape),
        **gdma_fields("src", "stride", dense(shape)),
        **gdma_fields("dst", "stride", (1, 128, 16, 4)),
        **isa.start("src", DDR_A), **isa.start("dst", at(5, 0x1000)),
    ))
    assert np.array_equal(load(npu, shape, "i1", 5, 0x1000, 4, 4), data)


def test_reshape_accumulate_and_automatic_strides(npu: Npu, rng: np.random.Generator):
    data = rng.standard_normal(SHAPE, np.float32)
    put(npu, DDR_A, data)
    target: Shape = (1, 140, 1, 12)
    move = dict(
        stride_enable=0, **gdma_fields("src", "size", SHAPE), **gdma_fields("dst", "size", target),
        **isa.start("src", DDR_A), **isa.start("dst", at(3, 0)),
    )
    execute(npu, isa.MOVE.build(**move))
    assert np.array_equal(load(npu, target, "f4", 3, 0, 4), data.reshape(target))
    execute(npu, isa.MOVE.build(**move, acc_write_enable=1))
    assert np.array_equal(load(npu, target, "f4", 3, 0, 4), 2 * data.reshape(target))


def test_index_shift_doubles_pixels(npu: Npu, rng: np.random.Generator):
    data = rng.integers(0, 99, 64, np.int32)
    put(npu, DDR_A, data)
    shape: Shape = (1, 3, 8, 8)
    execute(npu, isa.MOVE.build(
        chw_copy=1, **gdma_fields("src", "size", shape), src_wshift=1, src_hshift=1,
        **gdma_fields("src", "stride", (48, 16, 4, 1)),
        **gdma_fields("dst", "stride", (64, 64, 8, 1)),
        **isa.start("src", DDR_A), **isa.start("dst", at(0, 0)),
    ))
    got = load(npu, shape, "i4", 0, 0, 4, 1, (64, 64, 8, 1))
    for index in np.ndindex(*shape):
        _, c, h, w = index
        assert got[index] == data[c * 16 + (h * 4 >> 1) + (w >> 1)]


def test_fill_transposes_and_linear_copy(npu: Npu, rng: np.random.Generator):
    execute(npu, isa.FILL.build(
        **formats(Format.INT16, Format.INT16), direction=2, constant_value=0x12345678,
        **gdma_fields("dst", "size", (1, 1, 2, 3)), **gdma_fields("dst", "stride", (0, 0, 4, 1)),
        **isa.start("dst", DDR_B),
    ))
    got = take(npu, DDR_B, (2, 4), "i2")
    assert (got[:, :3] == 0x5678).all()
    data = rng.integers(0, 99, (1, 70, 1, 20), np.int32)
    store(npu, data, 0, 0, 4)
    execute(npu, isa.TRANSPOSE_CW.build(
        **gdma_fields("src", "size", data.shape), **gdma_fields("dst", "size", (1, 20, 1, 70)),
        **gdma_fields("src", "stride", (64, 32, 20, 1)),
        **gdma_fields("dst", "stride", (96, 96, 70, 1)),
        **isa.start("src", at(0, 0)), **isa.start("dst", at(0, 0x8000)),
    ))
    assert np.array_equal(load(npu, (1, 20, 1, 70), "i4", 0, 0x8000, 4), data.transpose(0, 3, 2, 1))
    put(npu, DDR_A, data)
    execute(npu, isa.TRANSPOSE_NC.build(
        chw_copy=1, direction=2, **gdma_fields("src", "size", (2, 7, 10, 10)),
        **gdma_fields("src", "stride", (700, 100, 10, 1)),
        **gdma_fields("dst", "stride", (200, 100, 10, 1)),
        **isa.start("src", DDR_A), **isa.start("dst", DDR_B),
    ))
    assert np.array_equal(
        take(npu, DDR_B, (7, 2, 10, 10), "i4"), data.reshape(2, 7, 10, 10).transpose(1, 0, 2, 3)
    )
    execute(npu, isa.COPY_LINEAR.build(
        **formats(Format.UINT8, Format.UINT8), src_nstride=1001, **isa.start("src", DDR_A + 3),
        **isa.start("dst", BM1684.l2_base + 5),
    ))
    assert np.array_equal(npu.l2[5:1006], npu.ddr_view(DDR_A + 3, 1001))


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize(("rows", "columns", "section"), [(3, 70, 1), (20, 33, 16), (1, 8, 8)])
def test_matrix_to_lanes_and_back(
    npu: Npu, rng: np.random.Generator, transposed: int, rows: int, columns: int, section: int
):
    data = rng.integers(0, 99, (rows, columns), np.int32)
    put(npu, DDR_A, data)
    want = data.T if transposed else data
    count = -(-want.shape[1] // section)
    shape = (want.shape[0], count, 1, section)
    common = dict(special_func=transposed, stride_enable=0)
    execute(npu, isa.MATRIX.build(
        **common, **gdma_fields("src", "size", (1, 1, rows, columns)),
        **gdma_fields("dst", "size", shape), **isa.start("src", DDR_A),
        **isa.start("dst", at(61, 0)),
    ))
    got = load(npu, shape, "i4", 61, 0, 4).reshape(want.shape[0], -1)
    assert np.array_equal(got[:, : want.shape[1]], want)
    execute(npu, isa.MATRIX.build(
        **common, direction=1, **gdma_fields("dst", "size", (1, 1, rows, columns)),
        **gdma_fields("src", "size", shape), **isa.start("dst", DDR_B),
        **isa.start("src", at(61, 0)),
    ))
    assert np.array_equal(take(npu, DDR_B, (rows, columns), "i4"), data)


def test_conversions():
    x = np.array([0.5, 1.5, -2.5, 300, -300, np.nan], np.float32)
    assert convert(x, Format.FP32, Format.INT8).tolist() == [0, 2, -2, 127, -128, 127]
    assert convert(x, Format.FP32, Format.UINT8).tolist() == [0, 2, 0, 255, 0, 255]
    small = np.array([1.0009, -1.0009, 1e-6, -1e-6, 1e6, 65519], np.float32)
    half = convert(small, Format.FP32, Format.FP16)
    assert half[:2].tolist() == [1, -1]
    assert half.view(np.uint16)[2:].tolist() == [0, 0x8000, 0x7C00, 0x7BFF]
    assert convert(half[:2], Format.FP16, Format.FP32).tolist() == [1, -1]
    integers = np.arange(-128, 128, dtype=np.int8)
    back = convert(convert(integers, Format.INT8, Format.FP32), Format.FP32, Format.INT8)
    assert np.array_equal(back, integers)
