"""Calibrates small nets, and runs them in float and in the integer arithmetic of the compiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bmnetu.calibration import CalibrationResult, calibrate_network
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.frontend import Network, Precision, load_network
from bmnetu.frontend.ufw_pb2 import ActivationScale, LayerParameter, NetParameter
from bmnetu.options import calibrate_options
from dialects.constant import Array
from dialects.execute import execute
from dialects.ufw import reference as ufw
from dialects.ufw.layer import shape_of
from passes.module.functions import main_function, names
from tests.networks import random_weights

Arrays = Mapping[str, Array]


def data_layer(*shape: int, name: str = "data") -> str:
    """An Input layer as text."""
    dims = " ".join(f"dim: {dim}" for dim in shape)
    settings = f"input_param {{ shape {{ {dims} }} }}"
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" {settings} }}\n'


def layer(kind: str, bottom: str, top: str, settings: str = "") -> str:
    """A layer as text, named TYPE_TOP; several blobs stand with spaces between them."""
    bottoms = " ".join(f'bottom: "{blob}"' for blob in bottom.split())
    tops = " ".join(f'top: "{blob}"' for blob in top.split())
    name = "_".join([kind, *top.split()[:1]])
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {tops} {settings} }}\n'


@dataclass(frozen=True)
class Files:
    """A float net on disk."""

    folder: Path
    model: Path
    weight: Path

    @staticmethod
    def of(folder: Path, text: str, weights: NetParameter | None = None) -> Files:
        """Writes a prototxt and its weights, seeded random ones where none are given."""
        model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
        model.write_text(text)
        weight.write_bytes((weights or random_weights(model, seed=1)).SerializeToString())
        return Files(folder, model, weight)

    def samples(self, count: int = 16, seed: int = 0, spread: float = 1.0) -> dict[str, Array]:
        """Normal random numbers for every input, ``count`` batches."""
        function = main_function(load_network(self.model, self.weight).module)
        random = np.random.default_rng(seed)
        arrays: dict[str, Array] = {}
        for name, arg in zip(names(function, "input_names"), function.body.block.args, strict=True):
            batch, *rest = shape_of(arg)
            real = spread * random.standard_normal((count * batch, *rest))
            arrays[name] = real.astype(np.float32)
        return arrays

    def calibrate(self, data: Arrays | Path, **flags: Any) -> Calibrated:
        """Runs the calibration over arrays or a data path, with one method, KL by default."""
        path = data if isinstance(data, Path) else self.folder / "data.npz"
        if not isinstance(data, Path):
            np.savez(path, allow_pickle=False, **data)
        lines: list[str] = []
        outdir = flags.pop("outdir", self.folder / "out")
        flags.setdefault("th_method", "KL")
        options = calibrate_options(
            model=self.model, weight=self.weight, data=path, outdir=outdir, **flags
        )
        return Calibrated(self, calibrate_network(options, lines.append), lines)


@dataclass(frozen=True)
class Calibrated:
    """A calibrated net and what the calibration reported."""

    files: Files
    result: CalibrationResult
    lines: list[str]

    def load(self) -> Network:
        network = load_network(self.result.prototxt, self.result.umodel)
        assert network.precision is Precision.INT8
        assert not network.notes
        return network

    def message(self) -> NetParameter:
        """The int8umodel."""
        return NetParameter.FromString(self.result.umodel.read_bytes())

    def layers(self) -> dict[str, LayerParameter]:
        return {each.name: each for each in self.message().layer}

    def records(self) -> dict[str, ActivationScale]:
        return {record.blob: record for record in self.message().activation}

    def notes(self) -> list[str]:
        return [line for line in self.lines if line.startswith("note: ")]

    def float_outputs(self, inputs: Arrays) -> dict[str, Array]:
        """What the float net computes on one batch."""
        function = main_function(load_network(self.files.model, self.files.weight).module)
        found = execute(function, inputs, ufw.evaluate)
        return dict(zip(names(function, "output_names"), found, strict=True))

    def int8_outputs(self, inputs: Arrays) -> dict[str, Array]:
        """The same in integer arithmetic, as real numbers."""
        return Int8Net(self.load().module).run(inputs)


def batch(arrays: Arrays, index: int, size: int = 1) -> dict[str, Array]:
    """One batch of a data set."""
    return {name: array[index * size : (index + 1) * size] for name, array in arrays.items()}


def cosine(a: Array, b: Array) -> float:
    """The cosine of the angle between two tensors."""
    x, y = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))
