"""``python -m tests.vendor.fashion [--data FOLDER] [--images 64]``: the INT8 nets of
examples/fashion on the real BMRuntime, with real test images.

Prints a line a net and opt level: how many outputs are those of the CPU reference, and the accuracy
of both; ends with exit code 1 when one output differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from examples.fashion import data, run
from examples.measure import Array
from tests.vendor.runtime import run_bmodel


def scores(
    name: str, calibration: Array, images: Array, opt: int, outdir: Path
) -> tuple[Array, Array]:
    """What the runtime and the CPU reference compute for images, N x 1 x 28 x 28 pixels, as one
    batch: N x 10 integers each.
    """
    net = run.int8_net(name, calibration, outdir, batch=len(images), opt=opt)
    stage, integers = net.stage(), net.quantized(images.astype(np.float32))
    (found,) = run_bmodel(net.bmodel, {stage.inputs[0].name: integers}).values()
    return found.reshape(len(images), -1), net.cpu_scores(integers)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="tests.vendor.fashion", description=__doc__)
    parser.add_argument("--data", type=Path, default=data.FOLDER)
    parser.add_argument("--images", type=int, default=64)
    arguments = parser.parse_args()
    learnt, _ = data.load(arguments.data, "train")
    images, labels = (part[: arguments.images] for part in data.load(arguments.data, "t10k"))
    bad, lines = 0, list[str]()
    for name in run.NETS:
        for opt in (0, 1, 2):
            with tempfile.TemporaryDirectory() as folder:
                calibration = learnt[: run.CALIBRATION_IMAGES]
                found = scores(name, calibration, images, opt, Path(folder))
            equal = int(np.sum(found[0] == found[1]))
            bad += found[0].size - equal
            right = (int(np.sum(each.argmax(axis=1) == labels)) for each in found)
            lines.append(f"{name} -opt={opt}: {equal} of {found[0].size} outputs equal, "
                         "right on {} images on the runtime, {} on the CPU".format(*right))
    print(*lines, sep="\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
