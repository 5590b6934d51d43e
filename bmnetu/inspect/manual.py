"""The help of ``bmnetu-model`` and its subcommands, in the form of a manual page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping

from bmnetu.command_line.flags import Flag, note_of
from bmnetu.command_line.help import example_lines
from bmnetu.command_line.kinds import BOOLEAN
from bmnetu.inspect.subcommand import Subcommand

WIDTH = 92
CODES = (
    (0, "Done."),
    (2, "A flag or an operand is wrong; an unknown one comes with the nearest known one."),
    (3, "A file cannot be read, is no usable bmodel, or a result cannot be written."),
    (4, "Something in the file that this tool cannot do, which the sentence names."),
)


def overview(tool: str, summaries: Mapping[str, str]) -> str:
    """The help without a subcommand."""
    width = max(map(len, summaries))
    return "\n".join([
        *_section("NAME", [f"{tool} - looks into bmodels for the BM1684, ours and the vendor's"]),
        *_section("SYNOPSIS", [f"{tool} SUBCOMMAND FILE [--flag=value ...]"]),
        *_section("SUBCOMMANDS", [f"{name:{width}}  {text}" for name, text in summaries.items()]),
        *_section("SEE ALSO", [f"{tool} SUBCOMMAND --help", "docs/model.md"]),
    ]).rstrip()  # fmt: skip


def page(tool: str, name: str, summary: str, found: Subcommand) -> str:
    """The help of a subcommand."""
    flags = [line for flag in found.all_flags for line in _flag(flag)]
    necessary = [f"--{flag.name}={flag.kind.word}" for flag in found.flags if flag.necessary]
    codes = [f"{code}  {text}" for code, text in sorted((*CODES, *found.codes))]
    return "\n".join([
        *_section("NAME", [f"{tool} {name} - {summary}"]),
        *_section("SYNOPSIS", [" ".join([tool, name, *found.operands, *necessary,
                                         "[--flag=value ...]"])]),
        *_section("DESCRIPTION", textwrap.wrap(found.purpose, WIDTH)),
        *_section("OPTIONS", flags),
        *_section("EXAMPLES", example_lines(f"{tool} {name}", found.examples)),
        *_section("EXIT STATUS", codes),
    ]).rstrip()  # fmt: skip


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield title
    yield from (f"    {line}" for line in lines)
    yield ""


def _flag(flag: Flag) -> Iterator[str]:
    value = "" if flag.kind is BOOLEAN else f"={flag.kind.word}"
    yield f"--{flag.name.replace('_', '-')}{value}"
    text = flag.help if flag.kind is BOOLEAN and not flag.default else note_of(flag)
    yield from (f"    {line}" for line in textwrap.wrap(text, WIDTH - 4))
