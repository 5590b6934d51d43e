"""The networks that are measured."""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xdsl.dialects.func import FuncOp

from bmnetu.frontend import load_network
from passes.module.functions import main_function, names
from tests.vendor.networks import int8_files, models, network_files


@dataclass(frozen=True)
class Bench:
    """One network of the models folder as it is compiled: ``float_border`` keeps its inputs and
    outputs float. ``peer``: cycles of the vendor's compiler with the same border."""

    title: str
    network: str
    prec: str
    batch: int
    float_border: bool
    peer: int


def _both(title: str, network: str, peer: tuple[int, int], batch: int = 1) -> tuple[Bench, Bench]:
    """A network in INT8, with the border that calibration gives it, and in FP32."""
    int8, fp32 = peer
    return (
        Bench(f"{title} INT8", network, "INT8", batch, False, int8),
        Bench(f"{title} FP32", network, "FP32", batch, True, fp32),
    )


BENCHES = (
    Bench("MobileNet-v1 INT8", "peer/mobilenet", "INT8", 1, False, 369129),
    Bench("ResNet-50 INT8", "peer/resnet50", "INT8", 1, False, 1564107),
    Bench("ResNet-18 INT8, float border", "peer/resnet18", "INT8", 1, True, 848095),
    Bench("SqueezeNet INT8, float border", "peer/squeezenet", "INT8", 1, True, 325511),
    Bench("det2 INT8, float border", "caffe/mtcnn_det2", "INT8", 1, True, 11111),
    Bench("MobileNet-v1 INT8, batch 4", "peer/mobilenet", "INT8", 4, False, 394245),
    Bench("ResNet-50 INT8, batch 4", "peer/resnet50", "INT8", 4, False, 1589844),
    Bench("ResNet-50 FP32", "peer/resnet50", "FP32", 1, True, 3238627),
    Bench("MobileNet-v1 FP32", "peer/mobilenet", "FP32", 1, True, 497319),
    *_both("MobileNet-v2", "peer2/mobilenetv2", (399101, 655448)),
    *_both("GoogLeNet", "peer2/googlenet", (758949, 1394275)),
    *_both("ShuffleNet", "peer2/shufflenet", (559728, 621136)),
    *_both("MobileFaceNet", "peer2/mobilefacenet", (160350, 218087)),
    *_both("tiny YOLO", "peer2/yolotiny", (1424618, 2201139)),
    *_both("P-Net 224", "peer2/pnet224", (694208, 630508)),
    *_both("skipnet", "peer2/skipnet", (2509111, 4063218)),
    *_both("GoogLeNet, batch 4", "peer2/googlenet_b4", (797743, 4558386), 4),
)


CHAIN_LAYER = """layer {{ name: "c{0}" type: "Convolution" bottom: "{1}" top: "c{0}"
  convolution_param {{ num_output: 16 kernel_size: 3 pad: 1 }} }}
layer {{ name: "r{0}" type: "ReLU" bottom: "c{0}" top: "c{0}" }}
"""


def chain(length: int, work: Path) -> str:
    """So many convolutions with ReLU one after the other, made in the folder ``work``."""
    path = work / f"chain{length}"
    layers = (CHAIN_LAYER.format(i, f"c{i - 1}" if i else "data") for i in range(length))
    head = 'name: "chain"\ninput: "data"\ninput_shape { dim: 1 dim: 16 dim: 16 dim: 16 }\n'
    path.with_suffix(".prototxt").write_text(head + "".join(layers))
    return str(path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say where networks lie: see :func:`set_folders`."""
    parser.add_argument("--models", help="folder with the networks; default: $BMNETU_MODELS")
    parser.add_argument("--work", help="folder that keeps weights and calibrations between runs",
                        default=str(Path(tempfile.gettempdir()) / "bmnetu-bench"))


def set_folders(arguments: argparse.Namespace) -> Path:
    """Makes the models folder known; returns the folder that is kept between runs."""
    if arguments.models:
        os.environ["BMNETU_MODELS"] = arguments.models
    models()
    work = Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    return work


def prepared(network: str, prec: str, work: Path) -> tuple[Path, Path]:
    """Prototxt and umodel; random weights and a calibration on random data are made once."""
    return (int8_files if prec == "INT8" else network_files)(network, work)


def float_names(bench: Bench, function: FuncOp) -> dict[str, Any]:
    """The flags of a float border."""
    if bench.prec == "FP32" or not bench.float_border:
        return {}
    return {f"{x}_as_fp32": names(function, f"{x}_names") for x in ("input", "output")}


def network_function(bench: Bench, work: Path) -> FuncOp:
    """The network's layers as they are loaded."""
    model, weight = prepared(bench.network, bench.prec, work)
    return main_function(load_network(model, weight, max_n=bench.batch).module)
