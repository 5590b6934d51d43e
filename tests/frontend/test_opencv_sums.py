"""Layers that normalise and reduce, against OpenCV."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.opencv import both

Array = NDArray[np.float32]
SHAPES = st.tuples(*(st.integers(1, size) for size in (2, 9, 7, 6)))


def noise(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(sum(shape)).normal(0, 2, shape).astype(np.float32)


def agree(kind: str, rest: str, shape: tuple[int, ...]) -> None:
    ours, theirs = both(kind, rest, noise(shape))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@settings(max_examples=15)
@given(SHAPES, st.sampled_from([1, 3, 5, 7]), st.floats(0.01, 2), st.floats(0.25, 1))
def test_lrn_across_channels(
    shape: tuple[int, ...], size: int, alpha: float, beta: float
) -> None:
    agree("LRN", f"lrn_param {{ local_size: {size} alpha: {alpha} beta: {beta} }}", shape)


@settings(max_examples=15)
@given(SHAPES, st.sampled_from([1, 3, 5]), st.floats(0.01, 2), st.floats(0.25, 1))
def test_lrn_within_a_channel(
    shape: tuple[int, ...], size: int, alpha: float, beta: float
) -> None:
    rest = f"local_size: {size} alpha: {alpha} beta: {beta} norm_region: WITHIN_CHANNEL"
    agree("LRN", f"lrn_param {{ {rest} }}", shape)


@settings(max_examples=12)
@given(SHAPES, st.sampled_from([(True, True), (False, True), (False, False)]))
def test_normalize(shape: tuple[int, ...], setting: tuple[bool, bool]) -> None:
    shape = (1, *shape[1:])  # OpenCV shares the sum among the images of a batch
    across, shared = (str(each).lower() for each in setting)
    rest = f"norm_param {{ across_spatial: {across} channel_shared: {shared} }}"
    agree("Normalize", rest, shape)


@settings(max_examples=12)
@given(SHAPES, st.booleans(), st.booleans())
def test_mvn(shape: tuple[int, ...], across: bool, divide: bool) -> None:
    shape = (*shape[:2], shape[2] + 1, shape[3] + 1)
    words = [str(each).lower() for each in (across, divide)]
    rest = f"across_channels: {words[0]} normalize_variance: {words[1]} eps: 1e-9"
    agree("MVN", f"mvn_param {{ {rest} }}", shape)
