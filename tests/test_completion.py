"""What the shells complete."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bmnetu.cli import calibrate_main, main
from bmnetu.command_line.calibrate_flags import CALIBRATE_FLAGS, EVALUATE_FLAGS
from bmnetu.command_line.compile_flags import COMPILE_FLAGS
from bmnetu.command_line.explanations import KNOWN
from bmnetu.command_line.kinds import BOOLEAN, SWITCH
from bmnetu.command_line.opt_flags import OPT_FLAGS, TARGETS
from bmnetu.inspect.command_line import SUBCOMMANDS, subcommand
from bmnetu.inspect.command_line import main as model_main
from bmnetu.opt import BmnetuOpt
from bmnetu.opt import main as opt_main

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
        ("bmnetu-model info --j", "--json"),
        ("bmnetu-model info --no", "--no-color"),
        ("bmnetu-model info --sh", ""),
        ("bmnetu-model map --sh", "--shapes="),
        ("bmnetu -nocm", "-nocmp"),
        ("bmnetu --nocm", "-nocmp"),
        ("bmnetu -cm", "-cmp= -cmp_data="),
        ("bmnetu-opt -p cse,convert-quant-to-t", "cse,convert-quant-to-tile"),
        ("bmnetu-opt --passes = cse,dce,convert-quant-to-t", "cse,dce,convert-quant-to-tile"),
        ("bmnetu -prec FP32,I", ""),
        ("bmnetu-model info net.p", "net.prototxt"),
        ("bmnetu-calibrate eval -min", "-min_cosine= -min_iou="),
        ("bmnetu -nothing", ""),
        ("bmnetu -explain = unre", "unread-input"),
        ("bmnetu-model info --explain = missing", "missing-wait"),
        ("bmnetu-opt --list", "--list-passes"),
        ("bmnetu-opt --weig", "--weights="),
        ("bmnetu-opt -p convert-quant", "convert-quant-to-tile convert-quant-to-record"),
        ("bmnetu-opt net.prototxt --passes cs", "cse"),
        ("bmnetu-opt net.prototxt -t npu", "npu-asm"),
        ("bmnetu-opt net.p", "net.prototxt"),
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
    assert [flag.name for flag in OPT_FLAGS if flag.name not in text] == []
    assert all(code in text for code in KNOWN)
    form = {"bash": "-{}=", "zsh": "-{}=[", "fish": " {} -"}[shell]
    switch = {"bash": "--{}", "zsh": "--{}[", "fish": " {} -"}[shell]
    assert [
        flag.name for flag in flags if form.format(flag.name) not in text
        and (flag.kind is not BOOLEAN or switch.format(flag.name.replace("_", "-")) not in text)
    ] == []  # fmt: skip
    assert "no_color" not in text
    assert ("-nocmp" if shell != "fish" else "-o nocmp") in text
    several = {"bash": "=',", "zsh": ":_values -s , passes ", "fish": "__fish_complete_list ,"}
    assert several[shell] in text
    assert all(name in text for name in (*SUBCOMMANDS, "eval"))


class Seen(BmnetuOpt):
    """bmnetu-opt, with its parser."""

    def register_all_arguments(self, arg_parser: argparse.ArgumentParser) -> None:
        super().register_all_arguments(arg_parser)
        self.options = [action for action in arg_parser._actions if action.option_strings]


def test_the_flags_of_opt_are_those_of_its_parser() -> None:
    opt = Seen(args=["net.mlir"])
    parsed = {(*action.option_strings,): action for action in opt.options}
    known = {
        (*([f"-{flag.alias}"] if flag.alias else []), f"--{flag.name}"): flag for flag in OPT_FLAGS
    }
    assert known.keys() == parsed.keys()
    for strings, flag in known.items():
        action = parsed[strings]
        assert (flag.kind is SWITCH) == (action.nargs == 0)
        assert action.choices is None or set(flag.kind.values) == set(action.choices)
    passes = next(flag for flag in OPT_FLAGS if flag.name == "passes")
    assert set(passes.kind.values) == opt.available_passes.keys()
    assert opt.available_targets.keys() >= set(TARGETS)


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-completion=tcsh"]) == 2
    assert "-completion requires bash, zsh or fish" in capsys.readouterr().err


@pytest.mark.parametrize("tool", [calibrate_main, opt_main, model_main])
@pytest.mark.parametrize("words", [["-completion=bash"], ["--completion", "zsh"]])
def test_other_tools_say_who_has_it(
    tool: Callable[[list[str]], int], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "error: unknown flag -completion: bmnetu -completion=SHELL prints it" in err
