"""Weight files: caffemodel, fp32umodel and int8umodel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from google.protobuf.message import DecodeError

from bmnetu.errors import InputFileError
from bmnetu.files.reading import read_bytes
from bmnetu.frontend.prototxt.encoding import readable
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.ufw_pb2 import (
    ActivationScale,
    BlobProto,
    LayerParameter,
    Preprocess,
    WeightFile,
)
from bmnetu.frontend.weights.blobs import (
    SHIFT_UNSET,
    BlobMisfitError,
    Coefficients,
    Required,
    Role,
    is_integer,
    shape_of,
    to_array,
    values,
)
from bmnetu.frontend.weights.dense_block import blobs_of_layers
from bmnetu.frontend.weights.scales import Scales
from bmnetu.frontend.weights.wire import check_messages
from bmnetu.nearest import nearest
from bmnetu.note import Note
from dialects.constant import Array
from dialects.names import quoted
from dialects.ufw.layer import MAX_SHIFT
from dialects.ufw.shapes import Shape, show

_REQUIRED = "a caffemodel or umodel"


class FileBlobs:
    """The blobs of a weight file by layer name; see :class:`Weights`."""

    def __init__(self, path: Path, file: WeightFile) -> None:
        self.path = path
        self.notes: list[Note] = []
        self.activations: list[ActivationScale] = list(file.activation)
        self.preprocess: Preprocess | None = (
            file.preprocess if file.HasField("preprocess") else None
        )
        self.blobs: dict[str, list[BlobProto]] = {}
        self.integer = False
        self._taken: dict[str, Layer] = {}
        for name, blobs in _records(file):
            if not blobs:
                continue
            if name in self.blobs:
                raise InputFileError(f"{path}: has weights of layer {quoted(name)} twice")
            self.blobs[name] = list(blobs)
            self.integer = self.integer or any(map(is_integer, blobs))

    def share(self, layers: Iterable[Layer]) -> None:
        """Makes blobs that layers share by ``param { name }`` one memory, as Caffe does.

        Each has the values of the last record in the file. Adds a note where records differ.
        """
        for name, places in shared_blobs(layers).items():
            order = {layer: i for i, layer in enumerate(self.blobs)}
            found = [
                (order[layer], self.blobs[layer][index])
                for layer, index in places
                if layer in order and index < len(self.blobs[layer])
            ]
            if not found:
                continue
            last = max(found, key=lambda record: record[0])[1]
            if any(blob != last for _, blob in found):
                owners = ", ".join(dict.fromkeys(quoted(layer) for layer, _ in places))
                self.notes.append(Note(
                    "shared-weights",
                    f"{self.path}: layers {owners} share the weights {quoted(name)}, but "
                    "the file has different ones; the last ones are taken, as Caffe does",
                ))  # fmt: skip
            for layer, index in places:
                blobs = self.blobs.setdefault(layer, [])
                blobs[index : index + 1] = [last]

    def expand(self, blocks: Iterable[LayerParameter]) -> None:
        """Gives the blobs of a DenseBlock to the layers that stand for it."""
        for block in blocks:
            if block.name not in self.blobs:
                continue
            try:
                found = blobs_of_layers(block, self.blobs[block.name])
            except BlobMisfitError as error:
                where = f"{self.path}: layer {quoted(block.name)} (DenseBlock)"
                raise InputFileError(f"{where}: {error}") from error
            for name, blobs in found.items():
                self.blobs.setdefault(name, blobs)

    def is_integer(self, layer: Layer) -> bool:
        return any(map(is_integer, self.blobs.get(layer.name, [])))

    def shapes(self, layer: Layer) -> Sequence[Shape] | None:
        return [shape_of(blob, values(blob).size) for blob in self.blobs.get(layer.name, [])]

    def take(self, layer: Layer, required: tuple[Required, ...]) -> Coefficients:
        if self._taken.setdefault(layer.name, layer) is not layer:
            raise InputFileError(
                layer.fault("another layer with weights has the same name; rename one")
            )
        blobs = self.blobs.get(layer.name)
        if blobs is None:
            raise InputFileError(layer.fault(f"{self.path} has no weights of {self._hint(layer)}"))
        if len(blobs) != len(required):
            roles = ", ".join(f"{each.role} of {show(each.shape)}" for each in required)
            kinds = {each.role for each in required} & {Role.WEIGHT, Role.FACTOR}
            term = "true" if len(blobs) > len(required) else "false"
            hint = f"; is bias_term: {term} meant?" if kinds and len(blobs) in (1, 2) else ""
            raise InputFileError(
                layer.fault(f"has {len(blobs)} blob(s) in {self.path}, required are {roles}{hint}")
            )
        integer = self.is_integer(layer)
        try:
            arrays = [
                self._array(blob, each, integer) for blob, each in zip(blobs, required, strict=True)
            ]
            return Coefficients(tuple(arrays), self._shift(blobs[0]) if integer else None)
        except BlobMisfitError as error:
            raise InputFileError(layer.fault(f"{error} ({self.path})")) from error

    def _hint(self, layer: Layer) -> str:
        """What to say of a layer that is not in the file."""
        near = nearest(layer.name, self.blobs)
        if near is not None:
            return f"this layer, but of {quoted(near)}; names must be equal"
        some = ", ".join(map(quoted, list(self.blobs)[:3]))
        return f"this layer; it has those of {len(self.blobs)} layer(s), such as {some or 'none'}"

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
        taken = self._taken.get(layer.name)
        if taken is None or taken.param.type != layer.type:
            return []
        found: list[BlobProto] = []
        for blob in self.blobs[layer.name]:
            found.append(BlobProto())
            found[-1].CopyFrom(blob)
            for gradients in ("diff", "double_diff", "int8_diff", "int32_diff"):
                found[-1].ClearField(gradients)
        return found

    def _array(self, blob: BlobProto, required: Required, integer: bool) -> Array:
        if not integer:
            return to_array(blob, required, "float32")
        if not is_integer(blob):
            raise BlobMisfitError(f"its {required.role} are floats beside integers")
        return to_array(blob, required, "int16" if required.role is Role.BIAS else "int8")

    def _shift(self, blob: BlobProto) -> int:
        shift = blob.right_shift_num
        if shift == SHIFT_UNSET:
            raise BlobMisfitError("its integer weights have no right_shift_num")
        if not 0 <= shift <= MAX_SHIFT:
            raise BlobMisfitError(f"its right_shift_num {shift} is not in 0..{MAX_SHIFT}")
        return shift


def _records(file: WeightFile) -> Iterator[tuple[str, Sequence[BlobProto]]]:
    """The layers' names and blobs, V0 and V1 layers first, in the order of the file."""
    for old in file.layers:
        oldest = old.HasField("layer")
        yield readable(old.layer.name if oldest else old.name), (
            old.layer.blobs if oldest else old.blobs
        )
    for layer in file.layer:
        yield readable(layer.name), layer.blobs


def shared_blobs(layers: Iterable[Layer]) -> dict[str, list[tuple[str, int]]]:
    """The places (layer, number of the blob) that bear one name, where there are several."""
    places: dict[str, list[tuple[str, int]]] = {}
    for layer in layers:
        for index, spec in enumerate(layer.param.param):
            if spec.name:
                places.setdefault(spec.name, []).append((layer.name, index))
    return {name: found for name, found in places.items() if len(found) > 1}


_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_weights(path: Path) -> FileBlobs:
    """Reads a weight file. Raises :class:`InputFileError` with one sentence."""
    data = read_bytes(path, _REQUIRED)
    if data.startswith(_HDF5):
        raise InputFileError(
            f"{path}: is an HDF5 file; {_REQUIRED} is required:"
            " Caffe's net.save('net.caffemodel') in Python writes one"
        )
    check_messages(path, data, WeightFile)
    try:
        file = WeightFile.FromString(data)
    except DecodeError as error:
        raise InputFileError(_damage(path, data)) from error
    if not (file.layer or file.layers):
        raise InputFileError(f"{path}: has no layers; {_REQUIRED} is required")
    return FileBlobs(path, file)


def _damage(path: Path, data: bytes) -> str:
    if b"\0" in data[:4096]:
        return f"{path}: is damaged or cut short, or is no weight file; {_REQUIRED} is required"
    swapped = re.search(rb"\b(layers?|input)\b\s*[:{]", data[:65536]) is not None
    hint = " (are -model and -weight swapped?)" if swapped else ""
    return f"{path}: is text; {_REQUIRED} is required{hint}"
