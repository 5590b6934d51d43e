"""ONNX nets at run-time shapes: the layers are made anew for every sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import bmnetu
from bmnetu.frontend.network import loader
from bmnetu.frontend.samples import Sampler
from tests.frontend.onnx.graphs import Net, node, numbers


def net(pooled: bool) -> Net:
    """A convolution, and a product with a matrix, behind a global pooling or not."""
    nodes = [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "r")]
    rows = 4 * 6 * 7
    if pooled:
        nodes.append(node("GlobalAveragePool", "r", "g"))
        rows = 4
    nodes += [node("Flatten", "g" if pooled else "r", "f"), node("Gemm", "f m b", "y")]
    constants = {"w": numbers(4, 3, 3, 3), "m": numbers(rows, 5), "b": numbers(5)}
    return Net(nodes, constants)


def test_which_dimensions_are_free(tmp_path: Path) -> None:
    for pooled in (True, False):
        load = loader(net(pooled).write(tmp_path), None)
        network = load(None)
        sampler = Sampler(load, list(network.input_shapes))
        sampler.sampled(network)
        assert set(sampler.free) == ({"batch", "height", "width"} if pooled else {"batch"})
        assert set(sampler.fixed) == (set[str]() if pooled else {"height", "width"})


def test_a_compilation(tmp_path: Path) -> None:
    model = net(True).write(tmp_path)
    result = bmnetu.compile(model, None, outdir=tmp_path / "out", dyn=True)
    assert result.free == {"batch": 2, "height": 6, "width": 7}
    assert result.findings is not None
    assert result.findings.ok
    assert len(result.findings.smaller) > 3
    data = np.fromfile(tmp_path / "out" / "output_ref_data.dat", np.float32)
    assert data.size == 2 * 5
