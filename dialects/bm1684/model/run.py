"""Execute command buffers as the two engines do, and check that the waits order them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from dialects.bm1684.isa import COMMAND_BYTES, Engine, Instruction, IsaError, unpack
from dialects.bm1684.model.errors import ModelError
from dialects.bm1684.model.execute import perform, plan
from dialects.bm1684.model.memory.npu import Npu
from dialects.bm1684.model.queues import Queue, choose, located

OnCommand = Callable[[Engine, int, int], None]


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
    Raises as :func:`steps`.
    """
    for place in steps(npu, groups, seed):
        if on_command is not None:
            on_command(*place)


def steps(
    npu: Npu, groups: Sequence[tuple[bytes, bytes]], seed: int | None = None
) -> Iterator[tuple[Engine, int, int]]:
    """As :func:`run`, a command at a time: the engine, group and id of each that was executed.

    Raises :class:`ModelError` for commands that cannot be decoded or executed and for wrong ids,
    :class:`DeadlockError` when both queues are stuck, and :class:`RaceError` when commands of the
    two engines conflict and no wait orders them, whatever order was taken here.
    """
    rng = None if seed is None else random.Random(seed)
    for group, (tiu, gdma) in enumerate(groups):
        queues = tuple(
            Queue(engine, _decode(group, engine, data))
            for engine, data in ((Engine.TIU, tiu), (Engine.GDMA, gdma))
        )
        while any(queue.done < len(queue.commands) for queue in queues):
            own, other = choose(group, queues[0], queues[1], rng)
            _advance(npu, group, own, other)
            yield own.engine, group, own.done


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
            raise located(ModelError(str(error)), group, engine, number) from None
        if inst.id != number:
            sentence = f"its id is {inst.id}: ids must be 1, 2, 3 ... in each group"
            raise located(ModelError(sentence), group, engine, number)
        commands.append(inst)
    return commands


def _advance(npu: Npu, group: int, own: Queue, other: Queue) -> None:
    """Check and perform the next command of ``own``."""
    try:
        step = plan(own.next)
        race = own.record(other, step.accesses())
        if race is not None:
            raise race
        perform(npu, step)
    except ModelError as error:
        error.locate(group, own.engine, own.done + 1)
        raise
    own.done += 1
