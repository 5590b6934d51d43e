"""The model's memories: noise, tables, bounds, and what is refused."""

import numpy as np
import pytest

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import ModelError, Npu, execute
from dialects.bm1684.model.memory.lanes import LaneTensor, aligned_strides
from tests.dialects.bm1684.elements import load, store
from tests.dialects.bm1684.fields import at, gdma_fields, precisions

DDR = 1 << 16


@pytest.fixture(scope="module")
def npu() -> Npu:
    return Npu(DDR)


def test_unwritten_memory_is_noise_that_the_seed_decides(npu: Npu):
    same, other = Npu(DDR), Npu(DDR, seed=1)
    assert npu.lmem.shape == (64, 512 << 10)
    for memory in ("lmem", "l2", "ddr"):
        assert np.array_equal(getattr(npu, memory), getattr(same, memory))
        assert not np.array_equal(getattr(npu, memory), getattr(other, memory))
        assert getattr(npu, memory).std() > 10


def test_fixed_tables_do_not_depend_on_the_seed(npu: Npu):
    tables = BM1684.tables
    floats = npu.l2.view(np.float32)
    assert (floats[tables.float_of_integer // 4 :][:2048] == np.arange(2048)).all()
    signed = np.arange(256, dtype=np.uint8).view(np.int8)
    assert (floats[tables.float_of_int8 // 4 :][:256] == signed).all()
    assert np.allclose(floats[tables.exp // 4 :][:89], np.exp(np.arange(89.0)), rtol=1e-7)
    assert floats[tables.taylor_exp // 4 :][:3].tolist() == pytest.approx([1, 1 / 2, 1 / 6])
    assert floats[tables.taylor_sin // 4 :][:3].tolist() == pytest.approx([1, 0, -1 / 6])
    assert floats[tables.taylor_arcsin // 4 :][:5].tolist() == pytest.approx(
        [1, 0, 1 / 6, 0, 3 / 40]
    )
    assert npu.l2[tables.high_byte + 0x1234] == 0x12


def test_ddr_view_is_bounded(npu: Npu):
    npu.ddr_view(BM1684.context_start + DDR - 4, 4)[:] = 7
    assert npu.ddr[-4:].tolist() == [7, 7, 7, 7]
    for address, size in ((BM1684.context_start - 1, 4), (BM1684.context_start + DDR - 3, 4),
                          (0, 4), (1 << 40, 1), (BM1684.context_start, -1)):
        with pytest.raises(ModelError, match="outside"):
            npu.ddr_view(address, size)


@pytest.mark.parametrize("lane", [0, 5, 63])
@pytest.mark.parametrize(("unit", "pack", "dtype"), [(4, 4, "i1"), (4, 2, "i2"), (4, 1, "f4"),
                                                     (8, 4, "i2"), (8, 2, "f4"), (1, 1, "u1")])
def test_lane_tensors_follow_the_formula(npu: Npu, lane: int, unit: int, pack: int, dtype: str):
    shape = (5, 131, 2, 3)
    data = np.random.default_rng(1).integers(0, 100, shape).astype(dtype)
    store(npu, data, lane, 256, unit, pack)
    place = LaneTensor("x", lane, 256, unit, pack, shape, aligned_strides(lane, shape, unit))
    assert np.array_equal(place.read(npu.lmem, dtype), data)
    before = npu.lmem.copy()
    place.write(npu.lmem, data)
    assert np.array_equal(npu.lmem, before)
    place.write(npu.lmem, data + np.array(1, dtype))
    assert np.array_equal(load(npu, shape, dtype, lane, 256, unit, pack), data + 1)
    assert (npu.lmem != before).sum() <= data.nbytes


def test_masked_lanes_are_not_written(npu: Npu):
    shape = (1, 64, 1, 32)
    place = LaneTensor("x", 0, 0, 4, 1, shape, aligned_strides(0, shape, 4), mask=0b101)
    before = npu.lmem.copy()
    place.write(npu.lmem, ~place.read(npu.lmem, np.uint32))
    assert np.flatnonzero((npu.lmem != before).any(1)).tolist() == [0, 2]


CONV = dict(tsk_opd_num=2, res0_addr=at(0, 0x4000), opd0_addr=at(0, 0), opd1_addr=at(0, 0x2000),
            short_opd1_str=1)
ADD = dict(tsk_eu_typ=2, res0_addr=at(0, 0x4000), opd0_addr=at(0, 0), opd1_addr=at(0, 0x2000),
           **precisions(2, 2, 2, 2))
MOVE = dict(chw_copy=1, **isa.start("src", BM1684.context_start), **isa.start("dst", at(0, 0)))


@pytest.mark.parametrize(
    ("inst", "field"),
    [
        (isa.CONV.build(**{**CONV, "res0_addr": at(0, 0x4004)}), "res0_addr"),
        (isa.CONV.build(**{**CONV, "opd1_addr": at(0, 0x2002)}), "opd1_addr"),
        (isa.CONV.build(**{**CONV, "opd1_addr": at(1, 0x2000)}), "opd1_addr"),
        (isa.CONV.build(**{**CONV, "opd0_addr": at(0, 0x10)}), "opd0_addr"),
        (isa.CONV.build(**{**CONV, "opd0_addr": 0x1000}), "opd0_addr"),
        (isa.CONV.build(**{**CONV, "tsk_opd_num": 3, "opd2_addr": at(0, 1)}), "opd2_addr"),
        (isa.CONV.build(**CONV, opd0_c=0), "opd0_c"),
        (isa.CONV.build(**{**CONV, "res0_addr": at(0, 0x7FF80)}, res0_n=5), "res0"),
        (isa.ARITH.build(**ADD, res0_n=2, short_opd0_str=3, opd0_n_str=0x7FFFF), "opd0"),
        (isa.ARITH.build(**ADD, short_opd0_str=3, res0_h=2, opd0_h_str=-1), "opd0"),
        (isa.ARITH.build(**{**ADD, "opd1_addr": at(0, 4)}), "opd1_addr"),
        (isa.ARITH.build(**{**ADD, "tsk_eu_typ": 10}), "opt_opd2_const"),
        (isa.ARITH.build(**{**ADD, "tsk_eu_typ": 6}, opt_opd1_const=1).replace(opd1_addr=40),
         "opd1"),
        (isa.LOOKUP.build(res0_addr=at(0, 0), opd0_addr=at(0, 128), opd1_addr=0x3FFFFC),
         "opd1_addr"),
        (isa.MOVE.build(**{**MOVE, **isa.start("src", BM1684.context_start + 2)}), "src_start"),
        (isa.MOVE.build(**{**MOVE, **isa.start("src", at(0, 0))}), "src_start"),
        (isa.MOVE.build(**{**MOVE, **isa.start("dst", BM1684.context_start)}), "dst_start"),
        (isa.MOVE.build(**MOVE, src_nsize=2, dst_nstride=0x20000), "dst"),
        (isa.MOVE.build(**{**MOVE, **isa.start("src", BM1684.context_start + DDR)}), "outside"),
        (isa.MOVE.build(**MOVE, src_nsize=2, src_nstride=0xFFFFFFFF), "outside"),
        (isa.MATRIX.build(**isa.start("src", BM1684.context_start), **isa.start("dst", at(0, 0)),
                          **gdma_fields("src", "size", (1, 1, 2, 9)),
                          **gdma_fields("dst", "size", (2, 2, 1, 4))), "dst_csize"),
        (isa.COMPARE.build(tsk_eu_typ=22, res0_h=2, res0_addr=at(0, 0), opd0_addr=at(0, 128),
                           opd1_addr=at(0, 256), opd0_h_str=9), "opd0_"),
    ],
)
def test_refusals_name_the_field(npu: Npu, inst: isa.Instruction, field: str):
    before = npu.lmem.copy()
    with pytest.raises(ModelError, match=field):
        execute(npu, inst)
    assert np.array_equal(npu.lmem, before)


HUGE = {f"res0_{axis}": 4095 for axis in "nchw"}
STILL = {f"{operand}_{axis}_str": 0 for operand in ("res0", "opd0", "opd1") for axis in "nchw"}


@pytest.mark.parametrize(
    "inst",
    [
        isa.ARITH.build(**ADD, **HUGE, **STILL, short_res0_str=3, short_opd0_str=3,
                        short_opd1_str=3),
        isa.CONV.build(**CONV, opd0_c=4000, opd0_h=9999, opd0_w=9999, short_opd0_str=3,
                       **{f"opd0_{axis}_str": 0 for axis in "nchw"}),
        isa.CONV.build(**CONV, res0_c=4095, opd0_c=4095, opt_opd1_const=1, opd0_h=32, opd0_w=32,
                       opd1_h=32, opd1_w=32),
        isa.MOVE.build(**MOVE, **gdma_fields("src", "size", (65535,) * 4), src_wstride=0,
                       dst_wstride=0),
    ],
)
def test_sizes_are_checked_before_memory_is_taken(npu: Npu, inst: isa.Instruction):
    with pytest.raises(ModelError, match=r"elements|a lane"):
        execute(npu, inst)


def test_weights_are_protected():
    npu = Npu(DDR)
    npu.protected = range(BM1684.context_start + 64, BM1684.context_start + 128)
    store_words = dict(direction=1, chw_copy=1, src_wsize=4, **isa.start("src", at(0, 0)))
    for offset in (48, 112, 128):
        move = isa.MOVE.build(**store_words, **isa.start("dst", BM1684.context_start + offset))
        if offset == 112:
            with pytest.raises(ModelError, match="weights"):
                execute(npu, move)
        else:
            execute(npu, move)
