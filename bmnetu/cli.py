"""The command lines ``bmnetu`` and ``bmnetu-calibrate``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bmnetu.command_line.answer import Answer
from bmnetu.command_line.calibrate_flags import (
    CALIBRATE_EXAMPLES,
    CALIBRATE_FLAGS,
    EVALUATE_EXAMPLES,
    EVALUATE_FLAGS,
    WHAT_IF_EXAMPLES,
    WHAT_IF_FLAGS,
)
from bmnetu.command_line.compile_flags import COMPILE_EXAMPLES, COMPILE_FLAGS
from bmnetu.command_line.flags import Flag, require_necessary
from bmnetu.command_line.terminal import Terminal
from bmnetu.command_line.tool import Tool, run_tool
from bmnetu.errors import UnsupportedError, UsageError
from bmnetu.interrupts import interruptible
from bmnetu.nearest import nearest
from bmnetu.note import Note
from bmnetu.options import (
    CalibrateOptions,
    CompileOptions,
    EvaluateOptions,
    PassOptions,
    WhatIfOptions,
    options_from,
    refuse_report,
)

BANNER = """\
######################################
# Store bmodel of BMCompiler.
######################################"""


def main(argv: Sequence[str] | None = None) -> int:
    """``bmnetu``: compile a network into a bmodel. Returns the exit code."""
    return run_tool(COMPILE, argv)


def calibrate_main(argv: Sequence[str] | None = None) -> int:
    """``bmnetu-calibrate``: make an int8umodel, or evaluate one. Returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in SUBCOMMANDS:
        return run_tool(SUBCOMMANDS[words[0]], words[1:])
    near = nearest(words[0], SUBCOMMANDS) if words and not words[0].startswith("-") else None
    if near is not None:
        Terminal(CALIBRATE.name).error(f"unknown subcommand {words[0]!r}: did you mean {near}?")
        return UsageError.exit_code
    return run_tool(CALIBRATE, words)


def _compile(values: dict[str, Any], terminal: Terminal) -> None:
    if values["print_pipeline"]:
        from bmnetu.ways.choice import way_of

        refuse_report(values["report"], "-print_pipeline")
        options = options_from(PassOptions, values)
        terminal.say(way_of(options).text(options))
        return
    if values["list_ops"]:
        from bmnetu.plugins import plugins
        from bmnetu.supported import listing

        plugins()
        terminal.say(listing.as_json() if values["json"] else listing.text())
        return
    if values["completion"] is not None:
        from bmnetu.command_line.completion import script

        terminal.say(script(values["completion"], _all_flags()).rstrip())
        return
    if values["check"]:
        _check(values, terminal)
        return
    require_necessary(COMPILE_FLAGS, values)
    options = options_from(CompileOptions, values)
    from bmnetu.driver import compile_network

    answer = Answer(terminal, values["json"])
    with interruptible():
        result = compile_network(options, answer.report, terminal.progress)
    if values["json"]:
        from bmnetu.report.summary import record

        answer.say(record(result))
    elif result.bmodel is not None:
        from bmnetu.report.summary import table

        for line in table(result):
            terminal.say(line)
        terminal.say(BANNER)


def _all_flags() -> dict[str, dict[str, Sequence[Flag]]]:
    """The flags of all tools by subcommand."""
    from bmnetu.command_line.opt_flags import OPT_FLAGS
    from bmnetu.inspect.command_line import SUBCOMMANDS as OF_MODEL
    from bmnetu.inspect.command_line import subcommand

    return {
        "bmnetu": {"": COMPILE_FLAGS},
        "bmnetu-calibrate": {
            "": CALIBRATE_FLAGS, **{name: tool.flags for name, tool in SUBCOMMANDS.items()}
        },
        "bmnetu-opt": {"": OPT_FLAGS},
        "bmnetu-model": {"": (), **{name: subcommand(name).all_flags for name in OF_MODEL}},
    }


def _check(values: dict[str, Any], terminal: Terminal) -> None:
    """-check."""
    if values["model"] is None:
        raise UsageError("-model must be given: -check looks at its layers")
    refuse_report(values["report"], "-check")
    from bmnetu.frontend.cut import Cut
    from bmnetu.supported.check import check_network

    with interruptible():
        cut = Cut(values["output_whitelist"], values["host"])
        shapes, max_n = (next(iter(values[name]), None) for name in ("shapes", "max_n"))
        found = check_network(values["model"], shapes, max_n, cut)
    notes = list(found.notes)
    if values["dyn"]:
        notes.append(Note("check-of-fixed-shapes",
                          "-check looks at fixed shapes; -dyn=true refuses layers on the host and"
                          " some others, by name, before anything is written"))  # fmt: skip
    for note in notes:
        terminal.note(note.coded)
    found = replace(found, notes=tuple(notes))
    terminal.say(found.json() if values["json"] else found.text())
    if not found.ok:
        raise UnsupportedError(found.verdict)


def _calibrate(values: dict[str, Any], terminal: Terminal) -> None:
    require_necessary(CALIBRATE_FLAGS, values)
    from bmnetu.calibration import calibrate_network

    answer = Answer(terminal, values["json"])
    with interruptible():
        found = calibrate_network(options_from(CalibrateOptions, values), answer.report)
    if values["json"]:
        from bmnetu.calibration.records import of_calibration

        answer.say(of_calibration(found))


def _evaluate(values: dict[str, Any], terminal: Terminal) -> None:
    require_necessary(EVALUATE_FLAGS, values)
    from bmnetu.calibration import Evaluation, evaluate_network

    answer = Answer(terminal, values["json"])

    def tell(found: Evaluation) -> None:
        if values["json"]:
            from bmnetu.calibration.records import of_evaluation

            answer.say(of_evaluation(found))

    with interruptible():
        evaluate_network(options_from(EvaluateOptions, values), answer.report, tell)


def _what_if(values: dict[str, Any], terminal: Terminal) -> None:
    require_necessary(WHAT_IF_FLAGS, values)
    from bmnetu.calibration import what_if

    answer = Answer(terminal, values["json"])
    with interruptible():
        found = what_if(options_from(WhatIfOptions, values), answer.report)
    if values["json"]:
        from bmnetu.calibration.records import of_what_if

        answer.say(of_what_if(found))


COMPILE = Tool(
    "bmnetu",
    "Compiles a UFW network into outdir/compilation.bmodel for the Sophon BM1684, and compares"
    " what the NPU will compute with what the CPU computes, layer by layer.",
    COMPILE_FLAGS,
    _compile,
    COMPILE_EXAMPLES,
)

CALIBRATE = Tool(
    "bmnetu-calibrate",
    "Chooses the thresholds of a float network by running it over data, and writes an int8umodel"
    " and its prototxt for bmnetu -prec=INT8. bmnetu-calibrate eval -help shows how to compare both"
    " nets, bmnetu-calibrate what_if -help what a layer would lose with other settings.",
    CALIBRATE_FLAGS,
    _calibrate,
    CALIBRATE_EXAMPLES,
)

EVALUATE = Tool(
    "bmnetu-calibrate eval",
    "Runs a float network, and its INT8 form on the CPU reference, over data: top-1 and top-5"
    " accuracy, or mean average precision, and the difference where the data have labels or"
    " annotations, and how far both agree.",
    EVALUATE_FLAGS,
    _evaluate,
    EVALUATE_EXAMPLES,
)

WHAT_IF = Tool(
    "bmnetu-calibrate what_if",
    "Tells the error of a layer in 8 bits, of itself and at the network's outputs: as it is"
    " calibrated, with other thresholds, with BatchNorm kept, and in float. The calibration is that"
    " of -int8_model and -int8_weight, or one is made. Nothing is written. Without -threshold,"
    " -keep_bn and -keep_float all that apply are tried.",
    WHAT_IF_FLAGS,
    _what_if,
    WHAT_IF_EXAMPLES,
)

SUBCOMMANDS = {"eval": EVALUATE, "what_if": WHAT_IF}
"""Of bmnetu-calibrate."""
