"""Every command in the docs, and in the examples of -help, runs.

A command stands in a fence of kind ``sh``. All of a page run in their order, in one folder with the
files that its row names; those that cannot be run here are named with the reason.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bmnetu import cli, opt
from bmnetu.command_line import calibrate_flags, compile_flags, opt_flags
from bmnetu.command_line.help import Examples
from bmnetu.inspect import command_line
from tests.docs_files import ROOT, calibrated, digits, int8, network, with_bmodels

TOOLS: dict[str, Callable[[Sequence[str]], int]] = {
    "bmnetu": cli.main,
    "bmnetu-calibrate": cli.calibrate_main,
    "bmnetu-model": command_line.main,
    "bmnetu-opt": opt.main,
}
INSTALLS = "installs packages: the CI does so"
PLUGIN = "tests/examples/test_plugin.py installs it and compiles its layers"


@dataclass(frozen=True)
class Page:
    """``make`` makes the files that the commands need, ``left_out`` says why a command is not
    run."""

    make: Callable[[], None]
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])


PAGES = {
    "README.md": Page(network("NET"), {
        "python3 -m venv .venv && .venv/bin/pip install -q -c requirements.lock ."
        " && .venv/bin/python examples/digits/run.py": INSTALLS,
        "python3 -m venv .venv && .venv/bin/pip install -q -c requirements.lock '.[test]'"
        " && .venv/bin/python -m pytest -q -n auto && .venv/bin/lit lit_tests": INSTALLS,
        "source <(bmnetu -completion=bash)": "tests/test_completion.py runs what it prints",
    }),
    "docs/start.md": Page(digits),
    "docs/calibration.md": Page(calibrated("NET")),
    "docs/report.md": Page(network("net")),
    "docs/dynamic.md": Page(network("net")),
    "docs/onnx.md": Page(network("net"), {"pip install 'bmnetu[onnx]'": INSTALLS}),
    "docs/errors.md": Page(int8),
    "docs/developing.md": Page(with_bmodels("net"), {
        "pip install -e '.[dev]'": INSTALLS,
        "pytest -n auto": "these tests",
        "lit lit_tests": "the CI runs it",
        "ruff check . && pyright": "the CI runs both",
        "pip install examples/plugin": PLUGIN,
    }),
}  # fmt: skip
ELSEWHERE = {"docs/model.md": ROOT / "tests" / "inspect" / "test_docs.py"}
"""Pages whose commands another test runs."""
HELP: dict[str, Examples] = {
    "bmnetu": compile_flags.COMPILE_EXAMPLES,
    "bmnetu-calibrate": calibrate_flags.CALIBRATE_EXAMPLES,
    "bmnetu-calibrate eval": calibrate_flags.EVALUATE_EXAMPLES,
    "bmnetu-calibrate what_if": calibrate_flags.WHAT_IF_EXAMPLES,
    "bmnetu-opt": opt_flags.OPT_EXAMPLES,
}
DOCS = {str(path.relative_to(ROOT)): path.read_text()
        for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}  # fmt: skip
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    """The commands of a page, each in one line without its comment."""
    body = "\n".join(body for kind, body in FENCE.findall(text) if kind == "sh")
    lines = re.sub(r"\\\n\s*", "", body).splitlines()
    bare = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [line for line in bare if line]


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints on stdout."""
    tool, *words = shlex.split(command)
    assert tool in TOOLS, f"{command}: a command that is no tool of ours needs a reason in PAGES"
    capsys.readouterr()
    code = TOOLS[tool](words)
    out, err = capsys.readouterr()
    assert code == 0, f"{command}\n{err}"
    assert out, command
    return out


def test_every_page_with_commands_is_run() -> None:
    assert {name for name, text in DOCS.items() if commands(text)} == {*PAGES, *ELSEWHERE}
    assert all("COMMANDS" in path.read_text() for path in ELSEWHERE.values())


@pytest.mark.parametrize("name", DOCS)
def test_commands_stand_in_fences(name: str) -> None:
    """An indented line is no command, and no fence is of a kind that is not looked at."""
    begins = r"^ {4}(bmnetu[\w-]*|pip3?|pytest|lit|ruff|python3?) \S"
    assert re.findall(begins, FENCE.sub("", DOCS[name]), re.MULTILINE) == []
    assert {kind for kind, _ in FENCE.findall(DOCS[name])} <= {"sh", "python", "text", "toml"}


@pytest.mark.parametrize("name", PAGES)
def test_what_is_left_out_is_there(name: str) -> None:
    assert [each for each in PAGES[name].left_out if each not in commands(DOCS[name])] == []


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("run\nwhere\n"))  # for bmnetu-model debug
    page = PAGES[name]
    page.make()
    printed = [
        run(each, capsys) for each in commands(DOCS[name]) if each not in page.left_out
    ]  # fmt: skip
    assert printed
    if name == "docs/start.md":  # a line of the log that it explains
        (shown,) = re.findall(r"^    (NPU=CPU .*): isolated", DOCS[name], re.MULTILINE)
        assert shown in "".join(printed)


def test_the_examples_of_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with_bmodels("net")()
    for tool, examples in HELP.items():
        shown = run(f"{tool} -help", capsys)
        for words, what in examples:
            assert f"\n      {what}\n" in shown
            assert run(f"{tool} {words}", capsys)
