"""``python -m tests.bench.cycles``: cycles of every network at every opt level, as a table.

Beside them the lower bound and the figure of the vendor's compiler. A star marks a sum with
commands of unknown cost, which count nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bmnetu
from dialects.bm1684.cycles import schedule
from tests.bench.bounds import lower_bound
from tests.bench.commands import instructions
from tests.bench.networks import (
    BENCHES,
    Bench,
    add_arguments,
    float_names,
    network_function,
    prepared,
    set_folders,
)

WIDTH = 10


def cycles(bench: Bench, opt: int, flags: dict[str, Any], work: Path) -> str:
    """The cycles of one compilation."""
    model, weight = prepared(bench.network, bench.prec, work)
    with tempfile.TemporaryDirectory() as out:
        result = bmnetu.compile(
            model, weight, out, prec=bench.prec, opt=opt, max_n=bench.batch, cmp=False, **flags
        )
    assert result.contents is not None
    found = schedule(instructions(result.contents))
    return f"{found.total}{'*' if found.unknown else ''}"


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a row a network."""
    parser = argparse.ArgumentParser(prog="tests.bench.cycles", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--networks", nargs="*", help="parts of titles, such as det2; default: all")
    parser.add_argument("--opt", nargs="*", type=int, default=[0, 1, 2])
    arguments = parser.parse_args(argv)
    work = set_folders(arguments)
    columns = ["bound", "peer", *(f"opt {opt}" for opt in arguments.opt), "of peer"]
    print(f"{'cycles':32}", *(f"{column:>{WIDTH}}" for column in columns), flush=True)
    for bench in BENCHES:
        if arguments.networks and not any(word in bench.title for word in arguments.networks):
            continue
        function = network_function(bench, work)
        flags = float_names(bench, function)
        cells = [str(lower_bound(function, bench.float_border)), str(bench.peer)]
        print(f"{bench.title:32}", *(f"{cell:>{WIDTH}}" for cell in cells), end="", flush=True)
        last = "0"
        for opt in arguments.opt:
            last = cycles(bench, opt, flags, work)
            print(f" {last:>{WIDTH}}", end="", flush=True)
        print(f" {int(last.rstrip('*')) / bench.peer:>{WIDTH}.2f}", flush=True)


if __name__ == "__main__":
    main()
