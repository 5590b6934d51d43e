"""Small ONNX graphs, and their outputs by the onnx package and by bmnetu's float reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import bmnetu
from bmnetu.errors import UnsupportedError
from bmnetu.frontend import Network, load_network
from dialects.execute import execute
from dialects.ufw.reference import evaluate
from tests.frontend.samples import main_of, names
from tests.onnx_runtime import runtime_results

Array = NDArray[Any]
OPSET = 17


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    """A node named as its first output; tensors stand with spaces between, ``-`` is none."""
    read, made = ([name.replace("-", "") for name in text.split()] for text in (inputs, outputs))
    return helper.make_node(op, read, made, name=f"{op}_{made[0]}", **attributes)


@dataclass
class Net:
    """A graph: its nodes, constants, inputs with their shapes, and outputs."""

    nodes: Sequence[NodeProto]
    constants: Mapping[str, Array] = field(default_factory=dict[str, Array])
    inputs: Mapping[str, Sequence[int | str | None]] = field(
        default_factory=lambda: {"x": (2, 3, 6, 7)}
    )
    outputs: Sequence[str] = ("y",)
    opset: int = OPSET

    def model(self) -> ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in self.inputs.items()
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                for name in self.outputs
            ],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model(graph, opset_imports=[opset])

    def write(self, folder: Path) -> Path:
        path = folder / "net.onnx"
        path.write_bytes(self.model().SerializeToString())
        return path


def numbers(*shape: int, seed: int = 0) -> Array:
    """Normal random float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def inputs_of(net: Net, seed: int = 1) -> dict[str, Array]:
    """Random inputs for a net whose shapes are known."""
    shapes = {name: cast(Sequence[int], shape) for name, shape in net.inputs.items()}
    return {name: numbers(*shape, seed=seed) for name, shape in shapes.items()}


def by_onnx(model: ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What the onnx package computes."""
    evaluator: Any = ReferenceEvaluator(model)
    with np.errstate(all="ignore"):
        found: list[Array] = evaluator.run(None, dict(inputs))
    return dict(zip((output.name for output in model.graph.output), found, strict=True))


def by_runtime(net: Net, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What onnxruntime computes. Raises RuntimeError for what it does not take."""
    model = net.model()
    model.ir_version = min(model.ir_version, 10)
    return dict(zip(net.outputs, runtime_results(model, inputs), strict=True))


def by_npu(folder: Path, net: Net, inputs: Mapping[str, Array], opt: int = 1) -> dict[str, Array]:
    """What the NPU model computes with the compiled net."""
    result = bmnetu.compile(net.write(folder), None, folder / "out", opt=opt, cmp_data=inputs)
    assert result.findings is not None
    return dict(result.findings.outputs)


def equal(found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """Asserts that outputs are the same to 4 digits."""
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-4)


def by_bmnetu(network: Network, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What our float reference computes."""
    function = main_of(network)
    read, made = names(network)
    found = execute(function, [inputs[name] for name in read], evaluate)
    return dict(zip(made, found, strict=True))


def loaded(folder: Path, net: Net) -> Network | str:
    """The net as loaded, or why it cannot be compiled."""
    try:
        network = load_network(net.write(folder), None)
    except UnsupportedError as error:
        return error.message
    network.module.verify()
    return network


def assert_refused(folder: Path, net: Net, sentence: str) -> None:
    """Asserts that the net is refused with these words."""
    said = loaded(folder, net)
    assert isinstance(said, str)
    assert sentence in said


def check(folder: Path, net: Net, *, tolerance: float = 2e-5) -> Network:
    """The net as loaded. Asserts that both compute the same and that all names are kept."""
    network = loaded(folder, net)
    assert isinstance(network, Network), network
    inputs = inputs_of(net)
    expected, found = by_onnx(net.model(), inputs), by_bmnetu(network, inputs)
    assert set(found) == set(net.outputs)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=tolerance, atol=tolerance)
    return network


def kinds(network: Network) -> list[str]:
    """The types of the layers that are no inputs."""
    return [layer.type for layer in network.net.layer if layer.type != "Input"]
