"""The net that grows while the nodes of an ONNX graph are turned into layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from onnx import TensorProto
from xdsl.ir import SSAValue

from bmnetu.frontend.importer import import_layer
from bmnetu.frontend.layers.site import LayerSite
from bmnetu.frontend.onnx.nodes.quantised import Quantised
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.weights.blobs import ArrayWeights
from dialects.constant import Array
from dialects.ufw.layer import Top, shape_of
from dialects.ufw.shapes import Shape

Pads = tuple[int, int, int, int]
NO_PADS: Pads = (0, 0, 0, 0)
FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
"""Element types that are computed as float32."""
WHOLE = {
    TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
}  # fmt: skip
"""Types of whole numbers; float32 holds those up to 2^24."""


@dataclass(frozen=True)
class Blob:
    """What a layer makes. ``pads`` are zeros that a Pad put around it: top, left, bottom, right;
    they are no layer's work yet. ``places_in``: its numbers are places in the maps of a tensor of
    this shape, where ONNX has places in the tensor.
    """

    name: str
    value: SSAValue
    pads: Pads = NO_PADS
    places_in: Shape = ()

    @property
    def plain_shape(self) -> Shape:
        """The shape without the zeros."""
        return shape_of(self.value)

    @property
    def shape(self) -> Shape:
        """The shape as ONNX sees it."""
        if self.pads == NO_PADS:
            return self.plain_shape
        *rest, height, width = self.plain_shape
        top, left, bottom, right = self.pads
        return (*rest, height + top + bottom, width + left + right)


@dataclass
class Graph:
    """The layers so far, their weights, and what is known of every ONNX tensor.

    ``read`` are the tensors that somebody reads; ``outputs`` those of the net.
    """

    read: set[str]
    outputs: set[str]
    blobs: set[str]
    known: dict[str, Blob | Array] = field(default_factory=dict[str, "Blob | Array"])
    layers: list[Layer] = field(default_factory=list[Layer])
    weights: ArrayWeights = field(default_factory=ArrayWeights)
    names: set[str] = field(default_factory=set[str])
    """Names of layers; ``blobs`` are those of blobs and of all ONNX tensors."""
    elements: dict[str, int] = field(default_factory=dict[str, int])
    """Element types (``TensorProto.DataType``) of ONNX tensors that layers make, where these are
    not FLOAT: the layers hold the same numbers as float32."""
    constants: dict[str, Blob] = field(default_factory=dict[str, "Blob"])
    """Constants that layers read as tensors, by the digests of what they hold."""
    floats: dict[str, Blob] = field(default_factory=dict[str, "Blob"])
    """The int32 of host layers as float32, by the names of those blobs."""
    around: dict[tuple[str, Pads], Blob] = field(default_factory=dict[tuple[str, Pads], "Blob"])
    """Blobs with zeros around them as tensors of their own."""
    quantised: Quantised = field(default_factory=Quantised)

    def add(self, layer: Layer, bottoms: Sequence[Blob], arrays: Sequence[Array]) -> list[Blob]:
        """Adds a layer; what it makes. Raises what :func:`import_layer` raises."""
        self.weights.arrays[layer.name] = tuple(arrays)
        tops = [Top(name) for name in layer.tops]
        values = [bottom.value for bottom in bottoms]
        op = import_layer(LayerSite(layer, values, tops, self.weights))
        self.layers.append(layer)
        return [Blob(name, value) for name, value in zip(layer.tops, op.results, strict=True)]

    def used(self, names: Iterable[str]) -> list[str]:
        """Those that somebody reads, or that the net gives."""
        return [name for name in names if name and (name in self.read or name in self.outputs)]


def fresh(required: str, taken: set[str]) -> str:
    """The name, or the name with a number, that is not taken; it is taken then."""
    name, number = required, 1
    while name in taken:
        name, number = f"{required}_{number}", number + 1
    taken.add(name)
    return name


def pad_param(pads: Pads) -> dict[str, int]:
    """The setting of a Pad layer."""
    return dict(zip(("pad_t", "pad_l", "pad_b", "pad_r"), pads, strict=True))


def with_pads(blob: Blob, pads: Pads) -> Blob:
    """The blob with zeros around those that it has."""
    top, left, bottom, right = (old + new for old, new in zip(blob.pads, pads, strict=True))
    return replace(blob, pads=(top, left, bottom, right))
