"""Matrix products and pointwise instructions of the model against plain numpy formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dialects.bm1684 import isa
from dialects.bm1684.isa import Eu
from dialects.bm1684.model import Npu, execute
from tests.dialects.bm1684.elements import auto, half_up, load, store
from tests.dialects.bm1684.fields import (
    OPD0,
    OPD1,
    OPD2,
    OPD3,
    RES0,
    RES1,
    at,
    bits,
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


@pytest.mark.parametrize("transposed", [0, 1])
def test_matmul_int8(npu: Npu, rng: np.random.Generator, transposed: int):
    left = rng.integers(-128, 128, (5, 30), np.int8)
    right = rng.integers(-128, 128, (30, 64), np.int8)
    bias = rng.integers(-3000, 3000, 64).astype(np.int16)
    stored = np.ascontiguousarray(left.T) if transposed else left
    rows, columns = stored.shape
    sections = -(-columns // 7)
    full = np.zeros((rows, sections * 7), np.int8)
    full[:, :columns] = stored
    store(npu, full.reshape(rows, sections, 1, 7), 0, OPD0, 1)
    store(npu, right.reshape(30, 4, 1, 16), 0, OPD1, 1)
    store(npu, bias.reshape(1, 4, 1, 16), 0, OPD2, 2)
    execute(npu, isa.MATMUL.build(
        **precisions(0, 0, 3, 0), opt_left_tran=transposed, tsk_opd_num=3, opt_right_shift=10,
        opt_opd0_sign=1, opt_opd1_sign=1, opt_opd2_sign=1, res0_c=4, res0_w=16, opd0_n=rows,
        opd0_c=sections, opd0_w=7, opd1_w=columns - 7 * (sections - 1),
        res0_addr=at(0, RES0), opd0_addr=at(0, OPD0), opd1_addr=at(0, OPD1),
        opd2_addr=at(0, OPD2),
    ))
    total = left.astype(np.int64) @ right + bias
    got = load(npu, (5, 4, 1, 16), "i1", 0, RES0, 1).reshape(5, 64)
    for index in np.ndindex(5, 64):
        assert got[index] == half_up(int(total[index]), 10, -128, 127)


FLOAT_OPS: dict[Eu, Callable[[Array, Array, Array], Array]] = {
    Eu.MUL: lambda a, b, y: a * b,
    Eu.MAC: lambda a, b, y: y + a * b,
    Eu.ADD: lambda a, b, y: a + b,
    Eu.SUB: lambda a, b, y: a - b,
    Eu.MAX: lambda a, b, y: np.maximum(a, b),
    Eu.MIN: lambda a, b, y: np.minimum(a, b),
    Eu.DIV: lambda a, b, y: a / b,
    Eu.COPY: lambda a, b, y: a,
    Eu.SELECT_GT: lambda a, b, y: np.where(a > b, np.float32(7.5), 0),
}


@pytest.mark.parametrize("eu", FLOAT_OPS)
def test_arith_fp32_broadcasts_zero_strides(npu: Npu, rng: np.random.Generator, eu: Eu):
    a, y = (rng.standard_normal((2, 70, 3, 4), np.float32) for _ in range(2))
    b = rng.standard_normal((1, 70, 1, 1), np.float32)
    store(npu, a, 5, OPD0, 4, 1, (300, 40, 11, 2))
    store(npu, b, 5, OPD1, 4, 1, (0, 3, 0, 0))
    store(npu, y, 5, RES0, 4)
    execute(npu, isa.ARITH.build(
        **F32, **shape_fields("res0", a.shape), tsk_eu_typ=eu, opt_opd2_const=1,
        opd2_addr=bits(7.5), short_opd0_str=3, short_opd1_str=3,
        **stride_fields("opd0", (300, 40, 11, 2)), **stride_fields("opd1", (0, 3, 0, 0)),
        res0_addr=at(5, RES0), opd0_addr=at(5, OPD0), opd1_addr=at(5, OPD1),
    ))
    want = FLOAT_OPS[eu](a, b, y)
    np.testing.assert_allclose(load(npu, a.shape, "f4", 5, RES0, 4), want, rtol=1e-6)


@pytest.mark.parametrize(
    ("eu", "wide_in", "wide_out", "signed", "shift"),
    [
        (Eu.ADD, False, False, True, 0), (Eu.ADD, False, True, False, 0),
        (Eu.SUB, False, False, False, 1), (Eu.MUL, False, False, True, 7),
        (Eu.MUL, False, True, True, 2), (Eu.ADD, True, False, True, 5),
        (Eu.MAC, False, True, True, 3),
    ],
)
def test_arith_fixed_point(
    npu: Npu, rng: np.random.Generator, eu: Eu, wide_in: bool, wide_out: bool, signed: bool,
    shift: int,
):
    shape = (5, 3, 2, 3)

    def draw(wide: bool, sign: bool) -> Array:
        size = 1 << (16 if wide else 8)
        dtype = f"{'i' if sign else 'u'}{2 if wide else 1}"
        return (rng.integers(0, size, shape) - (size // 2 if sign else 0)).astype(dtype)

    result_signed = signed or eu == Eu.SUB
    a, b, y = draw(wide_in, signed), draw(wide_in, signed), draw(wide_out, result_signed)
    packs = {True: 2, False: 4}
    store(npu, a, 0, OPD0, 4, packs[wide_in])
    store(npu, b, 0, OPD1, 4, packs[wide_in])
    store(npu, y, 0, RES0, 4, packs[wide_out])
    execute(npu, isa.ARITH.build(
        **precisions(3 * wide_in, 3 * wide_in, 2, 3 * wide_out), **shape_fields("res0", shape),
        tsk_eu_typ=eu, opt_opd0_sign=int(signed), opt_opd1_sign=int(signed),
        opt_right_shift=shift, opt_left_shift=1 if eu == Eu.MAC else 0,
        res0_addr=at(0, RES0), opd0_addr=at(0, OPD0), opd1_addr=at(0, OPD1),
    ))
    got = load(npu, shape, y.dtype.str, 0, RES0, 4, packs[wide_out])
    limits = np.iinfo(y.dtype)
    for index in np.ndindex(*shape):
        p, q, r = int(a[index]), int(b[index]), int(y[index])
        total = {Eu.ADD: p + q, Eu.SUB: p - q, Eu.MUL: p * q, Eu.MAC: 2 * r + p * q}[eu]
        assert got[index] == half_up(total, shift, int(limits.min), int(limits.max))


@pytest.mark.parametrize("amount", [-31, -8, 0, 8, 31])
@pytest.mark.parametrize("signed", [0, 1])
def test_shift_of_words(npu: Npu, rng: np.random.Generator, amount: int, signed: int):
    a = rng.integers(0, 1 << 32, (1, 3, 2, 3), np.uint32)
    store(npu, a, 0, OPD0, 4)
    execute(npu, isa.ARITH.build(
        **precisions(4, 4, 4, 4), **shape_fields("res0", a.shape), tsk_eu_typ=Eu.SHIFT,
        opt_shift_typ=signed, opt_opd1_const=1, opd1_addr=amount,
        res0_addr=at(0, RES0), opd0_addr=at(0, OPD0),
    ))
    got = load(npu, (1, 3, 2, 3), "u4", 0, RES0, 4)
    for index in np.ndindex(*a.shape):
        value = int(a[index].astype(np.int32)) if signed else int(a[index])
        want = value << amount if amount > 0 else value >> -amount
        assert got[index] == want & 0xFFFFFFFF


def test_lookup_reads_the_low_byte(npu: Npu, rng: np.random.Generator):
    table = rng.integers(0, 1 << 32, 256, np.uint32)
    npu.l2[0x1000:0x1400] = table.view(np.uint8)
    x = rng.integers(0, 1 << 32, (1, 66, 2, 3), np.uint32)
    store(npu, x, 0, OPD0, 4)
    execute(npu, isa.LOOKUP.build(
        **shape_fields("res0", x.shape), opd1_addr=0x1000, res0_addr=at(0, RES0),
        opd0_addr=at(0, OPD0),
    ))
    assert (load(npu, (1, 66, 2, 3), "u4", 0, RES0, 4) == table[x & 255]).all()


def test_special_functions(npu: Npu):
    x = np.array([0.5, -1.5, 1e10, 3.0, 7.9], np.float32).reshape(1, 1, 1, 5)
    store(npu, x, 0, OPD0, 4)

    def sfu(eu: Eu, dtype: str, **fields: int) -> Array:
        execute(npu, isa.SFU.build(
            **shape_fields("res0", x.shape), tsk_eu_typ=eu, res0_addr=at(0, RES0),
            opd0_addr=at(0, OPD0), **fields,
        ))
        return load(npu, (1, 1, 1, 5), dtype, 0, RES0, 4).reshape(-1)

    assert sfu(Eu.FLOAT_TO_INT, "i4").tolist() == [0, -1, 2**31 - 1, 3, 7]
    assert sfu(Eu.EXPONENT, "i4")[[0, 1, 3, 4]].tolist() == [126, 127, 129, 130]
    assert sfu(Eu.POWER_OF_TWO, "f4")[[0, 1, 3, 4]].tolist() == [0.5, -1, 4, 8]
    assert sfu(Eu.RSQRT, "f4")[[0, 3]] == pytest.approx([2**0.5, 3**-0.5])
    series = sfu(Eu.TAYLOR, "f4", opd1_n=20, opd1_addr=0x300C00)
    assert series[[0, 1, 3]] == pytest.approx(np.expm1([0.5, -1.5, 3.0]), rel=1e-5)


def test_linear_and_scalar(npu: Npu, rng: np.random.Generator):
    x = rng.standard_normal((2, 70, 2, 3), np.float32)
    addend, factor = (rng.standard_normal((1, 70, 1, 1), np.float32) for _ in range(2))
    store(npu, x, 5, OPD0, 4)
    store(npu, addend, 5, OPD1, 4, 1, (0, 1, 0, 0))
    store(npu, factor, 5, OPD2, 4, 1, (0, 1, 0, 0))
    places = {"res0_addr": at(5, RES0), "opd0_addr": at(5, OPD0)}
    for eu, want in ((Eu.MAC, x * factor + addend), (Eu.SQUARE_SUM, (x + addend) ** 2),
                     (Eu.SQUARE_DIFFERENCE, (x - addend) ** 2)):
        execute(npu, isa.LINEAR.build(
            **shape_fields("res0", x.shape), **places, tsk_eu_typ=eu, opd1_addr=at(5, OPD1),
            opd2_addr=at(5, OPD2),
        ))
        np.testing.assert_allclose(load(npu, x.shape, "f4", 5, RES0, 4), want, atol=1e-6)
    for eu, want in ((Eu.MUL, x * 2), (Eu.SUB, x - 2), (Eu.DIV, x / 2)):
        execute(npu, isa.SCALAR.build(
            **shape_fields("res0", x.shape), **places, tsk_eu_typ=eu, opt_opd1_const=1,
            opd1_addr=bits(2),
        ))
        np.testing.assert_allclose(load(npu, x.shape, "f4", 5, RES0, 4), want, atol=1e-6)


def test_compare_writes_both_results(npu: Npu, rng: np.random.Generator):
    a, b, c = (rng.standard_normal((2, 70, 2, 3), np.float32) for _ in range(3))
    for data, offset in ((a, OPD0), (b, OPD1), (c, OPD3)):
        store(npu, data, 5, offset, 4)
    execute(npu, isa.COMPARE.build(
        **shape_fields("res0", a.shape), **stride_fields("opd0", auto(5, (2, 70, 2, 3), 4)),
        tsk_eu_typ=Eu.COMPARE_SELECT, res0_addr=at(5, RES0), opd0_addr=at(5, OPD0),
        opd1_addr=at(5, OPD1), opd2_addr=at(5, OPD3), opt_opd3_const=1, opd3_addr=bits(3),
        res1_addr=at(5, RES1),
    ))
    assert (load(npu, a.shape, "f4", 5, RES0, 4) == np.maximum(a, b)).all()
    assert (load(npu, a.shape, "f4", 5, RES1, 4) == np.where(a > b, c, np.float32(3))).all()
