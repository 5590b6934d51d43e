"""Whole nets from an .onnx: GenUmodel, compiled in FP32, calibrated and compiled in INT8."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

import bmnetu
from bmnetu.bmodel import Stage, read
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.cli import calibrate_main, main
from bmnetu.errors import UnsupportedError, UsageError
from bmnetu.frontend import generate_umodel, load_network
from tests.frontend.onnx.graphs import (
    Array,
    Net,
    by_bmnetu,
    by_onnx,
    check,
    inputs_of,
    kinds,
    node,
    numbers,
)

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"


class Maker:
    """Grows a net as an exporter writes it."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Array] = {}

    def add(self, op: str, inputs: str, **attributes: object) -> str:
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(node(op, inputs, name, **attributes))
        return name

    def constant(self, array: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def random(self, *shape: int, fan_in: int) -> str:
        seed = len(self.constants)
        return self.constant(numbers(*shape, seed=seed) * np.float32(np.sqrt(2 / fan_in)))

    def conv(self, x: str, inputs: int, outputs: int, kernel: int, **attributes: object) -> str:
        """A convolution without bias and a BatchNormalization."""
        group = attributes.get("group", 1)
        assert isinstance(group, int)
        shape = (outputs, inputs // group, kernel, kernel)
        weight = self.random(*shape, fan_in=inputs // group * kernel**2)
        x = self.add("Conv", f"{x} {weight}", kernel_shape=[kernel] * 2, **attributes)
        ones = np.ones(outputs, np.float32)
        factor, bias = self.constant(ones), self.random(outputs, fan_in=50)
        mean, variance = self.random(outputs, fan_in=50), self.constant(ones)
        return self.add("BatchNormalization", f"{x} {factor} {bias} {mean} {variance}")

    def head(self, x: str, channels: int, flatten: Sequence[str]) -> Net:
        """Average, flatten by some operators, Gemm and Softmax."""
        x = self.add("GlobalAveragePool", x)
        if flatten == ["Flatten"]:
            x = self.add("Flatten", x)
        else:  # x.view(x.size(0), -1), as PyTorch writes it
            shape = self.add("Shape", x)
            batch = self.add("Gather", f"{shape} {self.constant(np.array(0))}", axis=0)
            axes = self.constant(np.array([0]))
            batch = self.add("Unsqueeze", f"{batch} {axes}")
            rest = self.constant(np.array([-1]))
            x = self.add("Reshape", f"{x} {self.add('Concat', f'{batch} {rest}', axis=0)}")
        weight, bias = self.random(10, channels, fan_in=channels), self.random(10, fan_in=50)
        x = self.add("Gemm", f"{x} {weight} {bias}", transB=1)
        self.nodes.append(node("Softmax", x, "y", axis=1))
        return Net(self.nodes, self.constants, {"x": (1, 3, 32, 32)})


def resnet() -> Net:
    """Two stages of residual blocks, as PyTorch exports them."""
    net = Maker()
    x = net.add("Relu", net.conv("x", 3, 8, 7, strides=[2, 2], pads=[3] * 4))
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for inputs, outputs, stride in ((8, 8, 1), (8, 16, 2)):
        y = net.add("Relu", net.conv(x, inputs, outputs, 3, strides=[stride] * 2, pads=[1] * 4))
        y = net.conv(y, outputs, outputs, 3, pads=[1] * 4)
        if stride > 1:
            x = net.conv(x, inputs, outputs, 1, strides=[stride] * 2)
        x = net.add("Relu", net.add("Add", f"{y} {x}"))
    return net.head(x, 16, ["Shape", "Gather", "Concat", "Reshape"])


def mobilenet() -> Net:
    """Inverted residuals with Clip(0, 6), SAME padding and a gate, as TensorFlow exports them."""
    net = Maker()
    low, high = (net.constant(np.array(bound, np.float32)) for bound in (0, 6))

    def relu6(x: str) -> str:
        return net.add("Clip", f"{x} {low} {high}")

    x = relu6(net.conv("x", 3, 8, 3, strides=[2, 2], auto_pad="SAME_UPPER"))
    for inputs, outputs, stride in ((8, 12, 2), (12, 12, 1)):
        wide = 4 * inputs
        y = relu6(net.conv(x, inputs, wide, 1))
        y = net.conv(y, wide, wide, 3, group=wide, strides=[stride] * 2, auto_pad="SAME_UPPER")
        y = relu6(y)
        gate = net.add("GlobalAveragePool", y)
        gate = net.add("HardSigmoid", net.conv(gate, wide, wide, 1))
        y = net.conv(net.add("Mul", f"{y} {gate}"), wide, outputs, 1)
        x = net.add("Add", f"{y} {x}") if stride == 1 else y
    return net.head(x, 12, ["Flatten"])


def decoder() -> Net:
    """Maps made larger by a transposed convolution and in all modes of Resize."""
    net = Maker()
    x = net.add("Relu", net.conv("x", 3, 8, 3, strides=[2, 2], auto_pad="SAME_UPPER"))
    low = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    weight = net.random(8, 8, 4, 4, fan_in=32)
    maps = [net.add("ConvTranspose", f"{low} {weight}", strides=[2, 2], pads=[1] * 4)]
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    maps += [net.add("Resize", f"{low} - {scales}", mode=m) for m in ("nearest", "linear", "cubic")]
    maps.append(net.add("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4))
    x = net.add("Concat", " ".join(maps), axis=1)
    x = net.add("Relu", net.conv(x, 40, 16, 3, pads=[1] * 4))
    return net.head(x, 16, ["Flatten"])


NETS = {"resnet": resnet, "mobilenet": mobilenet, "decoder": decoder}


@pytest.mark.parametrize("name", NETS)
def test_from_onnx_to_fp32(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """GenUmodel's files and the .onnx itself give the same bmodel, which the compare accepts, but
    for what it says of these files."""
    net = NETS[name]()
    model = check(tmp_path, net) and tmp_path / "net.onnx"
    out = tmp_path / "out"
    assert main(["-mode=GenUmodel", f"-model={model}", f"-outdir={out}"]) == 0
    umodel, prototxt = out / "net.fp32umodel", out / "net_test_fp32.prototxt"
    assert capsys.readouterr().out == f"wrote {umodel} and {prototxt}\n"
    assert main([f"-model={prototxt}", f"-weight={umodel}", f"-outdir={out}"]) == 0
    assert main([f"-model={model}", f"-outdir={tmp_path / 'direct'}"]) == 0
    assert capsys.readouterr().err == ""
    written: list[Stage] = []
    for folder in (out, tmp_path / "direct"):
        (net_found,) = read((folder / "compilation.bmodel").read_bytes(), "it").nets
        written += (replace(stage, notes=b"") for stage in net_found.stages)
    assert len(written) == 2
    assert written[0] == written[1]
    inputs = inputs_of(net)
    expected = by_onnx(net.model(), inputs)["y"]
    found = by_bmnetu(load_network(prototxt, umodel), inputs)["y"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_from_onnx_to_int8(name: str, tmp_path: Path) -> None:
    net = NETS[name]()
    model, out = net.write(tmp_path), tmp_path / "out"
    data = numbers(16, 3, 32, 32, seed=3)
    np.save(tmp_path / "data.npy", data[:8])
    words = [f"-model={model}", f"-data={tmp_path / 'data.npy'}", f"-outdir={out}"]
    assert calibrate_main(words) == 0
    prototxt, umodel = out / "net_deploy_int8_unique_top.prototxt", out / "net.int8umodel"
    integers = Int8Net(load_network(prototxt, umodel).module)
    expected = np.concatenate([by_onnx(net.model(), {"x": x[None]})["y"] for x in data[8:]])
    found = np.concatenate([integers.run({"x": x[None]})["y"] for x in data[8:]])
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    assert main([f"-model={prototxt}", f"-weight={umodel}", f"-outdir={out}"]) == 0


def test_open_sizes_are_given_to_a_calibration_and_an_evaluation(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"), node("Relu", "c", "r"), node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "y"),
    ]  # fmt: skip
    net = Net(nodes, {"w": numbers(8, 3, 3, 3)}, {"x": ("N", 3, "H", "W")})
    model, data = net.write(tmp_path), tmp_path / "data.npy"
    np.save(data, numbers(6, 3, 9, 11))
    words = [f"-model={model}", f"-data={data}"]
    assert calibrate_main([*words, f"-outdir={tmp_path}"]) == 3
    words.append("-shapes=[2,3,9,11]")
    assert calibrate_main([*words, f"-outdir={tmp_path}"]) == 0
    prototxt, umodel = tmp_path / "net_deploy_int8_unique_top.prototxt", tmp_path / "net.int8umodel"
    shape = load_network(prototxt, umodel).net.layer[0].input_param.shape[0]
    assert list(shape.dim) == [2, 3, 9, 11]
    words += [f"-int8_model={prototxt}", f"-int8_weight={umodel}", "-min_cosine=0.99"]
    assert calibrate_main(["eval", *words]) == 0
    scores = bmnetu.evaluate(model, None, prototxt, umodel, data, shapes=[(3, 3, 9, 11)])
    assert scores.samples == 6


def test_a_batch_that_is_open(tmp_path: Path) -> None:
    """One without -shapes; and the files of GenUmodel take any."""
    net = resnet()
    open_net = Net(net.nodes, net.constants, {"x": ("N", 3, 32, 32)})
    model = open_net.write(tmp_path)
    network = load_network(model, None)
    assert "any batch; 1 is taken" in network.notes[0]
    umodel, prototxt = generate_umodel(model, None, tmp_path)
    inputs = {"x": numbers(3, 3, 32, 32)}
    expected = by_onnx(open_net.model(), inputs)["y"]
    for network in (
        load_network(model, None, max_n=3),
        load_network(model, None, shapes=[[3, 3, 32, 32]]),
        load_network(prototxt, umodel, max_n=3),
    ):
        np.testing.assert_allclose(by_bmnetu(network, inputs)["y"], expected, atol=1e-5)


def test_a_reshape_keeps_the_batch_open(tmp_path: Path) -> None:
    shape = np.array([2, 6, 21])
    Net([node("Reshape", "x s", "y")], {"s": shape}).write(tmp_path)
    umodel, prototxt = generate_umodel(tmp_path / "net.onnx", None, tmp_path)
    found = by_bmnetu(load_network(prototxt, umodel, max_n=5), {"x": numbers(5, 3, 6, 7)})
    assert found["y"].shape == (5, 6, 21)


def test_outputs_that_are_read_and_outputs_with_two_names(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "a"), node("Tanh", "a", "b"), node("Identity", "a", "c"),
        node("Dropout", "b", "d m"),
    ]  # fmt: skip
    net = Net(nodes, outputs=["d", "c", "a"], opset=11)
    network = check(tmp_path, net)
    assert kinds(network) == ["ReLU", "TanH", "Dropout", "Split"]
    files = generate_umodel(tmp_path / "net.onnx", None, tmp_path)
    again = load_network(files[1], files[0])
    assert again.net == network.net
    inputs = inputs_of(net)
    assert by_bmnetu(again, inputs).keys() == {"a", "c", "d"}


def test_python_takes_an_onnx_too(tmp_path: Path) -> None:
    model = Net([node("Relu", "x", "y")]).write(tmp_path)
    assert bmnetu.compile(str(model), None, tmp_path).net_name == "net"
    with pytest.raises(UsageError, match=r"net\.onnx holds float weights"):
        bmnetu.compile(model, None, tmp_path, prec="INT8")


def test_command_lines_say_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Net([node("Hardmax", "x", "y")]).write(tmp_path)
    out = tmp_path / "out"
    assert main([f"-model={model}", f"-outdir={out}"]) == 4
    assert f'bmnetu: error: {model}:1: node "Hardmax_y" (Hardmax): this' in capsys.readouterr().err
    model.write_bytes(b"nonsense")
    assert main([f"-model={model}", f"-outdir={out}", "-mode=GenUmodel"]) == 3
    assert main(["-model=net.prototxt", f"-outdir={out}"]) == 2
    assert "-weight must be given" in capsys.readouterr().err
    assert main([f"-model={model}"]) == 2
    assert "error: -outdir must be given" in capsys.readouterr().err
    assert not out.exists()


def test_what_pytorch_exported(tmp_path: Path) -> None:
    """The one-layer models in the onnx package: equal to PyTorch's own outputs, or refused."""
    equal: list[str] = []
    for folder in sorted(DATA.glob("pytorch-*/test_*")):
        try:
            network = load_network(folder / "model.onnx", None)
        except UnsupportedError:
            continue
        model = ModelProto.FromString((folder / "model.onnx").read_bytes())
        weights = {tensor.name for tensor in model.graph.initializer}
        names = [each.name for each in model.graph.input if each.name not in weights]
        inputs = {name: stored(folder, f"input_{i}") for i, name in enumerate(names)}
        found = by_bmnetu(network, inputs)
        for i, output in enumerate(model.graph.output):
            with np.errstate(over="ignore"):  # some nets are of float64
                expected = stored(folder, f"output_{i}").astype(np.float32)
            np.testing.assert_allclose(found[output.name], expected, rtol=1e-3, atol=1e-5)
        equal.append(folder.name)
    assert len(equal) == 112


def stored(folder: Path, name: str) -> Array:
    data = (folder / "test_data_set_0" / f"{name}.pb").read_bytes()
    return numpy_helper.to_array(TensorProto.FromString(data))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50", {"Convolution": 53, "BatchNorm": 53, "Eltwise": 16, "InnerProduct": 1}),
        ("shufflenet", {"Convolution": 49, "Permute": 16, "Pooling": 5, "Concat": 3}),
        ("inception_v1", {"Convolution": 57, "LRN": 2, "Pooling": 14, "Concat": 9}),
    ],
)
def test_what_caffe2_exported(name: str, expected: dict[str, int]) -> None:
    """Nets in the onnx package, whose weights nodes compute."""
    network = load_network(DATA / "light" / f"light_{name}.onnx", None)
    found = Counter(kinds(network))
    assert {kind: found[kind] for kind in expected} == expected


def test_what_is_unsupported_in_alexnet() -> None:
    """Weights that are larger than the file."""
    with pytest.raises(UnsupportedError) as caught:
        load_network(DATA / "light" / "light_bvlc_alexnet.onnx", None)
    assert "(ConstantOfShape): it makes 37748736 numbers" in caught.value.message
