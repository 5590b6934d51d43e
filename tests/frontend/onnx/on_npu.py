"""ONNX nets on the NPU model beside onnxruntime, which shares nothing with ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
from onnx import ModelProto, shape_inference

import bmnetu
from tests.frontend.onnx.graphs import Array, Net, inputs_of


def by_runtime(model: ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What onnxruntime computes, by the outputs' names; their types are what the nodes make."""
    for output in model.graph.output:
        output.ClearField("type")
    model = shape_inference.infer_shapes(model)
    model.ir_version = min(model.ir_version, 10)
    options = cast(Any, onnxruntime).SessionOptions()
    options.log_severity_level = 3
    session = cast(Any, onnxruntime).InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


def on_npu(
    folder: Path, model: ModelProto, inputs: Mapping[str, Array], opt: int = 1
) -> dict[str, Array]:
    """What the NPU model and the host library compute, by the outputs' names; the compare has
    found no difference."""
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    result = bmnetu.compile(path, None, folder / "out", opt=opt, cmp_data=dict(inputs))
    assert result.findings is not None
    return dict(result.findings.outputs)


def check_on_npu(
    folder: Path, net: Net, *, tolerance: float = 1e-4, inputs: Mapping[str, Array] | None = None
) -> dict[str, Array]:
    """What the NPU model computes, which must be what onnxruntime computes."""
    given = inputs_of(net) if inputs is None else inputs
    wanted, found = by_runtime(net.model(), given), on_npu(folder, net.model(), given)
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        assert found[name].shape == array.shape, name
        np.testing.assert_allclose(found[name], array, rtol=tolerance, atol=tolerance, err_msg=name)
    return found
