"""What the runtime does with a static stage: groups of commands on the NPU, and host layers, in
their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from bmnetu.bmodel import COMMAND_BYTES, CommandGroup, HostCall, Stage, Subnet
from dialects.bm1684.isa import Engine, Instruction, IsaError, unpack
from dialects.host.ops import BY_NUMBER
from passes.image.disassembly import by_waits


@dataclass(frozen=True)
class Command:
    """A command of a group; ``number`` counts those of its engine from 1. Bytes that are none have
    no instruction, and ``fault`` says why."""

    engine: Engine
    number: int
    data: bytes
    instruction: Instruction | None
    fault: str = ""

    @property
    def wait(self) -> int:
        """How many commands of the other engine must have ended before."""
        return 0 if self.instruction is None else self.instruction.wait


@dataclass(frozen=True)
class Step:
    """A subnet: groups of the NPU, the first of which has the number ``first`` in its stage; or a
    host layer, which has none."""

    subnet: Subnet
    first: int
    groups: tuple[CommandGroup, ...]


def steps_of(stage: Stage) -> Iterator[Step]:
    """The subnets of a static stage."""
    whole = Subnet(stage.inputs, stage.outputs, len(stage.groups))
    groups, first = iter(stage.groups), 0
    for subnet in stage.subnets or (whole,):
        own = tuple(islice(groups, subnet.group_count))
        yield Step(subnet, first, own)
        first += len(own)


def host_name(host: HostCall) -> str:
    """The name of a layer on the host, or its number where it is not known."""
    op = BY_NUMBER.get(host.number)
    return f"number {host.number}" if op is None else op.name.removeprefix("host.")


def decoded(group: CommandGroup) -> dict[Engine, list[Command]]:
    """The commands of a group by engine."""
    return {
        engine: [
            _decoded(engine, number, data[at : at + COMMAND_BYTES])
            for number, at in enumerate(range(0, len(data), COMMAND_BYTES), 1)
        ]
        for engine, data in ((Engine.TIU, group.tiu), (Engine.GDMA, group.gdma))
    }


def in_order(group: CommandGroup) -> Iterator[Command]:
    """The commands of a group, each behind that which it waits for."""
    yield from by_waits({engine: deque(found) for engine, found in decoded(group).items()})


def _decoded(engine: Engine, number: int, data: bytes) -> Command:
    try:
        return Command(engine, number, data, unpack(engine, data))
    except IsaError as error:
        return Command(engine, number, data, None, str(error))
