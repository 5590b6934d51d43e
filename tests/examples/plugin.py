"""The plug-in of ``examples/plugin``, installed in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


def install(source: Path, target: Path) -> None:
    """Installs a package with pip into a folder, with what is installed here."""
    flags = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", target)
    command = [sys.executable, "-m", "pip", "install", *flags, source]
    subprocess.run(command, check=True, capture_output=True)


def run(folder: Path, module: str, *words: object, code: int = 0) -> str:
    """Runs a tool in a process that sees the packages of the folder; returns all that it wrote."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", module, *map(str, words)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == code, found.stdout + found.stderr
    return found.stdout + found.stderr
