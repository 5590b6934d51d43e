"""docs/onnx.md is made out of the table of operators."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bmnetu.frontend.onnx.operators.table import OPERATORS
from bmnetu.frontend.onnx.page import FUNCTIONS, PAGE, markdown

PATH = Path(__file__).parents[3] / "docs" / "onnx.md"


def test_the_page_is_made() -> None:
    why = "run python -m bmnetu.frontend.onnx.page > docs/onnx.md"
    assert PATH.read_text() == markdown(), why


def test_every_operator_has_one_row() -> None:
    named = Counter(operator for row in PAGE for operator in row.operators)
    assert set(named.values()) == {1}
    assert set(named) == {*OPERATORS, *FUNCTIONS}
