"""The queues of the two engines: which command may go on, and which pairs nothing orders."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from dialects.bm1684.isa import Engine, Instruction
from dialects.bm1684.model.errors import DeadlockError, ModelError, RaceError
from dialects.bm1684.model.memory.access import Access
from dialects.bm1684.model.memory.ledger import Ledger


@dataclass
class Queue:
    """One engine's commands of a group. ``ordered`` is the running maximum of the waits."""

    engine: Engine
    commands: list[Instruction]
    done: int = 0
    ordered: int = 0
    ledger: Ledger = field(default_factory=Ledger)

    def ready(self, other: Queue) -> bool:
        """Whether the next command may start."""
        return self.done < len(self.commands) and self.commands[self.done].wait <= other.done

    @property
    def next(self) -> Instruction:
        """The next command."""
        return self.commands[self.done]

    def record(self, other: Queue, accesses: Sequence[Access]) -> RaceError | None:
        """Notes what the next command touches; the race with a command of the other engine, if
        nothing orders the two."""
        self.ordered = max(self.ordered, self.next.wait)
        found = other.ledger.conflict(self.ordered, accesses)
        self.ledger.record(self.done + 1, accesses)
        return None if found is None else _race(self, other, found)


def located(error: ModelError, group: int, engine: Engine, number: int) -> ModelError:
    """The error, with the command that it is about."""
    error.locate(group, engine, number)
    return error


def choose(
    group: int, tiu: Queue, gdma: Queue, rng: random.Random | None
) -> tuple[Queue, Queue]:
    """(the queue whose next command runs, the other one). Raises DeadlockError."""
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
        raise located(error, group, queue.engine, queue.done + 1)
    first = able[0] if rng is None or not all(able) else rng.random() < 0.5
    return (tiu, gdma) if first else (gdma, tiu)


def _race(own: Queue, other: Queue, found: tuple[int, Access, Access]) -> RaceError:
    number_of_other, theirs, ours = found
    verbs = ["writes" if access.write else "reads" for access in (ours, theirs)]
    before = other.commands[number_of_other - 1].kind.mnemonic
    return RaceError(
        f"{own.next.kind.mnemonic} {verbs[0]} {ours}, {other.engine} command {number_of_other}"
        f" ({before}) {verbs[1]} {theirs}, and no wait orders the two",
        (other.engine, number_of_other),
    )
