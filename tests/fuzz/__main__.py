"""``python -m tests.fuzz --count 5000``: damaged files of all kinds through all commands.

Every case runs in a process of its own. Its outcome is good when it ends with exit code 0 to 4 and
one message, within five seconds of the processor and 300 MB and ten times its files of memory, and
leaves no file behind where it failed. Every other case is kept in the folder ``--keep``, with the
command in its file ``words``; ``--only N`` runs one case again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import JOBS, fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="how many cases")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--only", type=int, help="the number of the only case")
    parser.add_argument("--seed", type=int, default=0, help="other cases")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="for bad cases")
    parser.add_argument("--jobs", type=int, default=JOBS, help="cases at a time")
    given = parser.parse_args()
    numbers = range(given.first, given.first + given.count)
    if given.only is not None:
        numbers = range(given.only, given.only + 1)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        report = fuzz(numbers, given.seed, Path(folder), given.keep, given.jobs, show=print)
    print(report)
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
