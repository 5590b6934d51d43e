"""-output_whitelist and -host=false: where a network ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx import TensorProto, helper

import bmnetu
from bmnetu.cli import main
from bmnetu.errors import UsageError
from bmnetu.frontend import generate_umodel, load_network
from bmnetu.frontend.cut import Cut
from bmnetu.frontend.prototxt.topology import read_topology
from bmnetu.supported.check import check_network
from dialects.execute import names_of
from passes.module.functions import main_function
from tests.detection_nets import faster_rcnn, r_fcn, yolo_v2
from tests.frontend.samples import data, layer, names, written
from tests.networks import random_weights

CONV = "convolution_param { num_output: 8 kernel_size: 3 pad: 1 }"
CHAIN = (
    data(1, 3, 8, 8)
    + layer("Convolution", CONV, name="conv", top="conv")
    + layer("ReLU", name="relu", bottom="conv", top="conv")
    + layer("Pooling", "pooling_param { kernel_size: 2 stride: 2 }", name="pool", bottom="conv",
            top="pool")
    + layer("Whiten", "whiten_param { strength: 3 }", name="w", bottom="pool", top="w")
)  # fmt: skip
"""Its last layer is of an unknown type."""

SSD = (
    data(1, 3, 8, 8)
    + layer("Convolution", CONV, name="loc", top="loc")
    + layer("Flatten", name="flat", bottom="loc", top="flat")
    + layer("Convolution", CONV, name="conf", top="conf")
    + layer("Flatten", name="flat2", bottom="conf", top="flat2")
    + layer("PriorBox", 'prior_box_param { min_size: 3 min_size: 4 } bottom: "data"', name="prior",
            bottom="loc", top="prior")
    + layer("DetectionOutput", 'bottom: "flat2" bottom: "prior"'
            " detection_output_param { num_classes: 4 code_type: CENTER_SIZE keep_top_k: 20 }",
            name="boxes", bottom="flat", top="boxes")
    + layer("Power", "power_param { scale: 2 }", name="behind", bottom="boxes", top="behind")
    + layer("Sigmoid", name="side", bottom="conf", top="side")
)  # fmt: skip
"""A host layer, one behind it, and an output beside."""


def chain(folder: Path, text: str = CHAIN) -> tuple[Path, Path]:
    """The text and weights of the layers that are known."""
    lines = [each for each in CHAIN.splitlines() if "Whiten" not in each]
    return written(folder, text, random_weights("\n".join(lines), 1))


def test_a_flag_cuts_and_says_so(tmp_path: Path) -> None:
    network = load_network(*chain(tmp_path), cut=Cut(("pool",)))
    assert names(network)[1] == ["pool"]
    (note,) = network.notes
    assert note.endswith(
        'net.prototxt: -output_whitelist: 1 layer is left out, "w" (Whiten); the outputs are "pool"'
    )


def test_a_blob_that_is_written_in_place_is_meant_as_it_is_at_last(tmp_path: Path) -> None:
    network = load_network(*chain(tmp_path), cut=Cut(("conv",)))
    assert names(network)[1] == ["conv"]
    assert [each.type for each in network.net.layer] == ["Input", "Convolution", "ReLU"]


def test_a_flag_goes_before_the_file_s_own_list(tmp_path: Path) -> None:
    text = CHAIN + 'output_whitelist: "conv"\n'
    network = load_network(*chain(tmp_path, text), cut=Cut(("pool",)))
    assert names(network)[1] == ["pool"]


def test_an_output_that_is_read_too(tmp_path: Path) -> None:
    """What is written can be read again, with the same outputs."""
    model, weight = chain(tmp_path)
    cut = Cut(("conv", "pool"))
    umodel, prototxt = generate_umodel(model, weight, tmp_path / "out", cut=cut)
    assert names(load_network(prototxt, umodel))[1] == ["conv", "pool"]


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='names "pol", which no layer makes; did you mean "pool"'):
        load_network(*chain(tmp_path), cut=Cut(("pol",)))
    with pytest.raises(UsageError, match='names "data", which no layer makes'):
        load_network(*chain(tmp_path), cut=Cut(("data",)))
    with pytest.raises(UsageError, match='names "3", which no layer makes'):
        load_network(*chain(tmp_path), cut=Cut(("3",)))


def test_the_heads_come_out_raw(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(SSD)
    found = Cut(host=False).applied(read_topology(path))
    assert found.outputs == ("flat", "flat2", "prior", "side")
    assert [each.name for each in found.layers][-1] == "side"
    (note,) = found.notes
    assert '2 layers are left out, "boxes" (DetectionOutput), "behind" (Power)' in note
    assert Cut().applied(read_topology(path)).outputs == ("behind", "side")


@pytest.mark.parametrize(("text", "heads", "kinds"), [
    (yolo_v2(1), ("head",), {"YoloDetectionOutput"}),
    (r_fcn(), ("deltas", "prob_r", "cls_map", "box_map"), {"Proposal", "PSROIPooling", "Pooling"}),
    (faster_rcnn(), ("f4", "deltas", "prob_r"), {"Proposal", "ROIPooling", "InnerProduct"}),
])  # fmt: skip
def test_the_heads_are_those_of_the_user(
    tmp_path: Path, text: str, heads: tuple[str, ...], kinds: set[str]
) -> None:
    """Not those of the layers that stand for the user's own."""
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    found = Cut(host=False).read(path)
    assert found.outputs == heads
    for kind in kinds:
        assert f"({kind})" in found.notes[-1]
    assert not any("/" in top for layer in found.layers for top in layer.tops)
    model, weight = written(tmp_path, text)
    assert names(load_network(model, weight, cut=Cut(host=False)))[1] == list(heads)
    assert check_network(model, cut=Cut(host=False)).ok


def test_heads_that_are_written_in_place_have_their_own_name(tmp_path: Path) -> None:
    """Also where the host layer itself works in place."""
    path = tmp_path / "net.prototxt"
    path.write_text(
        data(1, 3, 8, 8)
        + layer("Convolution", CONV, name="conv", top="head")
        + layer("ReLU", name="relu", bottom="head", top="head")
        + layer("Yolo", "yolo_param { classes: 3 num: 1 }", name="yolo", bottom="head", top="head")
    )
    found = Cut(host=False).read(path)
    assert found.outputs == ("head",)
    assert [each.tops for each in found.layers] == [("head_2",), ("head",)]


def test_layers_that_only_what_is_left_out_reads(tmp_path: Path) -> None:
    top_k = layer("TopK", "topk_param { k: 2 }", name="t", top="t")
    path = tmp_path / "net.prototxt"
    net = (
        layer("Convolution", CONV, name="a", top="a")
        + layer("TopK", "topk_param { k: 8 }", name="t", bottom="a", top="t")
        + layer("Convolution", CONV, name="y", top="y")
        + layer("Concat", 'bottom: "y"', name="joined", bottom="t", top="joined")
    )
    path.write_text(data(1, 3, 8, 8) + net)
    found = Cut(host=False).read(path)
    assert found.outputs == ("a", "y")
    assert '2 layers are left out, "t" (TopK), "joined" (Concat)' in found.notes[-1]
    beside = layer("Convolution", CONV, name="y", top="y")
    path.write_text(data(1, 3, 8, 8) + top_k + beside
                    + layer("Eltwise", 'bottom: "y"', name="sum", bottom="t", top="sum"))
    assert Cut(host=False).read(path).outputs == ("y",)
    path.write_text(data(1, 3, 8, 8) + top_k
                    + layer("Eltwise", 'bottom: "data"', name="sum", bottom="t", top="sum"))
    with pytest.raises(UsageError, match="has no layers before its host layers"):
        Cut(host=False).read(path)
    path.write_text(data(1, 3, 8, 8) + top_k + beside
                    + 'layer { name: "s" type: "Silence" bottom: "y" }\n')
    with pytest.raises(UsageError, match="has no outputs without its host layers"):
        Cut(host=False).read(path)


def test_a_net_without_host_layers_stays(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(CHAIN)
    whole = read_topology(path)
    assert Cut(host=False).applied(whole) is whole


def test_nothing_is_left(tmp_path: Path) -> None:
    inputs = "".join(
        f'input: "{name}" input_shape {{ {shape} }}\n'
        for name, shape in (
            ("flat", "dim: 1 dim: 8"), ("conf", "dim: 1 dim: 4"), ("prior", "dim: 1 dim: 2 dim: 8")
        )
    )
    path = tmp_path / "net.prototxt"
    rest = 'bottom: "conf" bottom: "prior" detection_output_param { num_classes: 2 }'
    path.write_text(inputs + layer("DetectionOutput", rest, bottom="flat"))
    with pytest.raises(UsageError, match=r"-host=false: .* has no layers before its host layers"):
        Cut(host=False).applied(read_topology(path))


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(SSD)
    assert main(["-check", f"-model={path}", "-json"]) == 0
    statuses = {x["name"]: x["status"] for x in json.loads(capsys.readouterr().out)["layers"]}
    assert (statuses["boxes"], statuses["behind"]) == ("host", "INT8")
    assert main(["-check", f"-model={path}", "-host=false", "-output_whitelist=flat,side"]) == 0
    out = capsys.readouterr()
    assert "DetectionOutput" not in out.out
    assert "-output_whitelist: 4 layers are left out" in out.err
    assert main(["-check", f"-model={path}", "-output_whitelist=sied"]) == 2
    assert 'did you mean "side"?' in capsys.readouterr().err


def test_an_unknown_field_of_a_layer_that_is_left_out_does_not_matter(tmp_path: Path) -> None:
    text = CHAIN.replace("kernel_size: 2 stride", "kernel_size: 2 strobe: 1 stride")
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    assert not check_network(path).ok
    assert check_network(path, cut=Cut(("conv",))).ok
    load_network(*chain(tmp_path, text), cut=Cut(("conv",)))


def test_an_onnx(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("NonZero", ["a"], ["b"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])
    b = helper.make_tensor_value_info("b", TensorProto.INT64, None)
    path = tmp_path / "net.onnx"
    graph = helper.make_graph(nodes, "net", [x], [b])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert not check_network(path).ok
    network = load_network(path, None, cut=Cut(("a",)))
    assert names(network)[1] == ["a"]
    assert "1 node(s) are left out" in network.notes[0]
    with pytest.raises(UsageError, match='names "c", which no node makes'):
        load_network(path, None, cut=Cut(("c",)))
    with pytest.raises(UsageError, match='names "first", a node; it makes "a"'):
        load_network(path, None, cut=Cut(("first",)))


def test_a_constant_that_a_host_layer_reads_is_no_output(tmp_path: Path) -> None:
    """As the table of an embedding is."""
    text = data(1, 4) + layer("ReLU", name="relu", bottom="data", top="places")
    text += 'layer { name: "table" type: "Parameter" top: "t"'
    text += " parameter_param { shape { dim: 6 dim: 3 } } }\n"
    text += layer("Gather", name="gather", bottom='t" bottom: "places', top="rows")
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    assert Cut().read(path).outputs == ("rows",)
    assert Cut(host=False).read(path).outputs == ("places",)


def test_the_heads_are_compiled(tmp_path: Path) -> None:
    """Compiled and compared, prior boxes among the outputs."""
    model, weight = written(tmp_path, SSD)
    result = bmnetu.compile(model, weight, tmp_path / "out", host=False, opt=1)
    outputs = names_of(main_function(result.module), "output_names")
    assert outputs == ["flat", "flat2", "prior", "side"]
    assert result.findings is not None
    assert result.findings.ok
