"""The flags of ``bmnetu``, and examples for its help."""

from __future__ import annotations

from dataclasses import replace

from bmnetu.command_line.flags import COMMON_FLAGS, CONTRACT_FLAGS, Flag
from bmnetu.command_line.kinds import (
    BOOLEAN,
    COUNT,
    COUNTS,
    DATA,
    LEVEL,
    NAME,
    NAMES,
    PAGE,
    PATH,
    SEED,
    SHAPE_SETS,
    SHAPES,
    VERBOSITY,
    choice,
)
from bmnetu.ways.levels import ALL_LEVELS

_QUESTIONS = (
    Flag("check", BOOLEAN, "Print which layers of -model can be compiled, and how, and stop: no"
         " weights are read. Exit code 4 where one cannot.", False, question=True),
    Flag("json", BOOLEAN, "Print JSON: of -check, of -list_ops, or of what was compiled; what"
         " people read goes to stderr.", False, question=True),
    Flag("list_ops", BOOLEAN, "Print all layer types with their parameters, and stop.", False,
         question=True),
    Flag("completion", choice("bash", "zsh", "fish"), "Print what the shell needs to complete the"
         " flags of all tools, and stop.", default_text="none", question=True),
)
"""What the command line answers without a compilation."""

SHAPES_FLAG = Flag(
    "shapes", SHAPES, "The shapes of all inputs, in their order; the whole net is reshaped.",
    default_text="the model's",
)

FAST_FUNCTIONS_FLAG = Flag(
    "fast_functions", BOOLEAN, "Each function of an 8-bit tensor, such as SiLU, may differ by one"
    " unit where that takes fewer cycles. The layers are listed; reference and chip agree.", False,
)

CUT_FLAGS = (
    Flag("output_whitelist", NAMES, "The network ends at these tensors: they are its outputs, and"
         " what none of them needs is left out.", (), "all that no layer reads"),
    Flag("host", BOOLEAN, "Layers that the runtime computes on the host, such as DetectionOutput,"
         " are part of the bmodel; false: the network ends before them.", True),
)
"""Where a network ends."""

REPORT_FLAG = Flag(
    "report", PAGE, "Write a report: one HTML page that needs no network, with verdict, graph,"
    " layers, time and memory, also when the compare fails. Of several stages FILE_0.html,"
    " FILE_1.html ...", default_text="none",
)

COMPILE_FLAGS = (
    Flag("model", PATH, "The UFW prototxt, or an .onnx.", necessary=True),
    Flag("weight", PATH, "The weights: fp32umodel, int8umodel or caffemodel.", necessary=True,
         spared_by=".onnx"),
    Flag("outdir", PATH, "The folder for compilation.bmodel.", necessary=True),
    replace(SHAPES_FLAG, kind=SHAPE_SETS, default=(), repeated=True, help=SHAPES_FLAG.help
            + " Given several times: a stage for each, of which the runtime takes the one that"
            " fits its input."),
    *CUT_FLAGS,
    Flag("net_name", NAME, "The net's name in the bmodel.", default_text="the prototxt's"),
    Flag("opt", LEVEL, "Optimization level: 0 one layer at a time, 1 graph rewriting and tiling,"
         " 2 layer groups that stay in local memory.", 1),
    Flag("opt_budget", COUNT, "With -opt=2: how many ways of cutting and grouping the layers are"
         " tried. The estimated cycles decide; the same number gives the same bmodel.", 3),
    Flag("dyn", BOOLEAN, "Dynamic compilation: the shapes are chosen at run time, up to those of"
         " -shapes.", False),
    Flag("prec", choice("FP32", "INT8"), "The data type of the umodel.",
         default_text="FP32, or INT8 for an int8umodel"),
    Flag("cmp", BOOLEAN, "Compare what the NPU will compute with the CPU, layer by layer.", True),
    Flag("cmp_data", DATA, "Your own input for the compare, the reference files and the check of"
         " winograd: an image, or an npy or npz with one array an input; real numbers, also for an"
         " INT8 input.", default_text="made up"),
    *(
        replace(flag, help=f"With -cmp_data: {flag.help[0].lower()}{flag.help[1:]}")
        for flag in CONTRACT_FLAGS
    ),
    Flag("mode", choice("compile", "GenUmodel"), "compile, or GenUmodel: make an fp32umodel and"
         " its prototxt from a caffemodel or an .onnx.", "compile"),
    FAST_FUNCTIONS_FLAG,
    Flag("use_wino", BOOLEAN, "Winograd for all convolutions; use_winograd in the prototxt wins.",
         default_text="from the model"),
    Flag("target", NAME, "The chip.", "BM1684"),
    Flag("max_n", COUNTS, "The batch of every input; several, as in 1,4,8: a stage for each.", (),
         "the prototxt's", repeated=True),
    Flag("seed", SEED, "Seed of the input that the compare makes up.", 0),
    Flag("v", VERBOSITY, "How much to report.", 0),
    Flag("enable_profile", BOOLEAN, "Write compiler_profile_0.txt, .csv and .json: estimated"
         " cycles of every layer.", False),
    REPORT_FLAG,
    Flag("input_as_fp32", NAMES, "Inputs that stay float in an INT8 bmodel.", (), "none"),
    Flag("output_as_fp32", NAMES, "Outputs that stay float in an INT8 bmodel.", (), "none"),
    Flag("print_pipeline", BOOLEAN, "Print the passes of -opt and -prec for bmnetu-opt -p.", False),
    Flag("dump_ir", PATH, "A folder for the IR after each pass, in place of an earlier dump.",
         default_text="none"),
    Flag("stop_after", choice(*ALL_LEVELS), "The last level to reach.",
         default_text="none"),
    Flag("extract_layer", NAME, "Write the layer of this name, or with this top, into -outdir as a"
         " network of its own: prototxt, umodel, the input that it gets from -cmp_data or a made-up"
         " input, and the expected output. Nothing is compiled.", default_text="none"),
    *_QUESTIONS,
    *COMMON_FLAGS,
)

COMPILE_EXAMPLES = (
    ("-model=net.prototxt -weight=net.caffemodel -outdir=out",
     "Compiles a float network, and compares NPU and CPU."),
    ("-model=q/net_deploy_int8_unique_top.prototxt -weight=q/net.int8umodel -outdir=out -opt=2"
     " -report=out/report.html",
     "What bmnetu-calibrate made, with all optimizations and a report."),
    ("-model=net.onnx -outdir=out -max_n=1,4 -cmp_data=input.npz",
     "An .onnx for two batches, of which the runtime chooses; compared on your own input."),
    ("-model=net.prototxt -check", "Which layers can be compiled, and how."),
    ("-explain=unread-input", "What the code at the end of a note means."),
)  # fmt: skip
