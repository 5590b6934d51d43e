"""Faulty data files become one sentence."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bmnetu.errors import InputFileError

SPACE = 200_000_000
RATIO = 8
"""What is unpacked from a file at a time may take SPACE bytes and RATIO times the file's size: a
few bytes can say that they are more than memory holds."""


class MisfitError(ValueError):
    """What is wrong with a sample or a contract, without saying which."""


@contextmanager
def reading(path: Path | str, what: str) -> Generator[None]:
    """Turns whatever a decoder raises over a faulty file into :class:`InputFileError`.

    Decoders of images, zip files and array headers raise errors of any type on hostile files.
    """
    try:
        yield
    except InputFileError:
        raise
    except MisfitError as error:
        raise InputFileError(f"{path}: {error}") from error
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise InputFileError(f"{path}: cannot be read as {what}: {reason}") from error


def check_room(taken: int, size: int) -> None:
    """``taken``: bytes of memory, ``size``: bytes of the file. Raises :class:`MisfitError`."""
    if taken > SPACE + RATIO * size:
        raise MisfitError(f"requires {taken} bytes of memory, too many for a file of {size} bytes")
