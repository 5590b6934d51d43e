"""The layers of two-stage detection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmnetu.errors import UnsupportedError
from bmnetu.frontend.importer import check_known
from bmnetu.frontend.prototxt.rewrite.python_layers import as_known
from bmnetu.frontend.prototxt.topology import read_topology
from bmnetu.frontend.ufw_pb2 import LayerParameter
from bmnetu.supported.check import check_network
from dialects.execute import execute
from dialects.host.base import HostOp
from dialects.meaning import evaluate
from dialects.ufw.layer import shape_of
from tests.frontend.samples import DATA, layer, loaded, main_of


def inputs(**shapes: tuple[int, ...]) -> str:
    return "".join(
        DATA.replace("data", name) % " ".join(f"dim: {n}" for n in shape)
        for name, shape in shapes.items()
    )


def net(kind: str, rest: str, **shapes: tuple[int, ...]) -> str:
    """A layer that reads all inputs."""
    first, *others = shapes
    bottoms = " ".join(f'bottom: "{name}"' for name in others)
    return inputs(**shapes) + layer(kind, f"{bottoms} {rest}", bottom=first)


def host_op(folder: Path, text: str) -> HostOp:
    (found,) = (op for op in main_of(loaded(folder, text)).walk() if isinstance(op, HostOp))
    return found


RPN: dict[str, Any] = {"score": (1, 18, 4, 5), "deltas": (1, 36, 4, 5), "info": (1, 3)}


def test_a_proposal_has_the_defaults_of_faster_r_cnn(tmp_path: Path) -> None:
    op = host_op(tmp_path, net("Proposal", "", **RPN))
    values = op.values
    del values["score_thresh"]
    assert values == {
        "feat_stride": 16, "min_size": 16, "pre_nms_topN": 6000, "post_nms_topN": 300,
        "nms_thresh": pytest.approx(0.7), "base_size": 16, "scales_num": 3, "ratios_num": 3,
        "scales": (8, 16, 32, 0, 0), "ratios": (0.5, 1, 2, 0, 0),
    }  # fmt: skip
    assert shape_of(op.results[0]) == (180, 5, 1, 1)


def test_a_proposal_s_settings(tmp_path: Path) -> None:
    rest = (
        'top: "scores" proposal_param { feat_stride: 8 base_size: 4 min_size: 2 ratio: 0.25'
        " scale: 3 pre_nms_topn: 50 post_nms_topn: 7 nms_thresh: 0.5 }"
    )
    shapes = RPN | {"score": (1, 2, 4, 5), "deltas": (1, 4, 4, 5)}
    op = host_op(tmp_path, net("Proposal", rest, **shapes))
    expected = {
        "feat_stride": 8, "base_size": 4, "min_size": 2, "pre_nms_topN": 50,
        "post_nms_topN": 7, "nms_thresh": 0.5, "scales_num": 1, "ratios_num": 1,
    }  # fmt: skip
    assert {name: op.values[name] for name in expected} == expected
    assert [shape_of(x) for x in op.results] == [(7, 5, 1, 1), (7, 1, 1, 1)]


@pytest.mark.parametrize(
    ("rest", "shapes", "sentence"),
    [
        ("proposal_param { scale: 2.5 }", {}, "scale: 2.5, where the host library"),
        ("proposal_param { " + "ratio: 1 " * 6 + "}", {}, "6 ratio, where the host library"),
        ("proposal_param { post_nms_topn: -1 }", {}, "post_nms_topn is -1, it must not be"),
        ("proposal_param { feat_stride: 0 }", {}, "feat_stride is 0, it must be positive"),
        ("", {"info": (1, 6)}, "im_info is 1x6"),
        ("", {"score": (2, 18, 4, 5)}, "one image"),
        ("", {"score": (1, 20, 4, 5)}, "9 anchors require"),
    ],
)
def test_a_proposal_is_refused(
    tmp_path: Path, rest: str, shapes: dict[str, tuple[int, ...]], sentence: str
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        loaded(tmp_path, net("Proposal", rest, **RPN | shapes))
    assert sentence in str(caught.value)
    assert 'layer "l" (Proposal)' in str(caught.value)


@pytest.mark.parametrize(("rest", "asked"), [
    ("", "300 asks for more"), ("proposal_param { post_nms_topn: 0 }", "0 asks for all"),
    ("proposal_param { post_nms_topn: 201 }", "201 asks for more"),
    ("proposal_param { post_nms_topn: 200 }", None),
])  # fmt: skip
def test_more_regions_than_there_can_be(tmp_path: Path, rest: str, asked: str | None) -> None:
    text = net("Proposal", rest, **RPN | {"score": (1, 18, 5, 5), "deltas": (1, 36, 5, 5)})
    expected = (
        f'net.prototxt:4: layer "l" (Proposal): the host library finds 200 regions at most,'
        f" post_nms_topn: {asked}"
    )
    for notes in (loaded(tmp_path, text).notes, check_network(tmp_path / "net.prototxt").notes):
        found = [note for note in notes if "200 regions" in note]
        assert len(found) == (asked is not None)
        assert all(note.endswith(expected) for note in found)
    small = loaded(tmp_path, net("Proposal", rest, **RPN))  # 180 anchors
    assert not any("200 regions" in note for note in small.notes)


def python(settings: str, module: str = "rpn.proposal_layer") -> LayerParameter:
    param = LayerParameter(name="p", type="Python", bottom=["a", "b", "c"], top=["rois", "scores"])
    param.python_param.module, param.python_param.layer = module, "ProposalLayer"
    param.python_param.param_str = settings
    return param


@pytest.mark.parametrize(
    "settings",
    [
        "'feat_stride': 8",
        "{'feat_stride': 8}",
        "feat_stride: 8",
        "'feat_stride': 8,",
        '"feat_stride": 8\n',
        "{feat_stride: 8}",
    ],
)
def test_the_spellings_of_param_str(settings: str) -> None:
    found = as_known(python(settings))
    assert (found.type, list(found.top)) == ("Proposal", ["rois", "scores"])
    assert found.proposal_param.feat_stride == 8
    assert not found.proposal_param.scale


@pytest.mark.parametrize(
    "settings",
    [
        "{'feat_stride': 16, 'ratios': [0.5, 1], 'scales': [2, 3]}",
        "feat_stride: 16\nratios: [0.5, 1]\nscales: [2, 3]\n",
        "{feat_stride: 16, ratios: [0.5, 1], scales: [2, 3]}",
    ],
)
def test_the_anchors_of_param_str(settings: str) -> None:
    found = as_known(python(settings)).proposal_param
    assert (list(found.ratio), list(found.scale)) == ([0.5, 1], [2, 3])


@pytest.mark.parametrize(
    ("settings", "module"),
    [
        ("'feat_stride': 16", "layers.text_proposal_layer"),
        ("{'feat_stride': 16, 'other': 1}", "rpn.proposal_layer"),
        ("feat_stride: __import__('os')", "rpn.proposal_layer"),
        ("!!python/object/apply:os.system ['x']", "rpn.proposal_layer"),
        ("{'feat_stride': 'a'}", "rpn.proposal_layer"),
        ("{'scales': 8}", "rpn.proposal_layer"),
        ("{'scales': [[8]]}", "rpn.proposal_layer"),
        ("feat_stride", "rpn.proposal_layer"),
        ("{" * 3000, "rpn.proposal_layer"),
    ],
)
def test_what_stays_python(settings: str, module: str) -> None:
    layer_ = python(settings, module)
    assert as_known(layer_) is layer_


def test_a_python_layer_is_refused_by_its_class(tmp_path: Path) -> None:
    code = 'python_param { module: "layers.text_proposal_layer" layer: "ProposalLayer" }'
    path = tmp_path / "net.prototxt"
    path.write_text(net("Python", code, **RPN))
    (found,) = check_network(path).layers
    assert found.reason.startswith("layers.text_proposal_layer.ProposalLayer is code in Python")
    with pytest.raises(UnsupportedError) as caught:
        check_known(read_topology(path))
    assert '"l" (Python of layers.text_proposal_layer.ProposalLayer)' in str(caught.value)

def test_rpn_is_a_proposal(tmp_path: Path) -> None:
    settings = (
        "feat_stride: 8 basesize: 4 scale: 3 scale: 5 ratio: 0.5 boxminsize: 2 per_nms_topn: 50"
        " post_nms_topn: 7 nms_thresh: 0.5"
    )
    shapes: dict[str, Any] = {"score": (1, 4, 4, 5), "deltas": (1, 8, 4, 5), "info": (1, 3)}
    own = host_op(tmp_path, net("RPN", f"rpn_param {{ {settings} }}", **shapes))
    pairs = (("basesize", "base_size"), ("boxminsize", "min_size"), ("per_nms", "pre_nms"))
    for name, other in pairs:
        settings = settings.replace(name, other)
    same = host_op(tmp_path, net("Proposal", f"proposal_param {{ {settings} }}", **shapes))
    assert own.values == same.values
    assert shape_of(own.results[0]) == shape_of(same.results[0]) == (7, 5, 1, 1)


@pytest.mark.parametrize("name", ["feat_stride", "basesize", "nms_thresh", "scale", "ratio"])
def test_rpn_has_no_defaults(tmp_path: Path, name: str) -> None:
    given = {"feat_stride": 8, "basesize": 4, "scale": 3, "ratio": 1, "nms_thresh": 0.5}
    del given[name]
    settings = " ".join(f"{each}: {value}" for each, value in given.items())
    with pytest.raises(UnsupportedError, match=f'prototxt:4: layer "l".*has no {name}'):
        loaded(tmp_path, net("RPN", f"rpn_param {{ {settings} }}", **RPN))


def test_roi_pooling(tmp_path: Path) -> None:
    rest = "roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.0625 }"
    op = host_op(tmp_path, net("ROIPooling", rest, x=(1, 4, 8, 8), rois=(6, 5, 1, 1)))
    assert op.values == {"pooled_h": 3, "pooled_w": 2, "spatial_scale": 0.0625}
    assert shape_of(op.results[0]) == (6, 4, 3, 2)
    with pytest.raises(UnsupportedError, match="its regions are 6x5, Rx5x1x1 is required: where"):
        loaded(tmp_path, net("ROIPooling", rest, x=(1, 4, 8, 8), rois=(6, 5)))
    with pytest.raises(UnsupportedError, match="0x0 bins"):
        loaded(tmp_path, net("ROIPooling", "", x=(1, 4, 8, 8), rois=(6, 5, 1, 1)))


def test_roi_align(tmp_path: Path) -> None:
    rest = "roi_align_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.5 aligned: true }"
    op = host_op(tmp_path, net("ROIAlign", rest, x=(1, 4, 8, 8), rois=(6, 5)))
    assert op.values == {
        "pooled_h": 3, "pooled_w": 2, "spatial_scale": 0.5, "sampling_ratio": -1, "aligned": True
    }  # fmt: skip
    assert shape_of(op.results[0]) == (6, 4, 3, 2)


PS = "psroi_pooling_param { spatial_scale: 0.0625 output_dim: 2 group_size: 3 }"


def test_psroi_pooling(tmp_path: Path) -> None:
    op = host_op(tmp_path, net("PSROIPooling", PS, x=(1, 18, 8, 8), rois=(6, 5, 1, 1)))
    assert op.values == {
        "pooled_h": 3, "pooled_w": 3, "spatial_scale": 0.0625, "sampling_ratio": 4,
        "position_sensitive": 1,
    }  # fmt: skip
    assert shape_of(op.results[0]) == (6, 2, 3, 3)
    assert shape_of(op.operands[0]) == (1, 18, 9, 9)  # means around the corners of cells
    with pytest.raises(UnsupportedError, match="17 channels, output_dim and group_size require 18"):
        loaded(tmp_path, net("PSROIPooling", PS, x=(1, 17, 8, 8), rois=(6, 5, 1, 1)))


def test_an_even_map_is_pooled_to_itself(tmp_path: Path) -> None:
    """Whatever the bins, a region inside a map of one number a channel has these numbers."""
    network = loaded(tmp_path, net("PSROIPooling", PS, x=(1, 18, 8, 8), rois=(2, 5, 1, 1)))
    maps = np.broadcast_to(np.arange(18, dtype=np.float32)[None, :, None, None], (1, 18, 8, 8))
    rois = np.array([[0, 16, 16, 100, 100], [0, 0, 0, 126, 126]], np.float32)
    (found,) = execute(main_of(network), [maps, rois.reshape(2, 5, 1, 1)], evaluate)
    expected = np.broadcast_to(np.arange(18).reshape(2, 3, 3), found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_position_sensitive_pooling_is_near_caffe_s(tmp_path: Path) -> None:
    """A map that grows along x and y: Caffe's mean of whole cells, with numbers of its own."""
    settings = PS.replace("output_dim: 2", "output_dim: 1")
    network = loaded(tmp_path, net("PSROIPooling", settings, x=(1, 9, 20, 20), rois=(1, 5, 1, 1)))
    ramp = np.arange(20, dtype=np.float32)
    maps = np.broadcast_to(ramp + ramp[:, None], (1, 9, 20, 20)).copy()
    roi = np.array([0, 48, 96, 239, 287], np.float32)
    (found,) = execute(main_of(network), [maps, roi.reshape(1, 5, 1, 1)], evaluate)
    # Caffe: from 48 / 16 to (239 + 1) / 16, bins of 4 whole cells
    means = {axis: [start + 4 * n + 1.5 for n in range(3)] for axis, start in (("x", 3), ("y", 6))}
    expected = np.add.outer(means["y"], means["x"])
    assert np.abs(found[0, 0] - expected).max() < 0.2


def test_a_bin_outside_the_map_is_0(tmp_path: Path) -> None:
    rest = "roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 1 }"
    network = loaded(tmp_path, net("ROIPooling", rest, x=(1, 1, 4, 4), rois=(2, 5, 1, 1)))
    maps = -np.ones((1, 1, 4, 4), np.float32)
    rois = np.array([[0, 0, 0, 3, 3], [0, 9, 9, 12, 12]], np.float32)
    (found,) = execute(main_of(network), [maps, rois.reshape(2, 5, 1, 1)], evaluate)
    assert found.tolist() == [[[[-1, -1], [-1, -1]]], [[[0, 0], [0, 0]]]]


def test_top_k(tmp_path: Path) -> None:
    rest = 'top: "where" topk_param { k: 3 axis: -2 }'
    op = host_op(tmp_path, net("TopK", rest, x=(2, 8, 5)))
    assert [str(x.type) for x in op.results] == ["tensor<2x3x5xf32>", "tensor<2x3x5xi32>"]
    one = host_op(tmp_path, net("TopK", "topk_param { k: 3 axis: 1 }", x=(2, 8, 5)))
    assert [str(x.type) for x in one.results] == ["tensor<2x3x5xf32>"]


@pytest.mark.parametrize("kind", ["ReLU", "Concat"])
def test_the_npu_reads_no_indices(tmp_path: Path, kind: str) -> None:
    top_k = 'top: "indices" topk_param { k: 2 }'
    text = inputs(data=(1, 8)) + layer("TopK", top_k, name="t", top="values")
    with pytest.raises(UnsupportedError) as caught:
        loaded(tmp_path, text + layer(kind, bottom="indices"))
    assert f'layer "l" ({kind}): the indices of a host layer are integers' in str(caught.value)
    assert "make them an output of the network" in str(caught.value)
    assert len(main_of(loaded(tmp_path, text)).function_type.outputs) == 2
