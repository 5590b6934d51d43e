"""A node of an ONNX graph: its names, and its attributes with their types checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import AttributeProto, NodeProto, TensorProto

from bmnetu.errors import InputFileError

DOMAINS = ("", "ai.onnx")
"""The names of ONNX's own set of operators."""


NO_OPERATOR = "this operator cannot be compiled"


def operator_of(domain: str, name: str) -> str:
    """An operator as one word; those of ONNX's own domain have no prefix."""
    return name if domain in DOMAINS else f"{domain}.{name}"


class Refusal(ValueError):
    """The node cannot be made of UFW layers; the message goes on after the node's name. ``advise``:
    what advice.py says of the operator helps; else the message says what to do itself."""

    def __init__(self, sentence: str, *, advise: bool = True) -> None:
        super().__init__(sentence)
        self.advise = advise


@dataclass(frozen=True)
class Node:
    """One node. ``number`` is its place in the graph, from 1; ``where`` is file:number.

    An optional input or output that is left out has an empty name. Attributes have the types of
    ONNX's text: the methods raise :class:`InputFileError` for another one.
    """

    proto: NodeProto
    number: int
    where: str
    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int
    file: str = ""
    depth: int = 0
    """How many functions it stands in."""

    @staticmethod
    def of(proto: NodeProto, number: int, file: str, opset: int, depth: int = 0) -> Node:
        """Without a name, the node is called as its first output."""
        name = proto.name or next(filter(None, proto.output), f"node{number}")
        return Node(
            proto,
            number,
            f"{file}:{number}",
            name,
            operator_of(proto.domain, proto.op_type),
            tuple(proto.input),
            tuple(proto.output),
            opset,
            file,
            depth,
        )

    def fault(self, sentence: str) -> str:
        """A message that names file, place and node."""
        return f'{self.where}: node "{self.name}" ({self.op}): {sentence}'

    def anonymous(self, given: Sequence[bool]) -> NodeProto:
        """The node with names of its own for inputs that are given and outputs that are there, so
        that it stands alone whatever names and domain the file has for it.
        """
        inputs = [f"x{i}" if there else "" for i, there in enumerate(given)]
        outputs = [f"y{i}" if name else "" for i, name in enumerate(self.outputs)]
        proto = NodeProto(op_type=self.op, input=inputs, output=outputs)
        proto.attribute.extend(self.proto.attribute)
        return proto

    def integer(self, name: str, default: int) -> int:
        found = self._find(name, AttributeProto.INT)
        return default if found is None else found.i

    def number_of(self, name: str, default: float) -> float:
        found = self._find(name, AttributeProto.FLOAT)
        return default if found is None else found.f

    def text(self, name: str, default: str) -> str:
        found = self._find(name, AttributeProto.STRING)
        return default if found is None else found.s.decode("utf-8", "replace")

    def texts(self, name: str) -> tuple[str, ...] | None:
        """None where the node does not have it."""
        found = self._find(name, AttributeProto.STRINGS)
        return None if found is None else tuple(s.decode("utf-8", "replace") for s in found.strings)

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """None where the node does not have it."""
        found = self._find(name, AttributeProto.FLOATS)
        return None if found is None else tuple(found.floats)

    def tensor(self, name: str) -> TensorProto | None:
        """None where the node does not have it."""
        found = self._find(name, AttributeProto.TENSOR)
        return None if found is None else found.t

    def integers(self, name: str) -> tuple[int, ...] | None:
        """None where the node does not have it."""
        found = self._find(name, AttributeProto.INTS)
        return None if found is None else tuple(found.ints)

    def floats(self, name: str) -> tuple[float, ...] | None:
        """None where the node does not have it."""
        found = self._find(name, AttributeProto.FLOATS)
        return None if found is None else tuple(found.floats)

    def several(
        self, name: str, count: int, default: int | None, least: int | None = 1
    ) -> tuple[int, ...]:
        """That many integers, all ``default`` where the node does not say; None: it has to. Raises
        InputFileError for another count, and Refusal for one below ``least``."""
        found = self.integers(name)
        if found is None:
            if default is None:
                raise InputFileError(self.fault(f"has no {name}"))
            return (default,) * count
        if len(found) != count:
            raise InputFileError(
                self.fault(f"{name} is {list(found)}; {count} numbers are required")
            )
        if least is not None and any(number < least for number in found):
            raise Refusal(f"{name} is {list(found)}; it must be at least {least}", advise=False)
        return found

    def _find(self, name: str, kind: AttributeProto.AttributeType) -> AttributeProto | None:
        for attribute in self.proto.attribute:
            if attribute.name == name:
                if attribute.type != kind:
                    raise InputFileError(self.fault(f"attribute {name} has a wrong type"))
                return attribute
        return None
