"""docs/start.md and docs/flags.md: what they show is so."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bmnetu import cli, opt
from bmnetu.command_line import list_passes, page
from bmnetu.inspect import command_line

ROOT = Path(__file__).parents[1]
START = (ROOT / "docs" / "start.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", START, re.DOTALL)
    for line in block.splitlines()
]  # fmt: skip
TOOLS: dict[str, Callable[[Sequence[str]], int]] = {
    "bmnetu": cli.main,
    "bmnetu-calibrate": cli.calibrate_main,
    "bmnetu-model": command_line.main,
    "bmnetu-opt": opt.main,
}


def test_the_page_of_flags_is_made() -> None:
    why = "run python -m bmnetu.command_line.page > docs/flags.md"
    assert (ROOT / "docs" / "flags.md").read_text() == page.markdown(), why


def test_the_quick_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command, in the order of the page; a line of the log that it explains is there."""
    shutil.copytree(ROOT / "examples" / "digits", tmp_path / "examples" / "digits")
    monkeypatch.chdir(tmp_path)
    printed = ""
    for line in COMMANDS:
        tool, *words = shlex.split(line)
        if words == ["--list-passes"]:
            assert list_passes.main(words) == 0
        else:
            assert TOOLS[tool](words) == 0, (line, capsys.readouterr().err)
        found = capsys.readouterr().out
        assert found, line
        printed += found
    for name in ("fp32/report.html", "fp32/compiler_profile_0.txt", "ir/weights.npz"):
        assert (tmp_path / name).is_file()
    (shown,) = re.findall(r"^    (NPU=CPU .*): isolated", START, re.MULTILINE)
    assert shown in printed


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    assert [link for link in links if not (path.parent / link).exists()] == []
