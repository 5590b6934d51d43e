"""Whole detection networks on the real BMRuntime, with their host layers as CPU subnets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.ir import Operation, SSAValue

import bmnetu
from bmnetu.bmodel import write
from bmnetu.emit.static import bmodel_of
from bmnetu.frontend import load_network
from bmnetu.frontend.cut import Cut
from bmnetu.report.result import CompileResult
from dialects.execute import names_of
from dialects.host.base import HostOp, defined_part, padded
from dialects.meaning import evaluate
from dialects.quant import types
from dialects.ufw.detection.prior_box import PriorBoxOp
from dialects.ufw.layer import shape_of
from passes.module.functions import main_function, names
from tests import detection_nets as nets
from tests.compiled import compiled
from tests.host_nets import random_host_module
from tests.vendor.runtime import replay, run_bmodel

Array = NDArray[Any]
FLOAT_TOLERANCE = 1e-3
NETS = {
    "ssd": nets.ssd(2),
    "yolo_v3": nets.yolo_v3(2),
    "yolo_v2": nets.yolo_v2(2),
    "faster_rcnn": nets.faster_rcnn(),
    "faster_rcnn_python": nets.faster_rcnn(python=True),
    "r_fcn": nets.r_fcn(),
}


def far(got: Array, expected: Array) -> float:
    """The largest error, relative to max(1, |expected|), where something is expected."""
    known = ~np.isnan(expected) if expected.dtype.kind == "f" else np.ones(expected.shape, bool)
    gap = np.abs(got.astype(np.float64) - expected) / np.maximum(1, np.abs(expected))
    return float(gap.max(initial=0.0, where=known))


def same_rows(op: HostOp, got: Array, expected: Array) -> bool:
    """Whether a host layer's result is what is expected, in rows and order. Where keep_top_k cuts
    between equal scores, the runtime's sort does not say which of their boxes stay."""
    if far(got, expected) < 1e-5 or not op.LAYER.is_detection:
        return far(got, expected) < 1e-5
    rows, others = (x.reshape(-1, 7).astype(np.float64) for x in (got, expected))
    gaps = np.abs(rows[:, None] - others[None]) / np.maximum(1, np.abs(others[None]))
    strange = (gaps.max(axis=2) >= 1e-5).all(axis=1)
    least = {image: rows[rows[:, 0] == image, 2].min() for image in np.unique(rows[:, 0])}
    cut = np.array([row[2] - least[row[0]] < 1e-6 for row in rows])
    same_scores = np.allclose(np.sort(rows[:, 2]), np.sort(others[:, 2]), atol=1e-6)
    return bool(same_scores and (cut | ~strange).all())


class Heads:
    """What host layers read and make, as far as the outputs of a network show it."""

    def __init__(
        self,
        files: tuple[Path, Path],
        inputs: dict[str, Array],
        got: dict[str, Array],
        keep: Sequence[str],
    ) -> None:
        network = load_network(*files, cut=Cut(tuple(keep)))
        self.function = main_function(network.module)
        self.got = got
        arguments = names(self.function, "input_names")
        self.values: dict[SSAValue, Array] = {
            value: inputs[name]
            for value, name in zip(self.function.body.block.args, arguments, strict=True)
        }
        last = self.function.body.block.last_op
        assert last is not None
        self.outputs = dict(zip(last.operands, names(self.function, "output_names"), strict=True))

    def of(self, value: SSAValue) -> Array:
        """An output as the runtime gave it; else what the CPU makes of such."""
        op = value.owner
        if value in self.outputs and self.outputs[value] in self.got:
            found = self.got[self.outputs[value]]
            if found.dtype.kind in "iu" and found.dtype.itemsize == 1:
                return found * np.float32(types.scale_of(value) or 1)
            return padded(found, shape_of(value)) if isinstance(op, HostOp) else found
        if value not in self.values:
            assert isinstance(op, Operation)
            only_shapes = isinstance(op, PriorBoxOp)
            operands = [
                np.zeros(shape_of(x), np.float32) if only_shapes else self.of(x)
                for x in op.operands
            ]
            self.values.update(zip(op.results, evaluate(op, operands), strict=True))
        return self.values[value]

    def behind_hosts(self) -> set[str]:
        """The outputs that depend on a host layer."""
        found: set[SSAValue] = set()
        for op in self.function.body.block.ops:
            if isinstance(op, HostOp) or not found.isdisjoint(op.operands):
                found.update(op.results)
        return {name for value, name in self.outputs.items() if value in found}


def samples(model: Path, weight: Path, batches: int) -> dict[str, Array]:
    """Noise for the inputs of a network; the image's information is true."""
    rng, found = np.random.default_rng(batches), dict[str, Array]()
    for each in load_network(model, weight).net.layer:
        if each.type == "Input":
            first, *rest = each.input_param.shape[0].dim
            found[each.name] = rng.standard_normal((first * batches, *rest)).astype(np.float32)
    if "im_info" in found:
        found["im_info"][:] = (96, 128, 1)
    return found


def whitelist(model: Path, weight: Path) -> list[str]:
    """The outputs of a network, and all that its host layers read."""
    function = main_function(load_network(model, weight).module)
    found = list(names(function, "output_names"))
    for op in function.body.block.ops:
        if isinstance(op, HostOp):
            makers = [x.owner for x in op.operands]
            found += [names_of(x, "tops")[0] for x in makers if isinstance(x, Operation)]
            found += op.top_names
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module", params=NETS)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text(NETS[request.param])
    weight.write_bytes(nets.calm_weights(model).SerializeToString())
    return model, weight


def judge(files: tuple[Path, Path], made: CompileResult, keep: Sequence[str]) -> None:
    """The runtime's NPU tensors are those of our model within the tolerance, integers equal; what
    its host layers find is what numpy finds in the very heads that the runtime computed, in rows
    and order. Scores that are equal but for rounding may stand in another order than in our own
    run: what the NPU makes of such rows is then not compared."""
    assert made.findings is not None
    assert made.bmodel is not None
    got, expected = run_bmodel(made.bmodel, made.findings.inputs), dict(made.findings.outputs)
    heads = Heads(files, made.findings.inputs, got, keep)
    hosts = [op for op in heads.function.body.block.ops if isinstance(op, HostOp)]
    assert hosts
    numbers, alike = 0, True
    for op in hosts:
        found = evaluate(op, [heads.of(x) for x in op.operands])
        for name, array in zip(op.top_names, found, strict=True):
            array = defined_part(array)
            assert got[name].shape == array.shape, name
            assert same_rows(op, got[name], array), name
            numbers += array.size
            ours = expected.pop(name)
            alike &= ours.shape == array.shape and far(ours, array) < FLOAT_TOLERANCE
    assert numbers > 7 * 4  # boxes, not the rows that stand for none
    behind = heads.behind_hosts()
    replayed = replay(made.bmodel, made.findings.inputs, 3, 5)
    for name, array in expected.items():
        if alike or name not in behind:
            assert far(got[name], array) < FLOAT_TOLERANCE, name
            assert far(replayed[name], array) < FLOAT_TOLERANCE, name


@pytest.mark.parametrize("opt", [0, 1, 2])
def test_fp32(files: tuple[Path, Path], opt: int, tmp_path: Path) -> None:
    keep, given = whitelist(*files), samples(*files, 1)
    made = bmnetu.compile(*files, tmp_path, opt=opt, output_whitelist=keep, cmp_data=given)
    judge(files, made, keep)


def test_int8(files: tuple[Path, Path], tmp_path: Path) -> None:
    """The other opt levels are seen in FP32, where their layers on the host are the same."""
    np.savez(tmp_path / "data.npz", **samples(*files, 4))  # pyright: ignore
    int8 = bmnetu.calibrate(
        *files, tmp_path / "data.npz", tmp_path, th_method="MAX", equalize=False,
        adaptive_rounding=False,
    )  # fmt: skip
    files = int8.prototxt, int8.umodel
    keep, given = whitelist(*files), samples(*files, 1)
    made = bmnetu.compile(
        *files, tmp_path / "out", opt=2, output_whitelist=keep, cmp_data=given
    )
    judge(files, made, keep)


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
@pytest.mark.parametrize("settings", ["num: 2", "boxes_of_each_grid: 2 softmax: true"])
def test_region(settings: str, precision: str, tmp_path: Path) -> None:
    """The activation of a head is layers of the NPU alone."""
    model, weight = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(nets.region(2, settings))
    weight.write_bytes(nets.calm_weights(model).SerializeToString())
    given = samples(model, weight, 1)
    if precision == "INT8":
        np.savez(tmp_path / "data.npz", **samples(model, weight, 4))  # pyright: ignore
        int8 = bmnetu.calibrate(model, weight, tmp_path / "data.npz", tmp_path, th_method="MAX")
        model, weight = int8.prototxt, int8.umodel
    made = bmnetu.compile(model, weight, tmp_path / "out", cmp_data=given)
    assert made.findings is not None
    assert made.bmodel is not None
    assert made.findings.ok
    got = run_bmodel(made.bmodel, made.findings.inputs)
    (expected,) = (array for name, array in made.findings.outputs.items() if name == "map")
    assert expected.dtype == np.float32
    assert far(got["map"], expected) < FLOAT_TOLERANCE


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed: int, precision: str, tmp_path: Path) -> None:
    """NPU, host, NPU, host chains at all opt levels."""
    module = random_host_module(seed, precision == "INT8")
    findings = compiled(module, seed % 3, precision, seed)
    assert findings.ok, findings.verdict()
    path = tmp_path / "compilation.bmodel"
    path.write_bytes(write(bmodel_of(module)))
    got = run_bmodel(path, findings.inputs)
    for name, array in findings.outputs.items():
        assert got[name].shape == array.shape
        assert far(got[name], array) < FLOAT_TOLERANCE, name
