"""Pointwise functions as layers of a prototxt."""

from __future__ import annotations

from dialects.functions import Function, Parameters


def settings_text(row: Function, parameters: Parameters) -> str:
    """The parameters of a layer as text."""
    fields = " ".join(f"{name}: {value!r}" for name, value in parameters.items())
    return f"{row.message} {{ {fields} }}" if fields else ""
