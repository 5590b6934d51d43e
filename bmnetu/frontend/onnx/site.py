"""What a conversion sees of the net that grows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from bmnetu.errors import InputFileError
from bmnetu.frontend.onnx.graph import FLOATS, NO_PADS, Blob, Graph, fresh, pad_param
from bmnetu.frontend.onnx.nodes.node import Node, Refusal
from bmnetu.frontend.prototxt.custom import CUSTOM_MESSAGES, custom_message
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.constant import Array, Constant
from dialects.quant.types import is_index


@dataclass(frozen=True)
class Site:
    """What a conversion sees: the node, what it reads, and how to add layers for it.

    Conversions raise :class:`Refusal` for what is no UFW layer and :class:`InputFileError` for
    what no valid file has.
    """

    node: Node
    graph: Graph
    in_float: bool = False
    """Whether its layers stay float in an INT8 net."""

    # -- what the node reads ---------------------------------------------------------------------

    def given(self, index: int) -> Blob | Array | None:
        """An input; None for one that is left out."""
        names = self.node.inputs
        name = names[index] if index < len(names) else ""
        found = self.graph.known[name] if name else None
        if isinstance(found, Blob) and found.places_in:
            raise Refusal(f'it reads the indices "{name}" of a MaxPool; only a MaxUnpool can')
        return found

    def places(self, index: int) -> Blob:
        """An input that is the indices of a MaxPool."""
        name = self.node.inputs[index]
        found = self.graph.known.get(name)
        if not isinstance(found, Blob) or not found.places_in:
            raise Refusal(f'its input "{name}" is not the indices of a MaxPool')
        return found

    def either(self, index: int) -> Blob | Array:
        """An input that must be there."""
        found = self.given(index)
        if found is None:
            raise InputFileError(self.node.fault(f"has no input {index + 1}"))
        return self.plain(found) if isinstance(found, Blob) else found

    def padded(self, index: int) -> Blob:
        """An input that a layer makes, which may have zeros around it."""
        found = self.given(index)
        if found is None:
            raise InputFileError(self.node.fault(f"has no input {index + 1}"))
        if not isinstance(found, Blob):
            raise Refusal(f'its input "{self.node.inputs[index]}" is a constant')
        return found

    def blob(self, index: int) -> Blob:
        """An input that a layer makes."""
        return self.plain(self.padded(index))

    def tensor(self, index: int) -> Blob:
        """An input as a tensor, whether a layer makes it or it is a constant."""
        found = self.either(index)
        return found if isinstance(found, Blob) else self.parameter(found, self.node.inputs[index])

    def tensors(self) -> list[Blob]:
        """All inputs as tensors."""
        return [self.tensor(i) for i in range(len(self.node.inputs))]

    def bounded(self, index: int) -> Blob:
        """An input as a tensor; of a constant see :func:`bounded`."""
        found = self.either(index)
        if isinstance(found, Blob):
            return found
        return self.parameter(bounded(found), self.node.inputs[index])

    def element(self, index: int) -> int:
        """The element type of an input, ``TensorProto.DataType``; FLOAT for all floats."""
        found = self.given(index)
        if isinstance(found, Blob) or found is None:
            return self.graph.elements.get(self.node.inputs[index], TensorProto.FLOAT)
        kind = helper.np_dtype_to_tensor_dtype(found.dtype)
        return TensorProto.FLOAT if kind in FLOATS else kind

    def parameter(self, array: Array, name: str) -> Blob:
        """A constant as the result of a layer, once for all that are equal; ``name`` is its ONNX
        name."""
        values = np.atleast_1d(self.floats(array, name))
        digest = Constant.of(values).digest
        if digest not in self.graph.constants:
            kind = fresh(f"{name}_constant", self.graph.names)
            shape = {"shape": {"dim": values.shape}}
            param = LayerParameter(name=kind, type="Parameter", parameter_param=shape)
            if is_mask(values):
                param.forward_with_float = True
            top = fresh(kind, self.graph.blobs)
            layer = Layer(param, self.node.number, self.node.where, (), (top,))
            self.graph.constants[digest] = self.graph.add(layer, [], [values])[0]
        return self.graph.constants[digest]

    def constant(self, index: int) -> Array | None:
        """An input whose numbers are known; None for one that is left out."""
        found = self.given(index)
        if isinstance(found, Blob):
            raise Refusal(f'its input "{self.node.inputs[index]}" is not a constant')
        return found

    def coefficients(self, index: int) -> Array | None:
        """A constant as float32 numbers. Raises for numbers that are not finite."""
        found = self.constant(index)
        return None if found is None else self.floats(found, self.node.inputs[index])

    def weights(self, index: int) -> Array:
        """Coefficients that must be there."""
        found = self.coefficients(index)
        if found is None:
            raise InputFileError(self.node.fault(f"has no input {index + 1}"))
        return found

    def floats(self, array: Array, what: str) -> Array:
        """Finite float32 numbers."""
        with np.errstate(over="ignore"):
            found = np.asarray(array, np.float32)
        if not np.isfinite(found).all():
            raise InputFileError(self.node.fault(f'"{what}" has numbers that are not finite'))
        return found

    def integers(self, name: str, index: int) -> tuple[int, ...] | None:
        """A list of integers: an attribute in old files, an input in new ones; None: neither."""
        found = self.node.integers(name)
        array = None if found is not None else self.constant(index)
        if array is None:
            return found
        if array.dtype.kind not in "iu" or array.ndim > 1:
            raise InputFileError(self.node.fault(f"{name} is no list of integers"))
        return tuple(int(number) for number in array.ravel())

    def axis(self, axis: int, rank: int) -> int:
        """An axis that may count from the end."""
        if not -rank <= axis < rank:
            raise InputFileError(
                self.node.fault(f"axis {axis} is outside a tensor of {rank} dimensions")
            )
        return axis % rank

    def plain(self, blob: Blob) -> Blob:
        """The blob as layers of the NPU read it, once for all readers: with its zeros, which a Pad
        layer puts there, and as float32."""
        if is_index(blob.value):
            if blob.name not in self.graph.floats:
                self.graph.floats[blob.name] = self.layer("Cast", blob, part="float")
            return self.graph.floats[blob.name]
        if blob.pads == NO_PADS:
            return blob
        key = (blob.name, blob.pads)
        if key not in self.graph.around:
            plain, param = Blob(blob.name, blob.value), pad_param(blob.pads)
            self.graph.around[key] = self.layer("Pad", plain, part="padded", pad_param=param)
        return self.graph.around[key]

    # -- what it becomes -------------------------------------------------------------------------

    def layer(
        self,
        kind: str,
        bottoms: Blob | Sequence[Blob],
        *arrays: Array | None,
        part: str = "",
        **settings: Any,
    ) -> Blob:
        """A layer with one top. ``part`` names one that is not the node's last."""
        top = self.node.outputs[0]
        return self.layers(kind, bottoms, [top], *arrays, part=part, **settings)[0]

    def layers(
        self,
        kind: str,
        bottoms: Blob | Sequence[Blob],
        tops: Iterable[str],
        *arrays: Array | None,
        part: str = "",
        **settings: Any,
    ) -> list[Blob]:
        """A layer with any tops: names of the node's outputs, or of unwanted blobs."""
        node, graph = self.node, self.graph
        bottoms = [bottoms] if isinstance(bottoms, Blob) else list(bottoms)
        suffix = f"_{part}" if part else ""
        names = [
            top if top in node.outputs and not part else fresh(f"{top}{suffix}", graph.blobs)
            for top in tops
        ]
        param = self._message(fresh(f"{node.name}{suffix}", graph.names), kind, settings)
        inputs = tuple(bottom.name for bottom in bottoms)
        layer = Layer(param, node.number, node.where, inputs, tuple(names))
        return graph.add(layer, bottoms, [array for array in arrays if array is not None])

    @property
    def reads_places(self) -> bool:
        """Whether layers make INT64 that the node reads, ONNX's type of places and counts: 8 bits
        do not hold them."""
        elements = self.graph.elements
        return any(elements.get(name) == TensorProto.INT64 for name in self.node.inputs)

    def _message(self, name: str, kind: str, settings: Mapping[str, Any]) -> LayerParameter:
        own = settings.keys() & CUSTOM_MESSAGES
        custom = [custom_message(message, settings[message]) for message in sorted(own)]
        known = {key: value for key, value in settings.items() if key not in own}
        if self.in_float or self.reads_places:
            known["forward_with_float"] = True
        try:
            return LayerParameter(name=name, type=kind, custom_param=custom, **known)
        except (ValueError, TypeError) as error:
            raise Refusal(f"a setting is outside what a layer can have ({error})") from error

    def reshaped(self, blob: Blob, shape: Sequence[int], part: str = "") -> Blob:
        """The blob in another shape; the batch stays open where it does not change."""
        shape, old = tuple(shape), blob.shape
        if shape == old:
            return blob
        if not shape:
            raise Refusal("its result has no dimension")
        if len(shape) == 2 < len(old) and shape[0] == old[0]:
            return self.layer("Flatten", blob, part=part)
        dims = [0, *shape[1:]] if shape[0] == old[0] else shape
        return self.layer("Reshape", blob, part=part, reshape_param={"shape": {"dim": dims}})

    def pieces(
        self, blob: Blob, axis: int, sizes: Sequence[int], tops: Sequence[str], keep: set[int]
    ) -> list[Blob]:
        """The blob cut along an axis; the pieces that are not to be kept are silenced."""
        points = [sum(sizes[:i]) for i in range(1, len(sizes))]
        param = {"axis": axis, "slice_point": points}
        found = self.layers("Slice", blob, tops, slice_param=param)
        unwanted = [piece for i, piece in enumerate(found) if i not in keep]
        if unwanted:
            self.layers("Silence", unwanted, [], part="silence")
        return found


MASKED = 1e30
MOST = 1e37
"""A constant's larger numbers count as this one: nothing that is computed of them is infinite."""

Made = Blob | Array | Sequence[Blob | Array]
Conversion = Callable[[Site], Made]
"""A node as layers: what stands for its outputs, in their order. A tensor without numbers is an
array."""


def bounded(array: Array) -> Array:
    """The numbers, none beyond MOST: a mask's -inf, which may be added to another one."""
    return np.clip(array, -MOST, MOST) if array.dtype.kind == "f" else array


def is_mask(array: Array | np.float32) -> bool:
    """Whether some numbers are so large that 8 bits can hold no other."""
    return bool((np.abs(array) >= MASKED).any())


def pair(values: Sequence[int]) -> list[int]:
    """A setting for height and width as a prototxt has it: one number where both are alike."""
    height, width = values
    return [height] if height == width else [height, width]
