"""The files that the commands of the docs name: a small network in all forms, and its data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from bmnetu.cli import calibrate_main
from bmnetu.cli import main as compile_main
from bmnetu.frontend import load_network
from bmnetu.frontend.ufw_pb2 import Datum
from dialects.constant import Array
from dialects.execute import execute
from dialects.ufw.reference import evaluate
from passes.module.functions import main_function
from tests.networks import random_weights

ROOT = Path(__file__).parents[1]
SIDE, IMAGES, CLASSES = 32, 8, 4
NET = f"""
name: "NAME"
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: 3 dim: {SIDE} dim: {SIDE} }} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 8 kernel_size: 3 stride: 4 }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "conv5" type: "Convolution" bottom: "conv1" top: "conv5"
  convolution_param {{ num_output: 8 kernel_size: 1 }} }}
layer {{ name: "pool" type: "Pooling" bottom: "conv5" top: "pool"
  pooling_param {{ pool: AVE global_pooling: true }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param {{ num_output: {CLASSES} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "fc" top: "prob" }}
"""


def network(name: str) -> Callable[[], None]:
    """Makes net.prototxt, net.caffemodel and net.onnx, with data, in the current folder. ``name``
    is the net's."""

    def make() -> None:
        Path("net.prototxt").write_text(NET.replace("NAME", name))
        weights = random_weights(Path("net.prototxt"), 0)
        Path("net.caffemodel").write_bytes(weights.SerializeToString())
        _onnx()
        _data()

    return make


def _onnx() -> None:
    random = np.random.default_rng(0)
    weights = random.standard_normal((CLASSES, 3, 3, 3)).astype(np.float32)
    shape = [None, 3, SIDE, SIDE]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["data", "w"], ["y"], name="conv1", strides=[4, 4])],
        "net",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    Path("net.onnx").write_bytes(model.SerializeToString())


def _data() -> None:
    """Images, of different brightness, in two folders; the same as an LMDB and as an npz with the
    classes that the float net chooses."""
    random = np.random.default_rng(0)
    pixels = [random.integers(0, 32 * i + 32, (SIDE, SIDE, 3), np.uint8) for i in range(IMAGES)]
    arrays = np.stack([each[:, :, ::-1].transpose(2, 0, 1) for each in pixels])
    labels = _chosen(arrays.astype(np.float32))
    for folder in ("images", "test"):
        Path(folder).mkdir()
        for i, each in enumerate(pixels):
            Image.fromarray(each).save(Path(folder) / f"{i}.png")
    np.savez("labelled.npz", data=arrays.astype(np.float32), label=labels, allow_pickle=False)
    np.savez("input.npz", data=arrays[:1].astype(np.float32), allow_pickle=False)
    store = lmdb.open("test_lmdb", map_size=1 << 22)
    with store.begin(write=True) as transaction:
        for i, (planes, label) in enumerate(zip(arrays, labels, strict=True)):
            datum = Datum(channels=3, height=SIDE, width=SIDE, data=planes.tobytes(), label=label)
            transaction.put(f"{i:08}".encode(), datum.SerializeToString())
    store.close()


def _chosen(arrays: Array) -> Array:
    function = main_function(load_network(Path("net.prototxt"), Path("net.caffemodel")).module)
    found = [execute(function, {"data": arrays[i : i + 1]}, evaluate)[0] for i in range(IMAGES)]
    return np.concatenate(found).argmax(axis=1)


FILES = ["-model=net.prototxt", "-weight=net.caffemodel"]


def calibrated(name: str) -> Callable[[], None]:
    """The same, and its INT8 form in q."""

    def make() -> None:
        network(name)()
        assert calibrate_main([*FILES, "-data=images", "-outdir=q", "-th_method=MAX"]) == 0

    return make


def int8() -> None:
    """net.prototxt and net.int8umodel are the INT8 form."""
    calibrated("NET")()
    shutil.move("q/NET_deploy_int8_unique_top.prototxt", "net.prototxt")
    shutil.move("q/NET.int8umodel", "net.int8umodel")


def with_bmodels(name: str) -> Callable[[], None]:
    """A calibrated net, compiled into out with its dumps in ir, and dynamic.bmodel."""

    def make() -> None:
        calibrated(name)()
        assert compile_main([*FILES, "-outdir=dynamic", "-dyn", "-cmp=false"]) == 0
        shutil.move("dynamic/compilation.bmodel", "dynamic.bmodel")
        assert compile_main([*FILES, "-outdir=out", "-dump_ir=ir"]) == 0

    return make


def digits() -> None:
    """The example."""
    shutil.copytree(ROOT / "examples" / "digits", Path("examples") / "digits")
