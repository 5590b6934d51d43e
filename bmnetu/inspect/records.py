"""The records of a dynamic stage."""

from __future__ import annotations

from bmnetu.errors import InputFileError
from bmnetu.inspect.chosen import Chosen
from dialects.bm1684.record.stream import Stream, StreamError, unpack


def stream_of(found: Chosen) -> Stream:
    """The records. Raises InputFileError."""
    stage = found.stage
    try:
        return unpack(stage.records, len(stage.inputs), len(stage.outputs))
    except StreamError as error:
        raise InputFileError(f"{found}: {error}") from None
