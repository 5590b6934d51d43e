"""What a tool prints: lines for people, or one JSON object for a machine."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from bmnetu.command_line.terminal import Terminal
from bmnetu.note import Note


class Answer:
    """Lines as they come, and the result. With ``as_json`` stdout has the result alone, one object,
    and the lines go to stderr."""

    def __init__(self, terminal: Terminal, as_json: bool) -> None:
        self.terminal = terminal
        self.as_json = as_json
        self.notes: list[Note] = []

    def report(self, line: str) -> None:
        """A line for people; notes are kept for the result."""
        note = Note.of_line(line)
        if note is not None:
            self.notes.append(note)
        if note is None and self.as_json:
            self.terminal.aside(line)
        else:
            self.terminal.report(line)

    def say(self, result: dict[str, Any]) -> None:
        """The result, with ``notes``, as JSON."""
        found = {**result, "notes": [note.record() for note in self.notes]}
        self.terminal.say(json.dumps(finite(found), indent=1, allow_nan=False))


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become strings."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {name: finite(each) for name, each in cast(dict[str, Any], value).items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in cast(list[Any], value)]
    return value
