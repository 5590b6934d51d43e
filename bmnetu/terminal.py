"""Lines to the terminal, or to whatever stdout and stderr are."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO


class Terminal:
    """Lines to stdout, notes and errors to stderr, each with the tool's name before it."""

    def __init__(self, tool: str) -> None:
        self.tool = tool

    def report(self, line: str) -> None:
        """A line of progress; one that starts with ``note: `` goes to stderr."""
        if line.startswith("note: "):
            self.note(line.removeprefix("note: "))
        else:
            self.say(line)

    def say(self, text: str) -> None:
        """Text to stdout."""
        _print(text, sys.stdout)

    def note(self, sentence: str) -> None:
        """Something that the user should know."""
        _print(f"{self.tool}: note: {sentence}", sys.stderr)

    def error(self, sentence: str) -> None:
        """Why the run ends."""
        _print(f"{self.tool}: error: {sentence}", sys.stderr)


def _print(text: str, stream: TextIO | None) -> None:
    """Print text with its control characters made visible, whatever the stream's encoding.

    Where nobody can read it (``bmnetu ... | head``, ``>&-``, a full disk), the text is dropped and
    the run goes on.
    """
    if stream is None:
        return
    shown = "".join(c if c in "\n\t" or c.isprintable() else repr(c)[1:-1] for c in text)
    encoding = stream.encoding or "utf-8"
    shown = shown.encode(encoding, "backslashreplace").decode(encoding)
    with suppress(OSError, ValueError):
        stream.write(shown + "\n")
    settle(stream)


def settle(stream: TextIO) -> None:
    """Writes out what the stream holds; where that fails, the stream leads nowhere from now on,
    or Python would try again at the end, and complain."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
