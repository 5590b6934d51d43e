"""``bmnetu-model dis``: every command or record of a bmodel as text or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

from bmnetu.bmodel.notes import RECORD
from bmnetu.command_line.flags import Flag
from bmnetu.command_line.kinds import BOOLEAN
from bmnetu.emit.static import host_call
from bmnetu.inspect.chosen import Chosen, chosen_stages, read_file
from bmnetu.inspect.commands.info import host_record
from bmnetu.inspect.places import Place, Places
from bmnetu.inspect.records import stream_of
from bmnetu.inspect.steps import Command, Step, in_order, steps_of
from bmnetu.inspect.subcommand import JSON, NET, STAGE, Request, Subcommand
from dialects.bm1684.isa import Engine
from dialects.bm1684.record.local import LocalGroup
from dialects.bm1684.record.transfers import TransferKind
from dialects.names import quoted
from passes.image.disassembly import host_text
from passes.image.record_text import record_lines

OTHER = {Engine.TIU: Engine.GDMA, Engine.GDMA: Engine.TIU}


def run(request: Request) -> None:
    stages = chosen_stages(request, read_file(request))
    for_diff = bool(request.values["diff"])
    request.show(
        lambda: "\n".join(line for each in stages for line in _lines(each, for_diff)),
        lambda: [_record(each) for each in stages],
    )


# -- text ------------------------------------------------------------------------------------------


def _lines(found: Chosen, for_diff: bool) -> Iterator[str]:
    stage = found.stage
    yield f"; {found}, {'dynamic' if stage.is_dynamic else 'static'}"
    if stage.is_dynamic:
        yield from _record_lines(found)
        return
    places = Places(stage)
    for number, step in enumerate(steps_of(stage)):
        if stage.subnets:
            yield f"; subnet {number}, on the {'NPU' if step.subnet.host is None else 'host'}"
        if step.subnet.host is not None:
            yield host_text(host_call(step.subnet, step.subnet.host))
        for group, data in enumerate(step.groups, step.first):
            done = dict.fromkeys(Engine, 0)
            for command in in_order(data):
                back = done[OTHER[command.engine]] - command.wait
                done[command.engine] += 1
                head = f"{group} {command.engine:4} {command.number:5} <{command.wait:5}"
                if for_diff:
                    head = f"{command.engine:4} {f'<-{back}' if command.wait else '':5}"
                layer = found.layer(group, command.engine, command.number)
                yield f"{head} {_command(command, places, layer)}"


def _record_lines(found: Chosen) -> Iterator[str]:
    """The records; with the layer where there is a line a record."""
    stream = stream_of(found)
    has_groups = any(isinstance(group, LocalGroup) for group in stream.groups)
    for number, line in enumerate(record_lines(stream)):
        layer = "" if has_groups else found.layer(0, RECORD, number) if number else ""
        yield line + (f" ; layer {quoted(layer)}" if layer else "")


def _command(command: Command, places: Places, layer: str) -> str:
    """The fields, addresses in DDR as offsets in their area; then the layer, and the names of what
    lies at these addresses."""
    found = command.instruction
    if found is None:
        return f"? {command.data.hex()} ; {command.fault}"
    sides = places.of(found)
    words = found.with_ids(0, 0).text().split()
    words = [w for w in words if not w.startswith(tuple(f"{side}_start_addr" for side in sides))]
    text = " ".join([*words, *(f"{side}={place}" for side, place in sides.items())])
    own_id = f" id={found.id}" if found.id != command.number else ""
    names = f" layer {quoted(layer)}" if layer else ""
    names += "".join(f" {side}: {place.name}" for side, place in sides.items() if place.name)
    return f"{text}{own_id}" + (f" ;{names}" if names else "")


# -- JSON ------------------------------------------------------------------------------------------


def _record(found: Chosen) -> dict[str, Any]:
    stage = found.stage
    head = {"net": found.net, "stage": found.number, "dynamic": stage.is_dynamic}
    if stage.is_dynamic:
        layers = [found.layer(0, RECORD, i + 1) for i in range(len(stream_of(found).groups))]
        return head | {"records": _plain(stream_of(found)), "layers": layers}
    return head | {"subnets": [_subnet(step, found) for step in steps_of(stage)]}


def _subnet(step: Step, found: Chosen) -> dict[str, Any]:
    if step.subnet.host is not None:
        return {"runs_on": "host", "layer": host_record(step.subnet.host)}
    places = Places(found.stage)
    commands = [
        {"group": group, "layer": found.layer(group, command.engine, command.number) or None}
        | _command_record(command, places)
        for group, data in enumerate(step.groups, step.first)
        for command in in_order(data)
    ]
    return {"runs_on": "NPU", "commands": commands}


def _command_record(command: Command, places: Places) -> dict[str, Any]:
    """All fields that differ from the kind's defaults; of bytes that are no command, those."""
    head = {"engine": str(command.engine), "number": command.number}
    found = command.instruction
    if found is None:
        return head | {"kind": None, "fault": command.fault, "bytes": command.data.hex()}
    sides = {side: _place(place) for side, place in places.of(found).items()}
    ids = {"id": found.id, "wait": found.wait, "kind": found.kind.mnemonic}
    return head | ids | {"fields": dict(found.with_ids(0, 0).values)} | sides


def _place(place: Place) -> dict[str, Any]:
    return {"area": place.area, "offset": place.offset, "name": place.name or None}


def _plain(value: Any) -> Any:
    """Data classes as dictionaries; kinds of records and transfers by their names."""
    if isinstance(value, (type, TransferKind)):
        return getattr(value, "name", str(value))
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in cast(Mapping[str, Any], value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in cast(tuple[Any, ...], value)]
    return value


COMMAND = Subcommand(
    "Prints every command of a bmodel, a line each: its group, its engine, its number, the number"
    " of commands of the other engine that it waits for, its kind, and the fields that differ from"
    " the kind's defaults. Addresses in DDR are offsets in the weights or the neurons; behind the"
    " semicolon stands what the file says lies there. Layers on the host are lines among them, and"
    " of a dynamic net the records are printed.",
    (
        JSON, NET, STAGE,
        Flag("diff", BOOLEAN, "For diff: without numbers of commands, and a wait as how many"
             " commands of the other engine lie between, so that a command more is a line"
             " more.", False),
    ),
    (
        ("compilation.bmodel | less", "The commands in the order in which they can run."),
        ("compilation.bmodel --json", "The same for machines."),
        ("compilation.bmodel --diff > new.txt", "For comparing two builds: diff old.txt new.txt"),
    ),
    run,
)  # fmt: skip
