"""Commands as processes: signals at any time, and standard streams that are closed or full."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.broken import FILES, PIPELINE

ROOT = Path(__file__).parents[1]
MODEL, WEIGHT = (PIPELINE / FILES["FP32"][0], PIPELINE / "Inputs" / FILES["FP32"][1])
STORED = {"compilation.bmodel", "input_ref_data.dat", "output_ref_data.dat"}
SIGNALS = ["SIGINT", "SIGTERM"]


def run(script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command's first lines, with a script before them."""
    weighted = "signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever runs the tests"
    text = f"import signal, sys\n{weighted}\nimport bmnetu.start as start\n{script}\n"
    text += "sys.exit(start.TOOL())"
    tool = "opt" if words[0] == "opt" else "bmnetu"
    words = words[1:] if words[0] == "opt" else words
    command = [sys.executable, "-c", text.replace("TOOL", tool), *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def flags(outdir: Path) -> list[str]:
    return [f"-model={MODEL}", f"-weight={WEIGHT}", f"-outdir={outdir}"]


WHILE_IMPORTING = """
class Finder:
    def find_spec(name, *_):
        if name == "numpy":
            signal.raise_signal(signal.SIGNAL)
sys.meta_path.insert(0, Finder)
"""
WHILE_READING = """
import bmnetu.frontend.cut as cut
def read(*_):
    signal.raise_signal(signal.SIGNAL)
cut.read_topology = read
"""
WHEN_STORED = """
import bmnetu.cli as cli
def say(self, text):
    if text == cli.BANNER:
        signal.raise_signal(signal.SIGNAL)
cli.Terminal.say = say
"""
MOMENTS = {"importing": WHILE_IMPORTING, "reading": WHILE_READING, "stored": WHEN_STORED}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_ends_a_run_with_one_sentence(moment: str, number: str, tmp_path: Path) -> None:
    ended = run(MOMENTS[moment].replace("SIGNAL", number), *flags(tmp_path / "out"))
    assert (ended.returncode, ended.stderr) == (130, "bmnetu: error: interrupted\n")
    found = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    assert found == (STORED if moment == "stored" else set())
    assert (tmp_path / "out").exists() == (moment == "stored")


@pytest.mark.parametrize("number", SIGNALS)
def test_the_passes_on_the_command_line_can_be_interrupted(number: str) -> None:
    script = "import bmnetu.opt as opt\nopt.load_network = lambda *_: signal.raise_signal(NUMBER)"
    script = script.replace("NUMBER", f"signal.{number}")
    ended = run(script, "opt", MODEL, "--umodel", WEIGHT)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "bmnetu-opt: error: interrupted\n"


def test_a_signal_while_python_ends_comes_too_late() -> None:
    script = "import atexit; atexit.register(signal.raise_signal, signal.SIGINT)"
    ended = run(script, "-version")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As under nohup."""
    script = "signal.signal(signal.SIGINT, signal.SIG_IGN)" + WHILE_READING.replace(
        "SIGNAL", "SIGINT"
    )
    assert "interrupted" not in run(script, *flags(tmp_path / "out")).stderr


def test_an_interrupt_in_a_finaliser_is_not_lost() -> None:
    script = """
class Odd:
    def __del__(self):
        raise KeyboardInterrupt
def odd():
    Odd()
import bmnetu.cli as cli
cli.main = odd
"""
    ended = run(script, "-version")
    assert (ended.returncode, ended.stderr) == (130, "bmnetu: error: interrupted\n")


def test_only_python_s_own_modules_come_before_the_signals_are_in_hand() -> None:
    script = "import signal, sys; a = set(sys.modules); import bmnetu.start; "
    script += "print(*set(sys.modules) - a)"
    words = [sys.executable, "-c", script]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(ended.stdout.split()) <= {"bmnetu", "bmnetu.start", "__future__", "gc"}


# -- standard streams ------------------------------------------------------------------------------

REDIRECTIONS = [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>&1", "| head -c 0"]


def shell(redirection: str, *words: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that a shell redirects."""
    line = shlex.join([sys.executable, "-m", *map(str, words)])
    ended = subprocess.run(
        ["bash", "-c", f"{line} {redirection}; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("redirection", REDIRECTIONS)
def test_files_are_stored_though_nobody_reads(redirection: str, tmp_path: Path) -> None:
    code, out, err = shell(redirection, "bmnetu", *flags(tmp_path / "out"))
    assert (code, err) == (0, "")
    assert bool(out) == (redirection == "2>&-")
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == STORED


@pytest.mark.parametrize("redirection", REDIRECTIONS)
def test_errors_have_their_exit_code_though_nobody_reads(redirection: str) -> None:
    assert shell(redirection, "bmnetu", "-nonsense")[0] == 2
    assert shell(redirection, "bmnetu.opt", "no.mlir")[0] == 3


@pytest.mark.parametrize(
    ("redirection", "code", "sentence"),
    [
        (">&-", 3, "stdout is closed; -o FILE writes the module to a file"),
        (">/dev/full", 3, "[Errno 28] No space left on device"),
        ("| head -c 0", 0, ""),
    ],
)
def test_a_module_that_cannot_be_printed(redirection: str, code: int, sentence: str) -> None:
    text = f"bmnetu-opt: error: {sentence}\n" if sentence else ""
    words = ("bmnetu.opt", MODEL, "--umodel", WEIGHT)
    assert shell(redirection, *words) == (code, "", text)


def test_a_file_that_is_opened_never_becomes_stdout(tmp_path: Path) -> None:
    """A closed stream's number is the next that a file gets."""
    script = "import os; opened = os.open; " + (
        "os.open = lambda *w, **k: (lambda f: f if f > 2 or w[0] == os.devnull else 1 / 0)"
        "(opened(*w, **k))"
    )
    words = [sys.executable, "-c", f"import sys, bmnetu.start as s; {script}; sys.exit(s.bmnetu())"]
    line = shlex.join([*words, *flags(tmp_path / "out")])
    ended = subprocess.run(["bash", "-c", f"{line} <&- >&-"], cwd=ROOT, capture_output=True,
                           text=True, check=False)  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")


