"""``bmnetu-opt --list-passes``, which answers at once: it loads no pass of ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from bmnetu.command_line.installed import installed_plugins
from bmnetu.command_line.terminal import Terminal
from bmnetu.errors import BmnetuError
from passes import PASS_NAMES, first_sentence, summary


def described() -> dict[str, str]:
    """The first sentence of every pass's docstring by its name."""
    found = {name: summary(name) for name in PASS_NAMES}
    if installed_plugins():
        from bmnetu.plugins import passes  # which loads much

        found |= {item.name: first_sentence(item.__doc__) for item in passes()}
    return found


def pass_lines() -> list[str]:
    """One line a pass: its name and the first sentence of its docstring."""
    found = described()
    width = max(map(len, found))
    return [f"{name:{width}}  {sentence}" for name, sentence in found.items()]


def as_json() -> str:
    """The same as JSON: ``passes``, each with ``name`` and ``summary``."""
    passes = [{"name": name, "summary": sentence} for name, sentence in described().items()]
    return json.dumps({"passes": passes}, indent=1)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the list, with ``--json`` as JSON. Returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    terminal = Terminal("bmnetu-opt")
    try:
        terminal.say(as_json() if "--json" in words else "\n".join(pass_lines()))
    except BmnetuError as error:
        terminal.error(str(error))
        return error.exit_code
    return 0
