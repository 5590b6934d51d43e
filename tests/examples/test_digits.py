"""The example of the README: trained weights, calibration images, accuracy in INT8."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What run.py prints."""
    outdir = tmp_path_factory.mktemp("digits")
    words = [sys.executable, str(DIGITS / "run.py"), "--outdir", str(outdir)]
    done = subprocess.run(words, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (outdir / "compilation.bmodel").exists()
    return done.stdout


def accuracies(printed: str, images: int) -> list[float]:
    """FP32, INT8, INT8 on the NPU model, in per cent."""
    line = re.search(rf"accuracy on {images} test images: FP32 ([\d.]+)%, "
                     r"INT8 ([\d.]+)% \(.*\), on the NPU model ([\d.]+)%", printed)  # fmt: skip
    assert line is not None
    return [float(number) for number in line.groups()]


def test_it_compiles_with_the_compare(printed: str) -> None:
    assert "compare passed" in printed
    assert "# Store bmodel of BMCompiler." in printed


def test_int8_is_as_accurate_as_float(printed: str) -> None:
    in_float, in_int8, on_the_npu = accuracies(printed, 500)
    assert in_float > 97
    assert abs(in_float - in_int8) <= 1
    assert on_the_npu == in_int8


def test_the_committed_files_are_small() -> None:
    assert (DIGITS / "digits.fp32umodel").stat().st_size < 300_000
    assert sum(path.stat().st_size for path in DIGITS.rglob("*.png")) < 100_000
