"""The file that a user can send when bmnetu fails by a fault of its own."""

from __future__ import annotations

import platform
import tempfile
import traceback
from collections.abc import Sequence
from importlib import metadata

from bmnetu.version import VERSION

_PACKAGES = ("numpy", "xdsl", "protobuf", "flatbuffers")


def write_report(error: BaseException, tool: str, words: Sequence[str]) -> str:
    """Write a file with traceback, versions and flags into the temp folder; its path.

    Raises OSError when the file cannot be written.
    """
    lines = [
        f"{tool} {VERSION}",
        f"Python {platform.python_version()} on {platform.platform()}",
        *(f"{package} {_version(package)}" for package in _PACKAGES),
        "",
        f"flags: {list(words)!r}",
        "",
        "".join(traceback.format_exception(error)),
    ]
    with tempfile.NamedTemporaryFile(
        "w", prefix="bmnetu-report-", suffix=".txt", encoding="utf-8", errors="backslashreplace",
        delete=False,
    ) as file:
        file.write("\n".join(lines))
    return file.name


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(version unknown)"
