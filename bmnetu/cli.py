"""The command lines ``bmnetu`` and ``bmnetu-calibrate``: the only place that touches the terminal.

Exit codes: 0 done; 2 bad usage; 3 a file that cannot be read or written; 4 a layer or shape that
cannot be compiled; 5 compare failed, or an accuracy missed; 70 a bug of ours; 130 interrupted, by
Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bmnetu.command_line.bug_report import write_report
from bmnetu.command_line.flags import (
    CALIBRATE_FLAGS,
    COMPILE_FLAGS,
    EVALUATE_FLAGS,
    Flag,
    help_text,
    parse,
    require_necessary,
)
from bmnetu.command_line.installed import faulty_plugin, installed_plugins
from bmnetu.command_line.terminal import Terminal
from bmnetu.errors import BmnetuError, InputFileError, UnsupportedError, UsageError
from bmnetu.interrupts import interruptible
from bmnetu.options import (
    CalibrateOptions,
    CompileOptions,
    EvaluateOptions,
    PassOptions,
    options_from,
)
from bmnetu.start import INTERRUPTED
from bmnetu.version import VERSION

BANNER = """\
######################################
# Store bmodel of BMCompiler.
######################################"""

@dataclass(frozen=True)
class Tool:
    """A command line: its name, what it is for, its flags, and what it does with their values."""

    name: str
    purpose: str
    flags: Sequence[Flag]
    run: Callable[[dict[str, Any], Terminal], None]


def main(argv: Sequence[str] | None = None) -> int:
    """``bmnetu``: compile a network into a bmodel. Returns the exit code."""
    return _run_tool(COMPILE, argv)


def calibrate_main(argv: Sequence[str] | None = None) -> int:
    """``bmnetu-calibrate``: make an int8umodel, or evaluate one. Returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] == "eval":
        return _run_tool(EVALUATE, words[1:])
    return _run_tool(CALIBRATE, words)


def _compile(values: dict[str, Any], terminal: Terminal) -> None:
    if values["print_pipeline"]:
        from bmnetu.ways.choice import way_of

        options = options_from(PassOptions, values)
        terminal.say(way_of(options).text(options))
        return
    if values["list_ops"]:
        from bmnetu.plugins import plugins
        from bmnetu.supported import listing

        plugins()
        terminal.say(listing.as_json() if values["json"] else listing.text())
        return
    if values["check"]:
        _check(values, terminal)
        return
    require_necessary(COMPILE_FLAGS, values)
    options = options_from(CompileOptions, values)
    from bmnetu.driver import compile_network

    with interruptible():
        result = compile_network(options, terminal.report, terminal.progress)
    if result.bmodel is not None:
        terminal.say(BANNER)


def _check(values: dict[str, Any], terminal: Terminal) -> None:
    """-check."""
    if values["model"] is None:
        raise UsageError("-model must be given: -check looks at its layers")
    from bmnetu.frontend.cut import Cut
    from bmnetu.supported.check import check_network

    with interruptible():
        cut = Cut(values["output_whitelist"], values["host"])
        shapes, max_n = (next(iter(values[name]), None) for name in ("shapes", "max_n"))
        found = check_network(values["model"], shapes, max_n, cut)
    for note in found.notes:
        terminal.report(f"note: {note}")
    if values["dyn"]:
        terminal.report("note: -check looks at fixed shapes; -dyn=true refuses layers on the host"
                        " and some others, by name, before anything is written")
    terminal.say(found.json() if values["json"] else found.text())
    if not found.ok:
        raise UnsupportedError(found.verdict)


def _calibrate(values: dict[str, Any], terminal: Terminal) -> None:
    require_necessary(CALIBRATE_FLAGS, values)
    from bmnetu.calibration import calibrate_network

    with interruptible():
        calibrate_network(options_from(CalibrateOptions, values), terminal.report)


def _evaluate(values: dict[str, Any], terminal: Terminal) -> None:
    require_necessary(EVALUATE_FLAGS, values)
    from bmnetu.calibration import evaluate_network

    with interruptible():
        evaluate_network(options_from(EvaluateOptions, values), terminal.report)


COMPILE = Tool(
    "bmnetu",
    "Compiles a UFW network into outdir/compilation.bmodel for the Sophon BM1684, and compares"
    " what the NPU will compute with what the CPU computes, layer by layer.",
    COMPILE_FLAGS,
    _compile,
)

CALIBRATE = Tool(
    "bmnetu-calibrate",
    "Chooses the thresholds of a float network by running it over data, and writes an int8umodel"
    " and its prototxt for bmnetu -prec=INT8. bmnetu-calibrate eval -help shows how to compare both"
    " nets.",
    CALIBRATE_FLAGS,
    _calibrate,
)

EVALUATE = Tool(
    "bmnetu-calibrate eval",
    "Runs a float network, and its INT8 form on the CPU reference, over data: top-1 and top-5"
    " accuracy, or mean average precision, and the difference where the data have labels or"
    " annotations, and how far both agree.",
    EVALUATE_FLAGS,
    _evaluate,
)


def _run_tool(tool: Tool, argv: Sequence[str] | None) -> int:
    """Parse, run, and turn every exception into one sentence and an exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    terminal = Terminal(tool.name)
    try:
        values = parse(tool.flags, words)
        if values["help"]:
            plugins = installed_plugins()
            terminal.say(help_text(tool.name, tool.purpose, tool.flags, plugins))
        elif values["version"]:
            terminal.say(f"{tool.name} {VERSION}")
        else:
            tool.run(values, terminal)
    except KeyboardInterrupt:
        terminal.error("interrupted")
        return INTERRUPTED
    except BmnetuError as error:
        if error.exit_code != BmnetuError.exit_code:
            terminal.error(error.message)
            return error.exit_code
        return _report_bug(tool, words, error, terminal)
    except OSError as error:
        terminal.error(": ".join(filter(None, [str(error.filename or ""), error.strerror])))
        return InputFileError.exit_code
    except MemoryError:
        terminal.error("this machine has too little memory for the network; -cmp=false needs less")
        return UnsupportedError.exit_code
    except Exception as error:
        return _report_bug(tool, words, error, terminal)
    return 0


def _report_bug(tool: Tool, words: list[str], error: Exception, terminal: Terminal) -> int:
    """Say where the report is; the exit code of our bugs, or for a fault in the code of a plug-in
    that of a layer that cannot be compiled."""
    what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    plugin = faulty_plugin(error)
    try:
        report = write_report(error, tool.name, words)
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
    terminal.error(f"this is a bug in {tool.name}{also} ({what}): {place}")
    return BmnetuError.exit_code
