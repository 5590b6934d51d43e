"""Writes the files of a calibration: all of them, or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bmnetu.errors import InputFileError


def write_together(files: Mapping[Path, bytes]) -> None:
    """Writes all files beside their places, then renames them; makes missing folders.

    Raises :class:`InputFileError` when one cannot be written; then no file has changed.
    """
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in files}
    at = next(iter(files))
    try:
        try:
            for at, data in files.items():
                at.parent.mkdir(parents=True, exist_ok=True)
                if at.is_dir():
                    raise InputFileError(f"{at}: cannot be written: it is a folder")
                parts[at].write_bytes(data)
            for at, part in parts.items():
                part.replace(at)
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)
    except OSError as error:
        raise InputFileError(f"{at}: cannot be written: {error}") from error
