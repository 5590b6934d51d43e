"""Layers with a ReLU in them, as Intel's Caffe writes them, as two layers."""

from __future__ import annotations

from bmnetu.frontend.ufw_pb2 import LayerParameter

FUSED = ("convolution_param", "batch_norm_param")
"""The parameters that can hold ``relu: true``."""


def without_fused(param: LayerParameter) -> list[LayerParameter]:
    """The layer, and a ReLU in place on its top where its parameters ask for one."""
    asked = [name for name in FUSED if param.HasField(name) and getattr(param, name).relu]
    if not asked:
        return [param]
    layer = LayerParameter()
    layer.CopyFrom(param)
    relu = LayerParameter(name=f"{param.name}/relu", type="ReLU", bottom=param.top, top=param.top)
    for name in asked:
        fused = getattr(layer, name)
        fused.ClearField("relu")
        if name == "convolution_param" and fused.HasField("negative_slope"):
            relu.relu_param.negative_slope = fused.negative_slope
            fused.ClearField("negative_slope")
    return [layer, relu]
