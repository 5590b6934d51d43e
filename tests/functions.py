"""Pointwise functions as layers of a prototxt."""

from __future__ import annotations

from dialects.functions import Function, Parameters


def settings_text(row: Function, parameters: Parameters) -> str:
    """The parameters of a layer as text."""
    fields = " ".join(f"{name}: {_text(value)}" for name, value in parameters.items())
    return f"{row.message} {{ {fields} }}" if fields else ""


def _text(value: float) -> str:
    """A number, which also stands for a bool."""
    return str(int(value)) if value == int(value) else repr(value)


POSITIVE = ("sqrt", "rsqrt", "reciprocal", "log")
"""Functions of positive numbers, or without a bound at 0."""
COARSE = ("floor", "ceil", "round", "threshold", "exp")
"""Functions that 8 bits hold less well: they jump, or have a wide range."""
