"""``bmnetu-model combine`` and ``extract``: what is put together comes apart again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bmnetu.bmodel import Bmodel, CommandGroup, read
from dialects.bm1684 import isa
from tests.inspect.files import (
    Capture,
    as_json,
    changed,
    contents,
    host_result,
    path_of,
    result,
    run,
    several,
    stage_of,
)
from tests.inspect.test_run import check_equal, given
from tests.test_stages import loads


def load(path: Path) -> Bmodel:
    return read(path.read_bytes(), str(path))


def one(batch: int) -> Path:
    return path_of(result("FP32", max_n=batch))


def combine(capsys: Capture, out: Path, *paths: Path) -> Bmodel:
    code, _, err = run(capsys, "combine", *paths, f"--out={out}")
    assert (code, err) == (0, "")
    assert [code for code, _, _ in [run(capsys, "check", out)]] == [0]
    return load(out)


def test_two_stages_of_a_net(capsys: Capture, tmp_path: Path) -> None:
    found = combine(capsys, tmp_path / "o", one(2), one(1))
    (net,) = found.nets
    assert [stage.inputs[0].shape[0] for stage in net.stages] == [2, 1]
    assert {stage.coeff for stage in net.stages} == {net.stages[0].coeff}
    sizes = [len(stage_of(result("FP32", max_n=n)).coeff) for n in (1, 2)]
    assert len(net.stages[0].coeff) < sum(sizes)


@pytest.mark.parametrize("batch", [1, 2])
def test_each_stage_gives_its_own_results(batch: int, capsys: Capture, tmp_path: Path) -> None:
    combine(capsys, tmp_path / "o", one(2), one(1))
    check_results(tmp_path / "o", batch, capsys, tmp_path)
    words = (f"--stage={2 - batch}", f"--out={tmp_path / 'own'}")
    code, _, err = run(capsys, "extract", tmp_path / "o", *words)
    assert (code, err) == (0, "")
    check_results(tmp_path / "own", batch, capsys, tmp_path)
    ((stage,),) = (net.stages for net in load(tmp_path / "own").nets)
    alone = stage_of(result("FP32", max_n=batch))
    assert loads(stage) == loads(alone)
    assert len(stage.coeff) <= len(alone.coeff)


def check_results(path: Path, batch: int, capsys: Capture, folder: Path) -> None:
    inputs, outputs = given(result("FP32", max_n=batch))
    np.savez(folder / "in.npz", allow_pickle=False, **inputs)
    words = (f"--input={folder / 'in.npz'}", f"--out={folder / 'out.npz'}")
    assert run(capsys, "run", path, *words)[0] == 0
    check_equal(folder / "out.npz", outputs, 1e-5)


def test_nets_side_by_side_and_apart(capsys: Capture, tmp_path: Path) -> None:
    found = combine(capsys, tmp_path / "o", several(), path_of(host_result()))
    names = [net.name for net in found.nets]
    own = contents(host_result()).nets[0]
    assert names == ["first", "second", own.name]
    assert found.nets == (*load(several()).nets, own)
    records = [
        as_json(capsys, "extract", tmp_path / "o", f"--net={name}", f"--out={tmp_path / name}")
        for name in names
    ]
    assert [len(record["stages"]) for record in records] == [2, 1, 1]
    assert load(tmp_path / "first").nets == found.nets[:1]
    again = combine(capsys, tmp_path / "p", *(tmp_path / name for name in names))
    assert [net.name for net in again.nets] == names
    assert [loads(s) for net in again.nets for s in net.stages] == [
        loads(s) for net in found.nets for s in net.stages
    ]


def test_a_dynamic_net_beside_another(capsys: Capture, tmp_path: Path) -> None:
    path = path_of(result("FP32", dyn=True))
    found = combine(capsys, tmp_path / "o", several(), path)
    name = found.nets[-1].name
    words = (f"--net={name}", f"--out={tmp_path / 'd'}")
    assert run(capsys, "extract", tmp_path / "o", *words)[0] == 0
    assert (tmp_path / "d").read_bytes() == path.read_bytes()


def test_an_input_may_be_the_output(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(one(1).read_bytes())
    assert len(combine(capsys, path, path, one(2)).nets[0].stages) == 2


def test_what_cannot_be(capsys: Capture, tmp_path: Path) -> None:
    dynamic = path_of(result("FP32", dyn=True))
    (output,) = stage_of(result("FP32", max_n=2)).outputs
    scaled = changed(one(2), tmp_path, outputs=(replace(output, scale=2.0),))
    out = f"--out={tmp_path / 'o'}"
    for words, code, sentence in [
        (["combine", one(1), one(1), out], 3, f"{one(1)}: net \"small\" has the input shapes"
         f" 1x3x9x9, as in {one(1)}: the runtime could not choose"),
        (["combine", one(1), scaled, out], 3, f"{scaled}: net \"small\" has another type"),
        (["combine", one(1), dynamic, out], 4, f"{dynamic}: net \"small\" is dynamic"),
        (["combine", one(1), out], 2, "combine takes FILE FILE..., 1 given"),
        (["combine", one(1), one(2)], 2, "--out must be given: bmnetu-model combine --help"),
        (["combine", one(1), one(2), f"--out={tmp_path}"], 3, f"--out={tmp_path.parent}: "),
        (["extract", several(), out], 2, f"--net must be given: {several()} has the nets"),
        (["extract", several(), "--net=fist", out], 2, 'did you mean "first"?'),
        (["extract", several(), "--net=first", "--stage=2", out], 2, "has no such stage"),
    ]:  # fmt: skip
        found, _, err = run(capsys, *words)
        assert (found, err.count("error: ")) == (code, 1)
        assert sentence in err
    assert list(tmp_path.iterdir()) == [scaled]


def test_commands_that_cannot_be_moved(capsys: Capture, tmp_path: Path) -> None:
    """A transfer that reads behind the weights, and bytes that are no command."""
    stage = stage_of(result("FP32", max_n=1))
    (group,) = stage.groups
    end = stage.coeff_address + len(stage.coeff)
    transfers = [(at, isa.unpack(isa.Engine.GDMA, group.gdma[at : at + 128]))
                 for at in range(0, len(group.gdma), 128)]  # fmt: skip
    weights = range(stage.coeff_address, end)
    at, transfer = next(each for each in transfers if isa.start_of(each[1], "src") in weights)
    far = transfer.replace(**isa.start("src", end - 4)).pack()
    for bad, words in ((far, "which is not in the weights"), (b"\xff" * 128, "cannot be moved")):
        gdma = group.gdma[:at] + bad + group.gdma[at + 128 :]
        path = changed(one(1), tmp_path, groups=(CommandGroup(group.tiu, gdma),))
        for line in (["combine", path, one(2)], ["combine", one(2), path], ["extract", path]):
            code, _, err = run(capsys, *line, f"--out={tmp_path / 'o'}")
            assert (code, err.count("\n")) == (3, 1)
            assert f"{path}: a command cannot be moved: " in err
            assert words in err


def test_the_help_says_when_a_net_must_be_given(capsys: Capture) -> None:
    """As the refusal does."""
    _, out, _ = run(capsys, "extract", "--help")
    text = " ".join(out.split())
    assert "The net that is stored. Default: the only one; must be given where the file" in text
    assert "Default: all nets" not in text
