"""``bmnetu-model run``: files and inputs that are wrong, or claim too much."""

from __future__ import annotations

import json
import os
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bmnetu.bmodel import COEFF_ADDRESS, Bmodel, Net, Stage, write
from bmnetu.inspect import execution
from dialects.bm1684 import isa
from dialects.bm1684.isa import Direction
from tests.inspect.files import (
    Capture,
    changed,
    file,
    path_of,
    result,
    run,
    several,
    stage_of,
)
from tests.inspect.test_check import commands, edited, group_of, late_wait
from tests.inspect.test_run import check_equal, given, seen

Array = NDArray[Any]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--input=dta=x.npy"], 2, 'the net has no input "dta": did you mean "data"?'),
        (["--input=x.npy"], 3, "x.npy: no such file"),
        (["--input=data=y.jpg"], 3, "y.jpg: no such file or folder"),
        (["--input=wrong.npy"], 2, 'no stage takes "data" 3x8x8x8; the net takes stage 0: "data"'),
        (["--input=wrong.npz"], 3, 'wrong.npz: has no array "data"; it has a, b'),
        (["--input=data.txt"], 3, "data.txt: is neither an image or a folder of images"),
        (["--labels=none.txt"], 3, "none.txt: no such file; a file of labels is expected"),
        (["--input=x.png", "--crop=9"], 2, "--crop: crop 9x9 does not make the input's 8x8"),
        (["--out=x.png/out.npz"], 3, "--out=x.png: cannot be written"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    words: list[str], code: int, message: str, capsys: Capture, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    np.save("wrong.npy", np.zeros((3, 8, 8, 8), np.float32))
    np.savez("wrong.npz", a=np.zeros(3), b=np.zeros(3))
    Path("data.txt").write_text("no numbers")
    Image.new("RGB", (9, 9)).save("x.png")
    before = sorted(os.listdir())
    found = run(capsys, "run", path_of(seen()), *words)
    assert (found[0], found[1]) == (code, "")
    assert message in found[2]
    assert found[2].splitlines()[-1].startswith("bmnetu-model: error: ")
    assert sorted(os.listdir()) == before


def test_several_nets_need_a_name(capsys: Capture) -> None:
    code, _, err = run(capsys, "run", several())
    assert code == 2
    assert '--net must be given: ' in err
    assert 'has the nets "first", "second"' in err


def test_wrong_commands_are_code_5(capsys: Capture, tmp_path: Path) -> None:
    stage = stage_of(result("FP32"))
    path = changed(path_of(result("FP32")), tmp_path, groups=edited(stage, late_wait))
    out = tmp_path / "out.npz"
    code, _, err = run(capsys, "run", path, f"--out={out}")
    assert code == 5
    assert 'error: net "small", stage 0, group 0, tiu command 1: deadlock: ' in err
    assert not out.exists()


def test_a_file_that_claims_much_memory(capsys: Capture, tmp_path: Path) -> None:
    """4 GiB are only said to be there; what is more is refused."""
    stage = stage_of(result("FP32"))
    inputs, outputs = given(result("FP32"))
    ((_, array),) = inputs.items()
    np.save(tmp_path / "in.npy", array)
    words = (f"--input={tmp_path / 'in.npy'}", f"--out={tmp_path / 'out.npz'}")
    most = execution.MOST_DDR - (stage.context_address - COEFF_ADDRESS)
    path = changed(path_of(result("FP32")), tmp_path, context_size=most)
    before = peak()
    assert run(capsys, "run", path, *words)[0] == 0
    assert peak() - before < 200e6
    check_equal(tmp_path / "out.npz", outputs)
    path = changed(path_of(result("FP32")), tmp_path, context_size=most + 4096)
    code, _, err = run(capsys, "run", path, *words)
    assert code == 4
    assert "bytes far, the model of the NPU has 4294967296" in err


def peak() -> float:
    """The most memory that this process has had, in bytes."""
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_weights_at_another_place(capsys: Capture, tmp_path: Path) -> None:
    """Everything lies 1 MiB higher, and the commands say so."""
    found = result("FP32")
    stage = stage_of(found)
    moved = shifted(stage, 1 << 20)
    path = tmp_path / "moved.bmodel"
    path.write_bytes(write(Bmodel((Net("small", (moved,)),))))
    inputs, outputs = given(found)
    ((_, array),) = inputs.items()
    np.save(tmp_path / "in.npy", array)
    words = (f"--input={tmp_path / 'in.npy'}", f"--out={tmp_path / 'out.npz'}")
    assert run(capsys, "run", path, *words)[:1] == (0,)
    check_equal(tmp_path / "out.npz", outputs)
    assert run(capsys, "check", path)[0] == 0


def shifted(stage: Stage, by: int) -> Stage:
    tiu, gdma = commands(stage)
    for i, command in enumerate(gdma):
        direction = Direction(command["direction"])
        for side, local in (("src", direction.from_local), ("dst", direction.to_local)):
            address = isa.start_of(command, side)
            if not local and address >= COEFF_ADDRESS:
                gdma[i] = gdma[i].replace(**isa.start(side, address + by))
    inputs, outputs = (
        tuple(replace(t, address=t.address + by) for t in some)
        for some in (stage.inputs, stage.outputs)
    )
    return replace(
        stage, inputs=inputs, outputs=outputs, coeff_address=stage.coeff_address + by,
        context_address=stage.context_address + by, groups=(group_of(tiu, gdma),),
    )  # fmt: skip


def test_the_json_is_json(capsys: Capture) -> None:
    code, out, _ = run(capsys, "run", file("host"), "--json")
    assert code == 0
    assert json.loads(out)["outputs"][0]["name"] == "found"
