"""Which plug-ins are installed, found without loading them: ``-help`` answers at once."""

from __future__ import annotations

import os
import sys

GROUP = "bmnetu.plugins"


def installed_plugins() -> list[str]:
    """``NAME (PACKAGE VERSION)`` of every plug-in."""
    if not any(map(_has_plugins, sys.path)):
        return []
    from importlib.metadata import entry_points  # takes half as long as all of -help

    packages = {entry.name: entry.dist for entry in entry_points(group=GROUP)}
    return [
        f"{name} ({dist.name} {dist.version})" if dist else name
        for name, dist in sorted(packages.items())
    ]


def _has_plugins(folder: str) -> bool:
    """Whether a folder of sys.path holds a package with an entry point of our group."""
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return False
    return any(
        name.endswith((".dist-info", ".egg-info"))
        and _mentions(os.path.join(folder, name, "entry_points.txt"))
        for name in names
    )


def _mentions(path: str) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            return GROUP in file.read()
    except (OSError, UnicodeDecodeError):
        return False


def faulty_plugin(error: BaseException) -> str | None:
    """The plug-in in whose own code an exception was raised, if there is one."""
    from importlib.metadata import entry_points

    packages = {entry.module.partition(".")[0]: entry.name for entry in entry_points(group=GROUP)}
    trace = error.__traceback__
    found = None
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        found = packages.get(module.partition(".")[0], found)
        trace = trace.tb_next
    return found
