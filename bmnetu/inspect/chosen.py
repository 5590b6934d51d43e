"""A bmodel's file, and the nets and stages of it that the user asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bmnetu.bmodel import Bmodel, Notes, Stage, read
from bmnetu.errors import UsageError
from bmnetu.files.reading import read_bytes
from bmnetu.inspect.subcommand import Request
from bmnetu.nearest import nearest
from dialects.names import quoted


@dataclass(frozen=True)
class Chosen:
    """One stage of a net; ``number`` is its place among the net's stages."""

    net: str
    number: int
    stage: Stage

    @cached_property
    def notes(self) -> Notes:
        """What our compiler says of it; nothing in a file of others."""
        return Notes.parse(self.stage.notes) or Notes(version="")

    def layer(self, group: int, engine: str, number: int) -> str:
        """The name of the layer that a command or record belongs to, "" where that is not said."""
        found = self.notes.layer(group, engine, number)
        return "" if found is None else found[0]

    def __str__(self) -> str:
        return f"net {quoted(self.net)}, stage {self.number}"


def read_file(request: Request) -> Bmodel:
    """The bmodel of a request. Raises InputFileError."""
    return read(read_bytes(request.file, "a bmodel"), str(request.file))


def chosen_stages(request: Request, bmodel: Bmodel) -> list[Chosen]:
    """The stages that --net and --stage name; all without them. Raises UsageError where there is no
    such stage."""
    name, number = request.values.get("net"), request.values.get("stage")
    names = [net.name for net in bmodel.nets]
    if name is not None and name not in names:
        near = nearest(name, names)
        hint = f"did you mean {quoted(near)}?" if near else f"it has {_listed(names)}"
        raise UsageError(f"--net={name}: {request.file} has no such net: {hint}")
    found = [each for each in _all(bmodel) if name in (None, each.net)]
    kept = [each for each in found if number in (None, each.number)]
    if not kept:
        raise UsageError(f"--stage={number}: {request.file} has no such stage; the stages of a net"
                         f" are 0 to {max(each.number for each in found)}")
    return kept


def _all(bmodel: Bmodel) -> Iterator[Chosen]:
    for net in bmodel.nets:
        for number, stage in enumerate(net.stages):
            yield Chosen(net.name, number, stage)


def _listed(names: list[str]) -> str:
    return ", ".join(map(quoted, names[:8])) + (", ..." if len(names) > 8 else "")
