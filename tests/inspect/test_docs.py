"""docs/model.md: every command in it runs, and prints what it shows."""

from __future__ import annotations

import re
import shlex
import shutil
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bmnetu.inspect.command_line import SUBCOMMANDS
from bmnetu.inspect.debugger import Debugger
from dialects.bm1684.model import Space
from tests.inspect.files import Capture, host_result, path_of, result, run, several, stage_of

TEXT = (Path(__file__).parents[2] / "docs" / "model.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [line for kind, body in BLOCKS if kind == "sh" for line in body.splitlines()]
PRINTED = (
    "info compilation.bmodel", "map compilation.bmodel", "map dynamic.bmodel --shapes=[1,3,9,9]",
)  # fmt: skip
TEXTS = [body for kind, body in BLOCKS if kind == "text"]
SHOWN: dict[str, str] = dict(zip(PRINTED, TEXTS, strict=True))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the commands name."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(path_of(result("FP32")), "compilation.bmodel")
    shutil.copy(path_of(result("FP32", dyn=True)), "dynamic.bmodel")
    shutil.copy(several(), "several.bmodel")
    shutil.copy(path_of(result("FP32", 0)), "old.bmodel")
    shutil.copy(path_of(result("FP32", 1)), "new.bmodel")
    for batch, name in ((1, "batch1"), (2, "batch4"), (1, "faces")):
        shutil.copy(path_of(result("FP32", max_n=batch)), f"{name}.bmodel")
    shutil.copy(path_of(host_result()), "eyes.bmodel")
    np.savez("good.npz", allow_pickle=False, other=np.ones(3, np.float32))
    (tensor,) = stage_of(result("FP32")).inputs
    np.save("data.npy", np.ones(tensor.shape, np.float32))
    Image.new("RGB", (20, 10)).save("cat.jpg")
    count = stage_of(result("FP32")).outputs[0].shape[1]
    Path("labels.txt").write_text("".join(f"label {i}\n" for i in range(count)))
    return tmp_path


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_runs(line: str, folder: Path, capsys: Capture) -> None:
    tool, *words = shlex.split(line)
    assert tool == "bmnetu-model"
    code, out, err = run(capsys, *words, typed="step 3\nwaits\nrun\nwhere\n")
    expected = 1 if words[0] == "diff" else 0
    assert (code, "error" in err, bool(out)) == (expected, False, True)
    if " ".join(words) in SHOWN:
        form = re.escape(SHOWN[" ".join(words)])
        form = form.replace(r"\.\.\.", r"[^\n]*").replace(r"\ ", r"\s+")
        form = re.sub(r"(\\s\+)+", r"\\s+", form)
        form = re.sub(r"\\\n\[\^\\n\]\*(?=\\\n)", r"(?s:.*)", form)
        assert re.fullmatch(form, out), out


def test_the_python_of_a_debugger(folder: Path) -> None:
    start = TEXT.index("    from bmnetu.inspect.debugger import")
    lines = TEXT[start:].split("\n\n")[0]
    (tensor,) = stage_of(result("FP32")).inputs
    names: dict[str, object] = {
        "Path": Path, "Space": Space, "reference": {"prob": np.zeros((2, 5), np.float32)},
        "array": np.ones(tensor.shape, np.float32),
    }  # fmt: skip
    exec(textwrap.dedent(lines), names)
    debugger = names["debugger"]
    assert isinstance(debugger, Debugger)
    assert debugger.last is not None
    assert debugger.last.layer == "conv"


def test_all_subcommands_are_there() -> None:
    assert {line.split()[1] for line in COMMANDS} == set(SUBCOMMANDS)
    for name in SUBCOMMANDS:
        assert f"\n## {name}\n" in TEXT
        assert f"| `{name}` |" in TEXT
