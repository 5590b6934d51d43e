"""Execute command buffers as the two engines do, and check that the waits order them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dialects.bm1684.isa import COMMAND_BYTES, Engine, Instruction, IsaError, unpack
from dialects.bm1684.model.errors import DeadlockError, ModelError, RaceError
from dialects.bm1684.model.execute import perform, plan
from dialects.bm1684.model.memory.access import Access
from dialects.bm1684.model.memory.ledger import Ledger
from dialects.bm1684.model.memory.npu import Npu

OnCommand = Callable[[Engine, int, int], None]


@dataclass
class _Queue:
    """One engine's commands of a group. ``ordered`` is the running maximum of the waits."""

    engine: Engine
    commands: list[Instruction]
    done: int = 0
    ordered: int = 0
    ledger: Ledger = field(default_factory=Ledger)

    def ready(self, other: _Queue) -> bool:
        """Whether the next command may start."""
        return self.done < len(self.commands) and self.commands[self.done].wait <= other.done


def run(
    npu: Npu,
    groups: Sequence[tuple[bytes, bytes]],
    on_command: OnCommand | None = None,
    seed: int | None = None,
) -> None:
    """Execute groups of (TIU bytes, GDMA bytes), one group after the other.

    Each engine works through its own queue; a command starts when the command of the other engine
    it waits for has finished. Of the orders this allows, the TIU goes first where both engines
    could, or a random one from ``seed``. ``on_command(engine, group, id)`` is called after each.

    Raises :class:`ModelError` for commands that cannot be decoded or executed and for wrong ids,
    :class:`DeadlockError` when both queues are stuck, and :class:`RaceError` when commands of the
    two engines conflict and no wait orders them, whatever order was taken here.
    """
    rng = None if seed is None else random.Random(seed)
    for group, (tiu, gdma) in enumerate(groups):
        queues = tuple(
            _Queue(engine, _decode(group, engine, data))
            for engine, data in ((Engine.TIU, tiu), (Engine.GDMA, gdma))
        )
        while any(queue.done < len(queue.commands) for queue in queues):
            own, other = _choose(group, queues[0], queues[1], rng)
            _advance(npu, group, own, other)
            if on_command is not None:
                on_command(own.engine, group, own.done)


def _decode(group: int, engine: Engine, data: bytes) -> list[Instruction]:
    if len(data) % COMMAND_BYTES:
        raise ModelError(
            f"group {group}: {len(data)} bytes of {engine} commands are not a multiple of "
            f"{COMMAND_BYTES}"
        )
    commands: list[Instruction] = []
    for number in range(1, len(data) // COMMAND_BYTES + 1):
        try:
            inst = unpack(engine, data[(number - 1) * COMMAND_BYTES : number * COMMAND_BYTES])
        except IsaError as error:
            raise _located(ModelError(str(error)), group, engine, number) from None
        if inst.id != number:
            sentence = f"its id is {inst.id}: ids must be 1, 2, 3 ... in each group"
            raise _located(ModelError(sentence), group, engine, number)
        commands.append(inst)
    return commands


def _located(error: ModelError, group: int, engine: Engine, number: int) -> ModelError:
    error.locate(group, engine, number)
    return error


def _choose(
    group: int, tiu: _Queue, gdma: _Queue, rng: random.Random | None
) -> tuple[_Queue, _Queue]:
    """(the queue whose next command runs, the other one)."""
    able = tiu.ready(gdma), gdma.ready(tiu)
    if not any(able):
        stuck = [
            f"{own.engine} command {own.done + 1} waits for {other.engine} command "
            f"{own.commands[own.done].wait} ({own.commands[own.done]})"
            if own.done < len(own.commands)
            else f"{own.engine} has finished its {own.done} commands"
            for own, other in ((tiu, gdma), (gdma, tiu))
        ]
        error = DeadlockError(f"deadlock: {'; '.join(stuck)}")
        queue = tiu if tiu.done < len(tiu.commands) else gdma
        raise _located(error, group, queue.engine, queue.done + 1)
    first = able[0] if rng is None or not all(able) else rng.random() < 0.5
    return (tiu, gdma) if first else (gdma, tiu)


def _advance(npu: Npu, group: int, own: _Queue, other: _Queue) -> None:
    """Check and perform the next command of ``own``."""
    inst = own.commands[own.done]
    number = own.done + 1
    own.ordered = max(own.ordered, inst.wait)
    try:
        step = plan(inst)
        accesses = step.accesses()
        found = other.ledger.conflict(own.ordered, accesses)
        if found is not None:
            raise _race(own.engine, number, inst, other, found)
        own.ledger.record(number, accesses)
        perform(npu, step)
    except ModelError as error:
        error.locate(group, own.engine, number)
        raise
    own.done = number


def _race(
    engine: Engine, number: int, inst: Instruction, other: _Queue,
    found: tuple[int, Access, Access],
) -> RaceError:
    number_of_other, theirs, ours = found
    verbs = ["writes" if access.write else "reads" for access in (ours, theirs)]
    return RaceError(
        f"{engine} command {number} ({inst}) {verbs[0]} {ours}, {other.engine} command "
        f"{number_of_other} ({other.commands[number_of_other - 1]}) {verbs[1]} {theirs}, and no "
        f"wait orders the two"
    )
