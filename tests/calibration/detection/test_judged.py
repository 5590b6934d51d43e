"""What a net with host layers is judged by, and that all measures take it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ArrayAttr, FunctionType, StringAttr
from xdsl.dialects.func import ReturnOp

from bmnetu.calibration import calibrate
from bmnetu.calibration.run.net import FloatNet
from bmnetu.frontend import Network, load_network
from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.execute import execute, names_of
from dialects.host.base import HostOp
from dialects.host.ops import GatherElementsOp, TopKOp
from dialects.meaning import evaluate_whole
from dialects.ufw.activation import PointwiseOp
from dialects.ufw.layer import Top
from passes.module.functions import main_function
from tests.calibration.detection.nets import DETECTION, ssd
from tests.calibration.harness import Files, data_layer, layer

CONV = "convolution_param { num_output: 4 kernel_size: 3 }"
TAIL = "inner_product_param { num_output: 5 }"


def float_net(folder: Path, text: str) -> FloatNet:
    files = Files.of(folder, text)
    return FloatNet(load_network(files.model, files.weight), False)


def test_detections_are_judged_by_what_the_layer_reads(tmp_path: Path) -> None:
    """Not by the prior boxes, which no layer computes."""
    net = float_net(tmp_path, ssd())
    assert list(net.judged) == ["loc", "conf_probs"]
    function = net.judged_function()
    assert names_of(function, "output_names") == ["loc", "conf_probs"]
    tops = {top for op in function.body.block.ops for top in names_of(op, "tops")}
    assert not {"prior", "a_prior", DETECTION} & tops, "nothing else is computed"
    data = np.random.default_rng(0).standard_normal((1, 3, 24, 24)).astype(np.float32)
    blobs: dict[str, Any] = {}
    execute(net.function, {"data": data}, evaluate_whole, blobs.__setitem__)
    loc, conf = execute(function, {"data": data}, evaluate_whole)
    assert np.array_equal(loc, blobs["loc"])
    assert np.array_equal(conf, blobs["conf_probs"])
    assert names_of(net.function, "output_names") == [DETECTION], "the net itself stays"


def test_moves_behind_and_outputs_of_other_layers(tmp_path: Path) -> None:
    tail = layer("Reshape", DETECTION, "rows", "reshape_param { shape { dim: -1 dim: 7 } }")
    net = float_net(tmp_path, ssd() + layer("TanH", "loc", "t") + tail)
    assert set(net.judged) == {"loc", "conf_probs", "t"}


def test_a_net_without_host_layers_is_judged_by_its_outputs(tmp_path: Path) -> None:
    net = float_net(tmp_path, data_layer(1, 3, 6, 6) + layer("Convolution", "data", "c", CONV))
    assert list(net.judged) == ["c"]


def with_host_layers(files: Files) -> Network:
    """Behind f, and i, an input: TopK, whose values and indices are outputs; what an int32 tensor
    that the host reads chooses, and a layer of the NPU behind that."""
    network = load_network(files.model, files.weight)
    function = main_function(network.module)
    block = function.body.block
    last = block.last_op
    assert last is not None
    block.erase_op(last)
    f = next(op.results[0] for op in block.ops if names_of(op, "tops") == ["f"])
    given = block.args[1]
    values = {"k": 3, "axis": -1, "sorted": True, "descending": True, "values_used_only": False}
    top = TopKOp([f], [Top("best"), Top("places")], values)
    of_input = TopKOp([given], [Top("best_i"), Top("places_i")], values)
    chosen = GatherElementsOp([f, of_input.results[1]], [Top("chosen")], {"axis": 1})
    behind = PointwiseOp(chosen.results[0], Top("behind"), "tanh")
    for op in (top, of_input, chosen, behind):
        block.add_op(op)
        network.net.layer.append(LayerParameter(name=op.top_names[0], type="Host"))
        if not isinstance(op, HostOp):
            network.net.layer[-1].type = "TanH"
    results = [*top.results, *of_input.results, behind.results[0]]
    names = ["best", "places", "best_i", "places_i", "behind"]
    block.add_op(ReturnOp(*results))
    kinds = [arg.type for arg in block.args], [value.type for value in results]
    function.function_type = FunctionType.from_lists(*kinds)
    function.attributes["output_names"] = ArrayAttr([StringAttr(name) for name in names])
    network.module.verify()
    return network


@pytest.mark.parametrize(
    "flags",
    [
        {"layer_table": True, "sensitivity": True},
        {"float_budget": 2, "bias_correction": True},
        {"target_cosine": 0.9},
        {"th_method": "AUTO"},
    ],
    ids=str,
)
def test_int32_results_and_rows_that_are_not_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any]
) -> None:
    text = data_layer(2, 3, 6, 6) + data_layer(2, 5, name="i")
    text += layer("Convolution", "data", "c", CONV) + layer("InnerProduct", "c", "f", TAIL)
    text += layer("TanH", "i", "unused")
    files = Files.of(tmp_path, text)
    network = with_host_layers(files)
    net = FloatNet(with_host_layers(files), False)
    assert list(net.judged) == ["f", "best_i", "places_i"]

    def load(*_: object, **__: object) -> Network:
        return network

    monkeypatch.setattr(calibrate, "load_network", load)
    found = files.calibrate(files.samples(6), **flags)
    rows = {row.blob for row in found.result.layers}
    assert rows <= {"data", "i", "c", "f", "behind"}


def test_the_table_the_ranking_and_the_choice_of_an_ssd(tmp_path: Path) -> None:
    files = Files.of(tmp_path, ssd(2))
    found = files.calibrate(files.samples(6), layer_table=True, float_budget=1, target_cosine=0.5)
    blobs = [row.blob for row in found.result.layers]
    assert {"a_loc", "b_conf", "loc", "conf_probs"} <= set(blobs)
    assert not {DETECTION, "prior", "a_prior"} & set(blobs)
    assert {"data", "Convolution_a_loc"} <= {cost.part.name for cost in found.result.costs}
    assert all(np.isfinite(cost.sqnr) for cost in found.result.costs)
    assert any('(worst: "loc: ' in line or "conf" in line for line in found.lines)


def test_a_head_that_is_lost_is_reported(tmp_path: Path) -> None:
    """A channel of a head with tiny numbers keeps few levels: it reaches the detection layer."""
    files = Files.of(tmp_path, ssd())
    network = load_network(files.model, files.weight)
    message = type(network.net).FromString(files.weight.read_bytes())
    (head,) = [each for each in message.layer if each.name == "Convolution_b_loc"]
    weight = np.array(head.blobs[0].data).reshape(12, -1)
    weight[3] /= 1000
    head.blobs[0].data[:] = weight.ravel().tolist()
    if len(head.blobs) > 1:
        head.blobs[1].data[3] = 0.0001
    files.weight.write_bytes(message.SerializeToString())
    notes = files.calibrate(files.samples(8)).notes()
    assert any('channel 3 of "Convolution_b_loc" keeps' in note for note in notes)
