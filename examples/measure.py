"""The examples' main job: calibrate a float net, compile it to INT8 with the compare, and measure
it in three ways: in float, in the exact integer arithmetic of the CPU reference, and by the
bmodel's own commands on the NPU model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context

from bmnetu.bmodel import Bmodel, Stage, StoreMode, Tensor, read
from bmnetu.cli import calibrate_main
from bmnetu.cli import main as compile_main
from bmnetu.emit import program_of
from bmnetu.frontend import load_network
from dialects.execute import execute
from dialects.quant import reference as quant
from dialects.ufw import reference as ufw
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.module.functions import main_function
from passes.verification import npu

Array = NDArray[Any]


@dataclass(frozen=True)
class FloatNet:
    """The files of a float net with one input and one output, a score for every class."""

    model: Path
    weight: Path

    def scores(self, images: Array, batch: int) -> Array:
        """N x classes, of real inputs."""
        module = load_network(self.model, self.weight, max_n=batch).module
        return in_batches(
            images, batch, lambda some: execute(main_function(module), [some], ufw.evaluate)[0]
        )


@dataclass(frozen=True)
class IntegerNet:
    """The files of the same net in INT8."""

    model: Path
    weight: Path
    bmodel: Path

    @staticmethod
    def made_of(net: FloatNet, data: Path, outdir: Path, *, batch: int, opt: int) -> IntegerNet:
        """Calibrates on the data and compiles with the compare; ends the program on an error."""
        name = net.model.stem
        made = IntegerNet(outdir / f"{name}_deploy_int8_unique_top.prototxt",
                          outdir / f"{name}.int8umodel", outdir / "compilation.bmodel")  # fmt: skip
        must(calibrate_main, f"-model={net.model}", f"-weight={net.weight}", f"-data={data}",
             f"-outdir={outdir}")  # fmt: skip
        must(compile_main, f"-model={made.model}", f"-weight={made.weight}", "-prec=INT8",
             f"-max_n={batch}", f"-opt={opt}", f"-outdir={outdir}")  # fmt: skip
        return made

    def contents(self) -> Bmodel:
        return read(self.bmodel.read_bytes(), str(self.bmodel))

    def stage(self) -> Stage:
        return self.contents().nets[0].stages[0]

    def quantized(self, images: Array) -> Array:
        """Real inputs as the int8 input, by the scale that the bmodel gives."""
        scale = np.float32(self.stage().inputs[0].scale)
        return np.clip(np.rint(images * scale), -128, 127).astype(np.int8)

    def cpu_scores(self, integers: Array) -> Array:
        """N x classes, of int8 inputs, in the integer arithmetic of the CPU reference."""
        batch = self.stage().inputs[0].shape[0]
        module = load_network(self.model, self.weight, max_n=batch).module
        ConvertUfwToQuantPass().apply(Context(), module)
        return in_batches(
            integers, batch, lambda some: execute(main_function(module), [some], quant.evaluate)[0]
        )

    def npu_scores(self, integers: Array) -> Array:
        """The same by the commands in the bmodel, on the NPU model."""
        program, stage = program_of(self.contents(), str(self.bmodel)), self.stage()
        source, result = place(stage.inputs[0]), place(stage.outputs[0])

        def run(some: Array) -> Array:
            memory = npu.execute(program, {source: some}, noise=0)
            return npu.read_tensor(memory, result.observation())

        return in_batches(integers, source.shape[0], run)


def place(tensor: Tensor) -> npu.NetworkTensor:
    """Where the NPU model finds an input or output of the bmodel."""
    packed = tensor.store_mode is StoreMode.N4
    kind = tensor.data_type.numpy.name
    return npu.NetworkTensor(
        tensor.name, tensor.shape, kind, tensor.address, tensor.size, tensor.scale, packed
    )


def in_batches(images: Array, batch: int, run: Callable[[Array], Array]) -> Array:
    """What ``run`` gives for all images, of batches of one size; zeros fill up the last one."""
    results: list[Array] = []
    for start in range(0, len(images), batch):
        some = np.zeros((batch, *images.shape[1:]), images.dtype)
        given = images[start : start + batch]
        some[: len(given)] = given
        results.append(run(some)[: len(given)].reshape(len(given), -1))
    return np.concatenate(results)


def must(tool: Callable[[list[str]], int], *words: str) -> None:
    """Runs a command line; ends when it fails."""
    code = tool(list(words))
    if code:
        sys.exit(code)


def measure(real: FloatNet, integer: IntegerNet, images: Array, labels: Array) -> str:
    """One line: the accuracy in each way. Ends the program where the NPU model differs."""
    batch = integer.stage().inputs[0].shape[0]
    integers = integer.quantized(images)
    cpu, chip = integer.cpu_scores(integers), integer.npu_scores(integers)
    guesses = [scores.argmax(axis=1) for scores in (real.scores(images, batch), cpu, chip)]
    differing = int(np.sum(guesses[1] != guesses[2]))
    if differing:
        sys.exit(f"{integer.bmodel}: {differing} guesses of the NPU model are not those of the CPU")
    before, after, same = (100 * np.count_nonzero(g == labels) / len(labels) for g in guesses)
    return (f"accuracy on {len(images)} test images: FP32 {before:.2f}%, INT8 {after:.2f}% "
            f"({after - before:+.2f} points), on the NPU model {same:.2f}%")  # fmt: skip
