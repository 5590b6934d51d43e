"""What to do in the export about an operator that cannot be compiled: one table."""

from __future__ import annotations

HOST = "cut the net before it (onnx.utils.extract_model) and compute the rest on the host"
HEADS = "export the net without its post-processing, which the host computes from the raw outputs"
FIXED = (
    "export with fixed shapes and do_constant_folding=True, or run onnxsim on the file, so that it"
    " is computed before"
)
EVAL = "export after model.eval()"
FLOAT = "export the float net; bmnetu-calibrate makes INT8 of it"
PADS = "give its pads as numbers, not as auto_pad, and smaller than the kernel"
WEIGHTS = "its weights have to be constants in the file: export with do_constant_folding=True"
SLICES = "write to slices, as x[:, 2:5] = y does; else " + HEADS
SCALARS = "keep one dimension: keepdim=True, or unsqueeze"
UNROLL = "give it sequences of one length, and weights that are constants"
FLOATS = "compute with floats: cast before it with .float()"
OWN_DOMAIN = (
    "export with ONNX's own operators only: no custom ones, and no file that ONNX Runtime has"
    " optimised"
)

ADVICE: dict[str, str] = {
    "AveragePool": PADS,
    "BatchNormalization": EVAL,
    "Bernoulli": EVAL,
    "Cast": "export with numbers all through: no strings and no sequences",
    "Compress": HEADS,
    "ConstantOfShape": FIXED,
    "Conv": WEIGHTS,
    "ConvInteger": FLOAT,
    "ConvTranspose": WEIGHTS,
    "DeformConv": WEIGHTS,
    "DequantizeLinear": FLOAT,
    "Div": FLOATS,
    "Dropout": EVAL,
    "DynamicQuantizeLinear": FLOAT,
    "Einsum": "write it as products of two tensors, and without diagonals",
    "Expand": FIXED,
    "GRU": UNROLL,
    "GatherND": HEADS,
    "GridSample": "bilinear or nearest, of height and width; else " + HOST,
    "GroupNormalization": EVAL,
    "If": FIXED,
    "InstanceNormalization": EVAL,
    "LSTM": UNROLL,
    "Loop": FIXED,
    "LpNormalization": "write it as a division by torch.linalg.norm",
    "LpPool": PADS,
    "MatMulInteger": FLOAT,
    "MaxPool": PADS + "; its indices are for a MaxUnpool alone",
    "MaxUnpool": "give it the size of its MaxPool's input",
    "Mod": "whole numbers by one constant; of floats write x - y * torch.floor(x / y)",
    "Multinomial": EVAL,
    "NonMaxSuppression": HEADS,
    "NonZero": HEADS,
    "OneHot": FIXED,
    "PRelu": WEIGHTS,
    "Pad": FIXED,
    "Pow": "write x ** number; for other exponents torch.exp(y * torch.log(x))",
    "QuantizeLinear": FLOAT,
    "RNN": UNROLL,
    "RandomNormal": EVAL,
    "RandomNormalLike": EVAL,
    "RandomUniform": EVAL,
    "RandomUniformLike": EVAL,
    "Range": FIXED,
    "ReduceMax": SCALARS,
    "ReduceMean": SCALARS,
    "ReduceMin": SCALARS,
    "ReduceSum": SCALARS,
    "Reshape": FIXED,
    "Resize": "give it sizes, not scales; align_corners=False",
    "RoiAlign": HEADS,
    "Scan": FIXED,
    "ScatterElements": SLICES,
    "ScatterND": SLICES,
    "Slice": FIXED,
    "Split": FIXED,
    "SplitToSequence": "split into tensors: torch.split and an index",
    "Tile": FIXED,
    "TopK": HEADS,
    "Unique": HEADS,
}


def advice_on(op: str) -> str:
    """What to do about an operator."""
    return OWN_DOMAIN if "." in op else ADVICE.get(op, HOST)
