"""The examples' main job: calibrate a float net, compile it to INT8 with the compare, and measure
it in three ways: in float, in the exact integer arithmetic of the CPU reference, and by the
bmodel's own commands on the NPU model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context

from bmnetu.bmodel import Bmodel, Stage, StoreMode, Tensor, read
from bmnetu.cli import calibrate_main
from bmnetu.cli import main as compile_main
from bmnetu.emit.static import program_of
from bmnetu.frontend import load_network
from dialects.execute import execute
from dialects.meaning import evaluate
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.module.functions import main_function
from passes.verification import npu

Array = NDArray[Any]
Run = Callable[[Array], Array]
"""The output of a net for one batch."""


@dataclass(frozen=True)
class FloatNet:
    """The files of a float net with one input and one output, a score for every class."""

    model: Path
    weight: Path

    def scores(self, images: Array, batch: int) -> Array:
        """N x classes, of real inputs."""
        return in_batches(images, batch, self.run(batch))

    def run(self, batch: int) -> Run:
        """In float32, of real inputs."""
        module = load_network(self.model, self.weight, max_n=batch).module
        return lambda some: execute(main_function(module), [some], evaluate)[0]


@dataclass(frozen=True)
class IntegerNet:
    """The files of the same net in INT8."""

    model: Path
    weight: Path
    bmodel: Path

    @staticmethod
    def made_of(
        net: FloatNet, data: Path, outdir: Path, *, batch: int, opt: int, flags: Sequence[str] = ()
    ) -> IntegerNet:
        """Calibrates on the data and compiles with the compare; ends the program on an error.
        ``flags`` are more flags of the compiler.
        """
        name = net.model.stem
        made = IntegerNet(outdir / f"{name}_deploy_int8_unique_top.prototxt",
                          outdir / f"{name}.int8umodel", outdir / "compilation.bmodel")  # fmt: skip
        must(calibrate_main, f"-model={net.model}", f"-weight={net.weight}", f"-data={data}",
             f"-outdir={outdir}")  # fmt: skip
        must(compile_main, f"-model={made.model}", f"-weight={made.weight}", "-prec=INT8",
             f"-max_n={batch}", f"-opt={opt}", f"-outdir={outdir}", *flags)  # fmt: skip
        return made

    def contents(self) -> Bmodel:
        return read(self.bmodel.read_bytes(), str(self.bmodel))

    def stage(self) -> Stage:
        return self.contents().nets[0].stages[0]

    def quantized(self, images: Array) -> Array:
        """Real inputs as the int8 input, by the scale that the bmodel gives."""
        scale = np.float32(self.stage().inputs[0].scale)
        return np.clip(np.rint(images * scale), -128, 127).astype(np.int8)

    @property
    def batch(self) -> int:
        return self.stage().inputs[0].shape[0]

    def cpu_scores(self, integers: Array) -> Array:
        """N x classes, of int8 inputs, in the integer arithmetic of the CPU reference."""
        return in_batches(integers, self.batch, self.cpu_run())

    def cpu_run(self) -> Run:
        """In the integer arithmetic of the CPU reference, of int8 inputs."""
        module = load_network(self.model, self.weight, max_n=self.batch).module
        ConvertUfwToQuantPass().apply(Context(), module)
        return lambda some: execute(main_function(module), [some], evaluate)[0]

    def npu_scores(self, integers: Array) -> Array:
        """The same by the commands in the bmodel, on the NPU model."""
        return in_batches(integers, self.batch, self.npu_run())

    def npu_run(self) -> Run:
        """By the commands in the bmodel, on the NPU model, of int8 inputs. A layer that the bmodel
        leaves to the host is computed by its meaning.
        """
        program, stage = program_of(self.contents(), str(self.bmodel)), self.stage()
        source, result = place(stage.inputs[0]), place(stage.outputs[0])

        def run(some: Array) -> Array:
            of_host: dict[str, Array] = {}

            def keep(call: int, results: list[Array]) -> None:
                names = (tensor.name for tensor in program.calls[call].outputs)
                of_host.update(zip(names, results, strict=True))

            memory = npu.execute(program, {source: some}, noise=0, on_host=keep)
            if result.name in of_host:
                return of_host[result.name]
            return npu.read_tensor(memory, result.observation())

        return run


def place(tensor: Tensor) -> npu.NetworkTensor:
    """Where the NPU model finds an input or output of the bmodel."""
    packed = tensor.store_mode is StoreMode.N4
    kind = tensor.data_type.numpy.name
    return npu.NetworkTensor(
        tensor.name, tensor.shape, kind, tensor.address, tensor.size, tensor.scale, packed
    )


def in_batches(images: Array, batch: int, run: Run) -> Array:
    """What ``run`` gives for all images, an array of numbers for each."""
    results = (run(some)[:count].reshape(count, -1) for some, count in batches(images, batch))
    return np.concatenate(list(results))


def batches(images: Array, batch: int) -> Iterator[tuple[Array, int]]:
    """All images in batches of one size, with how many there are in each; zeros fill up the last
    one.
    """
    for start in range(0, len(images), batch):
        some = np.zeros((batch, *images.shape[1:]), images.dtype)
        given = images[start : start + batch]
        some[: len(given)] = given
        yield some, len(given)


def must(tool: Callable[[list[str]], int], *words: str) -> None:
    """Runs a command line; ends when it fails."""
    code = tool(list(words))
    if code:
        sys.exit(code)


def measure(real: FloatNet, integer: IntegerNet, images: Array, labels: Array) -> str:
    """One line: the accuracy in each way. Ends the program where the NPU model differs."""
    batch, integers = integer.batch, integer.quantized(images)
    cpu, chip = integer.cpu_scores(integers), integer.npu_scores(integers)
    guesses = [scores.argmax(axis=1) for scores in (real.scores(images, batch), cpu, chip)]
    differing = int(np.sum(guesses[1] != guesses[2]))
    if differing:
        sys.exit(f"{integer.bmodel}: {differing} guesses of the NPU model are not those of the CPU")
    before, after, same = (100 * np.count_nonzero(g == labels) / len(labels) for g in guesses)
    return (f"accuracy on {len(images)} test images: FP32 {before:.2f}%, INT8 {after:.2f}% "
            f"({after - before:+.2f} points), on the NPU model {same:.2f}%")  # fmt: skip
