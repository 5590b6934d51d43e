"""``python -m tests.bench.accuracy``: what INT8 costs in accuracy, by the options, as a table.

MTCNN on labelled patches (``--patches``: an .npy of N x 25 x 25 grey values from 0 to 1, faces
first), and topologies with random weights whose BatchNorm statistics fit their data. Every number
is of images that the calibration has not seen.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image
from xdsl.ir import Operation

import bmnetu
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.thresholds import thresholds as scales
from bmnetu.calibration.thresholds.methods import METHODS
from bmnetu.frontend import load_network, write_umodel
from bmnetu.frontend.ufw_pb2 import NetParameter
from dialects.constant import Array, ConstantAttr
from dialects.execute import execute
from dialects.ufw import ops
from dialects.ufw.reference import evaluate
from passes.module.functions import main_function
from passes.module.locations import layer_name
from tests.networks import random_weights

FACES = {"pnet": 12, "rnet": 24, "onet": 48}
"""The MTCNN nets and the side of their input."""
TOPOLOGIES = ("resnet50", "mobilenet")
THRESHOLD = 0.5
CALIBRATED_EVERY = 4
SAMPLES = 8

PLAIN = {"th_method": "KL", "equalize": False, "adaptive_rounding": False, "bias_correction": False}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    **{method: {"th_method": method} for method in METHODS},
    "fixed": PLAIN,
    "plain": PLAIN,
    "equalized": PLAIN | {"equalize": True},
    "rounded": PLAIN | {"adaptive_rounding": True},
    "corrected": PLAIN | {"bias_correction": True},
    "all": {"th_method": "KL", "bias_correction": True},
}
"""Flags of bmnetu-calibrate. ``fixed`` is ``plain`` with the method's thresholds as they are;
rows without a method are KL, but for the default, AUTO."""


@dataclass(frozen=True)
class Case:
    """A float net, its calibration data and the data it is scored on: N x C x H x W."""

    name: str
    model: Path
    weight: Path
    calibration: Array
    test: Array
    score: Callable[[list[Array], list[Array]], str]


def patches_of(path: Path, side: int) -> Array:
    """Patches as inputs of an MTCNN net: bilinear, three equal channels, (x - 127.5) / 128."""
    resized = [
        np.asarray(Image.fromarray(patch.astype(np.float32) * 255).resize(
            (side, side), Image.Resampling.BILINEAR))
        for patch in np.load(path, allow_pickle=False)
    ]  # fmt: skip
    grey = (np.stack(resized) - 127.5) / 128
    return np.repeat(grey[:, None], 3, axis=1).astype(np.float32)


def faces_case(name: str, models: Path, patches: Path) -> Case:
    """An MTCNN net: every fourth patch calibrates, the others are scored."""
    images = patches_of(patches, FACES[name])
    chosen = np.arange(len(images)) % CALIBRATED_EVERY == 0
    is_face = (np.arange(len(images)) < len(images) // 2)[~chosen]

    def score(real: list[Array], found: list[Array]) -> str:
        before, after = (np.concatenate(p).reshape(len(is_face), 2)[:, 1] for p in (real, found))
        wrong = [int(np.sum((p > THRESHOLD) != is_face)) for p in (before, after)]
        return f"{wrong[0]:3} {wrong[1]:3} {np.mean(np.abs(before - after)):8.5f}"

    model = models / "caffe" / f"{name}.prototxt"
    return Case(name, model, model.with_suffix(".caffemodel"), images[chosen], images[~chosen],
                score)  # fmt: skip


def fitted_weights(model: Path, samples: Array) -> NetParameter:
    """He-initialised weights of seed 0; every BatchNorm gets the statistics of its own input."""
    weights = random_weights(model, 0)
    plain = {"BatchNorm": (0, 1, 1), "Scale": (1, 0)}
    """The blobs of a layer before its data are seen; biases are 0."""
    for layer in weights.layer:
        fills = plain.get(layer.type, (None, 0))
        for blob, fill in zip(layer.blobs, fills, strict=False):
            if fill is not None:
                blob.data[:] = [fill] * len(blob.data)
    blobs = {layer.name: layer.blobs for layer in weights.layer}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.fp32umodel"
        write_umodel(path, weights)
        network = load_network(model, path, max_n=len(samples))

    def fit(op: Operation, inputs: Any) -> Any:
        if isinstance(op, ops.BatchNormOp):
            x = inputs[0].astype(np.float64)
            mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            op.mean = ConstantAttr.of(mean.astype(np.float32))
            op.variance = ConstantAttr.of(variance.astype(np.float32))
            for blob, array in zip(blobs[layer_name(op)], (mean, variance), strict=False):
                blob.data[:] = array
        return evaluate(op, inputs)

    execute(main_function(network.module), [samples], fit)
    return weights


def random_case(name: str, models: Path, folder: Path) -> Case:
    """A topology with random weights: the cosine of the logits and of the softmax behind them."""
    model = models / "peer" / f"{name}.prototxt"
    random = np.random.default_rng(0)
    shape = (2 * SAMPLES, 3, 224, 224)
    images = random.standard_normal(shape, np.float32)
    weight = folder / f"{name}.fp32umodel"
    if not weight.exists():
        write_umodel(weight, fitted_weights(model, images[:SAMPLES]))

    def score(real: list[Array], found: list[Array]) -> str:
        before, after = np.concatenate(real), np.concatenate(found)
        return " ".join(f"{cosine(f(before), f(after)):.5f}" for f in (logits, np.asarray))

    return Case(name, model, weight, images[:SAMPLES], images[SAMPLES:], score)


def logits(probability: Array) -> Array:
    """What a softmax was taken of, without its mean, which the softmax drops."""
    found = np.log(probability.astype(np.float64).reshape(len(probability), -1))
    return found - found.mean(axis=1, keepdims=True)


def cosine(a: Array, b: Array) -> float:
    x, y = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def measure(case: Case, options: Mapping[str, Any]) -> str:
    """Calibrates, runs both nets and scores the outputs named last."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "data.npy", case.calibration, allow_pickle=False)
        start = time.perf_counter()
        made = bmnetu.calibrate(case.model, case.weight, folder / "data.npy", folder, **options)
        seconds = time.perf_counter() - start
        int8 = Int8Net(load_network(made.prototxt, made.umodel).module)
    network = load_network(case.model, case.weight)
    function = main_function(network.module)
    real: list[Array] = []
    found: list[Array] = []
    for image in case.test:
        real.append(execute(function, [image[None]], evaluate)[-1])
        found.append(int8.run({network.net.layer[0].top[0]: image[None]})[int8.output_names[-1]])
    return f"{case.score(real, found)}  {seconds:6.1f}s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with caffe/ and peer/")
    parser.add_argument("--patches", type=Path, required=True, help="the patches, an .npy")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps random weights")
    parser.add_argument("--nets", nargs="*", default=[*FACES, *TOPOLOGIES])
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=VARIANTS)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in arguments.nets:
        if name in FACES:
            case = faces_case(name, arguments.models, arguments.patches)
        else:
            case = random_case(name, arguments.models, arguments.work)
        for variant in arguments.variants:
            octaves = np.zeros(1) if variant == "fixed" else scales.OCTAVES
            with mock.patch.object(scales, "OCTAVES", octaves):
                score = measure(case, VARIANTS[variant])
            print(f"{name:10} {variant:12} {score}", flush=True)


if __name__ == "__main__":
    main()
