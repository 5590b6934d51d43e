"""Reading whole files and writing them in one step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bmnetu.errors import InputFileError
from bmnetu.files.reading import file_stem, read_bytes, write_atomically


def test_reading_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, "a thing") == b"12345"
    with pytest.raises(InputFileError, match=r"has 5 bytes, more than a thing can have \(4\)"):
        read_bytes(path, "a thing", limit=4)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputFileError, match="is not a file; a thing is expected"):
        read_bytes(tmp_path / "pipe", "a thing")


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a"
    write_atomically(path, b"1")
    write_atomically(path, b"2")
    assert path.read_bytes() == b"2"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputFileError, match="cannot be written"):
        write_atomically(tmp_path / "file" / "a", b"1")
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["a", "deep", "file"]


@pytest.mark.parametrize(
    ("name", "stem"), [("ResNet-50", "ResNet-50"), ("a net/1", "a_net_1"), ("..", "network")]
)
def test_stems(name: str, stem: str) -> None:
    assert file_stem(name) == stem
