"""``python -m tests.bench.compile``: seconds and peak memory of the command line, as a table.

Every run is a process of its own, from its start to its end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tests.bench.networks import add_arguments, chain, prepared, set_folders

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ("caffe/mtcnn_det2", "peer/squeezenet", "peer/mobilenet", "peer/resnet18",
            "peer/resnet50")
CHAIN = "chain"
KIB_A_MIB = 1024


@dataclass(frozen=True)
class Cost:
    """What one process took: seconds on the clock, seconds of all processors, MiB at its peak."""

    seconds: float
    cpu_seconds: float
    mib: float


def run(arguments: Sequence[str]) -> Cost:
    """Runs ``bmnetu`` to its end."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "bmnetu", *arguments]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begin
        if process.returncode:
            output.seek(0)
            raise SystemExit(output.read().decode(errors="replace")[-2000:])
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(seconds, cpu, usage.ru_maxrss / KIB_A_MIB)


def files(network: str, prec: str, work: Path) -> tuple[Path, Path]:
    """Prototxt and umodel, made in another process: a process inherits its parent's peak."""
    if network.startswith(CHAIN):
        network = chain(int(network.removeprefix(CHAIN)), work)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(prepared, network, prec, work).result()


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a row a run."""
    parser = argparse.ArgumentParser(prog="tests.bench.compile", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--networks", nargs="*", default=NETWORKS,
                        help="networks of the models folder, or chain100, chain1000, ...")
    parser.add_argument("--prec", nargs="*", default=["FP32", "INT8"])
    parser.add_argument("--opt", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--cmp", nargs="*", default=["false", "true"])
    arguments = parser.parse_args(argv)
    work = set_folders(arguments)
    print(f"{'':32} {'opt':>4} {'compare':>8} {'seconds':>8} {'cpu s':>8} {'MiB':>7}", flush=True)
    for network, prec in product(arguments.networks, arguments.prec):
        model, weight = files(network, prec, work)
        for opt, compare in product(arguments.opt, arguments.cmp):
            with tempfile.TemporaryDirectory() as out:
                cost = run([f"-model={model}", f"-weight={weight}", f"-outdir={out}",
                            f"-prec={prec}", f"-opt={opt}", f"-cmp={compare}"])
            print(f"{f'{network} {prec}':32} {opt:>4} {compare:>8} {cost.seconds:>8.1f}"
                  f" {cost.cpu_seconds:>8.1f} {cost.mib:>7.0f}", flush=True)


if __name__ == "__main__":
    main()
