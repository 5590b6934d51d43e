"""The flags of the command lines: one table a tool gives parsing, checks and help.

Spelling follows gflags: one dash or two, ``-k=v`` or ``-k v``, ``-`` and ``_`` alike in names,
``-cmp`` and ``-nocmp``; and, as users' scripts expect, ``-cmp false`` means false. The last of
repeated flags wins.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, cast

from bmnetu.command_line.explanations import CODE
from bmnetu.command_line.kinds import (
    BOOLEAN,
    BOOLEANS,
    COSINE,
    COUNT,
    COUNTS,
    DATA,
    DROP,
    IOU,
    LEVEL,
    MAX_COUNT,
    NAME,
    NAMES,
    NUMBERS,
    PAGE,
    PATH,
    SEED,
    SHAPE_SETS,
    SHAPES,
    SIZE,
    THRESHOLDS,
    VERBOSITY,
    ValueKind,
    choice,
)
from bmnetu.errors import UsageError
from bmnetu.nearest import nearest
from bmnetu.ways.levels import ALL_LEVELS


@dataclass(frozen=True)
class Flag:
    """One flag. ``default_text`` is for the help where the default is not a plain value.

    ``spared_by`` is an ending of -model with which a necessary flag is not expected. The values of
    a ``repeated`` flag are kept, all of them, in a tuple.
    """

    name: str
    kind: ValueKind
    help: str
    default: Any = None
    default_text: str = ""
    necessary: bool = False
    alias: str = ""
    spared_by: str = ""
    repeated: bool = False


COMMON_FLAGS = (
    Flag("help", BOOLEAN, "Print this text.", False, alias="h"),
    Flag("version", BOOLEAN, "Print the version.", False),
    Flag("explain", CODE, "Print what an exit code means, or the cause that a failed compare names,"
         " and what to do: -explain=4, -explain=shift.", default_text="none"),
)

_QUESTIONS = (
    Flag("check", BOOLEAN, "Print which layers of -model can be compiled, and how, and stop: no"
         " weights are read. Exit code 4 where one cannot.", False),
    Flag("json", BOOLEAN, "Print JSON: of -check, of -list_ops, or of what was compiled.",
         False),
    Flag("list_ops", BOOLEAN, "Print all layer types with their parameters, and stop.", False),
    Flag("completion", choice("bash", "zsh", "fish"), "Print what the shell needs to complete the"
         " flags of all tools, and stop.", default_text="none"),
)
"""What the command line answers without a compilation."""

CONTRACT_FLAGS = (
    Flag("resize", SIZE, "Resize images to H x W, or to a shorter side of N; then -crop, -color,"
         " and (x - mean) * scale. Each of these flags goes before what the model says;"
         " arrays are only changed when a flag is given.", default_text="the input's size"),
    Flag("crop", SIZE, "Crop the centre, of the input's H x W.", default_text="none"),
    Flag("color", choice("bgr", "rgb", "gray"), "The order of the input's channels; gray makes"
         " them equal.", default_text="bgr, gray for one channel"),
    Flag("mean", NUMBERS, "Subtracted from the values, which are 0 to 255 in an image: one number,"
         " or one a channel of the input.", default_text="0"),
    Flag("scale", NUMBERS, "Then multiplied with: one number, or one a channel.",
         default_text="1"),
)

_SHAPES_FLAG = Flag(
    "shapes", SHAPES, "The shapes of all inputs, in their order; the whole net is reshaped.",
    default_text="the model's",
)

_CUT_FLAGS = (
    Flag("output_whitelist", NAMES, "The network ends at these tensors: they are its outputs, and"
         " what none of them needs is left out.", (), "all that no layer reads"),
    Flag("host", BOOLEAN, "Layers that the runtime computes on the host, such as DetectionOutput,"
         " are part of the bmodel; false: the network ends before them.", True),
)
"""Where a network ends."""

_REPORT_FLAG = Flag(
    "report", PAGE, "Write a report: one HTML page that needs no network, with verdict, graph,"
    " layers, time and memory, also when the compare fails. Of several stages FILE_0.html,"
    " FILE_1.html ...", default_text="none",
)

COMPILE_FLAGS = (
    Flag("model", PATH, "The UFW prototxt, or an .onnx.", necessary=True),
    Flag("weight", PATH, "The weights: fp32umodel, int8umodel or caffemodel.", necessary=True,
         spared_by=".onnx"),
    Flag("outdir", PATH, "The folder for compilation.bmodel.", necessary=True),
    replace(_SHAPES_FLAG, kind=SHAPE_SETS, default=(), repeated=True, help=_SHAPES_FLAG.help
            + " Given several times: a stage for each, of which the runtime takes the one that"
            " fits its input."),
    *_CUT_FLAGS,
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
    Flag("use_wino", BOOLEAN, "Winograd for all convolutions; use_winograd in the prototxt wins.",
         default_text="from the model"),
    Flag("target", NAME, "The chip.", "BM1684"),
    Flag("max_n", COUNTS, "The batch of every input; several, as in 1,4,8: a stage for each.", (),
         "the prototxt's", repeated=True),
    Flag("seed", SEED, "Seed of the input that the compare makes up.", 0),
    Flag("v", VERBOSITY, "How much to report.", 0),
    Flag("enable_profile", BOOLEAN, "Write compiler_profile_0.txt, .csv and .json: estimated"
         " cycles of every layer.", False),
    _REPORT_FLAG,
    Flag("input_as_fp32", NAMES, "Inputs that stay float in an INT8 bmodel.", (), "none"),
    Flag("output_as_fp32", NAMES, "Outputs that stay float in an INT8 bmodel.", (), "none"),
    Flag("print_pipeline", BOOLEAN, "Print the passes of -opt and -prec for bmnetu-opt -p.", False),
    Flag("dump_ir", PATH, "A folder for the IR after each pass.", default_text="none"),
    Flag("stop_after", choice(*ALL_LEVELS), "The last level to reach.",
         default_text="none"),
    Flag("extract_layer", NAME, "Write the layer of this name, or with this top, into -outdir as a"
         " network of its own: prototxt, umodel, the input that it gets from -cmp_data or a made-up"
         " input, and the expected output. Nothing is compiled.", default_text="none"),
    *_QUESTIONS,
    *COMMON_FLAGS,
)

_DATA_FLAGS = (
    *CONTRACT_FLAGS,
    Flag("workers", COUNT, "How many processes compute. The result does not depend on it.", 1),
    Flag("dask", NAME, "The address of a Dask scheduler, as in tcp://host:8786, whose workers"
         " compute. They read -data at the same path.", default_text="none"),
)

CALIBRATE_FLAGS = (
    Flag("model", PATH, "The prototxt, or an .onnx.", necessary=True),
    Flag("weight", PATH, "The weights: caffemodel or fp32umodel.", necessary=True,
         spared_by=".onnx"),
    Flag("data", PATH, "The calibration data: a folder of images, an LMDB of Caffe's Datum, or an"
         " npy or npz with one array an input.", necessary=True),
    Flag("outdir", PATH, "The folder for NET.int8umodel and NET_deploy_int8_unique_top.prototxt.",
         necessary=True),
    _SHAPES_FLAG,
    *_CUT_FLAGS,
    Flag("th_method", choice("AUTO", "KL", "MAX", "PERCENTILE", "MSE", "ADMM", "ACIQ",
                              PERCENTILE9999="PERCENTILE"),
         "How thresholds are chosen; th_strategy, th_scale and threshold of"
         " a layer in the prototxt go before it. AUTO tries several methods, with and without"
         " -equalize and -adaptive_rounding where these are on, on a part of the data that they"
         " have not seen, and takes the best; KL stays unless another is surely better.", "AUTO"),
    Flag("iterations", COUNT, "At most this many batches of the data are run.", 200),
    *_DATA_FLAGS,
    Flag("keep_bn", BOOLEAN, "Keep BatchNorm and Scale as integer layers, not folded.", False),
    Flag("equalize", BOOLEAN, "Scale channels of consecutive layers so that 8 bits fit all of them"
         " better; the float net stays equal, blobs between such layers get other units.", True),
    Flag("adaptive_rounding", BOOLEAN, "Round weights so that their errors cancel on the data.",
         True),
    Flag("bias_correction", BOOLEAN, "Biases take up the mean error on the data.", False),
    Flag("fpfwd_inputs", NAMES, "Layers that stay float with all before them.", (), "none"),
    Flag("fpfwd_outputs", NAMES, "Layers that stay float with all behind them.", (), "none"),
    Flag("fpfwd_blocks", NAMES, "Layers that stay float, each with what follows up to the next"
         " layer that computes. Naming an Input layer keeps that input of the net float.",
         (), "none"),
    Flag("layer_table", BOOLEAN, "Print how every blob is held and what that costs, and write it"
         " to NET_layers.json. The first 32 samples are run.", False),
    Flag("sensitivity", BOOLEAN, "Print what each layer alone costs at the net's outputs, the worst"
         " first. The first 32 samples are run.", False),
    replace(_REPORT_FLAG, help="Write a report: one HTML page that needs no network, with graph,"
            " layers, histograms, and what INT8 loses."),
    Flag("float_budget", COUNT, "Keep at most this many of the worst layers float, each with what"
         " follows up to the next layer that computes, where that helps.", default_text="none,"
         " any number with -target_cosine"),
    Flag("target_cosine", COSINE, "Keep layers float, from the worst on, until every output, and"
         " every operand that a Concat joins to one, has at least this cosine to the float net's."
         " Exit code 5 and no files when it is not reached.", default_text="none"),
    Flag("net_name", NAME, "NET in the names of the files.", default_text="the prototxt's"),
    Flag("v", VERBOSITY, "How much to report.", 0),
    *COMMON_FLAGS,
)

EVALUATE_FLAGS = (
    Flag("model", PATH, "The float net's prototxt.", necessary=True),
    Flag("weight", PATH, "Its weights: caffemodel or fp32umodel.", necessary=True,
         spared_by=".onnx"),
    Flag("int8_model", PATH, "The INT8 prototxt.", necessary=True),
    Flag("int8_weight", PATH, "The int8umodel.", necessary=True),
    Flag("data", PATH, "The data: a folder of images, an LMDB of Caffe's Datum, or an npy or npz"
         " with one array an input. An LMDB and an npz with an array label have labels.",
         necessary=True),
    _SHAPES_FLAG,
    *_CUT_FLAGS,
    Flag("iterations", COUNT, "At most this many batches of the data are run.", MAX_COUNT,
         default_text="all"),
    *_DATA_FLAGS,
    Flag("annotations", PATH, "What is to be detected in a folder of images: a folder with an XML"
         " of Pascal VOC for each, or one JSON of COCO. Gives the mean average precision.",
         default_text="none"),
    Flag("label_map", PATH, "The names of the annotations: one a line, in the order of the net's"
         " classes; or a label map with item { name, label }.", default_text="the order of VOC's"
         " classes, or of COCO's categories"),
    Flag("max_drop", DROP, "With labels: exit code 5 when INT8 loses more than so many percentage"
         " points of top-1 accuracy; with annotations, of mean average precision at IoU 0.5.",
         default_text="none"),
    Flag("min_cosine", COSINE, "Exit code 5 when an output has a smaller cosine to FP32's;"
         " detections have none.", default_text="none"),
    Flag("min_iou", IOU, "Exit code 5 when a detection of FP32 with a score above 0.5 has no INT8"
         " box of its class with this IoU.", default_text="none"),
    Flag("v", VERBOSITY, "How much to report.", 0),
    *COMMON_FLAGS,
)

_AS_CALIBRATED = {flag.name: flag for flag in CALIBRATE_FLAGS}
_AS_EVALUATED = {flag.name: flag for flag in EVALUATE_FLAGS}
WHAT_IF_FLAGS = (
    *(_AS_CALIBRATED[name] for name in ("model", "weight", "data")),
    Flag("layer", NAMES, "The layers, as the prototxt names them; may be given several times. Each"
         " is tried alone.", (), necessary=True, repeated=True),
    *(replace(_AS_EVALUATED[name], necessary=False, help=help, default_text="a calibration is made")
      for name, help in (("int8_model", "The INT8 prototxt of a calibration that is there already:"
                          " its thresholds and integers are those as it is."),
                         ("int8_weight", "Its int8umodel."))),
    Flag("threshold", THRESHOLDS, "Try this threshold of the layers' blobs; several with a comma"
         " between them, or by several flags.", (), "those that MAX, KL, PERCENTILE and MSE choose,"
         " where no other trial is asked for", repeated=True),
    Flag("keep_bn", BOOLEAN, "Try the net with BatchNorm and Scale as integer layers.", False),
    Flag("keep_float", BOOLEAN, "Try the layer in float, with what follows up to the next layer"
         " that computes.", False),
    *(_AS_CALIBRATED[name] for name in ("shapes", "output_whitelist", "host", "th_method",
                                        "iterations", "equalize", "adaptive_rounding",
                                        "bias_correction")),
    *_DATA_FLAGS,
    Flag("v", VERBOSITY, "How much to report.", 0),
    *COMMON_FLAGS,
)  # fmt: skip


def parse(
    flags: Sequence[Flag], words: Sequence[str], operands: list[str] | None = None
) -> dict[str, Any]:
    """The value of every flag, given or default, by name. Raises UsageError.

    Necessary flags may be missing (they are None then): see :func:`require_necessary`. Words that
    are no flags are added to ``operands``; without it there may be none.
    """
    known = {flag.name: flag for flag in flags} | {flag.alias: flag for flag in flags if flag.alias}
    values = {flag.name: flag.default for flag in flags}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or not word.strip("-"):
            if operands is not None:
                operands.append(word)
                continue
            raise UsageError(f"unexpected word {word!r}: values follow a flag, as in -flag=value")
        name, equals, text = word.removeprefix("-").removeprefix("-").partition("=")
        flag, negated = _find(known, name.replace("-", "_"))
        if negated and equals:
            raise UsageError(f"-{name} takes no value: write -{flag.name}={text}")
        if negated:
            text = "false"
        elif not equals:
            text = _next_value(known, flag, rest)
        value = _read(flag, text, f"-{flag.name}={text}")
        if flag.repeated:
            several = cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,)
            value = (*values[flag.name], *several)
        values[flag.name] = value
    return values


def require_necessary(flags: Sequence[Flag], values: Mapping[str, Any]) -> None:
    """Raise UsageError that names all necessary flags without a value."""
    ending = Path(values["model"] or "").suffix.lower()
    missing = [
        f"-{flag.name}" for flag in flags
        if flag.necessary and values[flag.name] in (None, ()) and (flag.spared_by or "-") != ending
    ]
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given: -help shows more")


def check_values(flags: Sequence[Flag], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values given from Python, checked and typed as the command line's are.

    None stands for the default. Raises UsageError, also for an unknown name.
    """
    flags = [flag for flag in flags if flag not in (*COMMON_FLAGS, *_QUESTIONS)]
    known = {flag.name: flag for flag in flags}
    found = {flag.name: flag.default for flag in flags}
    for name, value in values.items():
        flag, negated = _find(known, name)
        if negated:
            raise UsageError(f"{name}: write {flag.name}=False")
        if flag.kind.arrays and (isinstance(value, Mapping) or hasattr(value, "__array__")):
            found[name] = value
        elif flag.kind is NAMES and isinstance(value, (list, tuple)):
            found[name] = tuple(map(str, cast(Sequence[object], value)))
        elif flag.kind in (PATH, DATA):
            if value is not None:
                found[name] = _read(flag, _path_text(name, value), f"{name}={value!r}")
        elif value is not None:
            found[name] = _read(flag, _text(flag.kind, value), f"{name}={value!r}")
    return found


def _path_text(name: str, value: object) -> str:
    if not isinstance(value, (str, PathLike)):
        raise UsageError(f"{name}: a path is expected, not {type(value).__name__}")
    return str(cast(object, value))


def _text(kind: ValueKind, value: object) -> str:
    """A value given from Python, as the command line has it."""
    if kind.join and isinstance(value, (list, tuple)):
        return kind.join.join(map(str, cast(Sequence[object], value)))
    if isinstance(value, (list, tuple)):
        items = (_text(kind, item) for item in cast(Sequence[object], value))
        return f"[{','.join(items)}]"
    return str(value)


def help_text(
    tool: str, purpose: str, flags: Sequence[Flag], plugins: Sequence[str] = ()
) -> str:
    """The text of -help; ``plugins`` are those that are installed."""
    necessary = " ".join(f"-{f.name}={f.kind.word}" for f in flags if f.necessary)
    lines = [f"usage: {tool} {necessary} [-flag=value ...]", "", *textwrap.wrap(purpose, 96), ""]
    for flag in flags:
        lines.append(f"  -{flag.name}={flag.kind.word}")
        lines += textwrap.wrap(note_of(flag), 96, initial_indent=" " * 6,
                               subsequent_indent=" " * 6)
    if plugins:
        lines += ["", *textwrap.wrap(f"Plug-ins: {', '.join(plugins)}.", 96)]
    return "\n".join(lines)


def note_of(flag: Flag) -> str:
    """A flag's help, and its default."""
    note = f"Default: {default_text(flag)}."
    if flag.necessary:
        note = "Necessary." + (f" Not with an {flag.spared_by}." if flag.spared_by else "")
    return f"{flag.help} {note}"


def default_text(flag: Flag) -> str:
    """A flag's default, in words."""
    if flag.default_text:
        return flag.default_text
    return str(flag.default).lower() if isinstance(flag.default, bool) else str(flag.default)


def _find(known: Mapping[str, Flag], name: str) -> tuple[Flag, bool]:
    """The flag of a name, and whether the name is its ``no`` form."""
    if name in known:
        return known[name], False
    positive = known.get(name.removeprefix("no"))
    if name.startswith("no") and positive and positive.kind is BOOLEAN:
        return positive, True
    near = nearest(name, known)
    hint = f"did you mean -{near}?" if near else "-help lists all flags"
    raise UsageError(f"unknown flag -{name}: {hint}")


def _next_value(known: Mapping[str, Flag], flag: Flag, rest: list[str]) -> str:
    """The value of a flag written without ``=``: the next word, where that can be one."""
    if flag.kind is BOOLEAN:
        return rest.pop(0) if rest and rest[0].lower() in BOOLEANS else "true"
    after = rest[0].lstrip("-").partition("=")[0].replace("-", "_") if rest else ""
    if not rest or (rest[0].startswith("-") and after in known):
        raise UsageError(f"-{flag.name} requires a value: -{flag.name}={flag.kind.word}")
    return rest.pop(0)


def _read(flag: Flag, text: str, shown: str) -> Any:
    try:
        return flag.kind.read(text)
    except ValueError as error:
        raise UsageError(f"{shown}: -{flag.name} requires {error}") from None
