"""All that is wrong with groups of commands, found without executing any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import COMMAND_BYTES, Engine, Instruction, IsaError, unpack
from dialects.bm1684.model.errors import DeadlockError, ModelError
from dialects.bm1684.model.execute import plan
from dialects.bm1684.model.memory.access import Access, Space
from dialects.bm1684.model.queues import Queue, choose, located

ENGINES = (Engine.TIU, Engine.GDMA)


@dataclass(frozen=True)
class Memory:
    """The DDR addresses that commands may read, and write: weights and neurons, or neurons."""

    weights: range
    neurons: range

    def fault(self, access: Access) -> ModelError | None:
        """What is wrong with an access to DDR or L2."""
        verb = "writes" if access.write else "reads"
        if access.space is Space.L2:
            if access.stop <= BM1684.l2_bytes:
                return None
            return ModelError(f"it {verb} {access}, and L2 has {BM1684.l2_bytes:#x} bytes")
        if access.space is Space.LMEM or _inside(access, self.neurons):
            return None
        if not _inside(access, self.weights):
            return ModelError(
                f"it {verb} {access}, which is neither in the weights ({_text(self.weights)}) nor"
                f" in the neurons ({_text(self.neurons)})"
            )
        return ModelError(f"it writes {access}, which holds weights") if access.write else None


def _inside(access: Access, area: range) -> bool:
    return area.start <= access.start and access.stop <= area.stop


def _text(area: range) -> str:
    return f"{area.start:#x}..{area.stop - 1:#x}" if area else "none"


def faults(
    groups: Sequence[tuple[bytes, bytes]], memory: Memory, touched: list[Access] | None = None
) -> Iterator[ModelError]:
    """Goes through groups of (TIU bytes, GDMA bytes) as :func:`run` does, and on where that stops.

    Each error names its command: bytes that are no command or have fields that the hardware does
    not take, wrong ids, addresses outside of ``memory``, races (:class:`RaceError`), and what never
    starts (:class:`DeadlockError`). ``touched`` gets all accesses to DDR.
    """
    for group, data in enumerate(groups):
        wrong: list[ModelError] = []
        queues = [
            Queue(engine, _decode(group, engine, some, wrong))
            for engine, some in zip(ENGINES, data, strict=True)
        ]
        yield from wrong
        whole = [len(queue.commands) * COMMAND_BYTES for queue in queues] == [*map(len, data)]
        while any(queue.done < len(queue.commands) for queue in queues):
            try:
                queue, other = choose(group, queues[0], queues[1], None)
            except DeadlockError as error:
                if whole:
                    yield error
                break
            for error in _faults(queue, other, memory, touched):
                yield located(error, group, queue.engine, queue.done + 1)
            queue.done += 1


def _faults(
    queue: Queue, other: Queue, memory: Memory, touched: list[Access] | None
) -> Iterator[ModelError]:
    """What is wrong with the next command of a queue."""
    queue.ordered = max(queue.ordered, queue.next.wait)
    try:
        accesses = plan(queue.next).accesses()
    except ModelError as error:
        yield error
        return
    outside = [found for found in map(memory.fault, accesses) if found is not None]
    yield from outside
    race = queue.record(other, accesses)
    if race is not None:
        yield race
    if touched is not None and not outside:
        touched += (access for access in accesses if access.space is Space.DDR)


def _decode(group: int, engine: Engine, data: bytes, found: list[ModelError]) -> list[Instruction]:
    """The commands before the first that is none; ``found`` gets what is wrong."""
    commands: list[Instruction] = []
    right = True
    for number, at in enumerate(range(0, len(data), COMMAND_BYTES), 1):
        try:
            inst = unpack(engine, data[at : at + COMMAND_BYTES])
        except IsaError as error:
            found.append(located(ModelError(str(error)), group, engine, number))
            break
        if right and inst.id != number:
            right = False
            sentence = f"its id is {inst.id}: ids must be 1, 2, 3 ... in each group"
            found.append(located(ModelError(sentence), group, engine, number))
        commands.append(inst)
    return commands
