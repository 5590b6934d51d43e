"""The importer and the float reference on public nets; BMNETU_MODELS is the folder with them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bmnetu.frontend import generate_umodel, load_network, write_umodel
from dialects.ufw.layer import shape_of
from tests.frontend.samples import layers_of, run
from tests.networks import random_weights

MODELS = Path(os.environ["BMNETU_MODELS"])

OPENCV: dict[str, dict[str, list[float]]] = {
    "pnet": {"bbox": [0.51849, 0.06798, 0.06491, -0.19592], "prob": [0.99999, 1e-05]},
    "rnet": {"bbox": [0.06836, -0.00864, -0.18169, 0.00469], "prob": [0.99288, 0.00712]},
    "onet": {
        "bbox": [0.0773, -0.0227, -0.10519, 0.04058],
        "landmarks": [
            0.28278, 0.74983, 0.49378, 0.29587, 0.65447, 0.27276, 0.28823, 0.45032, 0.83993,
            0.86749,
        ],
        "prob": [0.99137, 0.00863],
    },
    "mtcnn_det2": {"conv5-2": [0.10846, -0.03139, -0.00488, 0.13434], "prob1": [0.67681, 0.32319]},
    "tpuperf_pnet": {"conv4-2": [-0.16907, -0.14688, -0.0988, 0.16841], "prob1": [0.99999, 1e-05]},
}  # fmt: skip
"""What OpenCV 4.12 computes from the same files, by output, to five places."""


@pytest.mark.parametrize("name", OPENCV)
def test_trained_nets_against_opencv(name: str) -> None:
    stem = MODELS / "caffe" / name
    network = load_network(stem.with_suffix(".prototxt"), stem.with_suffix(".caffemodel"))
    network.module.verify()
    assert network.notes == ()
    outputs = run(network)
    assert sorted(outputs) == sorted(OPENCV[name])
    for output, expected in OPENCV[name].items():
        np.testing.assert_allclose(outputs[output].ravel(), expected, atol=1e-5)


@pytest.mark.parametrize("name", OPENCV)
def test_generated_umodels_mean_the_same(name: str, tmp_path: Path) -> None:
    stem = MODELS / "caffe" / name
    model, weight = stem.with_suffix(".prototxt"), stem.with_suffix(".caffemodel")
    umodel, prototxt = generate_umodel(model, weight, tmp_path)
    first, second = load_network(model, weight), load_network(prototxt, umodel)
    assert first.net == second.net
    expected = run(first)
    found = run(second)
    assert all(np.array_equal(found[output], expected[output]) for output in OPENCV[name])


TOPOLOGIES = {
    "peer/resnet18": 89,
    "prototxt/mobilenet_deploy_int8_unique_top": 111,
    "prototxt/mobilenet_v1_deploy": 111,
    "prototxt/mobilenet_v2_deploy": 208,
    "prototxt/resnet50_deploy": 228,
    "prototxt/squeezenet_v1.1_deploy": 66,
}
"""Nets without weights, and how many layers they have beside the input."""


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_topologies_with_random_weights(name: str, tmp_path: Path) -> None:
    model, weight = MODELS / f"{name}.prototxt", tmp_path / "net.fp32umodel"
    write_umodel(weight, random_weights(model, seed=1))
    network = load_network(model, weight, max_n=1)
    network.module.verify()
    assert len(layers_of(network)) == TOPOLOGIES[name]
    (output,) = run(network).values()
    np.testing.assert_allclose(output.sum(), 1.0, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "layers", "output"),
    [("mobilenet_ssd_deploy", 189, (1, 1, 100, 7)), ("yolov3_tiny", 57, (1, 1, 200, 7))],
)
def test_detection_nets_are_imported_whole(
    name: str, layers: int, output: tuple[int, ...], tmp_path: Path
) -> None:
    model, weight = MODELS / "prototxt" / f"{name}.prototxt", tmp_path / "net.fp32umodel"
    write_umodel(weight, random_weights(model, seed=1))
    network = load_network(model, weight, max_n=1)
    network.module.verify()
    assert len(layers_of(network)) == layers
    last = list(layers_of(network))[-1]
    assert shape_of(last.results[0]) == output
