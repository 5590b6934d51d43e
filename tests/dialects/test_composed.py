"""Composed functions: their text, their meaning, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.composed import ARITHMETIC, ComposedError, Step, composed, parsed, steps_of, text_of
from dialects.functions import FUNCTIONS
from tests.functions import COARSE, POSITIVE

X = np.linspace(-3, 3, 101)
SMOOTH = [name for name in FUNCTIONS if name not in (*POSITIVE, *COARSE)]


@st.composite
def chains(draw: st.DrawFn) -> list[Step]:
    """Steps whose operands are earlier ones or numbers."""
    steps: list[Step] = []
    names = ["x"]
    count = draw(st.integers(1, 6))
    for i in range(count):
        target = "" if i == count - 1 else f"v{i}"
        first = draw(st.sampled_from(names))
        if draw(st.booleans()):
            number = float(draw(st.floats(-2, 2, width=32)))
            other = draw(st.one_of(st.sampled_from(names), st.just(number)))
            pair = draw(st.permutations([first, other]))
            steps.append(Step(target, draw(st.sampled_from(list(ARITHMETIC))), tuple(pair)))
        else:
            row = FUNCTIONS[draw(st.sampled_from(SMOOTH))]
            given = draw(st.sampled_from(row.samples))
            steps.append(Step(target, row.name, (first,), tuple(given.items())))
        names.append(target)
    return steps


@given(chains())
@settings(max_examples=100, deadline=None)
def test_the_text_is_the_function(steps: list[Step]) -> None:
    function = composed(steps)
    assert steps_of(text_of(steps)) == steps
    y = function.of(X, {})
    np.testing.assert_array_equal(parsed(function.name).of(X, {}), y)
    assert y.dtype == np.float64
    assert function.of(X.astype(np.float32), {}).dtype == np.float32
    assert not (y < function.low).any()
    assert not (y > function.high).any()


REFUSED = {
    "": "has 1 to 64 steps, not 0",
    "x": "is no call of a function",
    "foo(x)": '"foo" is no function',
    "add(x)": "wrong operands or parameters",
    "add(1, 2)": "wrong operands or parameters",
    "tanh(x, q=2)": "wrong operands or parameters",
    "import os": "all steps but the last one have the form",
    "tanh(x); a": '"a" is no call|have the form',
    "mul(x, 1e999)": "is no finite number",
    "mul(y, 2)": '"y" is not there yet',
    "tanh(": '"tanh\\(" is no function',
    "(" * 500: "is no function",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_that_is_no_function(text: str) -> None:
    with pytest.raises(ComposedError, match=REFUSED[text]):
        parsed(text)
