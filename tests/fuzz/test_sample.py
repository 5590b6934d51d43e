"""A few of the cases of ``python -m tests.fuzz``, and what it calls a fault."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.cases import KINDS, Case
from tests.fuzz.run import JOBS, ROOT, faults_of, fuzz
from tests.fuzz.worker import LOG, TRACEBACK

COUNT = 21 * len(KINDS)


def test_a_sample_of_damaged_files(tmp_path: Path) -> None:
    report = fuzz(range(100_000, 100_000 + COUNT), 0, tmp_path, None)
    assert {outcome.kind for outcome in report.outcomes} == {*KINDS}
    assert len(report.outcomes) == COUNT
    timeless = [o for o in report.bad if o.faults != ("slow",)]  # a machine may be slow
    assert not timeless, "\n".join(outcome.line() for outcome in timeless)
    assert {o.code for o in report.outcomes} >= {0, 3, 4}
    assert str(report).startswith(f"{COUNT} cases\n")
    assert JOBS >= 1


SOUND: dict[str, Any] = {"code": 0, "seconds": 1.0, "mib": 100.0, "text": ""}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a bug": ({"code": 70, "text": "bmnetu: error: this is a bug"}, "bug"),
    "an exception": ({"code": TRACEBACK}, "traceback"),
    "a traceback": ({"text": "Traceback (most recent call last):"}, "traceback"),
    "a signal": ({"code": -11}, "killed"),
    "an odd code": ({"code": 5, "text": "bmnetu: error: no"}, "exit code"),
    "time": ({"seconds": 5.1}, "slow"),
    "memory": ({"mib": 300.0}, "memory"),
    "silence": ({"code": 3}, "no message"),
    "a warning": ({"text": "x.py:3: UserWarning: odd"}, "a warning"),
}


@pytest.mark.parametrize(("change", "fault"), BAD.values(), ids=BAD)
def test_what_a_fault_is(change: dict[str, Any], fault: str, tmp_path: Path) -> None:
    case = Case("bmnetu", [], {"m": b"1"})
    assert faults_of(case, tmp_path, SOUND) == ()
    assert faults_of(case, tmp_path, SOUND | change) == (fault,)


def test_files_that_are_left(tmp_path: Path) -> None:
    case = Case("bmnetu", [], {"m": b"1"})
    failed = SOUND | {"code": 3, "text": "bmnetu: error: no"}
    for name in ("m", LOG, "out/compilation.bmodel"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert faults_of(case, tmp_path, SOUND) == ()
    assert faults_of(case, tmp_path, failed) == ("files left",)
    (tmp_path / "out" / ".compilation.bmodel.77.part").touch()
    assert faults_of(case, tmp_path, SOUND) == ("files left",)


def test_a_worker_measures_and_catches(tmp_path: Path) -> None:
    cases = [{"index": i, "folder": str(tmp_path), "words": w} for i, w in enumerate([["no"], []])]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.worker", "bmodel"],
        input="".join(json.dumps(case) + "\n" for case in cases),
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    refused, broken = map(json.loads, ended.stdout.splitlines())
    assert (refused["index"], refused["code"], broken["code"]) == (0, 3, TRACEBACK)
    assert refused["text"] == "bmodel: error: no: no such file; a bmodel is expected\n"
    assert faults_of(Case("bmodel", [], {}), tmp_path, refused) == ()
    assert faults_of(Case("bmodel", [], {}), tmp_path, broken) == ("traceback",)
