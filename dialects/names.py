"""Names of layers and tensors in messages: a file can hold any string as a name."""

from __future__ import annotations

LONGEST = 80
"""Characters of a name that a message shows."""


def quoted(name: str) -> str:
    """The name in quotes, on one line and not too long."""
    return f'"{shown(name)}"'


def shown(name: str) -> str:
    """The name with escapes for what does not print, cut where it is long."""
    short = name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)
