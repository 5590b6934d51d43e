"""``bmnetu-model profile``: where the time of a bmodel goes, by the cycle model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from bmnetu.command_line.flags import Flag
from bmnetu.command_line.kinds import BOOLEAN
from bmnetu.errors import FaultError, UnsupportedError, UsageError
from bmnetu.inspect.chosen import Chosen, chosen_stages, read_file
from bmnetu.inspect.steps import Step, decoded, host_name, steps_of
from bmnetu.inspect.subcommand import JSON, NET, STAGE, Request, Subcommand
from bmnetu.note import Note
from bmnetu.report.profile import Profile, Row, csv_text, profile_of, text
from dialects.bm1684.cycles import ScheduleError
from dialects.bm1684.isa import Engine, Instruction
from dialects.bm1684.model import ModelError, accesses


def run(request: Request) -> None:
    if request.values["json"] and request.values["csv"]:
        raise UsageError("--json and --csv: one of them can be")
    stages = chosen_stages(request, read_file(request))
    static = [each for each in stages if not each.stage.is_dynamic]
    if not static:
        raise UnsupportedError(f"{stages[0]} is dynamic: the chip's firmware makes its commands"
                               " when it runs, so that there is nothing to count in the file")
    for each in stages:
        if each not in static:
            request.note(Note("dynamic-left-out", f"{each} is dynamic and not counted"))
    found = [(each, stage_profile(each)) for each in static]
    if request.values["csv"]:
        request.terminal.say("\n".join(_csv(found)))
        return
    request.show(
        lambda: "\n".join(_text(found)).rstrip("\n"),
        lambda: [{"stage": each.number} | profile.record() for each, profile in found],
    )


def stage_profile(found: Chosen) -> Profile:
    """The cycles of a static stage. Raises FaultError where commands are wrong."""
    stage = found.stage
    groups: list[list[Instruction]] = []
    rows: list[Row] = []
    hosts: list[str] = []
    for step in steps_of(stage):
        if step.subnet.host is not None:
            hosts.append(host_name(step.subnet.host))
        for number, commands in _groups(found, step):
            groups.append(commands)
            rows += [_row(found, number, command) for command in commands]
    weights = range(stage.coeff_address, stage.coeff_address + len(stage.coeff))
    try:
        return profile_of(found.net, groups, rows, weights, tuple(hosts))
    except ScheduleError as error:
        raise FaultError(f"{found}: {error}; bmnetu-model check says more") from None


def _row(found: Chosen, group: int, command: Instruction) -> Row:
    """The layer of a command, and its line; else the kind of command in its group."""
    layer = found.notes.layer(group, command.engine, command.id)
    if layer is not None and layer[0]:
        return layer[0], f":{layer[1]}" if layer[1] else ""
    several = f"group {group}, " if len(found.stage.groups) > 1 else ""
    return several + command.kind.mnemonic, ""


def _groups(found: Chosen, step: Step) -> Iterator[tuple[int, list[Instruction]]]:
    """The number of each group, and its commands, which the chip can run."""
    for number, group in enumerate(step.groups, step.first):
        commands: list[Instruction] = []
        queues = decoded(group)
        for command in chain(queues[Engine.TIU], queues[Engine.GDMA]):
            try:
                if command.instruction is None:
                    raise ModelError(command.fault)
                accesses(command.instruction)
            except ModelError as error:
                raise FaultError(f"{found}, group {number}, {command.engine} command"
                                 f" {command.number}: {error}") from None
            commands.append(command.instruction)
        yield number, commands


def _text(found: list[tuple[Chosen, Profile]]) -> Iterator[str]:
    for each, profile in found:
        if len(found) > 1:
            yield f"{each}"
        yield text(profile)


def _csv(found: list[tuple[Chosen, Profile]]) -> Iterator[str]:
    """The rows of all stages under one header, with net and stage before them."""
    for index, (each, profile) in enumerate(found):
        place = csv_text(profile, {"net": each.net, "stage": each.number}).splitlines()
        yield from place if index == 0 else place[1:]


COMMAND = Subcommand(
    "Estimates the cycles of a bmodel's commands, the time of the whole, and what each part costs"
    " on both engines, as bmnetu -enable_profile does, but from the file alone: of the vendor's,"
    " too. It is the vendor's own model of the chip, no measurement. A row is a layer where the"
    " file says which layer a command belongs to, else a kind of command in a group. cycles of a"
    " row: the tensor unit at work on it, or transfers for it while the tensor unit waits; they add"
    " up to the whole. Layers on the host are named and not counted.",
    (JSON, Flag("csv", BOOLEAN, "Print the rows as CSV.", False), NET, STAGE),
    (
        ("compilation.bmodel", "The table."),
        ("compilation.bmodel --csv > profile.csv", "For a spreadsheet."),
        ("compilation.bmodel --json", "All numbers, for machines."),
    ),
    run,
    codes=((5, "Commands are wrong, so that they have no cost or never end."),),
)
