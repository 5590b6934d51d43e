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
ONE_SHAPE = "bring all operands to one shape, or one of them to N x C x 1 x 1"
PADS = "give its pads as numbers, not as auto_pad, and smaller than the kernel"
WEIGHTS = "its weights have to be constants in the file: export with do_constant_folding=True"
AXES = "bring the axes to height and width with unsqueeze and permute"
SLICES = "write to slices, as x[:, 2:5] = y does; else " + HEADS
OWN_DOMAIN = (
    "export with ONNX's own operators only: no custom ones, and no file that ONNX Runtime has"
    " optimised or quantised"
)

ADVICE: dict[str, str] = {
    "And": FIXED,
    "ArgMax": HEADS,
    "AveragePool": PADS,
    "BatchNormalization": EVAL,
    "Bernoulli": EVAL,
    "Cast": "export with float32 tensors all through",
    "Compress": HEADS,
    "Concat": "with a constant: make the constant an input of the net",
    "ConstantOfShape": FIXED,
    "Conv": WEIGHTS,
    "ConvInteger": FLOAT,
    "ConvTranspose": WEIGHTS,
    "DequantizeLinear": FLOAT,
    "Div": "of whole numbers: by one constant, or as floats",
    "Dropout": EVAL,
    "DynamicQuantizeLinear": FLOAT,
    "Einsum": "write it as matmul, reshape and transpose",
    "Equal": FIXED,
    "Expand": "repeat with torch.cat",
    "Gather": "cut the pieces out with slices and join them with torch.cat",
    "GatherElements": HEADS,
    "GatherND": HEADS,
    "Gemm": "transpose A before it; of two tensors: " + HOST,
    "GRU": "export it as torch.nn.GRU computes it, with linear_before_reset = 1",
    "Greater": FIXED,
    "GreaterOrEqual": FIXED,
    "If": FIXED,
    "Less": FIXED,
    "LessOrEqual": FIXED,
    "Loop": FIXED,
    "LpPool": PADS,
    "MatMul": "of two tensors, as in attention: " + HOST,
    "MatMulInteger": FLOAT,
    "Mod": "of whole numbers by one constant",
    "Max": ONE_SHAPE,
    "MaxPool": PADS + "; its indices are for a MaxUnpool alone",
    "MaxUnpool": "give it the size of its MaxPool's input",
    "Mean": ONE_SHAPE,
    "Multinomial": EVAL,
    "NonMaxSuppression": HEADS,
    "NonZero": HEADS,
    "Not": FIXED,
    "OneHot": FIXED,
    "Or": FIXED,
    "PRelu": "use torch.nn.PReLU with one slope or one a channel",
    "Pad": "zeros: let the Conv or AveragePool behind it pad",
    "Pow": "write x ** number",
    "QLinearConv": FLOAT,
    "QLinearMatMul": FLOAT,
    "QuantizeLinear": FLOAT,
    "RandomNormal": EVAL,
    "RandomNormalLike": EVAL,
    "RandomUniform": EVAL,
    "RandomUniformLike": EVAL,
    "Range": FIXED,
    "ReduceMax": AXES,
    "ReduceMean": AXES,
    "ReduceSum": "over height and width: the mean times their size",
    "Reshape": FIXED,
    "Resize": "give it sizes, not scales; align_corners=False",
    "RoiAlign": HEADS,
    "Scan": FIXED,
    "ScatterElements": SLICES,
    "ScatterND": SLICES,
    "Shape": FIXED,
    "Size": FIXED,
    "Slice": "steps over height and width: max_pool2d(x, 1, step)",
    "Split": "leave pieces without numbers out",
    "SplitToSequence": "split into tensors: torch.split and an index",
    "Sum": ONE_SHAPE,
    "Swish": "write x * torch.sigmoid(x)",
    "Tile": "repeat with torch.cat",
    "TopK": HEADS,
    "Unique": HEADS,
    "Where": FIXED,
    "Xor": FIXED,
}


def advice_on(op: str) -> str:
    """What to do about an operator."""
    return OWN_DOMAIN if "." in op else ADVICE.get(op, HOST)
