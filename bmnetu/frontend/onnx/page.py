"""docs/onnx.md: the ONNX operators, out of their table.

``python -m bmnetu.frontend.onnx.page > docs/onnx.md`` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnx import defs

from bmnetu.frontend.onnx.advice import ADVICE
from bmnetu.frontend.onnx.nodes.quantised import BODIES
from bmnetu.frontend.onnx.operators.table import OPERATORS
from dialects.functions import ROWS

FUNCTIONS = tuple(sorted({each.name for row in ROWS for each in row.onnx} - OPERATORS.keys()))


@dataclass(frozen=True)
class Row:
    """Operators that become the same layers: which these are, and what is refused."""

    operators: tuple[str, ...]
    becomes: str
    refused: str = ""


def _row(operators: str, becomes: str, refused: str = "") -> Row:
    return Row(tuple(operators.split()), becomes, refused)


PAGE = (
    _row("Conv", "Convolution, Convolution3D (1 and 3 axes); Pad where the pads at both ends differ"
         " there; StrideSlice for negative pads",
         "weights that are no constant, more axes, `auto_pad` SAME with strides above the kernel's"
         " extent + 1"),
    _row("ConvTranspose", "Deconvolution; of 3 axes frame by frame", "as Conv"),
    _row("MaxPool AveragePool LpPool", "Pooling: height and width together, other axes one by one;"
         " with dilations one for each phase; Power before and behind LpPool's",
         "indices that others than a MaxUnpool read, pads as large as the window, `auto_pad` as"
         " Conv"),
    _row("MaxUnpool", "Unpooling", "other sizes than that of the MaxPool's input, other ranks than"
         " N x C x H x W"),
    _row("GlobalAveragePool GlobalMaxPool GlobalLpPool", "Pooling, Reduce"),
    _row("Resize Upsample", "ResizeNearestNeighbor, ResizeBilinear, see below; else a Convolution"
         " along an axis",
         "scales and sizes that are no constants; `align_corners` and `tf_crop_and_resize` by"
         " scales that make no whole size"),
    _row("LRN", "LRN; of an even size Square, Convolution, Power and Eltwise"),
    _row("Gemm MatMul", "InnerProduct with weights that are constants, else MatMul"),
    _row("Einsum", "Reduce, Permute, Reshape and one MatMul", "diagonals, more than two tensors"),
    _row("LSTM GRU RNN", "Lstm, GRU and Rnn, one a direction, with states; steps as layers of their"
         " own, 64 at most, for peepholes and other activations",
         "sequences of different lengths, `clip`, `input_forget`, weights that are no constants"),
    _row("BatchNormalization", "BatchNorm, Scale", "`training_mode`, coefficients that are no"
         " constants"),
    _row("LayerNormalization", "LayerNorm", "coefficients that are no constants"),
    _row("RMSNormalization", "Normalize", "a factor that is no constant"),
    _row("InstanceNormalization GroupNormalization", "InstanceNorm, GroupNorm",
         "coefficients that are no constants"),
    _row("LpNormalization", "Normalize, Reduce", "`p` other than 1 and 2"),
    _row("Softmax LogSoftmax", "Softmax, LogSoftmax; before operator set 13 over all axes from one"
         " on"),
    _row("ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare"
         " ReduceLogSum ReduceLogSumExp", "Pooling for means and maxima over height and width, else"
         " Reduce, with Log, Exp and Eltwise", "a result without a dimension"),
    _row("ArgMax ArgMin", "Arg", "a result without a dimension"),
    _row("Add Sub Mul Div", "Eltwise; Scale or Bias where one is smaller, such as N x C x 1 x 1;"
         " Power with one number; else BroadcastBinary", "whole numbers divided by a tensor"),
    _row("Mod", "ComposedFunction: whole numbers up to 2^22 by a constant",
         "floats; a divisor that is no constant number"),
    _row("Sum Mean Max Min", "Eltwise, BroadcastBinary; ReLU, ReLU6 or Clip with one number"),
    _row("Pow", "Power; BroadcastBinary with several exponents",
         "exponents that are no constants, or both whole and not"),
    _row("Equal Greater GreaterOrEqual Less LessOrEqual", "BroadcastBinary, ConstBinary: 1 or 0"),
    _row("And Or Xor Not", "BroadcastBinary, Power"),
    _row("Where", "Select"),
    _row("IsNaN", "nothing: no number is one"),
    _row("Relu LeakyRelu PRelu Clip", "ReLU, PReLU, ReLU6, Clip; other slopes than one a channel:"
         " ReLU, Clip, BroadcastBinary, Eltwise", "slopes that are no constants"),
    _row("Gelu Sign", "GELU, ComposedFunction"),
    Row(FUNCTIONS, "the layer of that function"),
    _row("Concat Split", "Concat, Slice, Silence", "pieces of unknown size"),
    _row("Slice", "Slice, Silence; with steps StrideSlice", "places that are no constants"),
    _row("Gather", "Slice, StrideSlice, Concat; of more than 256 pieces, and at places that are"
         " made at run time, a layer of the host"),
    _row("ScatterElements ScatterND", "Slice, StrideSlice, Concat at the places of slices",
         "other places"),
    _row("Pad", "part of the Conv that reads it, else Pad, StrideSlice, Concat",
         "places that are no constants"),
    _row("Tile Expand", "Reshape, Tile", "shapes that depend on numbers"),
    _row("Flatten Reshape Squeeze Unsqueeze Transpose", "Flatten, Reshape, Permute",
         "shapes that depend on numbers"),
    _row("DepthToSpace SpaceToDepth", "the layers of these names"),
    _row("Dropout Identity", "Dropout, or nothing", "training"),
    _row("Cast CastLike", "nothing; whole numbers of others by Floor and Ceil, truth by"
         " ConstBinary", "strings"),
    _row("QuantizeLinear DequantizeLinear", "nothing, or ReLU6; their scales become `threshold`,"
         " see below", "scales that are no constants"),
    _row("TopK", "TopK, a layer of the host; indices are INT32 there, and FLOAT behind a Cast",
         "k that is no constant"),
    _row("GatherElements GatherND", "GatherElements and Gather, layers of the host; an index that"
         " is outside is put to the end that it lies beyond", "GatherElements of more than 4 axes"),
    _row("NonMaxSuppression", "NonMaxSuppression, a layer of the host: INT32, as many rows as there"
         " are", "nodes behind it, thresholds that are no constants"),
    _row("RoiAlign", "ROIAlign, a layer of the host", "`mode` max"),
    _row("GridSample", "GridSampler, a layer of the host", "`mode` cubic, volumes"),
    _row("DeformConv", "DeformGather, a layer of the host, and a Convolution of one pixel",
         "weights that are no constants"),
)


HEAD = """\
# ONNX

```sh
pip install 'bmnetu[onnx]'
bmnetu -model=net.onnx -outdir=out                            # FP32
bmnetu-calibrate -model=net.onnx -data=images/ -outdir=q      # INT8: q/net.int8umodel
bmnetu -mode=GenUmodel -model=net.onnx -outdir=out            # out/net.fp32umodel, its prototxt
bmnetu-opt net.onnx -p 'convert-ufw-to-quant'
```

An .onnx has its weights itself: `-weight` is left out. Its nodes become UFW layers as it is read,
so all that holds for a prototxt holds for it; GenUmodel writes these layers, for a look, or to set
`forward_with_float`, `threshold` and the like in the prototxt. From Python:
`bmnetu.compile("net.onnx", None, "out")`. This page is made by
`python -m bmnetu.frontend.onnx.page > docs/onnx.md`.

* The net has the file's name. Tensors keep their names, layers those of their nodes. The number
  behind the file in a message is the node's place in the graph, from 1.
* A batch without a size is 1, unless `-shapes` or `-max_n` says another. Other sizes that are not
  known have to be given with `-shapes`, to `bmnetu-calibrate` and `bmnetu-calibrate eval` too. The
  graph is made for these shapes; with `-dyn=true` smaller ones can be free, see
  [dynamic.md](dynamic.md). Inputs without a dimension (scalars) are refused: export the net with
  constants in their place.
* All numbers are computed as float32: float16, bfloat16 and double, whole numbers and truth values,
  too. Inputs and outputs of these types are FLOAT in the bmodel, with the same numbers; a note says
  so. Whole numbers are exact up to 2^24. Numbers of constants beyond 1e37 that are added or chosen
  count as 1e37, so that a mask of -inf makes nothing infinite; of a row that is masked whole
  Softmax makes equal numbers, where ONNX makes none. Sums and products of 8 and 16 bits, which wrap
  around, are refused; a number outside of the type that it is cast to stays as it is.
* Nodes whose inputs are constants are computed as it is read, whatever their operator, by the onnx
  package. Refused are results of unknown size, more than 128 MB and four times the file's size in
  all, more than 2^24 numbers for MatMul and Gemm, 2^20 for operators that are slow, 2^16 for loops
  such as Conv or LSTM; random numbers; and operators with a graph of their own (If, Loop, Scan).
* Functions of the file, and operators that ONNX defines by others (Attention, Celu, Shrink,
  ThresholdedRelu, RotaryEmbedding, ...), become the nodes of their body.
* Normalisations that exporters write in parts become one layer again: LayerNormalization over any
  axes, the division by a root mean square, and by a norm; an InstanceNormalization of the tensor
  under another shape is a GroupNorm. Functions of one tensor that are written in parts, such as
  GELU by Erf, become one by `ufw-fuse-functions`.
* Outputs are known by their names; their order is that of the layers. An output that is a constant,
  or an input of the net, is refused.
* Nodes which the outputs do not depend on are left out.
* Operator sets 6 to what the installed onnx package knows.
* Tensors may lie in other files (`external_data`), as `torch.onnx.export` writes them today: only
  below the folder of the .onnx, links followed, and only bytes that are there. Nothing else is
  read.

## Operators

Every operator gives what ONNX defines up to the rounding of float32, or is refused by the name of
its node. Exit code 4 lists all nodes that cannot be compiled, also those behind one another (onnx
infers the shapes between), with a sum by operator and what to do in the export
(`bmnetu/frontend/onnx/advice.py`); 3 is for a damaged file. All attributes of an operator are
taken, but for what stands under "refused".

| operator | attributes | becomes | refused | then, in the export |
|---|---|---|---|---|
"""

TAIL = """
Any other of constants, and Shape and Size, are computed. All others, such as If and Loop, and those
of other domains, are refused.

A Resize of any axes, modes and rules is compiled, `antialias`, `exclude_outside` and
`keep_aspect_ratio_policy` too. It is a quick one where its positions are those of a layer:
`nearest` by whole factors, and `linear` with `half_pixel`, `pytorch_half_pixel`, `align_corners` or
`asymmetric` by sizes or by scales that make whole sizes. Everything else, such as `cubic`, is a
product with a matrix along each axis, several times as slow. Positions are computed in float32, as
in onnxruntime, on which the nearest element depends; what onnx and onnxruntime define differently
is refused.

## Heads with their post-processing

What picks by the data is computed on the host, as a part of the bmodel: a whole export of YOLOv10,
YOLO26 or RT-DETR is one network. `-host=false` ends it before these layers, so that the heads come
out raw. Places are INT32 on the host and float32 on the NPU, which holds them up to 2^23; the net's
outputs are FLOAT. In an INT8 net all that is computed of INT64, and all that places are computed
of, stays float. Equal scores stand in the order of their places, as in onnxruntime; scores that are
equal but for rounding may change places.

A result whose size depends on the data (NonZero, boolean masks, what stands behind a
NonMaxSuppression) cannot be compiled: end the net before it. A NonMaxSuppression can be the net's
end; its output is INT32, and the runtime reports how many rows there are. Of an Ultralytics export
leave `nms=True` out, of a torchvision detector export the heads.

## Quantised nets

A net with QuantizeLinear and DequantizeLinear (QDQ), or with QLINEAR of ONNX and of ONNX Runtime,
is read as the float net that it stands for. In FP32 nothing is rounded; a QuantizeLinear whose
least integer is 0 cuts off what is outside of its range, as the ReLU before it is left out by
exporters. `bmnetu-calibrate` takes the scales as thresholds, and measures only tensors that have
none. The chip has one scale a layer for weights and no zero points: a note says how many tensors
that concerns, and by how much the weights change.

## Backend tests

Of ONNX's own backend tests (onnx 1.23.2, COUNTS: `python -m tests.onnx_backend`.

To add an operator: a function from `Site` to `Blob` in `bmnetu/frontend/onnx/operators/`, a row in
`table.py` there, one in `bmnetu/frontend/onnx/page.py`, and a net in `tests/frontend/onnx/`,
which compares it with the onnx package's own evaluator.
"""
COUNTS = (
    "902 of operators that are or may become layers), 829 are compiled and equal at opt 1, and all"
    " others are refused"
)


def attributes(operator: str) -> list[str]:
    """What the newest operator set gives an operator."""
    if "." in operator:
        return []
    return sorted(defs.get_schema(operator).attributes)


def line(row: Row) -> str:
    given = sorted({name for each in row.operators for name in attributes(each)})
    advice = list(dict.fromkeys(ADVICE[each] for each in row.operators if each in ADVICE))
    cells = (
        ", ".join(row.operators),
        ", ".join(f"`{name}`" for name in given),
        row.becomes,
        row.refused,
        "; ".join(advice) if row.refused else "",
    )
    return f"| {' | '.join(cells)} |".replace("  ", " ")


def markdown() -> str:
    """The page."""
    linear = ", ".join(sorted(name.rpartition(".")[2] for name in BODIES))
    tail = TAIL.replace("QLINEAR", linear).replace("COUNTS", COUNTS)
    return HEAD + "\n".join(map(line, PAGE)) + "\n" + tail


if __name__ == "__main__":
    print(markdown(), end="")
