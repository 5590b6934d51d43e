"""Runs of words are cut into chunks; many input channels into pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.bm1684.chip import BM1684
from passes.kernels.convolution.stacked import piece_channels, stack_weight
from passes.kernels.flat import chunks
from passes.kernels.tiling import CannotLower


@given(
    words=st.one_of(st.integers(1, 300), st.integers(1, 3_000_000)),
    budget=st.sampled_from([BM1684.lane_bytes, BM1684.lane_bytes // 2, 8192]),
    buffers=st.integers(1, 9),
)
def test_chunks_cover_a_run_of_words_once(words: int, budget: int, buffers: int) -> None:
    begin = 0
    for chunk in chunks(words, budget, buffers):
        assert chunk.begin == begin
        begin += chunk.lanes * chunk.width
        assert 1 <= chunk.lanes <= BM1684.lanes
        assert 1 <= chunk.width <= BM1684.limits.gdma_size
        row = -(-chunk.width * 4 // BM1684.alignment) * BM1684.alignment
        assert row * buffers <= budget
    assert begin == words


def test_a_run_takes_few_chunks() -> None:
    assert len(list(chunks(64 * 1000 + 63, BM1684.lane_bytes, 3))) == 2
    assert len(list(chunks(63, BM1684.lane_bytes, 3))) == 1


def test_so_many_buffers_that_none_fits() -> None:
    with pytest.raises(CannotLower, match="5000 pieces of its tensors do not fit local memory"):
        list(chunks(64, BM1684.lane_bytes, 5000))


@given(st.integers(4096, 20000))
def test_pieces_of_input_channels_fit_a_command(inputs: int) -> None:
    pieces, channels = piece_channels(inputs)
    assert channels <= BM1684.limits.channels
    assert (pieces - 1) * channels < inputs <= pieces * channels


def test_stacked_weights_hold_piece_under_piece() -> None:
    weight = np.arange(2 * 5000 * 2 * 3, dtype=np.float32).reshape(2, 5000, 2, 3)
    stacked = stack_weight(weight)
    pieces, channels = piece_channels(5000)
    assert stacked.shape == (2, channels, pieces * 2, 3)
    for i in (0, 1, channels - 1, channels, 4999):
        piece, channel = divmod(i, channels)
        rows = stacked[:, channel, 2 * piece : 2 * piece + 2]
        np.testing.assert_array_equal(rows, weight[:, i])
