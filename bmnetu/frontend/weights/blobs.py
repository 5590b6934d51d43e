"""Coefficients of layers: from the blobs of a weight file to numpy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Protocol

import numpy as np
from google.protobuf.unknown_fields import UnknownFieldSet

from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.ufw_pb2 import BlobProto, BlobShape, LayerParameter, Preprocess
from bmnetu.frontend.weights.scales import Scales
from bmnetu.note import Note
from dialects.constant import Array
from dialects.ufw.shapes import Shape, show

SHIFT_UNSET = 255
"""``right_shift_num`` of a blob that has none."""

_INTEGERS = {"int8": (-128, 127), "int16": (-32768, 32767)}


class BlobMisfitError(ValueError):
    """A blob is not what its layer requires; the message goes on after the layer's name."""


class Role(StrEnum):
    """What a blob is for; it is named so in messages."""

    WEIGHT = "weights"
    BIAS = "bias"
    FACTOR = "factors"
    SLOPE = "slopes"
    MEAN = "mean"
    VARIANCE = "variance"
    SCALE_FACTOR = "scale factor"
    OPERAND = "numbers"


@dataclass(frozen=True)
class Required:
    """One blob as a layer requires it: what for and of which shape."""

    role: Role
    shape: Shape


@dataclass(frozen=True)
class Coefficients:
    """A layer's arrays in order: float32, or int8 with an int16 bias and one right shift."""

    arrays: tuple[Array, ...]
    right_shift: int | None = None


class BlobSource(Protocol):
    """Where coefficients come from: a weight file, or a generator of random ones."""

    def is_integer(self, layer: Layer) -> bool:
        """Whether the layer has integer coefficients."""
        ...

    def shapes(self, layer: Layer) -> Sequence[Shape] | None:
        """The shapes of the layer's blobs; None where they are made as they are asked for."""
        ...

    def take(self, layer: Layer, required: tuple[Required, ...]) -> Coefficients:
        """The layer's coefficients. Raises :class:`InputFileError` when they do not fit."""
        ...


class Weights(BlobSource, Protocol):
    """All that comes with a net beside its layers."""

    @property
    def preprocess(self) -> Preprocess | None:
        """What was done to the calibration data, where a umodel says so."""
        ...

    @property
    def notes(self) -> Sequence[Note]:
        """Remarks for the user."""
        ...

    def scales(self) -> Scales | None:
        """The scales of an INT8 net's blobs; None for a float net."""
        ...

    def expand(self, blocks: Iterable[LayerParameter]) -> None:
        """Gives the blobs of layers that stand for many to those."""
        ...

    def share(self, layers: Iterable[Layer]) -> None:
        """Makes blobs that several layers share by name one."""
        ...

    def messages(self, layer: LayerParameter) -> Sequence[BlobProto]:
        """The blobs that the layer took, as a umodel has them."""
        ...


class ArrayWeights:
    """The weights of a float net as arrays by layer name; see :class:`Weights`."""

    preprocess = None
    notes = ()

    def __init__(self) -> None:
        self.arrays: dict[str, tuple[Array, ...]] = {}

    def is_integer(self, layer: Layer) -> bool:
        return False

    def shapes(self, layer: Layer) -> Sequence[Shape] | None:
        return [array.shape for array in self.arrays.get(layer.name, ())]

    def take(self, layer: Layer, required: tuple[Required, ...]) -> Coefficients:
        return Coefficients(self.arrays[layer.name])

    def scales(self) -> None:
        return None

    def expand(self, blocks: Iterable[LayerParameter]) -> None:
        """No layer stands for many."""

    def share(self, layers: Iterable[Layer]) -> None:
        """Arrays belong to one layer each."""

    def messages(self, layer: LayerParameter) -> Sequence[BlobProto]:
        return [float_blob(array) for array in self.arrays.get(layer.name, ())]


def is_integer(blob: BlobProto) -> bool:
    """Whether the blob holds integers."""
    return bool(blob.int32_data or blob.int8_data)


def shape_of(blob: BlobProto, count: int) -> Shape:
    """The blob's own shape; its old four dimensions or its count where it has none."""
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    legacy = (blob.num, blob.channels, blob.height, blob.width)
    return legacy if any(legacy) else (count,)


def same_shape(found: Shape, required: Shape) -> bool:
    """Whether shapes agree but for ones in front, as old files write 1 x 1 x 1 x C."""
    return _without_ones(found) == _without_ones(required)


def _without_ones(shape: Shape) -> Shape:
    ones = 0
    while ones < len(shape) and shape[ones] == 1:
        ones += 1
    return shape[ones:]


_RAW_TYPES = {0: "<f8", 1: "<f4", 2: "<f2"}
"""The numbers of ``raw_data`` by NVIDIA Caffe's type: DOUBLE, FLOAT, FLOAT16."""

_RAW_TYPE_TAG = 10
"""Its tag, a varint there and UFW's int8_data (bytes) here."""


def _raw_values(blob: BlobProto) -> Array:
    """The numbers of NVIDIA Caffe's ``raw_data``. Raises :class:`BlobMisfitError`."""
    kind = 0
    for field in UnknownFieldSet(blob):
        if field.field_number == _RAW_TYPE_TAG and isinstance(field.data, int):
            kind = field.data
    dtype = _RAW_TYPES.get(kind)
    if dtype is None:
        raise BlobMisfitError(
            f"it has raw_data of type {kind}; DOUBLE, FLOAT and FLOAT16 can be read"
        )
    if len(blob.raw_data) % np.dtype(dtype).itemsize:
        raise BlobMisfitError(f"its raw_data of {len(blob.raw_data)} bytes is cut short")
    with np.errstate(over="ignore"):
        return np.frombuffer(blob.raw_data, dtype).astype(np.float32)


def values(blob: BlobProto) -> Array:
    """The blob's numbers, flat: float32, or int32 when it holds integers."""
    if blob.raw_data:
        return _raw_values(blob)
    if blob.int8_data:
        return np.frombuffer(blob.int8_data, np.int8).astype(np.int32)
    if blob.int32_data:
        return np.array(blob.int32_data, np.int32)
    if blob.double_data and not blob.data:
        with np.errstate(over="ignore"):
            return np.array(blob.double_data, np.float64).astype(np.float32)
    return np.array(blob.data, np.float32)


def to_array(blob: BlobProto, required: Required, dtype: str) -> Array:
    """The blob in the required shape as float32, int8 or int16.

    Raises :class:`BlobMisfitError`.
    """
    flat = values(blob)
    found = shape_of(blob, flat.size)
    if min(found, default=1) < 0 or prod(found) != flat.size:
        raise BlobMisfitError(
            f"its {required.role} are declared as {show(found)} but have {flat.size} numbers"
        )
    if not same_shape(found, required.shape):
        raise BlobMisfitError(
            f"its {required.role} are {show(found)} in the weight file, "
            f"the prototxt requires {show(required.shape)}"
        )
    if dtype == "float32" and not np.isfinite(flat).all():
        raise BlobMisfitError(f"its {required.role} have numbers that are not finite")
    if dtype in _INTEGERS:
        low, high = _INTEGERS[dtype]
        if flat.size and not (low <= flat.min() and flat.max() <= high):
            raise BlobMisfitError(f"its {required.role} have numbers outside {low}..{high}")
    return flat.astype(dtype, copy=False).reshape(required.shape)


def float_blob(array: Array) -> BlobProto:
    """An array as a blob of float32 data."""
    return BlobProto(shape=BlobShape(dim=array.shape), data=array.ravel().tolist())


_WRITTEN = {
    "int8": (BlobProto.INT8, BlobProto.BITS_8),
    "int16": (BlobProto.INT16, BlobProto.BITS_16),
}


def integer_blob(array: Array, right_shift: int | None = None) -> BlobProto:
    """An int8 or int16 array as a blob of an int8umodel; weights carry the layer's shift."""
    dtype, width = _WRITTEN[str(array.dtype)]
    blob = BlobProto(shape=BlobShape(dim=array.shape), dtype=dtype, bit_width=width)
    blob.int32_data.extend(array.ravel().tolist())
    if right_shift is not None:
        blob.right_shift_num = right_shift
    return blob
