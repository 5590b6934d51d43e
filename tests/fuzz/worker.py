"""Runs command lines one after the other, each in a process of its own that begins with all
modules imported: ``python -m tests.fuzz.worker``, a case a line of JSON in, a result a line out."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from bmnetu.inspect.command_line import SUBCOMMANDS
from tests.inspect.files import SESSION

CPU_LIMIT = 20
"""Seconds of the processor after which a case is ended."""
WALL_LIMIT = 120
"""Seconds on the clock after which it is: a case may sleep."""
TRACEBACK = 71
"""The exit code of a case whose exception nobody caught."""
LOG = "log.txt"


def _bmnetu(words: Sequence[str]) -> int:
    return import_module("bmnetu.cli").main(words)


def _calibrate(words: Sequence[str]) -> int:
    return import_module("bmnetu.cli").calibrate_main(words)


def _opt(words: Sequence[str]) -> int:
    return import_module("bmnetu.opt").main(words)


def _model(words: Sequence[str]) -> int:
    return import_module("bmnetu.inspect.command_line").main(words)


def _bmodel(words: Sequence[str]) -> int:
    """What ``bmnetu.verify`` reads before it runs anything."""
    import bmnetu
    from bmnetu.bmodel import read
    from bmnetu.files.reading import read_bytes

    try:
        read(read_bytes(Path(words[0]), "a bmodel"), words[0])
    except bmnetu.BmnetuError as error:
        print(f"bmodel: error: {error.message}", file=sys.stderr)
        return error.exit_code
    return 0


ENTRIES: dict[str, tuple[Callable[[Sequence[str]], int], tuple[str, ...]]] = {
    "bmnetu": (_bmnetu, ("bmnetu.cli", "bmnetu.driver")),
    "onnx": (_bmnetu, ("bmnetu.cli", "bmnetu.driver", "bmnetu.frontend.onnx")),
    "calibrate": (_calibrate, ("bmnetu.cli", "bmnetu.calibration")),
    "opt": (_opt, ("bmnetu.opt",)),
    "model": (_model, tuple(f"bmnetu.inspect.commands.{name}" for name in SUBCOMMANDS)),
    "bmodel": (_bmodel, ("bmnetu.api",)),
}
"""How a command is called, and what it imports."""


def _child(entry: str, folder: Path, words: Sequence[str]) -> None:
    """Never returns."""
    code = TRACEBACK
    try:
        os.chdir(folder)
        os.environ["TMPDIR"] = str(folder)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdin = io.StringIO(SESSION)  # and not the worker's cases
        signal.alarm(WALL_LIMIT)
        code = ENTRIES[entry][0](words)
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def run(entry: str, folder: Path, words: Sequence[str]) -> dict[str, Any]:
    """Exit code (negative: the signal), seconds, MiB at the peak, and what it printed."""
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        _child(entry, folder, words)
    _, status, usage = os.wait4(pid, 0)
    text = ""
    with suppress(OSError):
        text = (folder / LOG).read_text(errors="replace")
    return {
        "code": os.waitstatus_to_exitcode(status),
        "wall": time.perf_counter() - begin,
        "seconds": usage.ru_utime + usage.ru_stime,
        "mib": usage.ru_maxrss / 1024,
        "text": text[:20_000],
    }


def main() -> None:
    for name in ENTRIES[sys.argv[1]][1]:
        import_module(name)
    for line in sys.stdin:
        case = json.loads(line)
        result = run(sys.argv[1], Path(case["folder"]), case["words"])
        print(json.dumps(result | {"index": case["index"]}), flush=True)


if __name__ == "__main__":
    main()
