"""The records of a dynamic stage."""

from __future__ import annotations

from bmnetu.bmodel.notes import RECORD
from bmnetu.errors import InputFileError
from bmnetu.inspect.chosen import Chosen
from dialects.bm1684.record.local import LocalGroup
from dialects.bm1684.record.stream import Group, Stream, StreamError, unpack


def stream_of(found: Chosen) -> Stream:
    """The records. Raises InputFileError."""
    stage = found.stage
    try:
        return unpack(stage.records, len(stage.inputs), len(stage.outputs))
    except StreamError as error:
        raise InputFileError(f"{found}: {error}") from None


def record_kind(group: Group) -> str:
    """The kind of a record, as ``dis`` names it."""
    return "local" if isinstance(group, LocalGroup) else group.kind.name.removeprefix("record.")


def tensor_ids(group: Group) -> tuple[list[int], list[int]]:
    """The ids of the tensors that a record reads, and of those that it makes."""
    if isinstance(group, LocalGroup):
        return [each.id for each in group.inputs], [each.id for each in group.outputs]
    return [each.id for each in group.neurons], [each.id for each in group.results]


def tensor_names(found: Chosen, stream: Stream) -> dict[int, str]:
    """The names of a stream's tensors by id: those that the file gives, each once, else ``tN`` for
    the id N."""
    made = [tensor_ids(group)[1] for group in stream.groups]
    given = {
        ids[0]: t.name for t in found.notes.tensors
        if t.engine == RECORD and 1 <= t.number <= len(made) and (ids := made[t.number - 1])
    }  # fmt: skip
    given |= dict(zip(stream.outputs, (t.name for t in found.stage.outputs), strict=True))
    given |= dict(zip(stream.inputs, (t.name for t in found.stage.inputs), strict=True))
    last = {name: id for id, name in given.items()}
    every = dict.fromkeys([*stream.inputs, *(id for ids in made for id in ids), *stream.outputs])
    return {id: given[id] if last.get(given.get(id, "")) == id else f"t{id}" for id in every}
