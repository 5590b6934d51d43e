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
