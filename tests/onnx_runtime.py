"""ONNX operators by onnxruntime: an implementation that shares nothing with ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

Array = NDArray[Any]


def onnx_result(
    kind: str,
    xs: Sequence[Array],
    constants: Sequence[Array | None] = (),
    version: int = 21,
    **attributes: Any,
) -> Array:
    """The first result of one operator; ``constants`` are inputs behind ``xs``, None left out."""
    names = [f"x{i}" for i in range(len(xs))]
    given = [f"c{i}" if value is not None else "" for i, value in enumerate(constants)]
    node = helper.make_node(kind, [*names, *given], ["y"], **attributes)
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in zip(names, xs, strict=True)
    ]
    held = [
        helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape, v.ravel())
        for name, v in zip(given, constants, strict=True)
        if v is not None
    ]
    result = TensorProto.INT64 if kind in ("ArgMax", "ArgMin") else TensorProto.FLOAT
    outputs = [helper.make_tensor_value_info("y", result, None)]
    graph = helper.make_graph([node], "g", inputs, outputs, held)
    opsets = [helper.make_opsetid("", version)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return runtime_results(model, dict(zip(names, xs, strict=True)))[0]


def runtime_results(model: ModelProto, inputs: Mapping[str, Array]) -> list[Array]:
    """All results of a model. Raises RuntimeError where onnxruntime does not take it."""
    runtime = cast(Any, onnxruntime)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return [np.asarray(each) for each in session.run(None, dict(inputs))]
    except Exception as error:  # its own types have no common one
        raise RuntimeError(str(error)) from error
