"""What the command lines write to the terminal."""

from __future__ import annotations

import io

import pytest

from bmnetu.command_line import terminal
from bmnetu.command_line.terminal import Terminal


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    monkeypatch.setenv("COLUMNS", "30")
    tool = Terminal("bmnetu")
    tool.progress("pass 1 of 2")
    tool.progress("pass 2 of 2: " + "x" * 100)
    first, second = screen.getvalue().split("\r")[1:]
    assert first == "bmnetu: 0 s, pass 1 of 2\x1b[K"
    assert len(second) == 29 + len("\x1b[K")
    tool.note("done")
    assert screen.getvalue().endswith("\r\x1b[Kbmnetu: note: done\n")


def test_short_runs_and_files_show_no_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Terminal("bmnetu").progress("pass 1")
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    Terminal("bmnetu").progress("pass 1")
    assert screen.getvalue() == ""
    monkeypatch.setattr("sys.stderr", io.StringIO())
    monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    Terminal("bmnetu").progress("pass 1")
    assert screen.getvalue() == ""
    assert capsys.readouterr().err == ""


def test_only_a_terminal_has_colors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    Terminal("bmnetu").praise("all well")
    assert capsys.readouterr().out == "all well\n"
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    Terminal("bmnetu").praise("well\x1b")
    assert screen.getvalue() == "\x1b[32mwell\\x1b\x1b[0m\n"
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
        screen.seek(0)
        screen.truncate()
        Terminal("bmnetu").praise("well")
        assert screen.getvalue() == "well\n"
        monkeypatch.delenv(name)
