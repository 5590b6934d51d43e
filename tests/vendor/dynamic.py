"""Compiles random networks for shapes that are chosen at run time, and runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import FuncOp

import bmnetu
from bmnetu.bmodel import read
from bmnetu.emit.dynamic import dynamic_program
from bmnetu.frontend.network import loader
from bmnetu.frontend.samples import AXES, Sampler
from bmnetu.options import PassOptions
from bmnetu.pipeline import run_pipeline
from bmnetu.report.result import CompileResult
from bmnetu.ways.dynamic import DYNAMIC, KEEP
from dialects.bm1684.chip import BM1684
from dialects.bm1684.record.machine import execute as execute_records
from dialects.execute import execute
from dialects.meaning import evaluate
from dialects.quant import types
from passes.module.functions import SAMPLE, functions, main_function, names, reference_module
from passes.verification.inputs import random_inputs
from tests.calibration.harness import Files
from tests.vendor.runtime import Array, run_bmodel_often

Shapes = list[tuple[int, ...]]
FLOAT_TOLERANCE = 1e-3
"""Allowed |vendor - ours| / max(1, |ours|) of float outputs."""


@dataclass(frozen=True)
class Dynamic:
    """A network that was compiled for run-time shapes, of which ``largest`` are the largest."""

    model: Path
    weight: Path
    result: CompileResult
    largest: Shapes

    def smaller(self, rng: Random, part: int = 2) -> Shapes:
        """Random shapes that the compiler allows, of at least one ``part`` of each dimension."""
        shapes = [list(shape) for shape in self.largest]
        for name, extent in self.result.free.items():
            step = self.result.steps[name]
            lowest = max(1, -(-extent // part))
            size = extent - step * rng.randint(0, (extent - lowest) // step)
            for shape in shapes:
                shape[AXES[name]] = size
        return [tuple(shape) for shape in shapes]

    def reference(self, shapes: Shapes) -> FuncOp:
        """The network at these shapes as the compiler means it: float layers, or the integer ones
        that it becomes beside the samples."""
        load = loader(self.model, self.weight)
        network = load(self.largest)
        Sampler(load, self.largest, fixed=dict(self.result.fixed)).sampled(network)
        wanted = main_function(load(shapes).module)
        wanted.detach()
        wanted.sym_name = StringAttr("wanted")
        wanted.attributes[SAMPLE] = ArrayAttr([StringAttr("all")])
        network.module.body.block.add_op(wanted)
        passes = DYNAMIC.passes(PassOptions(prec=self.result.precision, cmp=False))
        run_pipeline(network.module, passes[: passes.index(KEEP) + 1])
        kept = reference_module(network.module)
        assert kept is not None
        return functions(kept)[-1]

    def on_our_model(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What our model of the firmware makes of the file."""
        assert self.result.bmodel is not None
        bmodel = read(self.result.bmodel.read_bytes(), "file")
        program = dynamic_program(bmodel, "file")
        memory = np.random.default_rng(1).integers(0, 256, program.ddr_bytes, np.uint8)
        memory[: len(program.coeff)] = np.frombuffer(program.coeff, np.uint8)
        stage = bmodel.nets[0].stages[0]
        given = {
            id: inputs[each.name]
            for id, each in zip(program.stream.inputs, stage.inputs, strict=True)
        }
        found = execute_records(program.stream, memory, BM1684.context_start, given)
        return {
            each.name: found[id].view(each.data_type.numpy)
            for id, each in zip(program.stream.outputs, stage.outputs, strict=True)
        }


def compiled(folder: Path, text: str, precision: str, seed: int) -> Dynamic:
    """Compiles a net with random weights. Raises UnsupportedError."""
    files = Files.of(folder, text)
    model, weight = files.model, files.weight
    if precision == "INT8":
        flags = {"th_method": "MAX", "equalize": False, "adaptive_rounding": False}
        found = files.calibrate(files.samples(count=2), **flags).result
        model, weight = found.prototxt, found.umodel
    largest = list(loader(model, weight)(None).input_shapes)
    result = bmnetu.compile(
        model, weight, folder / "compiled", precision, dyn=True, opt=seed % 3, seed=seed
    )
    return Dynamic(model, weight, result, largest)


def random_given(function: FuncOp, seed: int) -> dict[str, Array]:
    """Random inputs of a function."""
    args = function.body.block.args
    kinds = [(types.shape_of(arg), types.dtype_of(arg)) for arg in args]
    return dict(zip(names(function, "input_names"), random_inputs(kinds, seed), strict=True))


def differences(dynamic: Dynamic, shapes: Sequence[Shapes], seed: int) -> list[str]:
    """What the runtime computes otherwise at these shapes than the reference and our model do: a
    line for each output that differs."""
    references = [dynamic.reference(each) for each in shapes]
    given = [random_given(f, seed + i) for i, f in enumerate(references)]
    assert dynamic.result.bmodel is not None
    found = run_bmodel_often(dynamic.result.bmodel, given)
    lines: list[str] = []
    for each, function, inputs, outputs in zip(shapes, references, given, found, strict=True):
        expected = dict(
            zip(names(function, "output_names"), execute(function, inputs, evaluate), strict=True)
        )
        for what, ours in (("reference", expected), ("model", dynamic.on_our_model(inputs))):
            lines += [f"{each}, {what}: {line}" for line in unlike(outputs, ours)]
    return lines


def unlike(found: Mapping[str, Array], expected: Mapping[str, Array]) -> list[str]:
    """The outputs that differ, integers in any way, floats by more than the tolerance."""
    lines: list[str] = []
    if list(found) != list(expected):
        return [f"outputs {list(found)}, not {list(expected)}"]
    for name, ours in expected.items():
        theirs = found[name]
        if (theirs.shape, theirs.dtype) != (ours.shape, ours.dtype):
            lines.append(f"{name} is {theirs.dtype}{theirs.shape}, not {ours.dtype}{ours.shape}")
            continue
        if ours.dtype != np.float32:
            bad = theirs != ours
        else:
            known = np.isfinite(ours)
            with np.errstate(all="ignore"):
                error = np.abs(theirs.astype(np.float64) - ours) / np.maximum(1, np.abs(ours))
                bad = known & ~(error < FLOAT_TOLERANCE)
        if bad.any():
            place = tuple(np.argwhere(bad)[0].tolist())
            lines.append(
                f"{name}: {np.count_nonzero(bad)} of {bad.size} differ, first at {place}:"
                f" {theirs[place]}, not {ours[place]}"
            )
    return lines
