"""Sets of files are stored together or not at all."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bmnetu.errors import InputFileError
from bmnetu.files.outputs import OutputFolder

NEW = {"one": b"new 1", "two": b"new 2", "three": b"new 3"}
OLD = {"one": b"old 1", "three": b"old 3", "other": b"old"}
Replace = Callable[[Any, Any], None]


def folder(path: Path) -> OutputFolder:
    return OutputFolder(path, "-outdir")


def contents(path: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def filled(path: Path, files: dict[str, bytes] = OLD) -> Path:
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def test_all_files_are_stored(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    folder(out).store(NEW)
    assert contents(tmp_path) == {f"deep/out/{name}": data for name, data in NEW.items()}
    filled(tmp_path / "again")
    folder(tmp_path / "again").store(NEW)
    assert contents(tmp_path / "again") == OLD | NEW


@pytest.fixture(params=range(3))
def at_rename(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Something that happens instead of the n-th rename of a part into its place."""
    real, left = os.replace, [request.param]

    def put(happens: Callable[[], None]) -> None:
        def replace(source: Any, target: Any) -> None:
            if ".old." not in str(source) + str(target):
                left[0] -= 1
                if left[0] == -1:
                    happens()
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)

    return put


def full() -> None:
    raise OSError(28, "No space left on device")


def test_a_rename_that_fails_changes_nothing(at_rename: Any, tmp_path: Path) -> None:
    filled(tmp_path / "out")
    at_rename(full)
    with pytest.raises(InputFileError) as caught:
        folder(tmp_path / "out").store(NEW)
    assert caught.value.message == (
        f"-outdir={tmp_path / 'out'}: cannot be written: No space left on device"
    )
    assert contents(tmp_path) == {f"out/{name}": data for name, data in OLD.items()}


def test_a_folder_that_was_made_goes_again(at_rename: Any, tmp_path: Path) -> None:
    at_rename(full)
    with pytest.raises(InputFileError):
        folder(tmp_path / "deep" / "out").store(NEW)
    assert not any(tmp_path.iterdir())


def test_without_links_old_files_come_back_too(
    at_rename: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    filled(tmp_path / "out")
    at_rename(full)
    with pytest.raises(InputFileError):
        folder(tmp_path / "out").store(NEW)
    assert contents(tmp_path / "out") == OLD


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_the_renames_waits_for_the_last(
    number: signal.Signals, at_rename: Any, tmp_path: Path
) -> None:
    before = signal.signal(number, signal.default_int_handler)
    try:
        at_rename(lambda: signal.raise_signal(number))
        with pytest.raises(KeyboardInterrupt):
            folder(filled(tmp_path / "out")).store(NEW)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert contents(tmp_path / "out") == OLD | NEW


def test_an_interruption_before_the_renames_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "out")
    real: Any = Path.open

    def stopped(path: Path, *mode: Any, **more: Any) -> Any:
        if path.name.startswith(".three"):
            raise KeyboardInterrupt
        return real(path, *mode, **more)

    monkeypatch.setattr(Path, "open", stopped)
    with pytest.raises(KeyboardInterrupt):
        folder(tmp_path / "out").store(NEW)
    assert contents(tmp_path / "out") == OLD
    with pytest.raises(KeyboardInterrupt):
        folder(tmp_path / "deep" / "out").store(NEW)
    assert not (tmp_path / "deep").exists()


def test_files_that_have_no_room_are_not_begun(tmp_path: Path) -> None:
    filled(tmp_path / "out")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(InputFileError, match="three cannot be written: File too large"):
            folder(tmp_path / "out").store(NEW | {"three": bytes(200_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(tmp_path / "out") == OLD


def test_a_folder_in_the_way_is_found_before_anything(tmp_path: Path) -> None:
    out = tmp_path / "out"
    filled(out)
    (out / "two").mkdir()
    for act in (lambda: folder(out).check(*NEW), lambda: folder(out).store(NEW)):
        with pytest.raises(InputFileError) as caught:
            act()
        assert caught.value.message == f"-outdir={out}: two cannot be written: it is a folder"
        assert contents(out) == OLD


def test_a_folder_that_comes_late_changes_nothing(at_rename: Any, tmp_path: Path) -> None:
    out = filled(tmp_path / "out", {"one": b"old 1"})
    at_rename(lambda: (out / "three").mkdir(exist_ok=True))
    with pytest.raises(InputFileError):
        folder(out).store(NEW)
    assert contents(out) == {"one": b"old 1"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file", "/file is a file"), ("file/x", "/file is a file"), ("a" * 300, "File name too long")],
)
def test_what_cannot_be_a_folder(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    out = folder(tmp_path / name)
    for act in (lambda: out.check(), lambda: out.store(NEW)):
        with pytest.raises(InputFileError) as caught:
            act()
        assert caught.value.message.startswith(f"-outdir={tmp_path / name}: cannot be written: ")
        assert caught.value.message.endswith(reason)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_check_leaves_nothing(tmp_path: Path) -> None:
    folder(tmp_path / "deep" / "out").check(*NEW)
    assert not any(tmp_path.iterdir())
    filled(tmp_path / "out")
    folder(tmp_path / "out").check(*NEW)
    assert contents(tmp_path / "out") == OLD
    with pytest.raises(InputFileError, match=r"a{250} cannot be written: File name too long"):
        folder(tmp_path / "out").check("a" * 250)


def ended() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_dead_processes_left_goes(tmp_path: Path) -> None:
    dead = ended()
    stays = {f".one.{os.getppid()}.part": b"", ".one.part": b"", f"one.{dead}.part": b"",
             f".one.{dead}.parts": b"", f".locked.{dead}.part": b""}  # fmt: skip
    goes = {f".one.{dead}.part": b"", f".x y\n.old.{dead}.part": b"", f".one.{10**30}.part": b"",
            f".one.{os.getpid()}.part": b""}  # fmt: skip
    filled(tmp_path / "out", stays | goes)
    with (tmp_path / "out" / f".locked.{dead}.part").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        folder(tmp_path / "out").store(NEW)
    assert contents(tmp_path / "out") == stays | NEW
