"""What a subcommand of ``bmnetu-model`` is: its flags, its help, and what it does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmnetu.command_line.answer import finite
from bmnetu.command_line.flags import COMMON_FLAGS, Flag
from bmnetu.command_line.kinds import BOOLEAN, NAME, SHAPES, integer
from bmnetu.command_line.terminal import Terminal
from bmnetu.note import Note

JSON = Flag("json", BOOLEAN, "Print JSON, for machines.", False)
NET = Flag("net", NAME, "This net alone.", default_text="all nets")
STAGE = Flag("stage", integer("N", 0, 1 << 16), "This stage alone, counted from 0.",
             default_text="all stages")  # fmt: skip
ONE_NET = Flag("net", NAME, "The net that runs.", default_text="the only one; must be given where"
               " the file has several")  # fmt: skip
ONE_STAGE = Flag("stage", integer("N", 0, 1 << 16), "The stage that runs, counted from 0.",
                 default_text="the one that the shapes choose")  # fmt: skip
SHAPES_FLAG = Flag("shapes", SHAPES, "The shapes of all inputs, in their order: they choose the"
                   " stage, and what a dynamic net runs at.", default_text="those of --input, else"
                   " the largest")  # fmt: skip
GENERAL = (
    Flag("no_color", BOOLEAN, "No colours. The variable NO_COLOR does the same, and so does"
         " an output that is no terminal.", False),
    *COMMON_FLAGS,
)  # fmt: skip
"""What every subcommand takes."""


@dataclass(frozen=True)
class Request:
    """What the user asks for: the files, the flags' values, and where to say what is found."""

    files: tuple[Path, ...]
    values: dict[str, Any]
    terminal: Terminal

    @property
    def file(self) -> Path:
        """The one file."""
        return self.files[0]

    def note(self, note: Note) -> None:
        """Tells something that changes no exit code."""
        self.terminal.note(note.coded)

    def show(self, as_text: Callable[[], str], as_json: Callable[[], object]) -> None:
        """Prints what was found, in the form that is asked for."""
        if not self.values.get("json"):
            self.terminal.say(as_text())
            return
        self.terminal.say(json.dumps(finite(as_json()), indent=1, allow_nan=False))


@dataclass(frozen=True)
class Subcommand:
    """``operands`` names the files that must be given; more may be where the last one ends with
    "...". ``run`` returns an exit code other than 0. ``examples`` are words behind the
    subcommand's name and what they do; ``codes`` says what exit codes mean here beyond the
    usual."""

    purpose: str
    flags: Sequence[Flag]
    examples: Sequence[tuple[str, str]]
    run: Callable[[Request], int | None]
    operands: tuple[str, ...] = ("FILE",)
    codes: Sequence[tuple[int, str]] = ()

    @property
    def all_flags(self) -> tuple[Flag, ...]:
        """Its own flags and those that all have."""
        return (*self.flags, *GENERAL)
