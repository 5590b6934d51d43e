"""The first lines of every command, which must be small: they put Ctrl-C and SIGTERM in hand before
anything large is imported, so that a command that has done nothing yet ends with one sentence.

Nothing may be imported at the head of this file but what Python has at its start anyway, and
``gc``, which is built in.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
COLLECTIONS = (200_000, 50, 1000)
"""Thresholds of Python's garbage collector while a network is compiled: its ops are many and live
long, and to look through them again and again took a sixth of a large compilation."""


def bmnetu() -> int:
    """The command ``bmnetu``. Returns the exit code."""
    gc.set_threshold(*COLLECTIONS)
    return _run("bmnetu", "bmnetu.cli", "main")


def calibrate() -> int:
    """The command ``bmnetu-calibrate``. Returns the exit code."""
    return _run("bmnetu-calibrate", "bmnetu.cli", "calibrate_main")


def model() -> int:
    """The command ``bmnetu-model``. Returns the exit code."""
    return _run("bmnetu-model", "bmnetu.inspect.command_line", "main")


def opt() -> int:
    """The command ``bmnetu-opt``. Returns the exit code."""
    if "--list-passes" in sys.argv[1:]:
        return _run("bmnetu-opt", "bmnetu.command_line.list_passes", "main")
    return _run("bmnetu-opt", "bmnetu.opt", "main")


def _run(tool: str, module: str, function: str) -> int:
    def leave(number: int, frame: FrameType | None) -> None:
        _leave(tool)

    def unraisable(found: sys.UnraisableHookArgs) -> None:
        if issubclass(found.exc_type, KeyboardInterrupt):  # it came in a finaliser
            _leave(tool)
        sys.__unraisablehook__(found)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, leave)
    sys.unraisablehook = unraisable
    _open_standard_streams()
    from importlib import import_module

    try:
        return getattr(import_module(module), function)()
    finally:
        for number in SIGNALS:  # all is done: what comes while Python ends comes too late
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()  # what is left goes with the process: nothing needs to be looked through


def _leave(tool: str) -> None:
    """Ends a command that has nothing to clean up."""
    try:
        os.write(2, f"{tool}: error: interrupted\n".encode())
    finally:
        os._exit(INTERRUPTED)


def _open_standard_streams() -> None:
    """A stream that is closed leads nowhere from now on: a file that is opened must not become
    stdout or stderr."""
    while (file := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(file, True)
    os.close(file)
