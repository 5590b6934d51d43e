"""The inputs of a net: ``input`` with its shapes, Input, DummyData and the data layers."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bmnetu.errors import InputFileError, UnsupportedError, UsageError
from bmnetu.frontend.prototxt.text import TextFile
from bmnetu.frontend.ufw_pb2 import (
    BlobShape,
    DummyDataParameter,
    LayerParameter,
    NetParameter,
    TransformationParameter,
)
from dialects.names import quoted
from dialects.ufw.shapes import show


@dataclass(frozen=True)
class Input:
    """A net input; ``shape`` is empty when the prototxt gives none.

    ``where`` is file:line, with the layer if one makes it; ``transform`` is what the layer's
    transform_param says of its data; ``threshold`` is what 127 stands for, where that is given.
    """

    name: str
    shape: tuple[int, ...]
    where: str
    transform: TransformationParameter | None = None
    threshold: float | None = None


def declared_inputs(net: NetParameter, text: TextFile) -> list[Input]:
    """The inputs that the net itself names. Raises :class:`InputFileError`."""
    names, dims, shapes = list(net.input), list(net.input_dim), list(net.input_shape)
    where = f"{text.path}:{text.line('input_shape', 0)}" if shapes else str(text.path)
    if dims and shapes:
        raise InputFileError(f"{where}: has both input_dim and input_shape; one is required")
    if dims:
        if len(dims) != 4 * len(names):
            raise InputFileError(
                f"{where}: {len(names)} input(s) require {4 * len(names)} input_dim, "
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
    """The tops of a layer that stands for inputs: one shape for all, or one for each.

    ``read`` are the blobs that are read: the labels of a data layer stand only where they are.
    """
    where = f"{text.path}:{line}: layer {quoted(layer.name)} ({layer.type})"
    if not layer.top:
        raise InputFileError(f"{where} has no top")
    tops = list(layer.top)
    if layer.type in DATA_LAYERS:
        tops = [top for i, top in enumerate(tops) if i == 0 or top in read]
        shapes = [DATA_LAYERS[layer.type](layer), *[(_batch(layer),)] * (len(tops) - 1)]
    elif layer.type == "Input":
        shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    else:
        shapes = _dummy_shapes(layer.dummy_data_param)
    if len(shapes) not in (0, 1, len(tops)):
        raise InputFileError(f"{where} gives {len(shapes)} shapes for {len(tops)} tops")
    if len(shapes) < len(tops):
        shapes = (shapes or [()]) * len(tops)
    transform = layer.transform_param if layer.HasField("transform_param") else None
    return [Input(top, shape, where, transform) for top, shape in zip(tops, shapes, strict=True)]


def _batch(layer: LayerParameter) -> int:
    """The batch that a data layer states; 1 where it leaves that to its files."""
    params = (field for field, _ in layer.ListFields() if field.name.endswith("data_param"))
    return max((getattr(layer, field.name).batch_size for field in params), default=0) or 1


def _memory_shape(layer: LayerParameter) -> tuple[int, ...]:
    param = layer.memory_data_param
    shape = (param.batch_size, param.channels, param.height, param.width)
    return shape if all(shape) else ()


def _database_shape(layer: LayerParameter) -> tuple[int, ...]:
    """Data, AnnotatedData and WindowData: what the transformation leaves of the images."""
    transform = TransformationParameter()
    transform.CopyFrom(layer.transform_param)
    window = layer.window_data_param
    if window.crop_size and not transform.crop_size:
        transform.crop_size = window.crop_size
    if layer.type == "WindowData":
        transform.force_color = True  # its images are read in colour
    return _image_shape(_batch(layer), transform)


def _file_image_shape(layer: LayerParameter) -> tuple[int, ...]:
    """ImageData and those that read images with labels: of one size, unless a crop follows."""
    dense = layer.HasField("dense_image_data_param")
    param = layer.dense_image_data_param if dense else layer.image_data_param
    transform = TransformationParameter()
    transform.CopyFrom(layer.transform_param)
    if not transform.force_gray:
        transform.force_color, transform.force_gray = param.is_color, not param.is_color
    return _image_shape(_batch(layer), transform, (param.new_height, param.new_width))


def _video_shape(layer: LayerParameter) -> tuple[int, ...]:
    param = layer.video_data_param
    transform = TransformationParameter(force_color=True)
    transform.MergeFrom(layer.transform_param)
    image = _image_shape(_batch(layer), transform, (param.new_height, param.new_width))
    return (*image[:2], param.new_length, *image[2:]) if image else ()


def _unknown_shape(layer: LayerParameter) -> tuple[int, ...]:
    """HDF5Data: the arrays in its files have the shape."""
    return ()


DATA_LAYERS: dict[str, Callable[[LayerParameter], tuple[int, ...]]] = {
    "AnnotatedData": _database_shape,
    "Data": _database_shape,
    "DenseImageData": _file_image_shape,
    "HDF5Data": _unknown_shape,
    "ImageData": _file_image_shape,
    "ImageLabelmapData": _file_image_shape,
    "ImageSegData": _file_image_shape,
    "MemoryData": _memory_shape,
    "VideoData": _video_shape,
    "WindowData": _database_shape,
}
"""The layers that read data, whose first top is an input, and the shape that they state."""

INPUT_TYPES = ("Input", "DummyData", *DATA_LAYERS)
"""The layers that stand for inputs."""


def _image_shape(
    batch: int, transform: TransformationParameter, size: tuple[int, int] = (0, 0)
) -> tuple[int, ...]:
    """N x C x H x W of transformed images of a size; empty where that is not known."""
    means = max([transform, *transform.transform_op], key=lambda each: len(each.mean_value))
    colored = transform.force_color or len(means.mean_value) == 3
    channels = 1 if transform.force_gray else 3 if colored else 0
    sizes = [size, tuple(transform.resize)]
    sizes.append((transform.resize_param.height, transform.resize_param.width))
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


@contextmanager
def blaming_shapes(
    declared: Iterable[Input], shapes: Iterable[Sequence[int]] | None
) -> Generator[None]:
    """What does not fit in here is the fault of -shapes where they have another rank than the model
    says, and weights that do not fit where they have another size: a UsageError that says so."""
    try:
        yield
    except (UnsupportedError, InputFileError) as error:
        for blob, given in zip(declared, shapes or (), strict=False):
            if blob.shape and _is_to_blame(blob.shape, given, isinstance(error, InputFileError)):
                known = "x".join(str(size or "?") for size in blob.shape)
                raise UsageError(
                    f"-shapes: input {quoted(blob.name)} is {show(tuple(given))}, the model has"
                    f" {known} there; so the network does not fit together: {error.message}"
                ) from error
        raise


def _is_to_blame(known: Sequence[int], given: Sequence[int], of_weights: bool) -> bool:
    """Whether a shape has another rank, or, where weights do not fit, other sizes of an image."""
    if len(known) != len(given):
        return True
    return of_weights and any(a and a != z for a, z in zip(known[1:], given[1:], strict=True))


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
            names = ", ".join(quoted(blob.name) for blob in found) or "none"
            raise UsageError(
                f"-shapes: {len(given)} shape(s) for {len(found)} input(s) of the net: {names}"
            )
        found = [replace(blob, shape=shape) for blob, shape in zip(found, given, strict=True)]
    for blob in found:
        if not blob.shape:
            raise InputFileError(
                f"{blob.where}: input {quoted(blob.name)} has no shape; give it with -shapes"
            )
    if max_n is not None:
        found = [replace(blob, shape=(max_n, *blob.shape[1:])) for blob in found]
    for blob in found:
        if min(blob.shape) < 1:
            raise InputFileError(
                f"{blob.where}: input {quoted(blob.name)} has shape {list(blob.shape)}; "
                "every dimension must be at least 1"
            )
    return found
