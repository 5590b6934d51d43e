"""Runs many cases and says what went wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.cases import Case, make_case
from tests.fuzz.seeds import make_seeds
from tests.fuzz.worker import LOG, TRACEBACK

ROOT = Path(__file__).resolve().parents[2]
JOBS = os.cpu_count() or 1
BATCH = 50
"""Cases that one worker runs."""
SECONDS = 5
MIB = 240
TIMES = 10
"""A case may take so much memory and so many times the size of its files. A command of its own
takes 60 MiB more, which a case shares with its worker."""
GOOD = (0, 1, 2, 3, 4)
"""Exit codes that are no fault; 1: bmnetu-opt, a pass or the verifier failed."""
FAULTY_BMODEL = 5
"""Another one of bmnetu-model."""
OUTPUTS = ("out", "ir", "out.mlir")


@dataclass(frozen=True)
class Outcome:
    """A case that has run; ``faults`` is empty where all is well."""

    index: int
    kind: str
    code: int
    seconds: float
    mib: float
    faults: tuple[str, ...]
    text: str


    def line(self) -> str:
        """All of it in a line."""
        (*_, last) = ["", *self.text.strip().splitlines()]
        return (
            f"case {self.index} ({self.kind}): {', '.join(self.faults)}; exit {self.code},"
            f" {self.seconds:.1f} s, {self.mib:.0f} MiB: {last[:200]}"
        )


@dataclass
class Report:
    """All outcomes. ``str`` is a table of them."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    @property
    def bad(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.faults]

    def __str__(self) -> str:
        lines = [f"{len(self.outcomes)} cases"]
        for kind in sorted({o.kind for o in self.outcomes}):
            own = [o for o in self.outcomes if o.kind == kind]
            counts = sorted(Counter(o.code for o in own).items())
            codes = ", ".join(f"exit {code}: {count}" for code, count in counts)
            worst = f"{max(o.seconds for o in own):.1f} s, {max(o.mib for o in own):.0f} MiB"
            lines.append(f"{kind:9} {len(own):5}  {codes}; at most {worst}")
        faults = Counter(fault for o in self.outcomes for fault in o.faults)
        found = ", ".join(f"{count} {fault}" for fault, count in faults.items())
        return "\n".join([*lines, f"faults: {found or 'none'}"])


def fuzz(
    numbers: Iterable[int],
    seed: int,
    folder: Path,
    keep: Path | None,
    jobs: int = JOBS,
    show: Callable[[str], None] = lambda line: None,
) -> Report:
    """Runs the cases of these numbers in ``folder``; copies bad ones into ``keep``."""
    seeds = make_seeds(folder / "seeds")
    cases: dict[int, tuple[str, Case]] = {}
    waiting: dict[str, list[int]] = defaultdict(list)
    batches: list[tuple[str, list[int]]] = []
    numbers = list(numbers)
    for index in numbers:
        cases[index] = make_case(index, seed, seeds, folder / f"made{index}")
        shutil.rmtree(folder / f"made{index}", ignore_errors=True)
        entry = cases[index][1].entry
        waiting[entry].append(index)
        if len(waiting[entry]) == BATCH:
            batches.append((entry, waiting.pop(entry)))
    batches += waiting.items()
    report = Report()
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_run, *batch, cases, folder, keep) for batch in batches]
        for future in as_completed(futures):
            outcomes = future.result()
            report.outcomes += outcomes
            for outcome in outcomes:
                if outcome.faults:
                    show(outcome.line())
    report.outcomes.sort(key=lambda outcome: outcome.index)
    return report


def _run(
    entry: str, indices: Sequence[int], cases: dict[int, tuple[str, Case]], folder: Path,
    keep: Path | None,
) -> list[Outcome]:
    """One worker's cases."""
    outcomes: list[Outcome] = []
    places = {index: folder / str(index) for index in indices}
    for index, place in places.items():
        for name, data in cases[index][1].files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
    lines = "".join(
        json.dumps({"index": i, "folder": str(places[i]), "words": [*cases[i][1].words]}) + "\n"
        for i in indices
    )
    command = [sys.executable, "-m", "tests.fuzz.worker", entry]
    ended = subprocess.run(command, cwd=ROOT, input=lines, capture_output=True, text=True)
    results = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(results) == len(indices), ended.stderr
    for result in results:
        index = result["index"]
        kind, case = cases[index]
        faults = faults_of(case, places[index], result)
        if faults and keep is not None:
            target = keep / str(index)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(places[index], target)
            (target / "words").write_text(" ".join([case.entry, *case.words]) + "\n")
        shutil.rmtree(places[index])
        outcomes.append(
            Outcome(index, kind, result["code"], result["seconds"], result["mib"], faults,
                    result["text"])
        )  # fmt: skip
    return outcomes


def faults_of(case: Case, folder: Path, result: dict[str, Any]) -> tuple[str, ...]:
    """What is wrong with a case's outcome."""
    code, text = result["code"], result["text"]
    size = sum(len(data) for data in case.files.values()) / (1 << 20)
    good = (*GOOD, FAULTY_BMODEL) if case.entry == "model" else GOOD
    left = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    left -= {LOG, *case.files}
    if code == 0:
        left = {name for name in left if name.split("/")[0] not in OUTPUTS or name.endswith("part")}
    left = {name for name in left if not name.startswith("ir/") or name.endswith("part")}
    differ = code == 1 and case.entry == "model" and case.words[0] == "diff"
    kinds = {
        "traceback": code == TRACEBACK or "Traceback" in text or "Exception ignored" in text,
        "killed": code < 0,
        "bug": code == 70,
        "exit code": 0 <= code and code not in (*good, 70, TRACEBACK),
        "slow": result["seconds"] > SECONDS,
        "memory": result["mib"] > MIB + TIMES * size,
        "files left": bool(left),
        "no message": code in good[1:] and "error: " not in text and not differ,
        "a warning": "Warning:" in text,
    }
    return tuple(kind for kind, holds in kinds.items() if holds)
