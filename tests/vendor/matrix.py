"""``python -m tests.vendor.matrix [NETWORK...] [--opt 2]``: every network, precision, opt level and
batch on the vendor's runtime and in the replay, as a table. Takes an hour; the tests take a sample.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

from tests.vendor.networks import Job, compiled, on_vendor
from tests.vendor.test_networks import TRAINED

DEPLOYED = tuple(
    f"prototxt/{name}_deploy"
    for name in ("mobilenet_v1", "mobilenet_v2", "squeezenet_v1.1", "resnet50")
)


def main() -> None:
    """Prints one row a job; ends with exit code 1 when one of them differs."""
    parser = argparse.ArgumentParser(prog="tests.vendor.matrix", description=__doc__)
    parser.add_argument("networks", nargs="*", default=(*TRAINED, *DEPLOYED))
    parser.add_argument("--opt", nargs="*", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    bad = 0
    print(f"{'job':52} {'compile s':>9} {'runtime':>9} {'replay':>9}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        jobs = product(arguments.networks, ("FP32", "INT8"), arguments.opt, (1, 4))
        for network, prec, opt, batch in jobs:
            job, begin = Job(network, prec, opt, batch), time.perf_counter()
            result = compiled(job, Path(folder))
            seconds = time.perf_counter() - begin
            real, replayed = on_vendor(result, seed=3)
            bad += max(real, replayed) > 1e-3
            print(f"{job!s:52} {seconds:9.1f} {real:9.2g} {replayed:9.2g}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
