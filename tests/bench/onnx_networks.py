"""``python -m tests.bench.onnx_networks FOLDER``: how the networks of a folder fare, as a table.

The folder is one that ``tests/bench/export_onnx.py`` wrote, or any with .onnx files below it. Each
network is compiled in FP32 with the compare, and what the NPU model computes is compared with
onnxruntime; then it is calibrated on a few made-up pictures and compiled in INT8, where the cosine
says how near it is. Beside the cycles stands the least that they can be, see
``tests/bench/bounds.py``; with ``--vendor`` also the difference from the real BMRuntime. A network
that cannot be compiled has its reason there. Each runs in a process of its own, whose memory and
time are limited.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

import bmnetu
from bmnetu.errors import BmnetuError
from bmnetu.frontend import load_network
from bmnetu.report.profile import profile
from bmnetu.report.result import CompileResult
from passes.module.functions import main_function
from tests.bench.bounds import lower_bound

Array = NDArray[Any]
TOLERANCE = 1e-3
"""What an FP32 network may differ from onnxruntime, of the largest number of an output."""
MOST_ROWS, ROW_NUMBERS = 1000, 8
"""Up to so many rows of up to so many numbers are taken as boxes."""
SAMPLES = 4
NORMALISED = (-2.1, 2.6)
"""The numbers of an input of which nothing is known: those of a photograph that is normalised."""
FAST: Mapping[str, Any] = {"th_method": "MAX", "equalize": False, "adaptive_rounding": False}
GIGABYTE = 1 << 30


@dataclass(frozen=True)
class Work:
    """What is done with one network."""

    path: Path
    values: tuple[float, float]
    precisions: tuple[str, ...]
    opt: int
    vendor: bool
    calibration: Mapping[str, Any]
    gigabytes: float


@dataclass(frozen=True)
class Row:
    """What was found of one network in one precision; ``said`` is why nothing was."""

    name: str
    prec: str
    seconds: float
    said: str = ""
    relative: float = 0.0
    cosine: float = 0.0
    cycles: int = 0
    bound: int = 0
    vendor: str = ""

    @property
    def verdict(self) -> str:
        """How it went, in a word."""
        if self.said:
            return "none"
        return "ok" if self.prec == "INT8" or self.relative <= TOLERANCE else "WRONG"

    def line(self) -> str:
        """For the log."""
        head = f"{self.name:40} {self.prec} {self.verdict:5} {self.seconds:5.0f} s"
        if self.said:
            return f"{head}  {self.said}"
        return (
            f"{head}  relative {self.relative:.1e} cosine {self.cosine:.5f}  {self.cycles} cycles,"
            f" {self.cycles / max(1, self.bound):.2f} of {self.bound}  {self.vendor}"
        )

    def cells(self) -> str:
        """For the table."""
        words = [self.name, self.prec, self.verdict]
        if self.said:
            return " | ".join([*words, "", "", "", "", "", f"{self.seconds:.0f}", self.said])
        numbers = [f"{self.relative:.1e}", f"{self.cosine:.5f}", str(self.cycles), str(self.bound),
                   f"{self.cycles / max(1, self.bound):.2f}", f"{self.seconds:.0f}"]  # fmt: skip
        return " | ".join([*words, *numbers, self.vendor])


COLUMNS = ("network", "precision", "", "relative", "cosine", "cycles", "bound", "times", "s", "")


def pictures(shape: Sequence[int], values: tuple[float, float], seed: int) -> Array:
    """Smooth colours and noise on them, from one number to another."""
    random = np.random.default_rng(seed)
    found: Array = 0.1 * random.standard_normal(shape)
    for cells in (2, 5, 11, 29):
        sides = [min(cells, side) for side in shape[2:]]
        coarse: Array = random.standard_normal((*shape[:2], *sides))
        for axis, side in enumerate(shape[2:], 2):
            coarse = _enlarged(coarse, axis, side)
        found = found + coarse * (2 / cells) ** 0.5
    rows: Array = found.reshape(shape[0], -1)
    lowest, highest = (np.asarray(f(rows, axis=1, keepdims=True)) for f in (np.min, np.max))
    low, high = values
    scaled: Array = low + (high - low) * (rows - lowest) / (highest - lowest)
    return scaled.reshape(shape).astype(np.float32)


def _enlarged(x: Array, axis: int, side: int) -> Array:
    """Linear between the numbers of an axis."""
    at: Array = np.arange(side) * (x.shape[axis] - 1) / max(1, side - 1)
    low = np.minimum(at.astype(int), max(0, x.shape[axis] - 2))
    high = np.minimum(low + 1, x.shape[axis] - 1)
    part = (at - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    before, after = (np.asarray(np.take(x, index, axis)) for index in (low, high))
    return before * (1 - part) + after * part


def expected(path: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs by onnxruntime."""
    options = cast(Any, onnxruntime).SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = cast(Any, onnxruntime).InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, dict(inputs))), strict=True))


def real_outputs(result: CompileResult) -> dict[str, Array]:
    """What the NPU model computed, as real numbers."""
    assert result.findings is not None
    assert result.contents is not None
    found: dict[str, Array] = {}
    steps = {each.name: each.scale for each in result.contents.nets[0].stages[0].outputs}
    for name, array in result.findings.outputs.items():
        step = 1.0 if array.dtype.kind == "f" else steps.get(name, 1.0)
        found[name] = array.astype(np.float64) * step
    return found


def apart(found: Mapping[str, Array], right: Mapping[str, Array]) -> tuple[float, float]:
    """The largest difference as a part of its output's largest number, and the smallest cosine."""
    worst, cosine = 0.0, 1.0
    for name, array in right.items():
        if name not in found or found[name].size != array.size:
            return np.inf, 0.0
        a, b = found[name], array.astype(np.float64)
        if a.ndim == b.ndim == 3 and a.shape[1] <= MOST_ROWS and a.shape[2] <= ROW_NUMBERS:
            a = _nearest_rows(a, b)
        a, b = a.ravel(), b.ravel()
        worst = max(worst, float(np.abs(a - b).max() / max(1e-30, np.abs(b).max())))
        sizes = np.linalg.norm(a) * np.linalg.norm(b)
        cosine = min(cosine, float(a @ b / sizes) if sizes else float(not np.any(a - b)))
    return worst, cosine


def _nearest_rows(found: Array, right: Array) -> Array:
    """Boxes in the order of ``right``: those whose scores are equal but for rounding may change
    places."""
    away = np.abs(found[:, None] - right[:, :, None]).max(axis=3)
    return np.take_along_axis(found, away.argmin(axis=2)[:, :, None], axis=1)


def reason(message: str) -> str:
    """The first lines of a refusal, or its sum by operator."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    for i, line in enumerate(lines):
        if line.startswith("in sum"):
            return "; ".join(each.partition(":")[0] for each in lines[i + 1 :])[:300]
    return " / ".join(lines[:3])[:300]


def measure(work: Work, prec: str, folder: Path) -> Row:
    """One precision of one network."""
    begin, name = time.perf_counter(), f"{work.path.parent.name}/{work.path.stem}"
    try:
        return _measured(work, name, prec, folder, begin)
    except BmnetuError as error:
        said = f"exit {error.exit_code}: {reason(error.message)}"
    except MemoryError:
        said = f"more than {work.gigabytes:g} GB"
    except Exception as error:  # a bug, which is a result here
        said = f"BUG {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return Row(name, prec, time.perf_counter() - begin, said)


def _measured(work: Work, name: str, prec: str, folder: Path, begin: float) -> Row:
    model, weights = work.path, None
    network = load_network(model, weights)
    layers = [layer for layer in network.net.layer if layer.type == "Input"]
    shapes = {layer.top[0]: tuple(layer.input_param.shape[0].dim) for layer in layers}
    inputs = {key: pictures(shape, work.values, 0) for key, shape in shapes.items()}
    right = expected(work.path, inputs)
    if prec == "INT8":
        data: dict[str, Any] = {
            key: pictures((SAMPLES * shape[0], *shape[1:]), work.values, 1)
            for key, shape in shapes.items()
        }
        np.savez(folder / "data.npz", **data)
        made = bmnetu.calibrate(
            model, None, folder / "data.npz", folder / "int8", **work.calibration
        )
        model, weights = made.prototxt, made.umodel
        network = load_network(model, weights)
    bound = lower_bound(main_function(network.module))
    result = bmnetu.compile(
        model, weights, folder / prec, prec=prec, opt=work.opt, cmp_data=inputs
    )
    relative, cosine = apart(real_outputs(result), right)
    cycles = profile(result.module).total.cycles
    vendor = _on_vendor(result) if work.vendor else ""
    seconds = time.perf_counter() - begin
    return Row(name, prec, seconds, "", relative, cosine, cycles, bound, vendor)


def _on_vendor(result: CompileResult) -> str:
    from tests.vendor.networks import difference, reference
    from tests.vendor.runtime import run_bmodel

    _limit_memory(None)  # the vendor's simulator holds all memory of the chip
    assert result.bmodel is not None
    inputs, outputs = reference(result)
    return f"vendor {difference(run_bmodel(result.bmodel, inputs, seconds=3600), outputs):.1e}"


def _limit_memory(nbytes: int | None) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard if nbytes is None else nbytes, hard))


def _work(work: Work, sender: Connection) -> None:
    """Sends a row a precision; stops behind the first that cannot be compiled."""
    for prec in work.precisions:
        _limit_memory(round(work.gigabytes * GIGABYTE))
        with tempfile.TemporaryDirectory() as folder:
            row = measure(work, prec, Path(folder))
        sender.send(row)
        if row.said.startswith("exit 4"):
            break
    sender.send(None)


def rows(work: Work, seconds: float) -> list[Row]:
    """What a process of its own finds, and why it ended if it did so early."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(work, sender))
    begin, found = time.perf_counter(), list[Row]()
    process.start()
    sender.close()
    said = "ended early"
    try:
        while receiver.poll(begin + seconds - time.perf_counter()):
            row = receiver.recv()
            if row is None:
                process.join()
                return found
            found.append(row)
        said = f"not done after {seconds:.0f} s"
        process.kill()
    except EOFError:
        pass
    process.join()
    prec, name = work.precisions[len(found)], f"{work.path.parent.name}/{work.path.stem}"
    said += f", exit code {process.exitcode}"
    return [*found, Row(name, prec, time.perf_counter() - begin, said)]


def value_ranges(folder: Path) -> dict[str, tuple[float, float]]:
    """What ``inputs.json`` beside the exports says, by name."""
    for place in (folder, folder.parent):
        if (place / "inputs.json").exists():
            return json.loads((place / "inputs.json").read_text())
    return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with .onnx files, at any depth")
    parser.add_argument("--only", help="names without .onnx, with commas between them")
    parser.add_argument("--opt", type=int, default=2)
    parser.add_argument("--precisions", default="FP32,INT8")
    parser.add_argument("--vendor", action="store_true")
    parser.add_argument("--calibrate", choices=("fast", "default"), default="fast",
                        help="by the maximum alone, or as bmnetu-calibrate does")  # fmt: skip
    parser.add_argument("--gigabytes", type=float, default=8, help="the most memory of one network")
    parser.add_argument("--minutes", type=float, default=60, help="the most time of one network")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    ranges, chosen = value_ranges(folder), (arguments.only or "").split(",")
    found: list[Row] = []
    for path in sorted(folder.rglob("*.onnx")):
        if arguments.only and path.stem not in chosen:
            continue
        low, high = ranges.get(path.stem, NORMALISED)
        work = Work(
            path, (low, high), tuple(arguments.precisions.split(",")), arguments.opt,
            arguments.vendor, FAST if arguments.calibrate == "fast" else {}, arguments.gigabytes,
        )  # fmt: skip
        for row in rows(work, 60 * arguments.minutes):
            print(row.line(), flush=True)
            found.append(row)
    print("\n| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    print("\n".join(f"| {row.cells()} |" for row in found))


if __name__ == "__main__":
    main()
