"""``python -m tests.bench.layers``: cycles of every layer type at one size, beside its bound.

The bound is the larger of two: the bytes of operands, coefficients and results at DDR's full rate,
and the products at the rate of all multipliers. Both precisions at opt 2; an INT8 net has 8-bit
inputs and outputs unless the layer is float. A row with an ``x`` behind is above LIMIT times its
bound.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import bmnetu
from bmnetu.errors import BmnetuError
from bmnetu.frontend.layers.importers import IMPORTERS
from bmnetu.report.profile import profile
from tests.networks import random_weights

LIMIT = 8
BYTES_A_CYCLE = 53.4
MACS_A_CYCLE = {"FP32": 64 * 32, "INT8": 64 * 256}
SIZE = (1, 64, 56, 56)


@dataclass(frozen=True)
class Sample:
    """A layer: its parameters, the shapes of its bottoms, and its products where they count."""

    param: str = ""
    bottoms: Sequence[tuple[int, ...]] = (SIZE,)
    macs: int = 0
    tops: int = 1


PIXELS = 56 * 56
CONV = "convolution_param { num_output: 64 kernel_size: %d stride: %d pad: %d bias_term: false %s }"
SEQUENCE = (32, 1, 256)
SAMPLES: dict[str, Sample] = {
    "Convolution": Sample(CONV % (3, 1, 1, ""), macs=64 * 64 * 9 * PIXELS),
    "Convolution3D": Sample(
        "convolution3d_param { num_output: 64 kernel_size: 3 kernel_depth: 3 pad: 1"
        " temporal_pad: 1 bias_term: false }",
        [(1, 64, 8, 28, 28)],
        64 * 64 * 27 * 8 * 28 * 28,
    ),
    "Crop": Sample("crop_param { axis: 2 offset: 4 }", [SIZE, (1, 64, 48, 48)]),
    "CropCenter": Sample(
        "crop_center_param { crop_size: 0 crop_size: 0 crop_size: 2 crop_size: 2 }"
    ),
    "Deconvolution": Sample(CONV % (4, 2, 1, ""), macs=64 * 64 * 16 * PIXELS),
    "DeconvolutionDepthwise": Sample(CONV % (4, 2, 1, ""), macs=64 * 16 * PIXELS),
    "DepthwiseConvolution": Sample(CONV % (3, 1, 1, ""), macs=64 * 9 * PIXELS),
    "BatchToSpace": Sample("batch_to_space_param { block_shape: 2 }", [(4, 64, 28, 28)]),
    "SpaceToBatch": Sample("space_to_batch_param { block_shape: 2 }"),
    "Depth2Space": Sample("depth2space_param { block_size: 2 }"),
    "Space2Depth": Sample("space2depth_param { block_size: 2 }"),
    "LSTM": Sample("recurrent_param { num_output: 128 }", [SEQUENCE, SEQUENCE[:2]]),
    "RNN": Sample("recurrent_param { num_output: 128 }", [SEQUENCE, SEQUENCE[:2]]),
    "Where": Sample(bottoms=[SIZE, SIZE, SIZE]),
    "UpsampleLayer": Sample("upsample_param { scale: 2 }"),
    "Axpy": Sample(bottoms=[(1, 64, 1, 1), SIZE, SIZE]),
    "BroadcastBinary": Sample(bottoms=[SIZE, (1, 64, 1, 1)]),
    "Compare": Sample("compare_param { operation: GT }", [SIZE, SIZE]),
    "ConstBinary": Sample("const_binary_param { operation: MUL value: 0.5 }"),
    "Eltwise": Sample(bottoms=[SIZE, SIZE]),
    "EltwiseBinary": Sample("eltwise_binary_param { operation: SUB }", [SIZE, SIZE]),
    "Concat": Sample(bottoms=[SIZE, SIZE]),
    "Clip": Sample("clip_param { min: -1 max: 1 }"),
    "GroupNorm": Sample("group_norm_param { num_groups: 8 }"),
    "InnerProduct": Sample(
        "inner_product_param { num_output: 64 axis: 3 }", macs=64 * 56 * 64 * 56
    ),
    "Im2col": Sample("convolution_param { kernel_size: 3 pad: 1 }"),
    "Interp": Sample("interp_param { zoom_factor: 2 }"),
    "LRN": Sample("lrn_param { local_size: 5 }"),
    "MatMul": Sample("", [(1, 8, 196, 64), (1, 8, 64, 196)], 8 * 196 * 196 * 64),
    "Lstm": Sample("lstm_param { num_output: 128 }", [SEQUENCE], 32 * 4 * 128 * (256 + 128)),
    "GRU": Sample("gru_param { num_output: 128 }", [SEQUENCE], 32 * 3 * 128 * (256 + 128)),
    "Rnn": Sample("rnn_param { num_output: 128 }", [SEQUENCE], 32 * 128 * (256 + 128)),
    "Pad": Sample("pad_param { pad_t: 1 pad_b: 1 pad_l: 1 pad_r: 1 }"),
    "Permute": Sample("permute_param { order: [0, 2, 3, 1] }"),
    "PixelShuffle": Sample("pixel_shuffle_param { upscale_factor: 2 }"),
    "Pooling": Sample("pooling_param { kernel_size: 2 stride: 2 }"),
    "PoolingTF": Sample("pooling_tf_param { kernel_size: 2 stride: 2 }"),
    "Pooling3D": Sample(
        "pooling3d_param { kernel_size: 2 kernel_depth: 2 stride: 2 temporal_stride: 2 }",
        [(1, 64, 8, 28, 28)],
    ),
    "Reorg": Sample("reorg_param { stride: 2 }"),
    "Reshape": Sample("reshape_param { shape { dim: 0 dim: -1 dim: 56 } }"),
    "ResizeBilinear": Sample(
        "resize_bilinear_param { align_corners: true output_height: 112 output_width: 112 }"
    ),
    "ResizeNearestNeighbor": Sample(
        "resize_nearest_neighbor_param { scale_height: 2 scale_width: 2 }"
    ),
    "Reverse": Sample("reverse_param { axis: 1 }"),
    "Select": Sample(bottoms=[SIZE, SIZE, SIZE]),
    "ShuffleChannel": Sample("shuffle_channel_param { group: 4 }"),
    "Slice": Sample(tops=2),
    "SliceLike": Sample(bottoms=[SIZE, (1, 64, 48, 48)]),
    "SpaceToDepth": Sample("space_to_depth_param { block_size: 2 }"),
    "DepthToSpace": Sample("depth_to_space_param { block_size: 2 }"),
    "SPP": Sample("spp_param { pyramid_height: 3 }"),
    "StrideSlice": Sample("stride_slice_param { begin: [0, 0, 1, 1] end: [1, 64, 55, 55] }"),
    "Tile": Sample("tile_param { axis: 1 tiles: 2 }"),
    "Transpose": Sample("transpose_param { dim: [0, 2, 3, 1] }"),
    "Upsample": Sample("upsample_param { scale: 2 }"),
}
"""The layers that cannot do with one bottom of SIZE and no parameters."""


def prototxt(kind: str, sample: Sample) -> str:
    """A net of the layer alone."""
    names = [f"x{i}" for i, _ in enumerate(sample.bottoms)]
    inputs = [
        f'input: "{name}" input_shape {{ {" ".join(f"dim: {d}" for d in shape)} }}'
        for name, shape in zip(names, sample.bottoms, strict=True)
    ]
    bottoms = " ".join(f'bottom: "{name}"' for name in names)
    tops = " ".join(f'top: "y{i}"' for i in range(sample.tops))
    return "\n".join(
        [*inputs, f'layer {{ name: "y0" type: "{kind}" {bottoms} {tops} {sample.param} }}']
    )


def measure(kind: str, sample: Sample, prec: str, folder: Path, opt: int) -> str:
    """Cycles, the bound, and their ratio; or why there are none."""
    text = prototxt(kind, sample)
    net = random_weights(text, 0)
    model, weights = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text(text)
    weights.write_bytes(net.SerializeToString())
    if prec == "INT8":
        random = np.random.default_rng(0)
        inputs = [layer for layer in net.layer if layer.type == "Input"]
        data: dict[str, Any] = {
            each.top[0]: random.normal(size=each.input_param.shape[0].dim).astype(np.float32)
            for each in inputs
        }
        np.savez(folder / "data.npz", **data)
        found = bmnetu.calibrate(
            model, weights, folder / "data.npz", folder / "int8",
            th_method="MAX", equalize=False, adaptive_rounding=False,
        )  # fmt: skip
        model, weights = found.prototxt, found.umodel
    result = bmnetu.compile(model, weights, folder / prec, prec=prec, opt=opt, cmp=False)
    assert result.contents is not None
    stage = result.contents.nets[0].stages[0]
    tensors = [*stage.inputs, *stage.outputs]
    moved = sum(tensor.size for tensor in tensors)
    moved += sum(len(blob.data) for layer in net.layer for blob in layer.blobs) * (
        4 if prec == "FP32" else 1
    )
    bound = max(moved / BYTES_A_CYCLE, sample.macs / MACS_A_CYCLE[prec])
    cycles = profile(result.module).total.cycles
    ratio = cycles / bound
    return f"{cycles} | {bound:.0f} | {ratio:.1f}{' x' if ratio > LIMIT else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--opt", type=int, default=2)
    arguments = parser.parse_args()
    print("| layer | FP32 cycles | bound | ratio | INT8 cycles | bound | ratio |")
    print("|---|---|---|---|---|---|---|")
    for kind in arguments.kinds or sorted(IMPORTERS, key=str.lower):
        cells: list[str] = []
        for prec in ("FP32", "INT8"):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    sample = SAMPLES.get(kind, Sample())
                    cells.append(measure(kind, sample, prec, Path(folder), arguments.opt))
                except BmnetuError as error:
                    cells.append(f"{' '.join(error.message.split())[:120]} | | ")
                except Exception as error:  # a bug, which is a result here
                    cells.append(f"{type(error).__name__}: {str(error)[:120]} | | ")
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
