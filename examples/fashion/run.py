"""The main job on Fashion-MNIST: calibrate, compile to INT8 with the compare, and measure.

``apt-get install dataset-fashion-mnist`` brings the data (or ``--data DIR`` names the folder with
its four files), then ``python examples/fashion/run.py`` calibrates lenet and mobilenet on some
training images and prints a line a net: the accuracy on the 10,000 test images in FP32, in the INT8
arithmetic of the CPU reference, and of the bmodel's own commands on the NPU model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[2]))

from examples.fashion import data
from examples.measure import Array, FloatNet, IntegerNet, measure

HERE = Path(__file__).parent
NETS = ("lenet", "mobilenet")
CALIBRATION_IMAGES = 256
BATCH = 100


def int8_net(name: str, images: Array, outdir: Path, *, batch: int, opt: int) -> IntegerNet:
    """Calibrated on images, N x 1 x 28 x 28 pixels from 0 to 255, and compiled into a folder."""
    outdir.mkdir(parents=True, exist_ok=True)
    samples = outdir / "calibration.npy"
    np.save(samples, images.astype(np.float32), allow_pickle=False)
    return IntegerNet.made_of(float_net(name), samples, outdir, batch=batch, opt=opt)


def float_net(name: str) -> FloatNet:
    return FloatNet(HERE / f"{name}.prototxt", HERE / f"{name}.fp32umodel")


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibrates, compiles and measures the example.")
    parser.add_argument("--data", type=Path, default=data.FOLDER)
    parser.add_argument("--outdir", type=Path, default=Path("fashion_int8"))
    parser.add_argument("--opt", type=int, default=1, help="the compiler's -opt")
    parser.add_argument("--images", type=int, help="how many test images; by default all")
    arguments = parser.parse_args()
    if arguments.images is not None and arguments.images < 1:
        parser.error("--images: a positive number is expected")
    try:
        learnt, _ = data.load(arguments.data, "train")
        images, labels = data.load(arguments.data, "t10k")
    except data.DataError as error:
        sys.exit(f"run.py: {error}")
    images, labels = images[: arguments.images], labels[: arguments.images]
    lines: list[str] = []
    for name in NETS:
        net = int8_net(name, learnt[:CALIBRATION_IMAGES], arguments.outdir / name,
                       batch=BATCH, opt=arguments.opt)  # fmt: skip
        lines.append(f"{name}: {measure(float_net(name), net, images.astype(np.float32), labels)}")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
