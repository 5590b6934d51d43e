"""Did you mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmnetu.nearest import nearest, slips

FLAGS = ["model", "mode", "weight", "outdir", "opt", "output_as_fp32"]


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("modle", "model"), ("modl", "model"), ("mdoe", "mode"), ("wieght", "weight"),
        ("outdri", "outdir"), ("otp", "opt"), ("output_as_pf32", "output_as_fp32"),
        ("banana", None), ("", None), ("m" * 100, None),
    ],
)  # fmt: skip
def test_nearest(word: str, known: str | None) -> None:
    assert nearest(word, FLAGS) == known


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_slips(word: str, other: str) -> None:
    assert slips(word, other) == slips(other, word)
    assert (slips(word, other) == 0) == (word == other)
    assert abs(len(word) - len(other)) <= slips(word, other) <= max(len(word), len(other))


def test_two_exchanged_letters_are_one_slip() -> None:
    assert slips("abcd", "acbd") == 1
    assert slips("ab", "ba") == 1
    assert slips("abcd", "abc") == slips("abcd", "abxd") == 1
