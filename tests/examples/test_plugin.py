"""The worked example of a plug-in: its layers in FP32 and INT8, its pass, and broken ones."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from bmnetu.frontend.ufw_pb2 import LayerParameter, NetParameter
from dialects.constant import Array
from tests.calibration.harness import data_layer, layer
from tests.examples.plugin import EXAMPLE, install, run

SHAPE = (2, 12, 6, 5)
WEIGHTS = NetParameter(layer=[LayerParameter(name="any", type="ReLU")]).SerializeToString()
"""A umodel without weights: no layer here has any."""
NET = data_layer(*SHAPE) + "".join([
    layer("MaxFeatureMap", "data", "m"),
    layer("SoftShrink", "m", "s", "soft_shrink_param { lambd: 0.25 }"),
    layer("ReLU", "s", "r"),
    layer("MaxFeatureMap", "r", "y", "max_feature_map_param { pieces: 3 }"),
])  # fmt: skip


def meaning(x: Array) -> Array:
    """What the network computes, written down once more."""
    m = np.maximum(x[:, :6], x[:, 6:])
    s = np.sign(m) * np.maximum(np.abs(m) - np.float32(0.25), 0)
    r = np.maximum(s, 0)
    return np.maximum(np.maximum(r[:, :2], r[:, 2:4]), r[:, 4:])


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the example is installed."""
    folder = tmp_path_factory.mktemp("packages")
    source = folder / "source"
    shutil.copytree(EXAMPLE, source)  # a build writes into its folder
    install(source, folder)
    return folder


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's prototxt, beside its umodel and some data."""
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.prototxt").write_text(NET)
    (folder / "net.fp32umodel").write_bytes(WEIGHTS)
    np.save(folder / "data.npy", np.random.default_rng(0).normal(0, 1, (8, *SHAPE[1:])))
    return folder / "net.prototxt"


@pytest.fixture(scope="module")
def int8(packages: Path, net: Path) -> Path:
    """The folder of the calibrated network."""
    folder = net.parent / "int8"
    flags = [f"-model={net}", f"-weight={net.with_suffix('.fp32umodel')}", f"-outdir={folder}"]
    script = "import sys; from bmnetu.start import calibrate; sys.exit(calibrate())"
    (packages / "calibrate.py").write_text(script)
    text = run(packages, "calibrate", *flags, f"-data={net.parent / 'data.npy'}", "-workers=2",
               "-layer_table=true", "-th_method=MAX")
    assert "MaxFeatureMap_y" in text
    assert "float layers" not in text
    return folder


@pytest.mark.parametrize("opt", [0, 1, 2])
@pytest.mark.parametrize("precision", ["FP32", "INT8"])
def test_layers_of_a_plugin(
    packages: Path, net: Path, int8: Path, tmp_path: Path, precision: str, opt: int
) -> None:
    model, weight = net, net.with_suffix(".fp32umodel")
    if precision == "INT8":
        (model,), (weight,) = int8.glob("*.prototxt"), int8.glob("*.int8umodel")
    flags = [f"-model={model}", f"-weight={weight}", f"-outdir={tmp_path}", f"-opt={opt}"]
    data = net.parent / "data.npy"
    text = run(packages, "bmnetu", *flags, f"-prec={precision}", f"-cmp_data={data}",
               "-output_as_fp32=y" if precision == "INT8" else "-seed=0")
    assert "MaxFeatureMap_y" in text
    x = np.load(data)[: SHAPE[0]].astype(np.float32)
    found = np.fromfile(tmp_path / "output_ref_data.dat", np.float32)
    wanted = meaning(x)
    tolerance = 1e-5 if precision == "FP32" else 0.05
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=tolerance)


def test_an_onnx_operator_of_a_plugin(packages: Path, tmp_path: Path) -> None:
    node = helper.make_node("MaxFeatureMap", ["x"], ["y"], domain="light", pieces=3)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 4, 6, 5))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("light", 1)]
    model = helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=imports)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    text = run(packages, "bmnetu", f"-model={tmp_path / 'net.onnx'}", f"-outdir={tmp_path}")
    assert (tmp_path / "compilation.bmodel").exists(), text


def test_the_tools_know_the_plugin(packages: Path, net: Path) -> None:
    assert "light-cnn (bmnetu-light-cnn 1.0)" in run(packages, "bmnetu", "-help")
    lines = run(packages, "bmnetu.opt", "--list-passes").splitlines()
    assert any(line.startswith("light-fuse-max-feature-map ") for line in lines)


def test_a_pass_of_a_plugin(packages: Path, tmp_path: Path) -> None:
    text = data_layer(1, 4, 2, 2) + layer("Slice", "data", "a b")
    text += layer("Eltwise", "a b", "y", "eltwise_param { operation: MAX }")
    (tmp_path / "net.prototxt").write_text(text)
    (tmp_path / "net.umodel").write_bytes(WEIGHTS)
    found = run(packages, "bmnetu.opt", tmp_path / "net.prototxt", "--umodel",
                tmp_path / "net.umodel", "-p", "light-fuse-max-feature-map")
    assert "light.max_feature_map" in found
    assert "ufw.slice" not in found
    assert "ufw.eltwise" not in found
    dump = tmp_path / "dump.mlir"
    dump.write_text(found)
    lowered = run(packages, "bmnetu.opt", dump, "-p", "convert-ufw-to-quant")
    assert "quant.slice" in lowered
    assert "light." not in lowered


@pytest.mark.parametrize(
    ("settings", "code", "sentence"),
    [
        ("{ pices: 3 }", 3, "unknown field pices (did you mean pieces?)"),
        ("{ pieces: 5 }", 4, "2x12x6x5 has no channels that 5 pieces can share"),
        ("{ pieces: x }", 3, "Couldn't parse integer: x"),
        ("{ pieces: 2.5 }", 3, "Couldn't parse integer: 2.5"),
        ("{ pieces: 2 pieces: 3 }", 3, "pieces is given twice"),
        ("{ pieces: 2 ", 3, "the file ends where '}' is required"),
        ("{ } max_feature_map_param { }", 3, "max_feature_map_param is given twice"),
    ],
)
def test_wrong_settings_of_a_plugins_layer(
    packages: Path, tmp_path: Path, settings: str, code: int, sentence: str
) -> None:
    wrong = f"max_feature_map_param {settings}"
    text = data_layer(*SHAPE) + layer("MaxFeatureMap", "data", "y", wrong)
    (tmp_path / "net.prototxt").write_text(text)
    (tmp_path / "net.umodel").write_bytes(WEIGHTS)
    flags = [f"-model={tmp_path / 'net.prototxt'}", f"-weight={tmp_path / 'net.umodel'}"]
    found = run(packages, "bmnetu", *flags, f"-outdir={tmp_path / 'out'}", code=code)
    assert sentence in found
    assert "net.prototxt:" in found
    assert not (tmp_path / "out").exists()


def write_plugin(folder: Path, source: str) -> None:
    """A plug-in ``bad`` of the package ``broken``, as if it were installed in the folder."""
    record = folder / "broken-0.1.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n")
    (record / "entry_points.txt").write_text("[bmnetu.plugins]\nbad = broken_plugin:PLUGIN\n")
    (folder / "broken_plugin.py").write_text(source)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise RuntimeError('no luck')", "the plug-in bad failed (RuntimeError: no luck): the"),
        ("return None", 'net.prototxt:2: layer "Bad_y" (Bad): its import function returns no op'),
    ],
)
def test_a_plugin_that_fails_is_named(tmp_path: Path, body: str, sentence: str) -> None:
    write_plugin(tmp_path, f"""
from bmnetu.frontend.layers.importers import Importer
from bmnetu.plugins import Plugin
def importer(site):
    {body}
PLUGIN = Plugin(importers={{'Bad': Importer(importer)}})
""")
    (tmp_path / "net.prototxt").write_text(data_layer(*SHAPE) + layer("Bad", "data", "y"))
    (tmp_path / "net.umodel").write_bytes(WEIGHTS)
    flags = [f"-model={tmp_path / 'net.prototxt'}", f"-weight={tmp_path / 'net.umodel'}"]
    assert sentence in run(tmp_path, "bmnetu", *flags, f"-outdir={tmp_path / 'out'}", code=4)


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        ("raise KeyError('x')", 4, "the plug-in bad failed (KeyError: 'x'): the report "),
        ("raise ValueError('boo')", 4, "the plug-in bad failed (ValueError: boo): the report "),
        ("raise OSError('no space')", 4, "the plug-in bad failed (OSError: no space): the report"),
        ("self.apply(context, module)", 4, "the plug-in bad failed (RecursionError: "),
        ("raise PassFailedException('no convolution')", 1, "error: no convolution"),
    ],
)
def test_a_pass_that_fails_is_named(
    tmp_path: Path, body: str, code: int, sentence: str
) -> None:
    write_plugin(tmp_path, f"""
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException
from bmnetu.plugins import Plugin
class BadPass(ModulePass):
    name = "bad"
    def apply(self, context, module):
        {body}
PLUGIN = Plugin(passes=[BadPass])
""")
    module = tmp_path / "net.mlir"
    module.write_text("builtin.module {}")
    said = run(tmp_path, "bmnetu.opt", module, "-p", "bad", code=code)
    assert sentence in said
    assert "Traceback" not in said


def test_a_plugin_cannot_replace_an_onnx_operator(tmp_path: Path) -> None:
    write_plugin(tmp_path, """
from bmnetu.plugins import Plugin
PLUGIN = Plugin(operators=lambda: {'Relu': None})
""")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy"]
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    flags = [f"-model={tmp_path / 'net.onnx'}", f"-outdir={tmp_path / 'out'}"]
    sentence = "plug-in bad: the ONNX operator Relu exists already"
    assert sentence in run(tmp_path, "bmnetu", *flags, code=2)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        (
            "from bmnetu.plugins import Plugin\nfrom dialects.ufw.layer import UnaryLayerOp\n"
            "class Op(UnaryLayerOp):\n    name = 'own.op'\n"
            "PLUGIN = Plugin(lowerings={Op: print})",
            "ValueError: the op own.op is in none of its dialects by that name",
        ),
        *(
            (
                f"from xdsl.ir import Dialect\nfrom xdsl.irdl import irdl_op_definition\n"
                f"from bmnetu.plugins import Plugin\nfrom {module} import {base}\n"
                f"@irdl_op_definition\nclass Op({base}):\n    name = 'own.op'\n"
                f"    def infer_shapes(self): return []\n"
                f"PLUGIN = Plugin(dialects=(Dialect('own', [Op]),))",
                "ValueError: the op own.op states no meaning",
            )
            for module, base in (
                ("dialects.ufw.layer", "LayerOp"),
                ("dialects.quant.base", "QuantOp"),
                ("dialects.quant.base", "UnaryOp"),
            )
        ),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("PLUGIN = 3", "TypeError: its entry point is int"),
        (
            "from bmnetu.plugins import Plugin\n"
            "from bmnetu.frontend.layers.importers import IMPORTERS\n"
            "PLUGIN = Plugin(importers={'ReLU': IMPORTERS['ReLU']})",
            "ValueError: the layer type ReLU exists already, in bmnetu",
        ),
        (
            "from xdsl.ir import Dialect\nfrom bmnetu.plugins import Plugin\n"
            "PLUGIN = Plugin(dialects=(Dialect('npu', []),))",
            "ValueError: the dialect npu exists already, in bmnetu",
        ),
        (
            "from bmnetu.plugins import Plugin\nfrom dialects.ufw.ops import ReLUOp\n"
            "PLUGIN = Plugin(lowerings={ReLUOp: print})",
            "ValueError: the lowering ufw.relu exists already, in bmnetu",
        ),
    ],
)
def test_a_broken_plugin_is_one_sentence(
    net: Path, tmp_path: Path, source: str, sentence: str
) -> None:
    write_plugin(tmp_path, source)
    flags = [f"-model={net}", f"-weight={net}", f"-outdir={tmp_path / 'out'}"]
    for words in (("bmnetu", *flags), ("bmnetu.opt", "--list-passes")):
        text = run(tmp_path, *words, code=2)
        assert f"plug-in bad of package broken 0.1 cannot be used: {sentence}" in text
        assert "Traceback" not in text
        assert len(text.splitlines()) == 1
    assert "bad (broken 0.1)" in run(tmp_path, "bmnetu", "-help")


def test_the_recipe_in_the_docs_is_the_example() -> None:
    text = (EXAMPLE.parents[1] / "docs" / "developing.md").read_text()
    shown = dict(re.findall(r"^`examples/plugin/(\S+)`:\n\n```\w+\n(.*?)^```$", text, re.M | re.S))
    files = {
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in EXAMPLE.rglob("*")
        if path.suffix in (".py", ".toml") and "build" not in path.parts
    }
    assert shown == files
