"""The command line ``bmnetu-model``: its table, its help, and what is wrong with words."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bmnetu import start
from bmnetu.inspect.command_line import SUBCOMMANDS, main, subcommand
from bmnetu.version import VERSION
from tests.inspect.files import Capture, file, run
from tests.test_terminal import Screen

ROOT = Path(__file__).parents[2]
MODULES = {path.stem for path in (ROOT / "bmnetu/inspect/commands").glob("[a-z]*.py")}


def test_every_module_is_in_the_table() -> None:
    assert set(SUBCOMMANDS) == MODULES


def test_the_script_is_installed() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["bmnetu-model"] == "bmnetu.start:model"
    assert callable(start.model)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["-help"]])
def test_the_overview(words: list[str], capsys: Capture) -> None:
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    for name, summary in SUBCOMMANDS.items():
        assert f"    {name} " in out
        assert summary in out


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_has_a_manual_page(name: str, capsys: Capture) -> None:
    code, out, err = run(capsys, name, "--help")
    assert (code, err) == (0, "")
    titles = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert titles == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS"]
    for flag in subcommand(name).all_flags:
        assert f"    --{flag.name.replace('_', '-')}" in out
    assert subcommand(name).examples
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("words", [["--version"], ["info", "--version"]])
def test_the_version(words: list[str], capsys: Capture) -> None:
    assert run(capsys, *words) == (0, f"bmnetu-model {VERSION}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inof", "x"], "unknown subcommand 'inof': did you mean info?"),
        (["weigh"], f"unknown subcommand 'weigh': there are {', '.join(SUBCOMMANDS)}"),
        (["info"], "info takes FILE, 0 given: bmnetu-model info --help"),
        (["info", "a", "b"], "info takes FILE, 2 given: bmnetu-model info --help"),
        (["info", "a", "--net"], "-net requires a value: -net=NAME"),
        (["info", "a", "--stage=-1"], "--stage=-1: --stage requires a whole number from 0 to"),
    ],
)
def test_wrong_words(words: list[str], message: str, capsys: Capture) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert message.replace("--stage", "-stage") in err


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for words, colored in ((["check"], True), (["check", "--no-color"], False)):
        screen = Screen()
        monkeypatch.setattr("sys.stdout", screen)
        assert main([*words, str(file("FP32"))]) == 0
        assert ("\x1b" in screen.getvalue()) == colored
