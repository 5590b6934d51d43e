"""Small nets as text, and how tests write and load them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from bmnetu.frontend import Network, load_network, write_umodel
from bmnetu.frontend.ufw_pb2 import NetParameter
from dialects.execute import execute, names_of
from dialects.ufw.layer import shape_of
from dialects.ufw.reference import evaluate
from tests.networks import random_weights

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }\n'


def data(*shape: int) -> str:
    """An Input layer; its text has one line."""
    return DATA % " ".join(f"dim: {dim}" for dim in shape)


def layer(
    kind: str, rest: str = "", *, name: str = "l", bottom: str = "data", top: str = "l"
) -> str:
    """A layer with one bottom and one top, on one line."""
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{top}" {rest} }}\n'


CONV = "convolution_param { num_output: 4 kernel_size: 3 }"

SMALL = (
    'name: "small"\n'
    + data(1, 3, 8, 8)
    + layer("Convolution", CONV, name="conv", top="conv")
    + layer("ReLU", name="relu", bottom="conv", top="conv")
    + layer("InnerProduct", "inner_product_param { num_output: 5 }", name="fc", bottom="conv",
            top="fc")
    + layer("Softmax", name="prob", bottom="fc", top="prob")
)  # fmt: skip


def written(
    folder: Path, text: str, net: NetParameter | None = None, seed: int = 1
) -> tuple[Path, Path]:
    """The text and its weights (random ones unless given) as files."""
    model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text(text)
    write_umodel(weight, net if net is not None else random_weights(text, seed))
    return model, weight


def loaded(
    folder: Path,
    text: str,
    net: NetParameter | None = None,
    *,
    shapes: Sequence[Sequence[int]] | None = None,
    max_n: int | None = None,
) -> Network:
    """The text and its weights, loaded and verified."""
    network = load_network(*written(folder, text, net), shapes=shapes, max_n=max_n)
    network.module.verify()
    return network


def main_of(network: Network) -> FuncOp:
    """The net's one function."""
    func = network.module.body.block.first_op
    assert isinstance(func, FuncOp)
    return func


def layers_of(network: Network) -> list[Operation]:
    """The ops of the net, without the return."""
    return list(main_of(network).body.block.ops)[:-1]


def names(network: Network) -> tuple[list[str], list[str]]:
    """Input and output names."""
    func = main_of(network)
    return names_of(func, "input_names"), names_of(func, "output_names")


def run(network: Network, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """The float outputs on noise, by name."""
    func = main_of(network)
    random = np.random.default_rng(seed)
    inputs = [random.normal(size=shape_of(arg)).astype(np.float32) for arg in func.body.block.args]
    return dict(zip(names(network)[1], execute(func, inputs, evaluate), strict=True))
