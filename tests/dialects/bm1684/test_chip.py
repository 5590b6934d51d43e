"""The chip's address map."""

from hypothesis import given
from hypothesis import strategies as st

from dialects.bm1684.chip import BM1684


def test_sizes():
    assert BM1684.banks == 8
    assert BM1684.local_end - BM1684.local_base == 32 << 20
    assert BM1684.local_end <= BM1684.l2_base
    assert BM1684.l2_end <= BM1684.ddr_base <= BM1684.context_start
    assert BM1684.tables.end <= BM1684.tables.reserved_end <= BM1684.l2_bytes


@given(st.integers(0, BM1684.lanes - 1), st.integers(0, BM1684.lane_bytes - 1))
def test_local_addresses(lane: int, offset: int):
    address = BM1684.local_address(lane, offset)
    assert BM1684.local_base <= address < BM1684.local_end
    assert BM1684.local_place(address) == (lane, offset)
