"""SHA-256 of files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def of_file(path: Path) -> str:
    """The SHA-256 of a file, read piece by piece, in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_bytes(data: bytes) -> str:
    """The SHA-256 of a file's contents."""
    return hashlib.sha256(data).hexdigest()
