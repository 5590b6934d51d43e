"""``python -m tests.bench.fingerprints``: SHA-256 of what the tools write, a line a file.

Run it before and after a change that must not alter a byte, and ``diff`` the two texts. It covers
the measured networks, other networks of the models folder and random ones: bmodels in both
precisions at every opt level, and the int8umodels of calibrations.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from random import Random

import bmnetu
from bmnetu.bmodel import write
from bmnetu.emit.static import bmodel_of
from bmnetu.pipeline import run_pipeline
from bmnetu.ways.static import OPT_LEVELS
from tests.bench.networks import (
    BENCHES,
    Bench,
    add_arguments,
    float_names,
    network_function,
    prepared,
    set_folders,
)
from tests.calibration.harness import Files
from tests.calibration.test_random import Builder
from tests.pipelines import static_passes
from tests.random_nets import random_module

PRECISIONS = ("FP32", "INT8")
OTHERS = ("caffe/onet", "caffe/rnet", "peer2/mobilenetv2", "peer2/shufflenet", "peer2/cat32_64",
          "peer2/mobilefacenet", "peer2/skipnet")
"""Networks that are not measured, in both precisions with their own border."""

BENCHED = (*BENCHES, *(Bench(f"{name} {prec}", name, prec, 1, False, 0)
                       for name in OTHERS for prec in PRECISIONS))  # fmt: skip

Lines = list[str]


def _line(title: str, data: bytes) -> str:
    return f"{title}: {hashlib.sha256(data).hexdigest()}"


def of_network(bench: Bench, work: Path) -> Lines:
    """A network of the models folder."""
    model, weight = prepared(bench.network, bench.prec, work)
    lines = [_line(f"{bench.title} umodel", weight.read_bytes())]
    flags = float_names(bench, network_function(bench, work))
    for opt in OPT_LEVELS:
        with tempfile.TemporaryDirectory() as out:
            result = bmnetu.compile(
                model, weight, out, prec=bench.prec, opt=opt, max_n=bench.batch, cmp=False, **flags
            )
            assert result.bmodel is not None
            lines.append(_line(f"{bench.title} opt {opt}", result.bmodel.read_bytes()))
    return lines


def of_random_module(seed: int) -> Lines:
    """A random network of all layer types."""
    lines: Lines = []
    for precision in PRECISIONS:
        for opt in OPT_LEVELS:
            module = random_module(seed, precision == "INT8")
            run_pipeline(module, static_passes(opt, precision))
            title = f"random {seed} {precision} opt {opt}"
            lines.append(_line(title, write(bmodel_of(module))))
    return lines


def of_calibration(seed: int) -> Lines:
    """The int8umodel of a random network of small layers, by each choice of thresholds."""
    rng = Random(seed)
    builder = Builder(rng.randrange)
    for _ in range(rng.randint(1, 9)):
        builder.add()
    with tempfile.TemporaryDirectory() as folder:
        files = Files.of(Path(folder), builder.text)
        method = rng.choice(["AUTO", "KL", "MAX"])
        found = files.calibrate(
            files.samples(4), keep_bn=rng.random() < 0.5, th_method=method,
            bias_correction=rng.random() < 0.3,
        ).result  # fmt: skip
        text = found.prototxt.read_bytes() + found.umodel.read_bytes()
    return [_line(f"calibration {seed} {method}", text)]


def jobs(benches: Sequence[Bench], count: int, work: Path) -> Iterator[Callable[[], Lines]]:
    """All that is written, the long jobs first."""
    for bench in benches:
        yield partial(of_network, bench, work)
    for seed in range(count):
        yield partial(of_random_module, seed)
        yield partial(of_calibration, seed)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the sorted lines."""
    parser = argparse.ArgumentParser(prog="tests.bench.fingerprints", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--networks", nargs="*", help="parts of titles, such as det2; default: all")
    parser.add_argument("--random", type=int, default=200, help="how many random networks")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args(argv)
    set_folders(arguments)
    words = arguments.networks
    benches = [b for b in BENCHED if words is None or any(word in b.title for word in words)]
    with tempfile.TemporaryDirectory() as work, ProcessPoolExecutor(arguments.workers) as pool:
        for bench in {(b.network, b.prec): b for b in benches}.values():
            prepared(bench.network, bench.prec, Path(work))
        futures = [pool.submit(job) for job in jobs(benches, arguments.random, Path(work))]
        lines = [line for future in as_completed(futures) for line in future.result()]
    print("\n".join(sorted(lines)))


if __name__ == "__main__":
    main()
