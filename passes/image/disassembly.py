"""Command bytes as text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from dialects.bm1684.isa import COMMAND_BYTES, Engine, Instruction, unpack
from passes.image.groups import CodedGroup, Sites
from passes.module.locations import location_text

Queues = Mapping[Engine, deque[Instruction]]


def disassemble(groups: Sequence[CodedGroup], sites: Sites | None = None) -> Iterator[str]:
    """One line a command: group, engine, id, the id it waits for, fields; then, where ``sites``
    has them, the layer and the tensors that are final after it.

    The commands stand in the order of ``sites``, the function's, else each one behind that which
    it waits for. Raises IsaError for bytes that are no command.
    """
    for number, (tiu, gdma) in enumerate(groups):
        queues = {Engine.TIU: _decoded(Engine.TIU, tiu), Engine.GDMA: _decoded(Engine.GDMA, gdma)}
        if sites is None:
            for inst in _by_waits(queues):
                yield _line(number, inst)
            continue
        for op in sites.groups[number].commands:
            inst = queues[op.instruction.engine].popleft()
            tops = "".join(f" final={o.top}" for o in op.observations)
            yield f"{_line(number, inst)} ; {location_text(op.location)}{tops}"


def _line(group: int, inst: Instruction) -> str:
    text = inst.with_ids(0, 0).text()
    return f"{group} {inst.engine:4} {inst.id:5} <{inst.wait:5} {text}"


def _decoded(engine: Engine, data: bytes) -> deque[Instruction]:
    starts = range(0, len(data), COMMAND_BYTES)
    return deque(unpack(engine, data[at : at + COMMAND_BYTES]) for at in starts)


def _by_waits(queues: Queues) -> Iterator[Instruction]:
    """The commands of both engines, the TIU's first where both may run. Where both wait for
    commands that do not come, the TIU's come first, too."""
    done = dict.fromkeys(Engine, 0)
    others = {Engine.TIU: Engine.GDMA, Engine.GDMA: Engine.TIU}
    while left := [engine for engine in (Engine.TIU, Engine.GDMA) if queues[engine]]:
        able = [engine for engine in left if queues[engine][0].wait <= done[others[engine]]]
        engine = (able or left)[0]
        yield queues[engine].popleft()
        done[engine] += 1
