"""``python -m tests.bench.corpus FOLDER``: how the prototxts of a folder fare, as a table.

Each gets seeded random weights. A line says what ``-check`` found, then the cycles of FP32 and of
INT8 (calibrated on two random inputs), both compiled with the compare; with ``--vendor`` also the
difference from the real BMRuntime. A network that cannot be compiled has its reason there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from ast import literal_eval
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import bmnetu
from bmnetu.errors import BmnetuError
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.report.profile import profile
from tests.networks import random_weights

Array = NDArray[Any]
Shapes = list[tuple[int, ...]]
SAMPLES = 2


@dataclass(frozen=True)
class Work:
    """What is done with one prototxt."""

    prototxt: Path
    folder: Path
    precisions: tuple[str, ...]
    opt: int
    vendor: bool
    shapes: Shapes | None


def data_of(net: NetParameter) -> dict[str, Array]:
    """Random values for every input, like those of an image; the batch is SAMPLES of them."""
    random = np.random.default_rng(1)
    found: dict[str, Array] = {}
    for layer in net.layer:
        if layer.type == "Input":
            batch, *rest = layer.input_param.shape[0].dim
            shape = (batch * SAMPLES, *rest)
            found[layer.top[0]] = random.normal(0, 40, shape).astype(np.float32)
    return found


def measure(work: Work) -> str:
    """The line of one prototxt."""
    words = [f"{work.prototxt.stem:24}"]
    try:
        check = bmnetu.check(work.prototxt, work.shapes)
        words.append("whole" if check.ok else check.verdict.rpartition(": ")[2])
        if not check.ok:
            return "  ".join(words)
        net = random_weights(work.prototxt, 0, shapes=work.shapes)
        weights = work.folder / "net.fp32umodel"
        weights.write_bytes(net.SerializeToString())
        for prec in work.precisions:
            words.append(f"{prec} {one(work, net, weights, prec)}")
    except BmnetuError as error:
        words.append(f"exit {error.exit_code}: {' '.join(error.message.split())[:300]}")
    except Exception as error:  # a bug, which is a result here
        words.append(f"BUG {type(error).__name__}: {str(error)[:300]}")
    return "  ".join(words)


def one(work: Work, net: NetParameter, weights: Path, prec: str) -> str:
    """Cycles, seconds and differences of one precision."""
    begin = time.perf_counter()
    model, shapes = work.prototxt, work.shapes
    if prec == "INT8":
        np.savez(work.folder / "data.npz", **cast(dict[str, Any], data_of(net)))
        found = bmnetu.calibrate(
            model, weights, work.folder / "data.npz", work.folder / "int8", shapes=shapes,
            th_method="MAX", equalize=False, adaptive_rounding=False,
        )  # fmt: skip
        model, weights = found.prototxt, found.umodel
    outdir = work.folder / prec
    result = bmnetu.compile(model, weights, outdir, prec=prec, shapes=shapes, opt=work.opt)
    cycles = profile(result.module).total.cycles
    text = f"{cycles} cycles {time.perf_counter() - begin:.0f} s"
    if work.vendor:
        from tests.vendor.networks import difference, reference
        from tests.vendor.runtime import run_bmodel

        assert result.bmodel is not None
        inputs, outputs = reference(result)
        got = run_bmodel(result.bmodel, inputs, seconds=3600)
        text += f" vendor {difference(got, outputs):.1e}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="a folder of prototxts")
    parser.add_argument("--only", nargs="*", help="names without .prototxt")
    parser.add_argument("--precisions", nargs="*", default=["FP32", "INT8"])
    parser.add_argument("--opt", type=int, default=2)
    parser.add_argument("--vendor", action="store_true")
    parser.add_argument("--shapes", nargs="*", default=[], help="NAME=[N,C,H,W],...")
    arguments = parser.parse_args()
    given: Mapping[str, str] = dict(each.split("=") for each in arguments.shapes)
    names = arguments.only or [path.stem for path in sorted(arguments.models.glob("*.prototxt"))]
    spawn = multiprocessing.get_context("spawn")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            shapes = literal_eval(f"[{given[name]}]") if name in given else None
            work = Work(
                arguments.models / f"{name}.prototxt", Path(folder),
                tuple(arguments.precisions), arguments.opt, arguments.vendor, shapes,
            )  # fmt: skip
            with ProcessPoolExecutor(1, mp_context=spawn) as pool:
                print(pool.submit(measure, work).result(), flush=True)


if __name__ == "__main__":
    main()
