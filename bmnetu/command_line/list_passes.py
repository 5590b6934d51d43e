"""``bmnetu-opt --list-passes``, which is to answer at once: it loads no pass."""

from __future__ import annotations

from bmnetu.command_line.terminal import Terminal
from passes import PASS_NAMES, summary


def pass_lines() -> list[str]:
    """One line a pass: its name and the first sentence of its docstring."""
    width = max(map(len, PASS_NAMES))
    return [f"{name:{width}}  {summary(name)}" for name in PASS_NAMES]


def main() -> int:
    """Prints the list. Returns the exit code."""
    Terminal("bmnetu-opt").say("\n".join(pass_lines()))
    return 0
