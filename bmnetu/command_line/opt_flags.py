"""The flags of ``bmnetu-opt``, which argparse reads: for completion; and examples for its help.

A test holds them equal to those of the parser, most of which are xDSL's.
"""

from __future__ import annotations

from bmnetu.command_line.explanations import CODE
from bmnetu.command_line.flags import Flag
from bmnetu.command_line.kinds import PATH, SWITCH, ValueKind, choice
from passes import PASS_NAMES

GENERAL_PASSES = ("canonicalize", "cse", "dce")
"""Those of xDSL."""
TARGETS = ("mlir", "npu-asm", "record-asm")
"""What a module of ours can be printed as; xDSL has others."""

OPT_FLAGS = (
    Flag("help", SWITCH, "Print the help.", alias="h"),
    Flag("frontend", choice("mlir", "bmodel", "onnx", "prototxt"), "What the input is.", alias="f"),
    Flag("passes", ValueKind("PASSES", str, ",", values=(*PASS_NAMES, *GENERAL_PASSES)),
         "The passes, with a comma between them.", alias="p"),
    Flag("target", ValueKind("TARGET", str, values=TARGETS), "What is printed.", alias="t"),
    Flag("output-file", PATH, "The file for the output.", alias="o"),
    Flag("umodel", PATH, "The weights of a .prototxt input."),
    Flag("weights", PATH, "weights.npz of a .mlir input."),
    Flag("list-passes", SWITCH, "List our passes, and stop."),
    Flag("json", SWITCH, "With --list-passes: print them as JSON."),
    Flag("explain", CODE, "Explain a code, and stop."),
    Flag("debug", SWITCH, "Show tracebacks of errors in the input."),
    Flag("version", SWITCH, "Print the version.", alias="v"),
    Flag("print-between-passes", SWITCH, "Print the module between passes."),
    Flag("print-debuginfo", SWITCH, "Print locations: the layers."),
    Flag("print-op-generic", SWITCH, "Print ops in their generic form."),
    Flag("print-no-properties", SWITCH, "Print properties as attributes."),
    Flag("syntax-highlight", SWITCH, "Print with colours."),
    Flag("time-passes", SWITCH, "Print how long each pass takes."),
    Flag("split-input-file", SWITCH, "The input is several modules."),
    Flag("disable-verify", SWITCH, "Do not verify the module."),
    Flag("verify-diagnostics", SWITCH, "What the verifier says is the output."),
    Flag("parsing-diagnostics", SWITCH, "What the parser says is the output."),
    Flag("allow-unregistered-dialect", SWITCH, "Parse ops of unknown dialects."),
    Flag("no-implicit-module", SWITCH, "The input has its own top-level op."),
    Flag("shrink", SWITCH, "For reducers of test cases."),
)

OPT_EXAMPLES = (
    ("net.prototxt --umodel net.caffemodel -p convert-ufw-to-quant",
     "A network as exact arithmetic."),
    ("ir/00_load.mlir --weights ir/weights.npz -p canonicalize,cse",
     "A module that bmnetu -dump_ir=ir wrote, with its weights."),
    ("out/compilation.bmodel -t npu-asm", "The commands of a bmodel, a line each."),
    ("--list-passes --json", "All passes, for a machine; without --json a line each."),
)  # fmt: skip
