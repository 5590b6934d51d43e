"""Convolution and pooling of the model against sums written out element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dialects.bm1684 import isa
from dialects.bm1684.model import Npu, execute
from dialects.bm1684.model.arithmetic.depthwise import average_multiplier
from tests.dialects.bm1684.elements import half_up, load, store
from tests.dialects.bm1684.fields import (
    OPD0,
    OPD1,
    OPD2,
    RES0,
    at,
    precisions,
    shape_fields,
    stride_fields,
)

Array = NDArray[Any]
F32 = precisions(2, 2, 2, 2)


@pytest.fixture(scope="module")
def npu() -> Npu:
    return Npu(1 << 16)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def padded(x: Array, pad: int, value: float) -> Array:
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=value)


def window(x: Array, oc: int, oh: int, ow: int) -> dict[str, int]:
    n, _, h, w = x.shape
    return {
        **shape_fields("res0", (n, oc, oh, ow)), "opd0_h": h, "opd0_w": w,
        "opd1_h": 3, "opd1_w": 3, "res_op_x_str": 2, "res_op_y_str": 2,
        "opd0_up_pad": 1, "opd0_dn_pad": 1, "opd0_lf_pad": 1, "opd0_rt_pad": 1,
    }


@pytest.mark.parametrize("lane", [0, 61])
@pytest.mark.parametrize(("relu", "low", "high"), [(0, -128, 127), (1, 0, 255)])
def test_conv_int8(npu: Npu, rng: np.random.Generator, lane: int, relu: int, low: int, high: int):
    x = rng.integers(0, 256, (5, 6, 5, 5), np.uint8)
    weights = rng.integers(-128, 128, (7, 6, 3, 3), np.int8)
    bias = rng.integers(-3000, 3000, 7).astype(np.int16)
    store(npu, x, 3, OPD0, 4, 4)
    # [ic, oc, kh, kw] in words of four input channels, "ic inner": [kh][kw][ic / 4].
    store(npu, weights.transpose(1, 0, 2, 3), lane, OPD1, 4, 4, (1, 18, 6, 2))
    store(npu, bias.reshape(1, 7, 1, 1), lane, OPD2, 2, 1, (0, 1, 0, 0))
    execute(npu, isa.CONV.build(
        **window(x, 7, 3, 3), **precisions(0, 0, 3, 0), tsk_opd_num=3, opd0_c=6,
        opt_right_shift=9, opt_relu=relu, opt_opd1_sign=1, opt_opd2_sign=1,
        short_opd1_str=3, **stride_fields("opd1", (1, 18, 6, 2)),
        res0_addr=at(lane, RES0), opd0_addr=at(3, OPD0), opd1_addr=at(lane, OPD1),
        opd2_addr=at(lane, OPD2),
    ))
    got = load(npu, (5, 7, 3, 3), "u1" if relu else "i1", lane, RES0, 4, 4)
    wide = padded(x.astype(np.int64), 1, 0)
    for n, o, i, j in np.ndindex(*got.shape):
        patch = wide[n, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        total = int((patch * weights[o]).sum()) + int(bias[o])
        assert got[n, o, i, j] == half_up(total, 9, low, high)


def test_conv_int8_is_exact_where_float32_is_not(npu: Npu):
    """9 * 512 products of 255 * 127 sum to more than 2^24."""
    npu.lmem[:, :0x8000] = 0
    npu.lmem[:, OPD1 : OPD1 + 9 * 512] = 127
    npu.lmem[:, OPD0::4][:, : 8 * 32] = 255
    execute(npu, isa.CONV.build(
        opd0_c=512, opd0_h=3, opd0_w=3, opd1_h=3, opd1_w=3, tsk_opd_num=2, opt_right_shift=0,
        opt_opd1_sign=1, opt_res0_prec=3, opt_opd2_prec=3, short_opd1_str=1, res0_c=1,
        res0_addr=at(0, RES0), opd0_addr=at(0, OPD0), opd1_addr=at(0, OPD1),
    ).replace(opt_right_shift=13))
    assert load(npu, (1, 1, 1, 1), "i2", 0, RES0, 8, 4) == (9 * 512 * 255 * 127 + 4096) >> 13


@pytest.mark.parametrize("lane", [0, 5])
def test_conv_fp32(npu: Npu, rng: np.random.Generator, lane: int):
    x = rng.standard_normal((2, 5, 5, 5), np.float32)
    weights = rng.standard_normal((66, 5, 3, 3), np.float32)
    held = rng.standard_normal((2, 66, 3, 3), np.float32)
    store(npu, x, lane, OPD0, 4)
    store(npu, weights.transpose(1, 0, 2, 3), lane, OPD1, 8, 2, (1, 27, 9, 3))
    store(npu, held, lane, RES0, 4)
    execute(npu, isa.CONV.build(
        **window(x, 66, 3, 3), **F32, tsk_opd_num=2, opd0_c=5, opt_res_add=1,
        short_opd1_str=3, **stride_fields("opd1", (1, 27, 9, 3)),
        res0_addr=at(lane, RES0), opd0_addr=at(lane, OPD0), opd1_addr=at(lane, OPD1),
    ))
    wide = padded(x.astype(np.float64), 1, 0)
    want = held.astype(np.float64)
    for n, o, i, j in np.ndindex(*want.shape):
        want[n, o, i, j] += (wide[n, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * weights[o]).sum()
    np.testing.assert_allclose(load(npu, (2, 66, 3, 3), "f4", lane, RES0, 4), want, atol=1e-5)


@pytest.mark.parametrize("int8", [True, False])
def test_winograd_is_a_3x3_convolution(npu: Npu, rng: np.random.Generator, int8: bool):
    """With U = G w Gt exactly (kernels of multiples of four) both give the same sums."""
    matrix = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    x = rng.integers(-30, 30, (3, 5, 6, 5))
    weights = 4 * rng.integers(-5, 6, (6, 5, 3, 3))
    u = (matrix @ weights @ matrix.T).transpose(1, 0, 2, 3)
    unit, pack, dtype = (4, 4, "i1") if int8 else (4, 1, "f4")
    store(npu, x.astype(dtype), 0, OPD0, unit, pack)
    store(npu, u.astype(dtype), 0, OPD1, unit, pack, (16, 16, 4, 1))
    kind = {**precisions(0, 0, 3, 0), "opt_right_shift": 5, "opt_opd0_sign": 1,
            "opt_opd1_sign": 1} if int8 else F32
    execute(npu, isa.CONV.build(
        **kind, opt_winograd=1, tsk_opd_num=2, **shape_fields("res0", (3, 6, 4, 3)), opd0_c=5,
        opd0_h=6, opd0_w=5, opd1_h=4, opd1_w=4, short_opd1_str=1,
        res0_addr=at(0, RES0), opd0_addr=at(0, OPD0), opd1_addr=at(0, OPD1),
    ))
    got = load(npu, (3, 6, 4, 3), dtype, 0, RES0, unit, pack)
    for n, o, i, j in np.ndindex(*got.shape):
        total = int((x[n, :, i : i + 3, j : j + 3] * weights[o]).sum())
        want = half_up(total, 5, -128, 127) if int8 else total
        assert abs(got[n, o, i, j] - want) <= (0 if int8 else 1e-3)


def test_depthwise_int8(npu: Npu, rng: np.random.Generator):
    x = rng.integers(-128, 128, (3, 70, 5, 5), np.int8)
    weights = rng.integers(-128, 128, (1, 70, 3, 3), np.int8)
    store(npu, x, 5, OPD0, 4, 4)
    store(npu, weights, 5, OPD1, 1, 1, (0, 9, 3, 1))
    execute(npu, isa.DEPTHWISE.build(
        **window(x, 70, 3, 3), **precisions(0, 0, 3, 0), tsk_opd_num=2, opt_right_shift=7,
        opt_opd0_sign=1, opt_opd1_sign=1, res0_addr=at(5, RES0), opd0_addr=at(5, OPD0),
        opd1_addr=at(5, OPD1),
    ))
    got = load(npu, (3, 70, 3, 3), "i1", 5, RES0, 4, 4)
    wide = padded(x.astype(np.int64), 1, 0)
    for n, c, i, j in np.ndindex(*got.shape):
        total = (wide[n, c, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * weights[0, c]).sum()
        assert got[n, c, i, j] == half_up(int(total), 7, -128, 127)


@pytest.mark.parametrize("int8", [True, False])
def test_max_pool(npu: Npu, rng: np.random.Generator, int8: bool):
    x = rng.integers(-128, -100, (2, 10, 5, 5)).astype("i1" if int8 else "f4")
    pack = 4 if int8 else 1
    store(npu, x, 0, OPD0, 4, pack)
    kind = {**precisions(0, 0, 3, 0), "opt_opd0_sign": 1} if int8 else F32
    execute(npu, isa.MAX_POOL.build(
        **window(x, 10, 3, 3), **kind, res0_addr=at(0, RES0), opd0_addr=at(0, OPD0)
    ))
    wide = padded(x.astype(np.float64), 1, -1e9)
    got = load(npu, (2, 10, 3, 3), x.dtype.str, 0, RES0, 4, pack)
    for n, c, i, j in np.ndindex(*got.shape):
        assert got[n, c, i, j] == wide[n, c, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max()


@pytest.mark.parametrize(
    ("area", "factor", "shift"),
    [(1, 1, 0), (3, 171, 9), (4, 1, 2), (9, 57, 9), (49, 167, 13), (64, 1, 6)],
)
def test_average_multiplier(area: int, factor: int, shift: int):
    assert average_multiplier(area) == (factor, shift)


def test_average_multiplier_is_close_for_every_area():
    for area in range(1, 255):
        factor, shift = average_multiplier(area)
        assert factor < 256
        assert abs(factor / 2**shift * area - 1) <= 1 / 256


def test_average_pool_int8(npu: Npu, rng: np.random.Generator):
    x = rng.integers(0, 256, (2, 3, 5, 5), np.uint8)
    store(npu, x, 0, OPD0, 4, 4)
    execute(npu, isa.DEPTHWISE.build(
        **window(x, 3, 3, 3), **precisions(0, 0, 3, 0), tsk_opd_num=2, opt_opd1_const=1,
        opd1_addr=57, opt_right_shift=9, res0_addr=at(0, RES0), opd0_addr=at(0, OPD0),
    ))
    wide = padded(x.astype(np.int64), 1, 0)
    got = load(npu, (2, 3, 3, 3), "u1", 0, RES0, 4, 4)
    for n, c, i, j in np.ndindex(*got.shape):
        total = int(wide[n, c, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].sum())
        assert got[n, c, i, j] == half_up(total * 57, 9, 0, 255)
