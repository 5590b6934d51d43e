"""The main job on a detector: draw, train, calibrate, compile whole to INT8, measure, show.

``python examples/detect/run.py [--outdir DIR]`` draws pictures, trains the SSD of ssd.prototxt on
them, and compiles it to INT8: the NPU computes the heads, and the DetectionOutput layer is a CPU
subnet of the same bmodel. It gives the mean average precision on pictures that the net has not
seen: in FP32, in the INT8 arithmetic of the CPU reference, and of the bmodel's own commands on the
NPU model; and draws the boxes into found.png.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[2]))

from bmnetu.calibration.detection.boxes import Detections, by_image
from bmnetu.calibration.detection.precision import MEASURES, Precision
from bmnetu.frontend import write_umodel
from examples.detect.draw import Picture, pictures
from examples.detect.net import Detector
from examples.detect.show import sheet
from examples.detect.train import train
from examples.measure import Array, FloatNet, IntegerNet, Run, batches
from examples.training import umodel

HERE = Path(__file__).parent
TRAINING, CALIBRATION = 2000, 64
"""How many pictures."""
BATCH = 20
SHOWN = 16
TOLERANCE = 1e-3
"""The softmax is float: NPU and CPU may round it differently."""


def trained(seed: int, steps: int, weight: Path) -> FloatNet:
    """Draws pictures, trains the net and writes its weights."""
    random = np.random.default_rng(seed)
    detector = Detector(random)
    train(detector, pictures(TRAINING, seed), random, steps=steps)
    write_umodel(weight, umodel("ssd", detector.layers))
    return FloatNet(HERE / "ssd.prototxt", weight)


def compiled(net: FloatNet, calibration: Array, compare: Array, outdir: Path) -> IntegerNet:
    """Calibrated on some pictures; the compare runs on others, one batch."""
    data, given = outdir / "calibration.npy", outdir / "compare.npy"
    for path, array in ((data, calibration), (given, compare)):
        np.save(path, array, allow_pickle=False)
    return IntegerNet.made_of(net, data, outdir, batch=len(compare), opt=2,
                              flags=[f"-cmp_data={given}"])  # fmt: skip


def inputs(some: Sequence[Picture]) -> Array:
    """What the net takes: N x 3 x 64 x 64 pixels from 0 to 255."""
    return np.stack([picture.pixels for picture in some]).astype(np.float32)


def detections(images: Array, batch: int, run: Run) -> list[Detections]:
    """What is found in each image."""
    found: list[Detections] = []
    for some, count in batches(images, batch):
        found += by_image(run(some), count, centred=False)
    return found


def alike(some: Detections, others: Detections) -> bool:
    """Whether both are the same, in whatever order."""
    first, second = (np.column_stack([x.labels, x.scores, x.boxes]) for x in (some, others))
    if len(first) != len(second) or not len(first):
        return len(first) == len(second)
    away = np.abs(first[:, None] - second[None]).max(axis=-1)
    return bool(max(away.min(axis=0).max(), away.min(axis=1).max()) <= TOLERANCE)


def precision(found: Sequence[Detections], test: Sequence[Picture]) -> Precision:
    """How much of the pictures is found."""
    total = Precision()
    for some, picture in zip(found, test, strict=True):
        total.watch(some, picture.truth())
    return total


def measure(real: FloatNet, integer: IntegerNet, test: Sequence[Picture], outdir: Path) -> str:
    """A line a measure: the mean average precision in each way. Draws what the NPU model finds.
    Ends the program where that is not what the CPU reference finds.
    """
    images, batch = inputs(test), integer.batch
    integers = integer.quantized(images)
    in_float = detections(images, batch, real.run(batch))
    cpu = detections(integers, batch, integer.cpu_run())
    chip = detections(integers, batch, integer.npu_run())
    differing = sum(not alike(*pair) for pair in zip(cpu, chip, strict=True))
    if differing:
        sys.exit(f"{integer.bmodel}: in {differing} pictures the NPU model finds other boxes than"
                 " the CPU reference")  # fmt: skip
    sheet(test[:SHOWN], chip[:SHOWN]).save(outdir / "found.png")
    ways = [precision(found, test) for found in (in_float, cpu, chip)]
    lines: list[str] = []
    for name in MEASURES:
        before, after, same = (way.mean(name) for way in ways)
        lines.append(
            f"mAP (IoU {name}) on {len(test)} test pictures: FP32 {before:.2f}%, INT8 {after:.2f}% "
            f"({after - before:+.2f} points), on the NPU model {same:.2f}%"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains, compiles and measures a detector.")
    parser.add_argument("--outdir", type=Path, default=Path("detect_int8"))
    parser.add_argument("--steps", type=int, default=400, help="steps of the training")
    parser.add_argument("--images", type=int, default=200, help="how many test pictures")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if min(arguments.steps, arguments.images) < 1:
        parser.error("--steps and --images: positive numbers are expected")
    outdir, seed = arguments.outdir, arguments.seed
    outdir.mkdir(parents=True, exist_ok=True)
    real = trained(seed, arguments.steps, outdir / "ssd.fp32umodel")
    test = pictures(arguments.images, seed + 1)
    others = inputs(pictures(CALIBRATION + BATCH, seed + 2))
    integer = compiled(real, others[:CALIBRATION], others[CALIBRATION:], outdir)
    print(measure(real, integer, test, outdir))
    print(f"the boxes of the first {min(SHOWN, len(test))} are drawn in {outdir / 'found.png'}")


if __name__ == "__main__":
    main()
