"""Compiles the networks of the models folder and runs them on the vendor's software."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bmnetu
from bmnetu.frontend import load_network
from bmnetu.report.result import CompileResult
from tests.networks import random_weights
from tests.vendor.runtime import replay, run_bmodel

Array = NDArray[Any]
FLOAT_TOLERANCE = 1e-3


def models() -> Path:
    """The folder with the networks, from BMNETU_MODELS."""
    folder = os.environ.get("BMNETU_MODELS")
    if not folder:
        raise RuntimeError("set BMNETU_MODELS to the folder with caffe/, prototxt/ and peer/")
    return Path(folder)


@dataclass(frozen=True)
class Job:
    """One compilation: a network of the models folder, its precision, opt level and batch."""

    network: str
    prec: str
    opt: int
    batch: int

    def __str__(self) -> str:
        return f"{self.network}-{self.prec}-opt{self.opt}-n{self.batch}"


def network_files(network: str, work: Path) -> tuple[Path, Path]:
    """Prototxt and float weights; networks without weights get seeded random ones."""
    prototxt = models() / f"{network}.prototxt"
    weights = prototxt.with_suffix(".caffemodel")
    if not weights.exists():
        weights = work / f"{network.replace('/', '_')}.caffemodel"
        if not weights.exists():
            weights.write_bytes(random_weights(prototxt, 0).SerializeToString())
    return prototxt, weights


def int8_files(network: str, work: Path) -> tuple[Path, Path]:
    """Prototxt and int8umodel, calibrated on eight random inputs."""
    folder = work / f"{network.replace('/', '_')}_int8"
    if not folder.exists():
        prototxt, weights = network_files(network, work)
        inputs = load_network(prototxt, weights).net.layer[0]
        shape = tuple(inputs.input_param.shape[0].dim)
        data = np.random.default_rng(1).standard_normal((8, *shape[1:]), np.float32)
        np.savez(work / "data.npz", data)
        bmnetu.calibrate(
            prototxt, weights, work / "data.npz", folder,
            th_method="MAX", equalize=False, adaptive_rounding=False,
        )  # fmt: skip
    return next(folder.glob("*.prototxt")), next(folder.glob("*.int8umodel"))


def compiled(job: Job, work: Path) -> CompileResult:
    """Compiles with the compare on."""
    files = int8_files if job.prec == "INT8" else network_files
    model, weight = files(job.network, work)
    outdir = work / str(job).replace("/", "_")
    return bmnetu.compile(
        model, weight, outdir, prec=job.prec, opt=job.opt, max_n=job.batch, seed=job.batch
    )


def reference(result: CompileResult) -> tuple[dict[str, Array], dict[str, Array]]:
    """The inputs and outputs that the compare used."""
    assert result.findings is not None
    return result.findings.inputs, result.findings.outputs


def difference(got: dict[str, Array], expected: dict[str, Array]) -> float:
    """0 when all integers are equal and floats equal; else the largest error, infinite for
    unequal integers. Float errors are relative to max(1, |expected|).
    """
    worst = 0.0
    for name, array in expected.items():
        if array.dtype.kind != "f":
            worst = worst if np.array_equal(got[name], array) else np.inf
        else:
            gap = np.abs(got[name].astype(np.float64) - array) / np.maximum(1, np.abs(array))
            worst = max(worst, float(gap.max()))
    return worst


def on_vendor(result: CompileResult, seed: int) -> tuple[float, float]:
    """(difference on the real BMRuntime, difference in a replay in random order on noise)."""
    assert result.bmodel is not None
    inputs, outputs = reference(result)
    real = run_bmodel(result.bmodel, inputs)
    replayed = replay(result.bmodel, inputs, order_seed=seed, noise_seed=seed)
    return difference(real, outputs), difference(replayed, outputs)
