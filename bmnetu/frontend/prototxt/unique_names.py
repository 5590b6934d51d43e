"""Gives every blob of a net a name of its own and checks the connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bmnetu.errors import InputFileError
from bmnetu.frontend.prototxt.inputs import Input
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.ufw_pb2 import LayerParameter
from bmnetu.nearest import nearest
from dialects.names import quoted

UNNAMED = "unnamed"
"""What a blob with an empty name is called."""


class UniqueNames:
    """A walk over the layers in order.

    An in-place layer writes the blob it reads; its top becomes ``conv1_1``, the next one
    ``conv1_2``, with a higher number where such a blob already exists. Where the last of them is an
    output of the net it has the blob's own name, and those before it have the numbers.
    """

    def __init__(self, inputs: Sequence[Input], params: Sequence[LayerParameter]) -> None:
        self.current: dict[str, str] = {}
        self.versions: dict[str, list[str]] = {}
        self.given = {blob.name for blob in inputs}
        self.taken = {top for param in params for top in param.top} | self.given
        self.later = {top: param.name for param in reversed(params) for top in param.top}
        for blob in inputs:
            if blob.name in self.current:
                raise InputFileError(f"{blob.where}: input {quoted(blob.name)} is declared twice")
            self.current[blob.name] = self._usable(blob.name)
        self.inputs = [replace(blob, name=self.current[blob.name]) for blob in inputs]
        """The inputs under unique names."""

    def connect(self, param: LayerParameter, line: int, where: str) -> Layer:
        """The layer with unique names. Raises :class:`InputFileError`."""
        layer = Layer(param, line, where, (), ())
        bottoms = tuple(self._read(layer, bottom) for bottom in param.bottom)
        if len(set(param.top)) != len(param.top):
            raise InputFileError(layer.fault("two of its tops have the same name"))
        tops = tuple(self._produce(layer, top) for top in param.top)
        self.current |= dict(zip(param.top, tops, strict=True))
        return Layer(param, line, where, bottoms, tops)

    def _read(self, layer: Layer, bottom: str) -> str:
        if bottom in self.current:
            return self.current[bottom]
        if bottom in self.later:
            raise InputFileError(
                layer.fault(
                    f"reads blob {quoted(bottom)}, which layer {quoted(self.later[bottom])} makes "
                    "only later: the graph is cyclic or not in order"
                )
            )
        near = nearest(bottom, self.current)
        hint = f"; did you mean {quoted(near)}?" if near else ""
        raise InputFileError(
            layer.fault(f"reads blob {quoted(bottom)}, which no layer makes{hint}")
        )

    def _produce(self, layer: Layer, top: str) -> str:
        if top not in self.current:
            name = self._usable(top)
        elif top in layer.param.bottom:
            name = self._numbered(self.versions.get(top, [self.current[top]])[0], 1)
        else:
            raise InputFileError(
                layer.fault(f"makes blob {quoted(top)}, which is already made before")
            )
        self.versions.setdefault(top, []).append(name)
        return name

    def _usable(self, name: str) -> str:
        """The name, or a readable one where the runtime would take it for another: it has C
        strings, which end at a zero character."""
        found = name.replace("\0", "\\0") or UNNAMED
        return found if found == name else self._numbered(found)

    def _numbered(self, name: str, number: int = 0) -> str:
        """A free name: ``name``, ``name_1``, ... from a number on."""
        found = f"{name}_{number}" if number else name
        while found in self.taken:
            number += 1
            found = f"{name}_{number}"
        self.taken.add(found)
        return found

    def outputs(self, layers: Sequence[Layer], whitelist: Iterable[str]) -> tuple[str, ...]:
        """The blobs of the whitelist, or all that no layer reads, in the order of the layers.

        Raises :class:`ValueError` for a name of the whitelist that no layer makes.
        """
        read = {bottom for layer in layers for bottom in layer.bottoms}
        tops = [top for layer in layers for top in layer.tops]
        required = {self.current.get(name, name) for name in whitelist}
        missing = sorted(required - set(tops))
        if missing:
            near = nearest(missing[0], {*self.versions, *tops})
            hint = f"; did you mean {quoted(near)}?" if near else ""
            raise ValueError(f"names {quoted(missing[0])}, which no layer makes{hint}")
        if required:
            return tuple(top for top in tops if top in required)
        return tuple(top for top in tops if top not in read)

    def named_as_outputs(
        self, layers: Sequence[Layer], outputs: Sequence[str]
    ) -> tuple[list[Layer], tuple[str, ...]]:
        """The layers and outputs with each output under its blob's own name."""
        own = {blob: names for blob, names in self.versions.items() if blob not in self.given}
        return named_as_blobs(layers, outputs, own)


def named_as_blobs(
    layers: Sequence[Layer], outputs: Sequence[str], versions: Mapping[str, Sequence[str]]
) -> tuple[list[Layer], tuple[str, ...]]:
    """The layers and outputs with each output that is the last of a blob's ``versions`` under the
    name of the first."""
    renamed: dict[str, str] = {}
    for names in versions.values():
        if len(names) > 1 and names[-1] in outputs:
            renamed |= dict(zip(names, [*names[1:], names[0]], strict=True))
    if not renamed:
        return list(layers), tuple(outputs)

    def all_of(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(renamed.get(name, name) for name in names)

    found = [
        replace(layer, bottoms=all_of(layer.bottoms), tops=all_of(layer.tops)) for layer in layers
    ]
    return found, all_of(outputs)
