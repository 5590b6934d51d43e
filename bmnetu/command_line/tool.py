"""A command line as a value, and its run: every exception becomes one sentence and an exit code.

Exit codes: 0 done; 1 bmnetu-model diff found a difference; 2 bad usage; 3 a file that cannot be
read or written; 4 a layer or shape that cannot be compiled; 5 compare failed, or an accuracy
missed; 70 a bug of ours; 130 interrupted, by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bmnetu.command_line.bug_report import write_report
from bmnetu.command_line.explanations import explain
from bmnetu.command_line.flags import Flag, parse
from bmnetu.command_line.help import Examples, help_text
from bmnetu.command_line.installed import faulty_plugin, installed_plugins
from bmnetu.command_line.terminal import Terminal
from bmnetu.errors import BmnetuError, InputFileError, UnsupportedError
from bmnetu.start import INTERRUPTED
from bmnetu.version import VERSION


@dataclass(frozen=True)
class Tool:
    """A command line: its name, what it is for, its flags, what it does with their values, and
    examples for its help."""

    name: str
    purpose: str
    flags: Sequence[Flag]
    run: Callable[[dict[str, Any], Terminal], None]
    examples: Examples


def run_tool(tool: Tool, argv: Sequence[str] | None) -> int:
    """Parse and run. Returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    terminal = Terminal(tool.name)

    def work() -> None:
        values = parse(tool.flags, words)
        if values["help"]:
            plugins = installed_plugins()
            text = help_text(tool.name, tool.purpose, tool.flags, tool.examples, plugins)
            terminal.say(text)
        elif values["version"]:
            terminal.say(f"{tool.name} {VERSION}")
        elif values["explain"]:
            terminal.say(explain(*values["explain"]))
        else:
            tool.run(values, terminal)

    compares = any(flag.name == "cmp" for flag in tool.flags)
    return guarded(work, words, terminal, "; -cmp=false needs less" if compares else "")


def guarded(
    work: Callable[[], int | None], words: Sequence[str], terminal: Terminal, needs_less: str = ""
) -> int:
    """Does the work of a command with these words; turns every exception into one sentence and an
    exit code. The work may return another exit code than 0. ``needs_less`` says how the same work
    can be done in less memory."""
    try:
        return work() or 0
    except KeyboardInterrupt:
        terminal.error("interrupted")
        return INTERRUPTED
    except BmnetuError as error:
        if error.exit_code != BmnetuError.exit_code:
            terminal.error(error.message)
            return error.exit_code
        return report_bug(words, error, terminal)
    except OSError as error:
        terminal.error(": ".join(filter(None, [str(error.filename or ""), error.strerror])))
        return InputFileError.exit_code
    except MemoryError:
        terminal.error(f"this machine has too little memory for the network{needs_less}")
        return UnsupportedError.exit_code
    except Exception as error:  # a bug of ours: no user may see a traceback
        return report_bug(words, error, terminal)


def report_bug(words: Sequence[str], error: Exception, terminal: Terminal) -> int:
    """Say where the report is; the exit code of our bugs, or for a fault in the code of a plug-in
    that of a layer that cannot be compiled."""
    what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    plugin = faulty_plugin(error)
    try:
        report = write_report(error, terminal.tool, words)
        place = f"please send the report {report}"
        if plugin is not None:
            place = f"the report {report} has the details"
    except OSError as trouble:
        place = f"no report could be written ({trouble})"
    if plugin is not None:
        terminal.error(f"the plug-in {plugin} failed ({what}): {place}")
        return UnsupportedError.exit_code
    others = installed_plugins()
    also = f", or in a plug-in: {', '.join(others)}" if others else ""
    terminal.error(f"this is a bug in {terminal.tool}{also} ({what}): {place}")
    return BmnetuError.exit_code
