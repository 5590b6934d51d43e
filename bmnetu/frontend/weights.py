"""Weight files: caffemodel, fp32umodel and int8umodel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from google.protobuf.message import DecodeError

from bmnetu.errors import InputFileError
from bmnetu.files import read_bytes
from bmnetu.frontend.blobs import (
    SHIFT_UNSET,
    Coefficients,
    MisfitError,
    Role,
    Wanted,
    is_integer,
    to_array,
)
from bmnetu.frontend.scales import Scales
from bmnetu.frontend.topology import Layer
from bmnetu.frontend.ufw_pb2 import (
    ActivationScale,
    BlobProto,
    LayerParameter,
    Preprocess,
    WeightFile,
)
from dialects.blob import Array
from dialects.ufw.layer import MAX_SHIFT

_WANTED = "a caffemodel or umodel"


class FileBlobs:
    """The blobs of a weight file by layer name; see :class:`Weights`."""

    def __init__(self, path: Path, file: WeightFile) -> None:
        self.path = path
        self.activations: list[ActivationScale] = list(file.activation)
        self.preprocess: Preprocess | None = (
            file.preprocess if file.HasField("preprocess") else None
        )
        self.blobs: dict[str, list[BlobProto]] = {}
        self.integer = False
        self._taken: dict[str, str] = {}
        for layer in (*file.layers, *file.layer):
            if not layer.blobs:
                continue
            if layer.name in self.blobs:
                raise InputFileError(f'{path}: has weights of layer "{layer.name}" twice')
            self.blobs[layer.name] = list(layer.blobs)
            self.integer = self.integer or any(map(is_integer, layer.blobs))

    def is_integer(self, layer: Layer) -> bool:
        return any(map(is_integer, self.blobs.get(layer.name, [])))

    def take(self, layer: Layer, wanted: tuple[Wanted, ...]) -> Coefficients:
        if layer.name in self._taken:
            raise InputFileError(
                layer.fault("another layer with weights has the same name; rename one")
            )
        self._taken[layer.name] = layer.param.type
        blobs = self.blobs.get(layer.name)
        if blobs is None:
            raise InputFileError(layer.fault(f"{self.path} has no weights of this layer"))
        if len(blobs) != len(wanted):
            roles = ", ".join(each.role for each in wanted)
            raise InputFileError(
                layer.fault(f"has {len(blobs)} blob(s) in {self.path}, {roles} are wanted")
            )
        integer = self.is_integer(layer)
        try:
            arrays = [
                self._array(blob, each, integer) for blob, each in zip(blobs, wanted, strict=True)
            ]
            return Coefficients(tuple(arrays), self._shift(blobs[0]) if integer else None)
        except MisfitError as error:
            raise InputFileError(layer.fault(f"{error} ({self.path})")) from error

    def scales(self) -> Scales | None:
        """Raises :class:`InputFileError` for integer weights without scales."""
        if self.activations:
            return Scales(self.path, self.activations)
        if self.integer:
            raise InputFileError(
                f"{self.path}: has integer weights but no activation scales that bmnetu knows; "
                "calibrate the float model with bmnetu-calibrate"
            )
        return None

    def messages(self, layer: LayerParameter) -> Sequence[BlobProto]:
        """The blobs that the layer took, without what a training left in them."""
        if self._taken.get(layer.name) != layer.type:
            return []
        found: list[BlobProto] = []
        for blob in self.blobs[layer.name]:
            found.append(BlobProto())
            found[-1].CopyFrom(blob)
            for gradients in ("diff", "double_diff", "int8_diff", "int32_diff"):
                found[-1].ClearField(gradients)
        return found

    def _array(self, blob: BlobProto, wanted: Wanted, integer: bool) -> Array:
        if not integer:
            return to_array(blob, wanted, "float32")
        if not is_integer(blob):
            raise MisfitError(f"its {wanted.role} are floats beside integers")
        return to_array(blob, wanted, "int16" if wanted.role is Role.BIAS else "int8")

    def _shift(self, blob: BlobProto) -> int:
        shift = blob.right_shift_num
        if shift == SHIFT_UNSET:
            raise MisfitError("its integer weights have no right_shift_num")
        if not 0 <= shift <= MAX_SHIFT:
            raise MisfitError(f"its right_shift_num {shift} is not in 0..{MAX_SHIFT}")
        return shift


def read_weights(path: Path) -> FileBlobs:
    """Reads a weight file. Raises :class:`InputFileError` with one sentence."""
    data = read_bytes(path, _WANTED)
    try:
        file = WeightFile.FromString(data)
    except DecodeError as error:
        raise InputFileError(_damage(path, data)) from error
    if not (file.layer or file.layers):
        raise InputFileError(f"{path}: has no layers; {_WANTED} is wanted")
    return FileBlobs(path, file)


def _damage(path: Path, data: bytes) -> str:
    try:
        text = data[:4096].decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return f"{path}: is damaged or cut short, or is no weight file; {_WANTED} is wanted"
    return f"{path}: is text; {_WANTED} is wanted (are -model and -weight swapped?)"
