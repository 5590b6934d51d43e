"""The inputs of a net: ``input`` with its shapes, ``Input``, ``DummyData`` and ``Data`` layers."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from bmnetu.errors import InputFileError, UsageError
from bmnetu.frontend.text import TextFile
from bmnetu.frontend.ufw_pb2 import (
    BlobShape,
    DummyDataParameter,
    LayerParameter,
    NetParameter,
    TransformationParameter,
)


@dataclass(frozen=True)
class Input:
    """A net input; ``shape`` is empty when the prototxt gives none, ``where`` is file:line.

    ``transform`` is what the layer's transform_param says of its data.
    """

    name: str
    shape: tuple[int, ...]
    where: str
    transform: TransformationParameter | None = None


def declared_inputs(net: NetParameter, text: TextFile) -> list[Input]:
    """The inputs that the net itself names. Raises :class:`InputFileError`."""
    names, dims, shapes = list(net.input), list(net.input_dim), list(net.input_shape)
    where = f"{text.path}:{text.line('input_shape', 0)}" if shapes else str(text.path)
    if dims and shapes:
        raise InputFileError(f"{where}: has both input_dim and input_shape; one is wanted")
    if dims:
        if len(dims) != 4 * len(names):
            raise InputFileError(
                f"{where}: {len(names)} input(s) want {4 * len(names)} input_dim, "
                f"there are {len(dims)}"
            )
        shapes = [BlobShape(dim=dims[i : i + 4]) for i in range(0, len(dims), 4)]
    if shapes and len(shapes) != len(names):
        raise InputFileError(f"{where}: {len(names)} input(s) have {len(shapes)} input_shape")
    found = shapes or [BlobShape()] * len(names)
    return [Input(name, tuple(shape.dim), where) for name, shape in zip(names, found, strict=True)]


def input_tops(
    layer: LayerParameter, text: TextFile, line: int, read: Container[str]
) -> list[Input]:
    """The tops of an Input, DummyData or Data layer: one shape for all, or one for each.

    ``read`` are the blobs that are read: the label of a Data layer stands only where it is.
    """
    where = f"{text.path}:{line}"
    if not layer.top:
        raise InputFileError(f'{where}: layer "{layer.name}" ({layer.type}) has no top')
    tops = list(layer.top)
    if layer.type == "Input":
        shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    elif layer.type == "Data":
        tops = [top for i, top in enumerate(tops) if i == 0 or top in read]
        batch = layer.data_param.batch_size or 1
        shapes = [_image_shape(batch, layer.transform_param), *[(batch,)] * (len(tops) - 1)]
    else:
        shapes = _dummy_shapes(layer.dummy_data_param)
    if len(shapes) not in (0, 1, len(tops)):
        raise InputFileError(
            f'{where}: layer "{layer.name}" gives {len(shapes)} shapes for {len(tops)} tops'
        )
    if len(shapes) < len(tops):
        shapes = (shapes or [()]) * len(tops)
    transform = layer.transform_param if layer.HasField("transform_param") else None
    return [Input(top, shape, where, transform) for top, shape in zip(tops, shapes, strict=True)]


def _image_shape(batch: int, transform: TransformationParameter) -> tuple[int, ...]:
    """N x C x H x W of transformed images; empty where the transformation does not say it all."""
    means = max([transform, *transform.transform_op], key=lambda each: len(each.mean_value))
    colored = transform.force_color or len(means.mean_value) == 3
    channels = 1 if transform.force_gray else 3 if colored else 0
    sizes = [tuple(transform.resize), (transform.resize_param.height, transform.resize_param.width)]
    for each in transform.transform_op:
        sizes += [(each.resize_h, each.resize_w), (each.crop_h, each.crop_w)]
    sizes += [(transform.crop_h, transform.crop_w), (transform.crop_size,) * 2]
    known = [size for size in sizes if len(size) == 2 and all(size)]
    return (batch, channels, *known[-1]) if known and channels else ()


def _dummy_shapes(param: DummyDataParameter) -> list[tuple[int, ...]]:
    """``shape``, or Caffe's old four lists, of which each has one value or one a top."""
    if param.shape:
        return [tuple(shape.dim) for shape in param.shape]
    lists = [list(v) for v in (param.num, param.channels, param.height, param.width)]
    count = max(map(len, lists))
    if not all(len(values) in (1, count) for values in lists):
        return []
    return [tuple(values[i % len(values)] for values in lists) for i in range(count)]


def reshaped(
    inputs: Sequence[Input], shapes: Iterable[Sequence[int]] | None, max_n: int | None
) -> list[Input]:
    """The inputs with the user's shapes, in order, and batch; every shape is checked.

    Raises :class:`UsageError` when the number of shapes is wrong, :class:`InputFileError` when a
    shape is missing or has a dimension below 1.
    """
    found = list(inputs)
    if shapes is not None:
        given = [tuple(shape) for shape in shapes]
        if len(given) != len(found):
            names = ", ".join(blob.name for blob in found)
            raise UsageError(
                f"shapes: {len(given)} shape(s) for {len(found)} net input(s) ({names})"
            )
        found = [replace(blob, shape=shape) for blob, shape in zip(found, given, strict=True)]
    for blob in found:
        if not blob.shape:
            raise InputFileError(
                f'{blob.where}: input "{blob.name}" has no shape; give it with -shapes'
            )
    if max_n is not None:
        found = [replace(blob, shape=(max_n, *blob.shape[1:])) for blob in found]
    for blob in found:
        if min(blob.shape) < 1:
            raise InputFileError(
                f'{blob.where}: input "{blob.name}" has shape {list(blob.shape)}; '
                "every dimension must be at least 1"
            )
    return found
