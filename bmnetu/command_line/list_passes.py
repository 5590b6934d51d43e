"""``bmnetu-opt --list-passes``, which answers at once: it loads no pass of ours."""

from __future__ import annotations

from bmnetu.command_line.installed import installed_plugins
from bmnetu.command_line.terminal import Terminal
from bmnetu.errors import BmnetuError
from passes import PASS_NAMES, first_sentence, summary


def pass_lines() -> list[str]:
    """One line a pass: its name and the first sentence of its docstring."""
    found = {name: summary(name) for name in PASS_NAMES}
    if installed_plugins():
        from bmnetu.plugins import passes  # which loads much

        found |= {item.name: first_sentence(item.__doc__) for item in passes()}
    width = max(map(len, found))
    return [f"{name:{width}}  {sentence}" for name, sentence in found.items()]


def main() -> int:
    """Prints the list. Returns the exit code."""
    terminal = Terminal("bmnetu-opt")
    try:
        terminal.say("\n".join(pass_lines()))
    except BmnetuError as error:
        terminal.error(str(error))
        return error.exit_code
    return 0
