"""The text of -help."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bmnetu.command_line.explanations import EXIT_PAGES
from bmnetu.command_line.flags import Flag, note_of

WIDTH = 96
Examples = Sequence[tuple[str, str]]
"""Words behind a tool's name, and what they do."""


def help_text(
    tool: str,
    purpose: str,
    flags: Sequence[Flag],
    examples: Examples = (),
    plugins: Sequence[str] = (),
) -> str:
    """The text of -help; ``plugins`` are those that are installed."""
    necessary = " ".join(f"-{f.name}={f.kind.word}" for f in flags if f.necessary)
    lines = [f"usage: {tool} {necessary} [-flag=value ...]", "", *textwrap.wrap(purpose, WIDTH), ""]
    for flag in flags:
        lines += [f"  -{flag.name}={flag.kind.word}", *_indented(note_of(flag))]
    lines += ["", "Examples:", *example_lines(tool, examples), "", *exit_lines()]
    if plugins:
        lines += ["", *textwrap.wrap(f"Plug-ins: {', '.join(plugins)}.", WIDTH)]
    return "\n".join(lines)


def example_lines(tool: str, examples: Examples) -> list[str]:
    """Commands, and below each what it does."""
    lines: list[str] = []
    for words, what in examples:
        command = textwrap.wrap(f"{tool} {words}", WIDTH - 6, break_long_words=False,
                                break_on_hyphens=False)  # fmt: skip
        lines += [f"  {line}" for line in " \\\n    ".join(command).split("\n")]
        lines += _indented(what)
    return lines


def exit_lines(*more: str) -> list[str]:
    """The exit codes with their names; ``more`` are names that one tool alone has."""
    names: dict[int | None, list[str]] = {}
    for page in EXIT_PAGES:
        if not page.tool or page.code in more:
            names.setdefault(page.number, []).append(page.code)
    codes = ", ".join(f"{number} {' or '.join(each)}" for number, each in names.items())
    return textwrap.wrap(f"Exit codes: {codes}; -explain=CODE says more of each.", WIDTH)


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
