"""Sound files of every kind that the cases are damaged copies of, made in a folder of their own."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from onnx import ModelProto
from PIL import Image

import bmnetu
from bmnetu.files.dump import constants_of, module_text
from bmnetu.frontend.ufw_pb2 import Datum
from bmnetu.pipeline import run_pipeline
from tests.calibration.harness import Files, data_layer, layer
from tests.frontend.onnx.graphs import Net, node, numbers
from tests.inspect.files import files as bmodels
from tests.pipelines import static_passes
from tests.random_nets import random_image_module, random_module

INPUT = (2, 3, 8, 8)

NETS = {
    "chain": data_layer(*INPUT)
    + layer("Convolution", "data", "c", "convolution_param { num_output: 4 kernel_size: 3 pad: 1 }")
    + layer("BatchNorm", "c", "b", "batch_norm_param { eps: 1e-4 }")
    + layer("Scale", "b", "s", "scale_param { bias_term: true }")
    + layer("ReLU", "s", "s", "relu_param { negative_slope: 0.1 }")
    + layer("Pooling", "s", "p", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }")
    + layer("InnerProduct", "p", "f", "inner_product_param { num_output: 5 axis: 1 }")
    + layer("Softmax", "f", "prob", "softmax_param { axis: 1 }"),
    "branches": 'name: "two"\n'
    + data_layer(*INPUT)
    + data_layer(2, 3, 8, 8, name="more")
    + layer("Eltwise", "data more", "e", "eltwise_param { operation: SUM coeff: 1 coeff: -0.5 }")
    + layer("PReLU", "e", "r")
    + layer("Slice", "r", "s1 s2", "slice_param { axis: 1 slice_point: 1 }")
    + layer("Concat", "s2 s1", "cc", "concat_param { axis: 1 }")
    + layer("Permute", "cc", "pm", "permute_param { order: 0 order: 2 order: 3 order: 1 }")
    + layer("Reshape", "pm", "rs", "reshape_param { shape { dim: 0 dim: -1 } }")
    + layer("Power", "rs", "pw", "power_param { power: 2 scale: 0.5 shift: 1 }")
    + layer("Sigmoid", "pw", "out"),
    "windows": data_layer(*INPUT)
    + layer("Convolution", "data", "d", "convolution_param { num_output: 6 kernel_h: 3 kernel_w: 2"
            " stride: 2 dilation: 1 group: 3 bias_term: false }")
    + layer("Pooling", "d", "m", "pooling_param { pool: MAX kernel_size: 2 stride: 1 pad: 1 }")
    + layer("Split", "m", "m1 m2")
    + layer("TanH", "m1", "t")
    + layer("Flatten", "m2", "fl", "flatten_param { axis: 1 }")
    + layer("Dropout", "fl", "fl", "dropout_param { dropout_ratio: 0.5 }")
    + layer("InnerProduct", "fl", "ip", "inner_product_param { num_output: 3 bias_term: false }"),
}
"""Prototxts that hold most layers."""


@dataclass
class Seeds:
    """The sound files, as bytes by kind; members of one tuple belong together."""

    nets: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    int8: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    onnx: list[bytes] = field(default_factory=list[bytes])
    bmodels: list[bytes] = field(default_factory=list[bytes])
    modules: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    arrays: list[bytes] = field(default_factory=list[bytes])
    archives: list[bytes] = field(default_factory=list[bytes])
    pictures: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    datums: list[bytes] = field(default_factory=list[bytes])
    databases: list[bytes] = field(default_factory=list[bytes])


def make_seeds(folder: Path) -> Seeds:
    """All seeds; always the same ones."""
    seeds = Seeds()
    for name, text in NETS.items():
        place = folder / name
        place.mkdir(parents=True)
        files = Files.of(place, text)
        seeds.nets.append((files.model.read_bytes(), files.weight.read_bytes()))
        made = files.calibrate(files.samples(4)).result
        seeds.int8.append((made.prototxt.read_bytes(), made.umodel.read_bytes()))
        for model, weight in ((files.model, files.weight), (made.prototxt, made.umodel)):
            bmodel = bmnetu.compile(model, weight, place / "b", opt=1).bmodel
            assert bmodel is not None
            seeds.bmodels.append(bmodel.read_bytes())
    seeds.bmodels += [path.read_bytes() for path in bmodels().values()]
    seeds.onnx = [net.model().SerializeToString() for net in onnx_nets()]
    assert all(ModelProto.FromString(data) for data in seeds.onnx)
    for seed in range(6):
        for integer in (False, True):
            make = random_image_module if seed % 2 else random_module
            seeds.modules += dumps(make(seed, integer), "INT8" if integer else "FP32", seed % 3)
    add_data(seeds, folder / "lmdb")
    return seeds


def dumps(module: Any, precision: str, opt: int) -> Iterable[tuple[bytes, bytes]]:
    """Dumps of a module at all levels, each with its weights."""
    passes = static_passes(opt, precision)
    found = [(module_text(module).encode(), packed(constants_of(module)))]

    def after(item: object) -> None:
        found.append((module_text(module).encode(), packed(constants_of(module))))

    run_pipeline(module, passes, after)
    return found


def packed(arrays: dict[str, Any], compressed: bool = False) -> bytes:
    """An .npz of arrays by name."""
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def onnx_nets() -> list[Net]:
    """Graphs of the common operators."""
    weight, matrix = numbers(4, 3, 3, 3), numbers(168, 5)
    shape = np.array([2, -1], np.int64)
    return [
        Net([node("Conv", "x w b", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "r"),
             node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1]),
             node("Reshape", "p shape", "f"), node("MatMul", "f m", "g"),
             node("Softmax", "g", "y", axis=1)],
            {"w": weight, "b": numbers(4), "m": matrix, "shape": shape}),
        Net([node("Constant", "", "k", value_float=0.5), node("Mul", "x k", "a"),
             node("Add", "a x", "s"), node("Transpose", "s", "t", perm=[0, 2, 3, 1]),
             node("Sigmoid", "t", "u"), node("Concat", "t u", "v", axis=3),
             node("GlobalAveragePool", "v", "y")]),
        Net([node("ConvTranspose", "x w", "c", strides=[2, 2], pads=[1, 0, 1, 0],
                  output_padding=[1, 0]),
             node("AveragePool", "c", "a", kernel_shape=[3, 2], dilations=[2, 1], ceil_mode=1),
             node("Resize", "a - scales", "r", mode="linear"),
             node("LpPool", "r", "l", kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
             node("Resize", "l - - sizes", "y", mode="cubic")],
            {"w": numbers(3, 4, 3, 3), "scales": np.array([1, 1, 2, 0.75], np.float32),
             "sizes": np.array([2, 4, 9, 11])}),
    ]  # fmt: skip


def add_data(seeds: Seeds, folder: Path) -> None:
    """Calibration data of all kinds, for an input of the shape INPUT."""
    rng = np.random.default_rng(5)
    real = rng.standard_normal((6, *INPUT[1:])).astype(np.float32)
    stream = io.BytesIO()
    np.save(stream, real)
    seeds.arrays.append(stream.getvalue())
    for compressed in (False, True):
        seeds.archives.append(packed({"data": real, "label": np.arange(6)}, compressed))
    pixels = rng.integers(0, 256, (9, 11, 3), np.uint8)
    for kind in ("png", "jpeg", "bmp", "webp", "tiff", "ppm"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind)
        seeds.pictures.append((kind, stream.getvalue()))
        encoded = Datum(data=stream.getvalue(), encoded=True)
        seeds.datums.append(encoded.SerializeToString())
    planes = pixels[:8, :8].transpose(2, 0, 1)
    plain = Datum(channels=3, height=8, width=8, label=1, data=planes.tobytes())
    floats = Datum(channels=3, height=8, width=8, float_data=real[0].ravel().tolist())
    seeds.datums += [plain.SerializeToString(), floats.SerializeToString()]
    seeds.databases.append(database(folder, seeds.datums))


def database(folder: Path, values: Iterable[bytes]) -> bytes:
    """The file of an LMDB that holds these values."""
    with lmdb.open(str(folder), map_size=1 << 20) as env, env.begin(write=True) as transaction:
        for i, value in enumerate(values):
            transaction.put(f"{i:08}".encode(), value)
    return (folder / "data.mdb").read_bytes()
