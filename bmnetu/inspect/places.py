"""What lies at an address of a stage's memory: weights, neurons, tensors that have a name."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from bmnetu.bmodel import NamedTensor, Stage
from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Direction, Engine, Instruction
from dialects.bm1684.model import ModelError
from dialects.bm1684.npu import DTYPES, Observation
from dialects.names import quoted

MOST_DDR = 1 << 32
"""Bytes of DDR that the model has, as the vendor's simulator. What a run does not touch of them
takes no memory."""


@dataclass(frozen=True)
class Place:
    """An address as an offset in an area: "weights", "neurons", "L2", or "memory" for what is
    none of these, from 0 on. ``name`` is what the file says lies there, if it says it: the memory
    of an input or output can hold other tensors before and after."""

    area: str
    offset: int
    name: str = ""

    def __str__(self) -> str:
        return f"{self.area}+{self.offset:#x}" if self.area != "memory" else f"{self.offset:#x}"


class Places:
    """The areas of a stage, and the names in them."""

    def __init__(self, stage: Stage) -> None:
        self.areas = [
            ("weights", range(stage.coeff_address, stage.coeff_address + len(stage.coeff))),
            ("neurons", range(stage.context_address, stage.context_address + stage.context_size)),
            ("L2", range(BM1684.l2_base, BM1684.l2_end)),
        ]
        found = sorted(dict(_named(stage)).items())
        self._starts = [start for (start, _), _ in found]
        self._named = found

    def at(self, address: int) -> Place:
        """What lies at an address."""
        for area, addresses in self.areas:
            if address in addresses:
                return Place(area, address - addresses.start, self._name(address))
        return Place("memory", address)

    def of(self, command: Instruction) -> dict[str, Place]:
        """The sides ("src", "dst") of a GDMA command that are in DDR or L2; none of the TIU's,
        which knows local memory alone."""
        if command.engine is Engine.TIU:
            return {}
        direction = Direction(command["direction"])
        local = {"src": direction.from_local or command.kind is isa.FILL, "dst": direction.to_local}
        return {side: self.at(isa.start_of(command, side)) for side in local if not local[side]}

    def _name(self, address: int) -> str:
        """The name of the last tensor that begins at or before an address and reaches over it."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return ""
        (start, end), name = self._named[index]
        if address >= end:
            return ""
        return name if address == start else f"{name}+{address - start:#x}"


def _named(stage: Stage) -> Iterator[tuple[tuple[int, int], str]]:
    """Begin and end of what has a name. What comes last counts."""
    for weight in stage.weights:
        start = stage.coeff_address + weight.offset
        yield (start, start + weight.size), f"weight {quoted(weight.name)}"
    inner = [t for subnet in stage.subnets for t in (*subnet.inputs, *subnet.outputs)]
    for what, tensors in (("tensor", inner), ("input", stage.inputs), ("output", stage.outputs)):
        for tensor in tensors:
            at = tensor.address
            yield (at, at + tensor.size), f"{what} {quoted(tensor.name)}"


def observed(tensor: NamedTensor) -> Observation:
    """Where a tensor of the notes lies, which may hold anything. Raises ModelError."""
    if tensor.dtype not in DTYPES:
        raise ModelError(f"the notes say that {quoted(tensor.name)} holds {quoted(tensor.dtype)}")
    packed = tensor.packed and tensor.dtype != "float32"
    if prod(tensor.shape) > MOST_DDR:
        raise ModelError(f"the notes say that {quoted(tensor.name)} is larger than the memory")
    return Observation(tensor.name, tensor.address, tensor.shape, tensor.dtype, packed)
