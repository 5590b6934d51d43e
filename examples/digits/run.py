"""The main job, on a small net: calibrate, compile to INT8 with the compare, and measure.

``python examples/digits/run.py [--outdir DIR]`` writes the int8umodel and compilation.bmodel, then
gives the accuracy on test images that the net has not seen: in FP32, in the INT8 arithmetic of the
CPU reference, and of the bmodel's own commands on the NPU model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[2]))

from examples.measure import FloatNet, IntegerNet, measure

HERE = Path(__file__).parent
BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibrates, compiles and measures the example.")
    parser.add_argument("--outdir", type=Path, default=Path("digits_int8"))
    outdir: Path = parser.parse_args().outdir
    real = FloatNet(HERE / "digits.prototxt", HERE / "digits.fp32umodel")
    integer = IntegerNet.made_of(real, HERE / "calibration", outdir, batch=BATCH, opt=1)
    with np.load(HERE / "test.npz") as test:
        images, labels = test["images"].astype(np.float32)[:, None], test["labels"]
    print(measure(real, integer, images, labels))


if __name__ == "__main__":
    main()
