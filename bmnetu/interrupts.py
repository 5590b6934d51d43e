"""Ctrl-C and SIGTERM while there is work that must be cleaned up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from bmnetu.start import SIGNALS


@contextmanager
def interruptible() -> Generator[None]:
    """In here the first Ctrl-C or SIGTERM raises KeyboardInterrupt, so that files and processes are
    cleaned up; what comes later finds the handlers of before. Not in the main thread: nothing."""
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def raise_once(number: int, frame: FrameType | None) -> None:
        restore()
        raise KeyboardInterrupt

    with suppress(ValueError):  # signals belong to the main thread
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if handler is not signal.SIG_IGN:
                before[number] = handler
                signal.signal(number, raise_once)
    try:
        yield
    finally:
        restore()


@contextmanager
def uninterrupted() -> Generator[None]:
    """Signals that come within count at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled by the main thread
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
