"""What the shells complete."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bmnetu.cli import main
from bmnetu.command_line.calibrate_flags import CALIBRATE_FLAGS, EVALUATE_FLAGS
from bmnetu.command_line.compile_flags import COMPILE_FLAGS
from bmnetu.inspect.command_line import SUBCOMMANDS, subcommand

TRY = """
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMPREPLY=(); _bmnetu; echo "${COMPREPLY[*]}"; }
"""


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([f"-completion={shell}"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("bmnetu -mo", "-model= -mode="),
        ("bmnetu -prec = ''", "FP32 INT8"),
        ("bmnetu -prec = I", "INT8"),
        ("bmnetu -opt ''", "0 1 2"),
        ("bmnetu -model = net.p", "net.prototxt"),
        ("bmnetu -model net.p", "net.prototxt"),
        ("/usr/bin/bmnetu -outd", "-outdir="),
        ("bmnetu-model in", "info"),
        ("bmnetu-model info --j", "--json="),
        ("bmnetu-model info net.p", "net.prototxt"),
        ("bmnetu-calibrate eval -min", "-min_cosine= -min_iou="),
        ("bmnetu -nothing", ""),
    ],
)
def test_bash(
    words: str, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.prototxt").touch()
    text = script("bash", capsys) + TRY + f"try {words}\n"
    done = subprocess.run(
        ["bash", "--norc", "-s"], input=text, cwd=tmp_path, text=True, capture_output=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == found + "\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_flag_and_subcommand(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    flags = {*COMPILE_FLAGS, *CALIBRATE_FLAGS, *EVALUATE_FLAGS}
    flags |= {flag for name in SUBCOMMANDS for flag in subcommand(name).all_flags}
    form = {"bash": "-{}=", "zsh": "-{}=[", "fish": " {} -"}[shell]
    assert [flag.name for flag in flags if form.format(flag.name) not in text] == []
    assert all(name in text for name in (*SUBCOMMANDS, "eval"))


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-completion=tcsh"]) == 2
    assert "-completion requires bash, zsh or fish" in capsys.readouterr().err
