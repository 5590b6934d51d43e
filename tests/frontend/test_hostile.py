"""Damaged files give a BmnetuError or load; nothing else is ever raised."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bmnetu.errors import BmnetuError
from bmnetu.frontend import load_network
from tests.frontend.samples import SMALL, layer, written

TEXT = (
    SMALL
    + layer("Pooling", "pooling_param { pool: AVE kernel_size: 2 }", name="p", top="p")
    + layer("Slice", 'top: "q" slice_param { slice_point: 1 }', name="s", bottom="p", top="s")
    + layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", name="r", bottom="s", top="r")
)
FUZZ = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FLIPS = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return written(tmp_path, TEXT)


def damaged(content: bytes, flips: list[tuple[int, int]], cut: int | None) -> bytes:
    found = bytearray(content)
    for place, byte in flips:
        found[place % len(found)] = byte
    return bytes(found if cut is None else found[: cut % len(found)])


@FUZZ
@given(flips=FLIPS, cut=st.none() | st.integers(0, 1 << 20), which=st.booleans())
def test_byte_flips_and_cuts(
    files: tuple[Path, Path], flips: list[tuple[int, int]], cut: int | None, which: bool
) -> None:
    model, weight = files
    target = model if which else weight
    sound = target.read_bytes()
    target.write_bytes(damaged(sound, flips, cut))
    try:
        with suppress(BmnetuError):
            load_network(model, weight).module.verify()
    finally:
        target.write_bytes(sound)


WORDS = st.sampled_from(
    "layer layers { } < > : , [ ] name type bottom top 'data' 'x' \"Convolution\" \"ReLU\" 0 -1 1 "
    "7 1e9 4294967295 9223372036854775808 nan inf true input_param shape dim convolution_param far "
    "num_output kernel_size input input_dim include phase TEST # \n".split(" ")
)


@FUZZ
@given(words=st.lists(WORDS, max_size=60))
def test_word_soup(files: tuple[Path, Path], words: list[str]) -> None:
    model, weight = files
    model.write_text(TEXT + " ".join(words))
    with suppress(BmnetuError):
        load_network(model, weight).module.verify()
