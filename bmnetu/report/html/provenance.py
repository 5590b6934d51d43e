"""What a report says of where it comes from: options, versions, hashes of the files."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from bmnetu.command_line.flags import Flag
from bmnetu.files.hashes import of_bytes, of_file
from bmnetu.version import VERSION

PACKAGES = ("xdsl", "numpy", "protobuf", "flatbuffers")
MOST_HASHED = 1 << 30
"""Bytes of a file or a folder that are hashed; reading more takes too long."""

Row = tuple[str, str, str]


def versions() -> list[tuple[str, str]]:
    """bmnetu, Python, and the packages that arithmetic and files depend on."""
    found = [("bmnetu", VERSION), ("Python", platform.python_version())]
    return [*found, *((package, metadata.version(package)) for package in PACKAGES)]


def options_rows(options: Any, flags: Sequence[Flag]) -> list[Row]:
    """Every option that is set: the flag, its value, and whether that is the default."""
    defaults = {flag.name: flag.default for flag in flags}
    rows: list[Row] = []
    for name in sorted(field.name for field in fields(options)):
        value = getattr(options, name)
        if value is None or (value == () and not defaults.get(name)):
            continue
        same = value == defaults.get(name)
        rows.append((f"-{name}", _shown(value), "default" if same else "given"))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, cast(Sequence[object], value)))
    return str(value) if isinstance(value, str | int | float | Path) else "(arrays)"


def hash_row(what: str, source: Any) -> Row:
    """What a file or a folder is for, its name with its size, and its SHA-256.

    That of a folder is of its files' lines "SHA-256, two spaces, name", sorted by name.
    """
    if not isinstance(source, str | Path):
        return what, "arrays given from Python", "no file"
    path = Path(source)
    try:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        size = sum(each.stat().st_size for each in inside)
        said = f"{path} ({size:,} bytes{f' in {len(inside)} files' if path.is_dir() else ''})"
        if size > MOST_HASHED:
            return what, said, f"not computed for more than {MOST_HASHED:,} bytes"
        if not path.is_dir():
            return what, said, of_file(path)
        lines = (f"{of_file(each)}  {each.relative_to(path).as_posix()}\n" for each in inside)
        text = "".join(lines).encode("utf-8", "surrogateescape")
        return what, said, of_bytes(text)
    except OSError as error:
        return what, str(path), f"cannot be read: {error.strerror}"
