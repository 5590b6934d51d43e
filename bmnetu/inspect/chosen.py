"""A bmodel's file, and the nets and stages of it that the user asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bmnetu.bmodel import Bmodel, Notes, Stage, read, write
from bmnetu.errors import InputFileError, UsageError
from bmnetu.files.outputs import OutputFolder
from bmnetu.files.reading import read_bytes
from bmnetu.inspect.subcommand import Request
from bmnetu.nearest import nearest
from dialects.names import quoted


@dataclass(frozen=True)
class Chosen:
    """One stage of a net; ``number`` is its place among the net's stages. ``largest`` is the stage
    as the file has it, where a dynamic one stands at smaller shapes."""

    net: str
    number: int
    stage: Stage
    largest: Stage | None = None

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
    return read_path(request.file)


def read_path(path: Path) -> Bmodel:
    """A bmodel of a request of several. Raises InputFileError."""
    return read(read_bytes(path, "a bmodel"), str(path))


def store(path: Path, bmodel: Bmodel) -> None:
    """Stores a bmodel as --out says. Raises InputFileError, also where the runtime would refuse
    it."""
    try:
        data = write(bmodel)
    except ValueError as error:
        raise InputFileError(f"--out={path}: the runtime would not take it: {error}") from None
    OutputFolder(path.parent, "--out").store({path.name: data})


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


def one_net(request: Request, bmodel: Bmodel) -> list[Chosen]:
    """As :func:`chosen_stages`, of one net: --net must be given where there are several. Raises
    UsageError."""
    if len(bmodel.nets) > 1 and request.values["net"] is None:
        names = _listed([net.name for net in bmodel.nets])
        raise UsageError(f"--net must be given: {request.file} has the nets {names}")
    return chosen_stages(request, bmodel)


def _all(bmodel: Bmodel) -> Iterator[Chosen]:
    for net in bmodel.nets:
        for number, stage in enumerate(net.stages):
            yield Chosen(net.name, number, stage)


def _listed(names: list[str]) -> str:
    return ", ".join(map(quoted, names[:8])) + (", ..." if len(names) > 8 else "")
