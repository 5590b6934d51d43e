"""The flags of ``bmnetu-calibrate`` and its subcommands, and examples for their help."""

from __future__ import annotations

from dataclasses import replace

from bmnetu.command_line.compile_flags import (
    CUT_FLAGS,
    FAST_FUNCTIONS_FLAG,
    REPORT_FLAG,
    SHAPES_FLAG,
)
from bmnetu.command_line.flags import COMMON_FLAGS, CONTRACT_FLAGS, Flag
from bmnetu.command_line.kinds import (
    BOOLEAN,
    COSINE,
    COUNT,
    DROP,
    IOU,
    MAX_COUNT,
    NAME,
    NAMES,
    PATH,
    THRESHOLDS,
    VERBOSITY,
    choice,
)

JSON_FLAG = Flag(
    "json", BOOLEAN, "Print the result as JSON; what people read goes to stderr.", False,
    question=True,
)  # fmt: skip

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
    SHAPES_FLAG,
    *CUT_FLAGS,
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
    replace(REPORT_FLAG, help="Write a report: one HTML page that needs no network, with graph,"
            " layers, histograms, and what INT8 loses."),
    Flag("float_budget", COUNT, "Keep at most this many of the worst layers float, each with what"
         " follows up to the next layer that computes, where that helps.", default_text="none,"
         " any number with -target_cosine"),
    Flag("target_cosine", COSINE, "Keep layers float, from the worst on, until every output, and"
         " every operand that a Concat joins to one, has at least this cosine to the float net's."
         " Exit code 5 and no files when it is not reached.", default_text="none"),
    Flag("net_name", NAME, "NET in the names of the files.", default_text="the prototxt's"),
    Flag("v", VERBOSITY, "How much to report.", 0),
    JSON_FLAG,
    *COMMON_FLAGS,
)

EVALUATE_FLAGS = (
    Flag("model", PATH, "The float net's prototxt.", necessary=True),
    Flag("weight", PATH, "Its weights: caffemodel or fp32umodel.", necessary=True,
         spared_by=".onnx"),
    Flag("int8_model", PATH, "The INT8 prototxt.", necessary=True),
    Flag("int8_weight", PATH, "The int8umodel.", necessary=True),
    replace(FAST_FUNCTIONS_FLAG, help="Evaluate what a bmodel with -fast_functions computes."),
    Flag("data", PATH, "The data: a folder of images, an LMDB of Caffe's Datum, or an npy or npz"
         " with one array an input. An LMDB and an npz with an array label have labels.",
         necessary=True),
    SHAPES_FLAG,
    *CUT_FLAGS,
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
    JSON_FLAG,
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
    JSON_FLAG,
    *COMMON_FLAGS,
)  # fmt: skip

CALIBRATE_EXAMPLES = (
    ("-model=net.prototxt -weight=net.caffemodel -data=images -outdir=q",
     "A folder of images; writes q/net.int8umodel and its prototxt for bmnetu."),
    ("-model=net.onnx -data=images -outdir=q -mean=104,117,123 -color=rgb",
     "With the preprocess of the training, where the model does not say it."),
    ("-model=net.prototxt -weight=net.caffemodel -data=images -outdir=q -sensitivity"
     " -float_budget=2 -report=q/report.html",
     "Ranks the layers by what they lose, keeps two at most float, and writes a report."),
)  # fmt: skip
EVALUATE_EXAMPLES = (
    ("-model=net.prototxt -weight=net.caffemodel"
     " -int8_model=q/net_deploy_int8_unique_top.prototxt -int8_weight=q/net.int8umodel"
     " -data=images -min_cosine=0.9", "How far both nets agree; exit code 5 below this cosine."),
    ("-model=net.prototxt -weight=net.caffemodel"
     " -int8_model=q/net_deploy_int8_unique_top.prototxt -int8_weight=q/net.int8umodel"
     " -data=labelled.npz -max_drop=1", "Top-1 and top-5, which may fall by one point."),
)  # fmt: skip
WHAT_IF_EXAMPLES = (
    ("-model=net.prototxt -weight=net.caffemodel -data=images -layer=conv1",
     "All that applies to the layer."),
    ("-model=net.prototxt -weight=net.caffemodel -data=images -layer=conv1 -threshold=2.5",
     "Another threshold."),
)  # fmt: skip
