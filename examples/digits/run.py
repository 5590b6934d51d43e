"""The main job, on a small net: calibrate, compile to INT8 with the compare, and measure.

``python examples/digits/run.py [--outdir DIR]`` writes the int8umodel and compilation.bmodel, then
gives the accuracy on test images that the net has not seen: in FP32, in the INT8 arithmetic of the
CPU reference, and, for a sample, of the bmodel's own commands on the NPU model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context

from bmnetu.bmodel import StoreMode, Tensor, read
from bmnetu.cli import calibrate_main
from bmnetu.cli import main as compile_main
from bmnetu.emit import program_of
from bmnetu.frontend import load_network
from dialects.execute import execute
from dialects.quant import reference as quant
from dialects.ufw import reference as ufw
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.support.program import main_function
from passes.verification import npu

Array = NDArray[Any]

HERE = Path(__file__).parent
MODEL, WEIGHTS = HERE / "digits.prototxt", HERE / "digits.fp32umodel"
NPU_SAMPLE = 100


def float_guesses(images: Array) -> Array:
    """The digits that the float net sees in N x 1 x 8 x 8 pixels."""
    module = load_network(MODEL, WEIGHTS, shapes=[images.shape]).module
    (probabilities,) = execute(main_function(module), [images], ufw.evaluate)
    return probabilities.argmax(axis=1)


def integer_guesses(images: Array, prototxt: Path, umodel: Path, scale: float) -> Array:
    """The same in the exact integer arithmetic of the bmodel."""
    module = load_network(prototxt, umodel, shapes=[images.shape]).module
    ConvertUfwToQuantPass().apply(Context(), module)
    (probabilities,) = execute(main_function(module), [quantized(images, scale)], quant.evaluate)
    return probabilities.argmax(axis=1)


def npu_guesses(images: Array, bmodel: Path) -> Array:
    """The same by the commands in the bmodel, image by image on the NPU model."""
    contents = read(bmodel.read_bytes(), str(bmodel))
    program, stage = program_of(contents, str(bmodel)), contents.nets[0].stages[0]
    source, result = stage.inputs[0], place(stage.outputs[0])
    guesses: list[int] = []
    for image in images:
        inputs = {place(source): quantized(image[None], source.scale)}
        memory = npu.execute(program, inputs, noise=0)
        guesses.append(int(npu.read_tensor(memory, result.observation()).argmax()))
    return np.array(guesses)


def place(tensor: Tensor) -> npu.NetworkTensor:
    """Where the NPU model finds an input or output of the bmodel."""
    packed = tensor.store_mode is StoreMode.N4
    kind = tensor.data_type.numpy.name
    return npu.NetworkTensor(
        tensor.name, tensor.shape, kind, tensor.address, tensor.size, tensor.scale, packed
    )


def quantized(images: Array, scale: float) -> Array:
    """Pixels as the int8 input; ``scale`` is the bmodel's, 127 / threshold."""
    return np.clip(np.rint(images * np.float32(scale)), -128, 127).astype(np.int8)


def must(tool: Callable[[list[str]], int], *words: str) -> None:
    """Runs a command line; ends when it fails."""
    code = tool(list(words))
    if code:
        sys.exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibrates, compiles and measures the example.")
    parser.add_argument("--outdir", type=Path, default=Path("digits_int8"))
    outdir: Path = parser.parse_args().outdir
    prototxt = outdir / "digits_deploy_int8_unique_top.prototxt"
    umodel, bmodel = outdir / "digits.int8umodel", outdir / "compilation.bmodel"
    must(calibrate_main, f"-model={MODEL}", f"-weight={WEIGHTS}", f"-data={HERE / 'calibration'}",
         f"-outdir={outdir}")  # fmt: skip
    must(compile_main, f"-model={prototxt}", f"-weight={umodel}", "-prec=INT8", f"-outdir={outdir}")
    with np.load(HERE / "test.npz") as test:
        images, labels = test["images"].astype(np.float32)[:, None], test["labels"]
    scale = read(bmodel.read_bytes(), str(bmodel)).nets[0].stages[0].inputs[0].scale
    sample = images[:NPU_SAMPLE]
    integers = integer_guesses(images, prototxt, umodel, scale)
    chip = npu_guesses(sample, bmodel)
    print(f"accuracy on {len(images)} test images: "
          f"FP32 {np.mean(float_guesses(images) == labels):.1%}, "
          f"INT8 {np.mean(integers == labels):.1%}")  # fmt: skip
    print(f"accuracy on {len(sample)} of them on the NPU model: "
          f"INT8 {np.mean(chip == labels[:NPU_SAMPLE]):.1%}, "
          f"{np.mean(chip == integers[:NPU_SAMPLE]):.0%} as the CPU")  # fmt: skip


if __name__ == "__main__":
    main()
