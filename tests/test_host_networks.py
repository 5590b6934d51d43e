"""Whole networks with host layers: compiled, compared, and with planted faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bmnetu
from bmnetu.bmodel import Bmodel, HostCall, Stage, Subnet, read, write
from bmnetu.report.result import CompileResult
from bmnetu.ways.static import OPT_LEVELS
from dialects.host.base import HostOp
from dialects.host.ops import BY_NUMBER
from dialects.quant.base import QuantOp
from passes.module.functions import functions, npu_functions, runs_on_host
from tests import detection_nets as nets
from tests.compiled import compiled
from tests.host_nets import random_host_module
from tests.networks import random_weights
from tests.pipelines import static_passes

LAYER = 'layer "DetectionOutput_found"'


def files(folder: Path, text: str) -> tuple[Path, Path]:
    model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text(text)
    weight.write_bytes(nets.calm_weights(model).SerializeToString())
    return model, weight


@pytest.fixture(scope="module")
def ssd(tmp_path_factory: pytest.TempPathFactory) -> CompileResult:
    folder = tmp_path_factory.mktemp("ssd")
    return bmnetu.compile(*files(folder, nets.ssd(2)), folder, opt=1)


@settings(
    max_examples=30, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(st.integers(0, 10**6), st.sampled_from(sorted(OPT_LEVELS)), st.booleans())
def test_random_networks(seed: int, opt: int, integer: bool) -> None:
    """NPU, host, NPU, host: the compare agrees, and its outputs are whole."""
    module = random_host_module(seed, integer)
    findings = compiled(module, opt, "INT8" if integer else "FP32", seed)
    assert findings.ok, findings.verdict()
    assert all(np.isfinite(x).all() for x in findings.outputs.values() if x.dtype.kind == "f")


@pytest.mark.parametrize("seed", range(20))
def test_the_network_is_cut_into_as_few_functions_as_can_be(seed: int) -> None:
    """As many functions of the NPU as there are stretches of its ops on the path with most."""
    module = random_host_module(seed, integer=False)
    for item in static_passes(0, "FP32", verify=False):
        if item.name == "quant-outline-host":
            break
        item.apply(None, module)  # pyright: ignore
    depth: dict[object, int] = {}
    (main,) = functions(module)
    for op in main.body.block.ops:
        before = [(depth[x.owner], isinstance(x.owner, HostOp)) for x in op.operands
                  if x.owner in depth]  # fmt: skip
        if isinstance(op, HostOp):
            depth[op] = max((d for d, _ in before), default=0)
        elif isinstance(op, QuantOp) and op.operands:
            depth[op] = max((d + (host or d == 0) for d, host in before), default=1)
    most = max(depth.values())
    item.apply(None, module)  # pyright: ignore
    constants = any("quant.constant" == op.name for op in main.body.block.ops)
    # one more may stand before all others, which clears or makes constants
    assert most <= len(npu_functions(module)) <= most + 1 + constants


def test_a_host_layer_has_a_function_of_its_own(ssd: CompileResult) -> None:
    found = [runs_on_host(function) for function in functions(ssd.module)]
    assert found == [False, True]
    assert ssd.contents is not None
    (stage,) = ssd.contents.nets[0].stages
    host = stage.subnets[1].host
    assert host is not None
    assert BY_NUMBER[host.number].name == "host.detection_output"
    assert [t.name for t in stage.outputs] == ["found"]


def changed(result: CompileResult, change: Callable[[Stage], Stage]) -> str:
    """What verify says of the written file with another stage."""
    assert result.bmodel is not None
    written = read(result.bmodel.read_bytes(), "the bmodel")
    (net,) = written.nets
    other = replace(written, nets=(replace(net, stages=(change(net.stages[0]),)),))
    findings = bmnetu.verify(other, result.module)
    assert not findings.ok
    return findings.verdict()


def with_host(stage: Stage, change: Callable[[Subnet], Subnet]) -> Stage:
    subnets = tuple(change(x) if x.host is not None else x for x in stage.subnets)
    return replace(stage, subnets=subnets)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code_type", 1), ("keep_top_k", 3), ("confidence_threshold", 1.5), ("top_k", 1),
        ("background_label_id", 1), ("nms_threshold", 0.01), ("variance_encoded_in_target", True),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_found(ssd: CompileResult, field: str, value: float) -> None:
    def change(subnet: Subnet) -> Subnet:
        assert subnet.host is not None
        struct = BY_NUMBER[subnet.host.number].LAYER.struct
        values = struct.unpack(subnet.host.params) | {field: value}
        return replace(subnet, host=HostCall(subnet.host.number, struct.pack(values)))

    assert LAYER in changed(ssd, lambda stage: with_host(stage, change))


def test_swapped_inputs_are_found(ssd: CompileResult) -> None:
    def change(subnet: Subnet) -> Subnet:
        loc, conf, prior = subnet.inputs
        return replace(subnet, inputs=(conf, loc, prior))

    assert LAYER in changed(ssd, lambda stage: with_host(stage, change))


def test_a_stale_shape_is_found(ssd: CompileResult) -> None:
    def change(subnet: Subnet) -> Subnet:
        (found,) = subnet.outputs
        rows = found.shape[2] // 4
        return replace(
            subnet, outputs=(replace(found, shape=(1, 1, rows, 7), size=rows * 28),)
        )

    assert LAYER in changed(ssd, lambda stage: with_host(stage, change))


def test_an_input_of_another_place_is_found(ssd: CompileResult) -> None:
    def change(subnet: Subnet) -> Subnet:
        loc, conf, prior = subnet.inputs
        return replace(subnet, inputs=(replace(loc, address=conf.address), conf, prior))

    assert LAYER in changed(ssd, lambda stage: with_host(stage, change))


def test_another_layer_is_found(ssd: CompileResult) -> None:
    def change(subnet: Subnet) -> Subnet:
        assert subnet.host is not None
        return replace(subnet, host=replace(subnet.host, number=4711))

    verdict = changed(ssd, lambda stage: with_host(stage, change))
    assert LAYER in verdict
    assert "no host layer of number 4711" in verdict


def test_a_parameter_that_changes_nothing_is_found(ssd: CompileResult) -> None:
    def change(subnet: Subnet) -> Subnet:
        assert subnet.host is not None
        struct = BY_NUMBER[subnet.host.number].LAYER.struct
        values = struct.unpack(subnet.host.params) | {"objectness_score": 0.5}
        return replace(subnet, host=HostCall(subnet.host.number, struct.pack(values)))

    verdict = changed(ssd, lambda stage: with_host(stage, change))
    assert f"{LAYER}: objectness_score is 0.5 in the file" in verdict


def test_boxes_beyond_float32_are_left_out(tmp_path: Path) -> None:
    """Where the decoding overflows, NPU and CPU are compared on the other boxes."""
    model, weight = files(tmp_path, nets.yolo_v3(1))
    data = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32) * 255
    made = bmnetu.compile(model, weight, tmp_path, cmp_data={"data": data})
    assert made.findings is not None
    assert not np.isfinite(made.findings.outputs["found"]).all()


def test_made_up_inputs_of_host_layers_are_usual(tmp_path: Path) -> None:
    """An image's information has its size, regions lie inside of it."""
    found = bmnetu.compile(*files(tmp_path, nets.faster_rcnn()), tmp_path).findings
    assert found is not None
    assert found.inputs["im_info"].tolist() == [[96, 128, 1]]
    text = nets.data_layer(2, 4, 8, 9) + nets.data_layer(6, 5, name="rois")
    settings = "roi_align_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.5 }"
    text += nets.layer("ROIAlign", "data rois", "y", settings)
    model = tmp_path / "regions.prototxt"
    model.write_text(text)
    weight = tmp_path / "regions.fp32umodel"
    weight.write_bytes(random_weights(model, 0).SerializeToString())
    found = bmnetu.compile(model, weight, tmp_path).findings
    assert found is not None
    rois = found.inputs["rois"]
    assert set(rois[:, 0]) == {0, 1}
    assert (rois[:, 1:] >= 0).all()
    assert (rois[:, [1, 3]] <= 18).all()
    assert (rois[:, [2, 4]] <= 16).all()


def test_a_profile_names_the_layers_on_the_host(tmp_path: Path) -> None:
    model, weight = files(tmp_path, nets.ssd(1))
    bmnetu.compile(model, weight, tmp_path, enable_profile=True)
    text = (tmp_path / "compiler_profile_0.txt").read_text()
    assert "On the host, and not estimated: DetectionOutput_found." in text


def test_other_priors_are_found(ssd: CompileResult) -> None:
    def change(stage: Stage) -> Stage:
        (host,) = [x for x in stage.subnets if x.host is not None]
        begin = host.inputs[2].address - stage.coeff_address
        coeff = bytearray(stage.coeff)
        half = host.inputs[2].size // 2
        coeff[begin : begin + half] = bytes(half)
        return replace(stage, coeff=bytes(coeff))

    assert LAYER in changed(ssd, change)


def test_the_file_is_read_as_it_was_written(ssd: CompileResult) -> None:
    assert ssd.bmodel is not None
    assert ssd.contents is not None
    data = ssd.bmodel.read_bytes()
    found: Bmodel = read(data, "x.bmodel")
    assert found.nets[0].stages[0].subnets == ssd.contents.nets[0].stages[0].subnets
    assert write(found) == data


@pytest.mark.parametrize("text", [nets.faster_rcnn(), nets.r_fcn(), nets.yolo_v2(1)])
def test_int8(text: str, tmp_path: Path) -> None:
    """What host layers read of the network's inputs stays float; the compare agrees."""
    model, weight = files(tmp_path, text)
    data = {"data": np.random.default_rng(0).normal(size=(4, 3, 96, 128)).astype(np.float32)}
    if "im_info" in text:
        data["im_info"] = np.tile(np.array([96, 128, 1], np.float32), (4, 1))
    else:
        data["data"] = data["data"][:, :, :64, :48]
    np.savez(tmp_path / "data.npz", **data)  # pyright: ignore
    int8 = bmnetu.calibrate(model, weight, tmp_path / "data.npz", tmp_path, th_method="MAX")
    made = bmnetu.compile(int8.prototxt, int8.umodel, tmp_path / "out", opt=2)
    assert made.findings is not None
    assert made.findings.ok
    assert made.contents is not None
    kinds = {t.name: t.data_type.name for t in made.contents.nets[0].stages[0].inputs}
    assert kinds == {name: "FLOAT32" if name == "im_info" else "INT8" for name in kinds}
