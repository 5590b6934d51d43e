"""Lines to the terminal, or to whatever stdout and stderr are."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from shutil import get_terminal_size
from time import monotonic
from typing import TextIO

from bmnetu.note import LABEL

PATIENCE = 2.0
"""Seconds before progress is shown."""
GREEN, PLAIN = "\x1b[32m", "\x1b[0m"


class Terminal:
    """Lines to stdout, notes and errors to stderr, each with the tool's name before it."""

    def __init__(self, tool: str) -> None:
        self.tool = tool
        self.begun = monotonic()
        self.shows_progress = False
        self.colors = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def progress(self, text: str) -> None:
        """What is being done: one line on stderr that the next one takes the place of, where that
        is a terminal and the run takes longer than PATIENCE."""
        seconds = monotonic() - self.begun
        if sys.stderr is None or not sys.stderr.isatty() or seconds < PATIENCE:
            return
        width = get_terminal_size().columns - 1
        line = f"{self.tool}: {seconds:.0f} s, {text}"[:width]
        with suppress(OSError, ValueError):
            sys.stderr.write(f"\r{line}\x1b[K")
            sys.stderr.flush()
        self.shows_progress = True

    def clear(self) -> None:
        """Takes the line of progress away."""
        if self.shows_progress:
            self.shows_progress = False
            with suppress(OSError, ValueError):
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()

    def report(self, line: str) -> None:
        """A line of progress; a note goes to stderr."""
        if line.startswith(LABEL):
            self.note(line.removeprefix(LABEL))
        else:
            self.say(line)

    def aside(self, text: str) -> None:
        """Text for people to stderr, where stdout is for a machine."""
        self.clear()
        _print(text, sys.stderr)

    def say(self, text: str) -> None:
        """Text to stdout."""
        self.clear()
        _print(text, sys.stdout)

    def praise(self, text: str) -> None:
        """That all is well: green, where stdout is a terminal that has colours."""
        self.clear()
        shown = self.colors and sys.stdout is not None and sys.stdout.isatty()
        _print(text, sys.stdout, GREEN if shown else "")

    def note(self, sentence: str) -> None:
        """Something that the user should know."""
        self.clear()
        _print(f"{self.tool}: {LABEL}{sentence}", sys.stderr)

    def error(self, sentence: str) -> None:
        """Why the run ends."""
        self.clear()
        _print(f"{self.tool}: error: {sentence}", sys.stderr)


def _print(text: str, stream: TextIO | None, color: str = "") -> None:
    """Print text with its control characters made visible, whatever the stream's encoding.

    Where nobody can read it (``bmnetu ... | head``, ``>&-``, a full disk), the text is dropped and
    the run goes on.
    """
    if stream is None:
        return
    shown = "".join(c if c in "\n\t" or c.isprintable() else repr(c)[1:-1] for c in text)
    encoding = stream.encoding or "utf-8"
    shown = shown.encode(encoding, "backslashreplace").decode(encoding)
    shown = f"{color}{shown}{PLAIN}" if color else shown
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
