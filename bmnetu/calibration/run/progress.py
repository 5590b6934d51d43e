"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

ItemT = TypeVar("ItemT")


def progress(items: Iterable[ItemT], count: int, what: str) -> Iterator[ItemT]:
    """The items, with a bar that is gone at the end."""
    if not sys.stderr.isatty():
        return iter(items)
    console = Console(stderr=True)
    return iter(track(items, what, total=count, console=console, transient=True))
