"""``bmnetu-model`` on the vendor's files and ours: outputs as the real BMRuntime gives them, cycles
as the vendor's estimators say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bmnetu.bmodel import Bmodel, read
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.command_line import SUBCOMMANDS
from dialects.bm1684 import isa
from dialects.bm1684.cycles import schedule
from dialects.bm1684.isa import Instruction
from passes.verification.inputs import random_inputs
from tests.bench.commands import instructions
from tests.inspect.files import KINDS, Capture, as_json, command, file, path_of, result, run
from tests.inspect.test_map import check_free
from tests.vendor.estimator import ESTIMATES, Estimator
from tests.vendor.networks import models
from tests.vendor.runtime import Array, run_bmodel
from tests.vendor.test_cycles import VENDOR_TOTALS

VENDOR = sorted(models().joinpath("vendor_bmodels").rglob("*.bmodel"))
STATIC = [path for path in VENDOR if path.parent.name != "dynamic"]
OURS = [kind for kind in KINDS if kind != "several"]


def contents(path: Path) -> Bmodel:
    return read(path.read_bytes(), path.name)


def test_there_are_files() -> None:
    assert len(STATIC) >= 5
    assert len(VENDOR) - len(STATIC) >= 6


def name_of(path: Path | str) -> str:
    return path.stem if isinstance(path, Path) else path


@pytest.mark.parametrize("path", VENDOR, ids=name_of)
@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_every_subcommand_takes_every_file(
    subcommand: str, path: Path, capsys: Capture, tmp_path: Path
) -> None:
    """What the models cannot do with dynamic files of the vendor is said in one sentence. A session
    of debug runs the records before those that it does not know."""
    code, out, err = run(capsys, *command(subcommand, path, tmp_path / "out.bmodel"))
    refuses = path not in STATIC and subcommand in ("run", "profile", "debug")
    assert code == (4 if refuses else 1 if subcommand == "diff" else 0), err
    assert bool(out) == (not refuses or subcommand == "debug")
    assert ("error: " in err + out) == refuses


def made_up(path: Path, seed: int) -> dict[str, Array]:
    """Inputs in the file's types."""
    inputs = contents(path).nets[0].stages[0].inputs
    arrays = random_inputs([(t.shape, t.data_type.numpy) for t in inputs], seed)
    return {t.name: array for t, array in zip(inputs, arrays, strict=True)}


def check_run(path: Path, capsys: Capture, tmp_path: Path, seed: int) -> None:
    """Integers are equal; floats within 1e-5 of the tensor's largest."""
    inputs = made_up(path, seed)
    np.savez(tmp_path / "in.npz", allow_pickle=False, **inputs)
    words = (f"--input={tmp_path / 'in.npz'}", f"--out={tmp_path / 'out.npz'}")
    code, _, err = run(capsys, "run", path, *words)
    assert (code, err) == (0, "")
    expected = run_bmodel(path, inputs)
    with np.load(tmp_path / "out.npz") as made:
        assert set(made.files) == set(expected)
        for name, array in expected.items():
            assert made[name].dtype == array.dtype
            assert made[name].shape == array.shape
            largest = max(1.0, float(np.abs(array.astype(np.float64)).max(initial=0)))
            limit = 1e-5 * largest if array.dtype.kind == "f" else 0
            np.testing.assert_allclose(made[name], array, rtol=0, atol=limit)


@pytest.mark.parametrize("path", STATIC, ids=name_of)
def test_the_vendors_files_run_as_on_the_runtime(
    path: Path, capsys: Capture, tmp_path: Path
) -> None:
    for seed in range(3):
        check_run(path, capsys, tmp_path, seed)


@pytest.mark.parametrize("kind", OURS)
def test_our_files_run_as_on_the_runtime(kind: str, capsys: Capture, tmp_path: Path) -> None:
    check_run(file(kind), capsys, tmp_path, 7)


@pytest.mark.parametrize("path", VENDOR, ids=name_of)
def test_the_vendors_files_have_no_fault(path: Path, capsys: Capture) -> None:
    found = as_json(capsys, "check", path)
    assert (found["ok"], found["findings"]) == (True, [])


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator()


def estimated(path: Path, estimator: Estimator, traced: bool) -> int:
    """Cycles of the whole by the vendor's estimators, with the estimator of plain moves for matrix
    moves where ``traced``, as the vendor's compiler has it."""

    def price(command: Instruction) -> int:
        if traced and command.kind is isa.MATRIX:
            return estimator.call(*ESTIMATES[isa.MOVE](command))
        return estimator.cycles(command)

    return schedule(instructions(contents(path)), price).total


@pytest.mark.parametrize(
    "which", [*STATIC, *(kind for kind in OURS if "dynamic" not in kind)], ids=name_of
)
def test_cycles_are_the_estimators(
    which: Path | str, capsys: Capture, estimator: Estimator
) -> None:
    path = which if isinstance(which, Path) else file(which)
    (found,) = as_json(capsys, "profile", path)
    assert found["unknown"] == {}
    assert found["total"]["cycles"] == estimated(path, estimator, traced=False)
    assert found["traced_cycles"] == estimated(path, estimator, traced=True)
    if path in STATIC:
        assert found["traced_cycles"] == VENDOR_TOTALS[path.stem.removesuffix("_O2")]


@pytest.mark.parametrize("path", [p for p in STATIC if "det2_f32" not in p.stem], ids=name_of)
def test_what_is_free_of_the_vendors_can_be_overwritten(path: Path) -> None:
    ((stage,),) = (net.stages for net in contents(path).nets)
    check_free(Chosen("", 0, stage))


def check_net(path: Path, source: Path, net: str, seed: int) -> None:
    """A net of a combined file gives on the real runtime the bytes that its own file gives."""
    inputs = made_up(source, seed)
    expected, found = run_bmodel(source, inputs), run_bmodel(path, inputs, net=net)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_the_runtime_chooses_among_the_vendors_nets(
    precision: str, capsys: Capture, tmp_path: Path
) -> None:
    """All files of a precision in one; and each net extracted again."""
    sources = {contents(path).nets[0].name: path for path in STATIC if precision in path.stem}
    assert {"convrelu", "det2"} <= sources.keys()
    path = tmp_path / "all.bmodel"
    code, _, err = run(capsys, "combine", *sources.values(), f"--out={path}")
    assert (code, err) == (0, "")
    for name, source in sources.items():
        check_net(path, source, name, 3)
        own = tmp_path / name
        assert run(capsys, "extract", path, f"--net={name}", f"--out={own}")[0] == 0
        check_net(own, source, name, 4)


def test_the_runtime_chooses_among_stages_of_files(capsys: Capture, tmp_path: Path) -> None:
    """Two batches of a net of ours, from a file each; and each stage extracted again."""
    sources = [path_of(result("INT8", 2, max_n=n)) for n in (4, 1)]
    path = tmp_path / "stages.bmodel"
    assert run(capsys, "combine", *sources, f"--out={path}")[0] == 0
    for number, source in enumerate(sources):
        check_net(path, source, "", 5)
        own = tmp_path / str(number)
        assert run(capsys, "extract", path, f"--stage={number}", f"--out={own}")[0] == 0
        check_net(own, source, "", 6)
