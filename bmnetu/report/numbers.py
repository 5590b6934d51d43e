"""Real numbers for people: three significant digits. ``core.js`` of the page has the same."""

from __future__ import annotations

from math import floor, isfinite, log10

DIGITS = 3
COSINE_DECIMALS = 6
"""The page's data have so many digits."""
SMALL, LARGE = 1e-3, 1e6
"""From here on powers of ten are written."""


def digits(x: float) -> str:
    """``0``, ``1.20``, ``0.00312``, ``3.00e-5``, ``12,300``, ``1.23e+7``."""
    if not isfinite(x):
        return "∞" if x > 0 else "-∞" if x < 0 else "NaN"
    text = f"{x:.{DIGITS - 1}e}"
    rounded = float(text)
    if not rounded:
        return "0"
    size = abs(rounded)
    if size < SMALL or size >= LARGE:
        mantissa, exponent = text.split("e")
        return f"{mantissa}e{int(exponent):+d}"
    decimals = max(0, DIGITS - 1 - floor(log10(size)))
    return f"{rounded:,.{decimals}f}"


def percent(part: float) -> str:
    """A part of a whole."""
    return f"{digits(100 * part)} %"


def cosine(x: float) -> str:
    """One at most: with three digits of what is missing to 1, as in ``0.99872``, and at most
    six."""
    missing = 1 - x
    if missing <= 0:
        return "1"
    decimals = max(DIGITS, DIGITS - 1 - floor(log10(missing)))
    return f"{x:.{min(decimals, COSINE_DECIMALS)}f}"
