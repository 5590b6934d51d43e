"""Numbers in a report: three digits, everywhere and in one way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bmnetu
from bmnetu.report.numbers import cosine, digits, percent

ROOT = Path(bmnetu.__file__).parent
ASSETS = ROOT / "report" / "html" / "assets"
TEXTS = {
    0.0: "0", 1.0: "1.00", 3e-5: "3.00e-5", 1e-5: "1.00e-5", 0.0009: "9.00e-4", 0.001: "0.00100",
    0.0123456: "0.0123", 9.999: "10.0", 99.94: "99.9", 123.456: "123", 12345.6: "12,300",
    999_400.0: "999,000", 999_999.0: "1.00e+6", 1.5e7: "1.50e+7", -2.5: "-2.50",
    5e-324: "4.94e-324", float("inf"): "∞", float("-inf"): "-∞",
}  # fmt: skip
COSINES = {1.0: "1", 0.999928: "0.999928", 0.998721: "0.99872", 0.99: "0.9900", 0.5: "0.500",
           0.0: "0.000", -0.25: "-0.250"}  # fmt: skip


@pytest.mark.parametrize("number", TEXTS)
def test_texts(number: float) -> None:
    assert digits(number) == TEXTS[number]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_three_digits(number: float) -> None:
    text = digits(number)
    assert float(text.replace(",", "")) == float(f"{number:.2e}")
    plain = text.replace(",", "").lstrip("-").split("e")[0].replace(".", "").lstrip("0")
    assert (number == 0 and text == "0") or len(plain) >= 3


def test_parts_and_cosines() -> None:
    assert (percent(0.0003), percent(0.12345), percent(1.0)) == ("0.0300 %", "12.3 %", "100 %")
    for number, text in COSINES.items():
        assert cosine(number) == text


def test_no_other_format_is_in_the_page() -> None:
    """What writes numbers stands in one place of the scripts, and of Python."""
    for path in [*ASSETS.glob("*.js"), *ASSETS.glob("*.html")]:
        text = path.read_text("utf-8")
        if path.name == "core.js":
            begin, end = text.index("function digits("), text.index("function bytes(")
            text = text[:begin] + text[end:]
        assert re.findall(r"toFixed|toPrecision|toExponential", text) == [], path.name
    for path in [*(ROOT / "report" / "html").glob("*.py"), ROOT / "calibration" / "report.py"]:
        found = re.findall(r":[,.0-9]*[0-9.]+[efg]\}", path.read_text("utf-8"))
        assert [each for each in found if each != ":.0f}"] == [], path.name
