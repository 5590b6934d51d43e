"""The version of bmnetu: the one place where it is written, beside pyproject.toml."""

from __future__ import annotations

VERSION = "0.1.0"
