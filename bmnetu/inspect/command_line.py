"""The command line ``bmnetu-model``: the table of its subcommands, and what all of them share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from bmnetu.command_line.explanations import explain
from bmnetu.command_line.flags import COMMON_FLAGS, parse
from bmnetu.command_line.terminal import Terminal
from bmnetu.command_line.tool import guarded
from bmnetu.errors import UsageError
from bmnetu.inspect.manual import overview, page
from bmnetu.inspect.subcommand import Request, Subcommand
from bmnetu.interrupts import interruptible
from bmnetu.nearest import nearest
from bmnetu.version import VERSION

TOOL = "bmnetu-model"
SUBCOMMANDS = {
    "info": "nets, stages, shapes, scales, memory, commands, subnets",
    "dis": "every command, record and host layer, as text or JSON",
    "run": "executes it on the model of the NPU",
    "profile": "estimated cycles by layer and engine",
    "debug": "steps through the commands, with tensors, memory and waits",
    "check": "ids, waits, races, addresses, hash and border, without running it",
    "combine": "several nets, or several shapes of one net, into one file",
    "extract": "one net, or one stage, as a file of its own",
    "map": "local memory over time, and what lies in DDR when",
    "diff": "what differs between two files: layers, memory, cycles, outputs",
}
"""What each does, in a line. Its module in ``bmnetu.inspect.commands`` has its name."""


def main(argv: Sequence[str] | None = None) -> int:
    """``bmnetu-model``: looks into bmodels. Returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    terminal = Terminal(TOOL)
    return guarded(lambda: _run(words, terminal), words, terminal)


def subcommand(name: str) -> Subcommand:
    """The subcommand of a name in the table."""
    found = import_module(f"bmnetu.inspect.commands.{name}").COMMAND
    assert isinstance(found, Subcommand)
    return found


def _run(words: list[str], terminal: Terminal) -> int | None:
    name, *rest = words or ["--help"]
    match name.lstrip("-") if name.startswith("-") else "":
        case "help" | "h":
            terminal.say(overview(TOOL, SUBCOMMANDS))
            return None
        case "version":
            terminal.say(f"{TOOL} {VERSION}")
            return None
        case _:
            pass
    if name.lstrip("-").partition("=")[0] == "explain" and name.startswith("-"):
        terminal.say(explain(*parse(COMMON_FLAGS, words)["explain"]))
        return None
    if name.startswith("-"):
        parse(COMMON_FLAGS, words[:1])  # which raises where there is no such flag
    if name not in SUBCOMMANDS:
        near = nearest(name, SUBCOMMANDS)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(SUBCOMMANDS)}"
        raise UsageError(f"unknown subcommand {name!r}: {hint}")
    found = subcommand(name)
    operands: list[str] = []
    values = parse(found.all_flags, rest, operands)
    if values["help"]:
        terminal.say(page(TOOL, name, SUBCOMMANDS[name], found))
        return None
    if values["version"]:
        terminal.say(f"{TOOL} {VERSION}")
        return None
    if values["explain"]:
        terminal.say(explain(*values["explain"]))
        return None
    least, several = len(found.operands), found.operands[-1].endswith("...")
    if len(operands) < least or (len(operands) > least and not several):
        what = " ".join(found.operands)
        raise UsageError(f"{name} takes {what}, {len(operands)} given: {TOOL} {name} --help")
    for flag in found.all_flags:
        if flag.necessary and values[flag.name] is None:
            raise UsageError(f"--{flag.name} must be given: {TOOL} {name} --help")
    terminal.colors = terminal.colors and not values["no_color"]
    with interruptible():
        return found.run(Request(tuple(map(Path, operands)), values, terminal))
