"""The oldest layers (V0: ``layers { layer { type: "conv" } }``) as today's, by Caffe's rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bmnetu.frontend.ufw_pb2 import LayerParameter, V1LayerParameter

PADDING = "padding"
"""A V0 layer that pads, which became a field of the convolution or pooling behind it."""

TYPES = {
    "accuracy": "Accuracy", "bnll": "BNLL", "concat": "Concat", "conv": "Convolution",
    "data": "Data", "dropout": "Dropout", "euclidean_loss": "EuclideanLoss", "flatten": "Flatten",
    "hdf5_data": "HDF5Data", "hdf5_output": "HDF5Output", "im2col": "Im2col",
    "images": "ImageData", "infogain_loss": "InfogainLoss", "innerproduct": "InnerProduct",
    "lrn": "LRN", "multinomial_logistic_loss": "MultinomialLogisticLoss", "pool": "Pooling",
    "relu": "ReLU", "sigmoid": "Sigmoid", "softmax": "Softmax", "softmax_loss": "SoftmaxWithLoss",
    "split": "Split", "tanh": "TanH", "window_data": "WindowData",
}  # fmt: skip
"""Today's type of a V0 type."""

_RENAMED = {
    "biasterm": "bias_term", "kernelsize": "kernel_size", "batchsize": "batch_size",
    "meanfile": "mean_file", "cropsize": "crop_size",
}  # fmt: skip

_PARAMETERS = {
    "Convolution": "convolution_param", "InnerProduct": "inner_product_param",
    "Pooling": "pooling_param", "Dropout": "dropout_param", "Concat": "concat_param",
    "Data": "data_param", "HDF5Data": "hdf5_data_param", "ImageData": "image_data_param",
    "WindowData": "window_data_param",
}  # fmt: skip
"""Where a type's settings stand today."""

_TRANSFORM = ("scale", "meanfile", "cropsize", "mirror")
"""The fields of data layers that went to ``transform_param``."""

_OF_TRAINING = ("blobs", "blobs_lr", "weight_decay")


class V0Error(ValueError):
    """A V0 network that Caffe cannot upgrade; the message goes on after the layer's place."""


def from_v0(old: V1LayerParameter) -> LayerParameter:
    """A V0 layer as a V2 message; a padding layer keeps its type and ``convolution_param.pad``.

    Raises :class:`V0Error` for a setting that its type does not have.
    """
    inner = old.layer
    kind = TYPES.get(inner.type, inner.type)
    layer = LayerParameter(name=inner.name, type=kind, bottom=old.bottom, top=old.top)
    if kind == PADDING:
        layer.convolution_param.pad.append(inner.pad)
        return layer
    for field, value in inner.ListFields():
        if field.name in ("name", "type", *_OF_TRAINING):
            continue
        if kind == "LRN" or kind not in TYPES.values():
            continue  # no message here; the type is refused later
        name = _RENAMED.get(field.name, field.name)
        data = kind.endswith("Data") and field.name in _TRANSFORM
        parameter = "transform_param" if data else _PARAMETERS.get(kind, "")
        message: Any = getattr(layer, parameter, None)
        if message is None or name not in message.DESCRIPTOR.fields_by_name:
            raise V0Error(f"has {field.name}, which a V0 layer of type {inner.type} does not take")
        known = message.DESCRIPTOR.fields_by_name[name]
        if known.message_type is not None:
            getattr(message, name).CopyFrom(value)
        elif known.is_repeated:
            getattr(message, name).append(value)
        else:
            setattr(message, name, value)
    return layer


def padding_folded(layers: Sequence[LayerParameter]) -> list[LayerParameter | None]:
    """The layers with every padding layer's pad in the one that reads it; None where it was.

    Raises :class:`V0Error` for a padding layer that something else than a convolution or pooling
    reads.
    """
    found: list[LayerParameter | None] = list(layers)
    padded: dict[str, LayerParameter] = {}
    for i, layer in enumerate(layers):
        for j, bottom in enumerate(layer.bottom):
            source = padded.get(bottom)
            if source is None:
                continue
            if layer.type not in ("Convolution", "Pooling") or len(source.bottom) != 1:
                raise V0Error(
                    f'layer "{source.name}" (padding) can stand before a conv or pool layer only,'
                    f' not before "{layer.name}" ({layer.type})'
                )
            pad = source.convolution_param.pad[0]
            if layer.type == "Convolution":
                layer.convolution_param.pad[:] = [pad]
            else:
                layer.pooling_param.pad = pad
            layer.bottom[j] = source.bottom[0]
        for top in layer.top:
            padded.pop(top, None)
            if layer.type == PADDING:
                padded[top] = layer
        if layer.type == PADDING:
            found[i] = None
    return found
