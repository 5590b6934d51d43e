"""Old V1 layers (``layers { type: CONVOLUTION }``) as today's layers."""

from __future__ import annotations

from bmnetu.frontend.ufw_pb2 import LayerParameter, V1LayerParameter

_IRREGULAR = {
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BN": "BN",
    "BNLL": "BNLL",
    "CRELU": "CReLU",
    "ELU": "ELU",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "LRN": "LRN",
    "MVN": "MVN",
    "PRELU": "PReLU",
    "RELU": "ReLU",
    "RELU6": "ReLU6",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPP": "SPP",
    "TANH": "TanH",
}
"""V1 names, and those of descendants' old files, that are not their words in capitals: POOLING is
Pooling, INNER_PRODUCT InnerProduct."""

_KEPT = {
    field.name for field in V1LayerParameter.DESCRIPTOR.fields if field.name.endswith("_param")
} | {"name", "bottom", "top", "include", "exclude", "blobs", "loss_weight"}


def upgraded(old: V1LayerParameter) -> LayerParameter:
    """The same layer as a V2 message, without the learning rates."""
    layer = LayerParameter(type=v2_type(V1LayerParameter.LayerType.Name(old.type)))
    for field, value in old.ListFields():
        if field.name not in _KEPT:
            continue
        if field.is_repeated:
            getattr(layer, field.name).MergeFrom(value)
        elif field.message_type is not None:
            getattr(layer, field.name).CopyFrom(value)
        else:
            setattr(layer, field.name, value)
    for name in old.param:
        layer.param.add(name=name)
    return layer


def v2_type(name: str) -> str:
    """The V2 layer type of a V1 enum name."""
    return _IRREGULAR.get(name) or "".join(word.capitalize() for word in name.split("_"))
