"""Files out: a set of files appears in its folder together, or not at all.

All files of a set are written beside their places, as ``.NAME.PID.part``, and renamed when all are
there. What a killed process has left is removed by the next run.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bmnetu.errors import InputFileError
from bmnetu.interrupts import uninterrupted

_PART = re.compile(r"\..+\.(\d+)\.part", re.DOTALL)


@dataclass(frozen=True)
class OutputFolder:
    """A folder for files, and the flag that names it, for messages."""

    path: Path
    flag: str = ""

    def check(self, *names: str) -> None:
        """Tries whether files of these names can be stored; nothing is left of it.

        Raises :class:`InputFileError` with one sentence.
        """
        with self._made(), ExitStack() as stack:
            for name in names:
                stack.enter_context(self._part(name, b"?"))

    def store(self, files: Mapping[str, bytes]) -> None:
        """Stores files by name, in this order, the last one last. Makes the folder.

        Raises :class:`InputFileError`; then, and when the run is interrupted, all files are what
        they were.
        """
        with self._made() as made, ExitStack() as stack:
            parts = {
                self.path / name: stack.enter_context(self._part(name, data))
                for name, data in files.items()
            }
            try:
                with uninterrupted():
                    _rename(parts)
            except OSError as error:
                raise self._error("", error) from error
            made.pop_all()

    @contextmanager
    def _made(self) -> Generator[ExitStack]:
        """Makes the folder, rid of what dead processes left. The stack removes at the end what was
        made, unless it is emptied before."""
        with ExitStack() as stack:
            try:
                for folder in (*reversed(self.path.parents), self.path):
                    if folder.is_file():
                        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file")
                    if not folder.is_dir():
                        folder.mkdir(exist_ok=True)
                        stack.callback(_remove_folder, folder)
                _sweep(self.path)
            except (OSError, ValueError) as error:
                raise self._error("", error) from error
            yield stack

    @contextmanager
    def _part(self, name: str, data: bytes) -> Generator[Path]:
        """A file beside its place, locked as long as it is in use, and removed then."""
        if (self.path / name).is_dir():
            raise self._error(name, IsADirectoryError(errno.EISDIR, "it is a folder"))
        part = self.path / f".{name}.{os.getpid()}.part"
        try:
            with part.open("wb") as file:
                try:
                    with suppress(OSError):  # not every file system has locks
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    file.write(data)
                    file.flush()
                    yield part
                finally:
                    part.unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            raise self._error(name, error) from error

    def _error(self, name: str, error: OSError | ValueError) -> InputFileError:
        reason = error.strerror if isinstance(error, OSError) else error
        if not self.flag:
            return InputFileError(f"{self.path / name}: cannot be written: {reason}")
        what = f"{name} cannot be written" if name else "cannot be written"
        return InputFileError(f"{self.flag}={self.path}: {what}: {reason}")


def _rename(parts: Mapping[Path, Path]) -> None:
    """Puts every part into its place; when one cannot be, all places are what they were."""
    with ExitStack() as tidy, ExitStack() as undo:
        for place, part in parts.items():
            if os.path.lexists(place):
                kept = place.with_name(f".{place.name}.old.{os.getpid()}.part")
                tidy.callback(kept.unlink, missing_ok=True)
                _keep(place, kept)
                undo.callback(os.replace, kept, place)
            else:
                undo.callback(place.unlink, missing_ok=True)
            os.replace(part, place)
        undo.pop_all()


def _keep(place: Path, kept: Path) -> None:
    """The file under a second name; on a file system without links under that name only."""
    if place.is_dir():
        raise IsADirectoryError(errno.EISDIR, f"{place.name} is a folder")
    kept.unlink(missing_ok=True)
    try:
        os.link(place, kept)
    except OSError:
        os.replace(place, kept)


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _sweep(folder: Path) -> None:
    """Removes what processes have left that are no more."""
    for path in folder.iterdir():
        found = _PART.fullmatch(path.name)
        if found is not None and not _alive(int(found[1])):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails if another host uses it
                path.unlink()


def _alive(pid: int) -> bool:
    """Whether another process of this host has that number."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
