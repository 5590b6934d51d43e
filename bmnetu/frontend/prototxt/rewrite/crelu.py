"""CReLU as Power, Concat and ReLU."""

from __future__ import annotations

from bmnetu.frontend.ufw_pb2 import LayerParameter


def without_crelu(param: LayerParameter) -> list[LayerParameter]:
    """The layer, or of a CReLU ``NAME/negative`` (-x), ``NAME/concat`` of x and -x along
    ``concat_param.axis``, and a ReLU with the layer's ``relu_param``."""
    if param.type != "CReLU" or len(param.bottom) != 1 or len(param.top) != 1:
        return [param]
    name, bottom, top = param.name, param.bottom[0], param.top[0]
    negative = LayerParameter(
        name=f"{name}/negative", type="Power", bottom=[bottom], top=[f"{name}/negative"]
    )
    negative.power_param.scale = -1
    both = LayerParameter(
        name=f"{name}/concat", type="Concat", bottom=[bottom, f"{name}/negative"],
        top=[f"{name}/concat"],
    )  # fmt: skip
    both.concat_param.CopyFrom(param.concat_param)
    relu = LayerParameter(name=name, type="ReLU", bottom=[f"{name}/concat"], top=[top])
    relu.relu_param.CopyFrom(param.relu_param)
    return [negative, both, relu]
