"""Several bmodels as one: nets side by side, or the same net for several shapes of its inputs.

The runtime chooses a stage by the shapes that it is given. All stages of a net share their weights
and have contexts of one size (see ``docs/bmodel.md``), so weights are moved: those of a stage that
stand in the first one's, too, are used there, others follow behind. The address of each command
that touches them, or the context behind them, is changed, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations

from bmnetu.bmodel import (
    Bmodel,
    CommandGroup,
    Net,
    Notes,
    Stage,
    Tensor,
    Weight,
)
from bmnetu.bmodel.model import COMMAND_BYTES
from bmnetu.bmodel.model import align as align_page
from bmnetu.errors import InputFileError, UnsupportedError
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine, Instruction, IsaError, start, start_of, unpack
from dialects.bm1684.model import ModelError, accesses
from dialects.bm1684.model.memory.access import Access, Space
from dialects.names import quoted

Range = tuple[int, int]
"""First byte, and the byte behind the last one."""
_Blocks = list[tuple[Range, int]]
"""The range of addresses of each block of weights, and its new first address; in order."""


def combined(files: Sequence[tuple[str, Bmodel]]) -> Bmodel:
    """One bmodel of the nets of several; ``files`` have their names for messages. Nets of one name
    become one net with all their stages.

    Raises InputFileError where nets of one name have other inputs or outputs, equal shapes, or
    commands that the chip cannot run; UnsupportedError where one of them is dynamic.
    """
    found: dict[str, list[tuple[str, Stage]]] = {}
    for name, bmodel in files:
        for net in bmodel.nets:
            found.setdefault(net.name, []).extend((name, stage) for stage in net.stages)
    nets = tuple(Net(name, _one_net(name, stages)) for name, stages in found.items())
    return replace(files[0][1], nets=nets)


def _one_net(net: str, stages: Sequence[tuple[str, Stage]]) -> tuple[Stage, ...]:
    if len(stages) == 1:
        return (stages[0][1],)
    for name, stage in stages:
        if stage.is_dynamic:
            raise UnsupportedError(f"{name}: net {quoted(net)} is dynamic, it takes any shape up to"
                                   " its own and has no further stages")
    for (name, a), (other, b) in combinations(stages, 2):
        difference = _border_difference(a, b)
        if difference:
            raise InputFileError(f"{other}: net {quoted(net)} {difference} than in {name}")
        if [t.shape for t in a.inputs] == [t.shape for t in b.inputs]:
            shapes = ", ".join("x".join(map(str, t.shape)) for t in a.inputs)
            raise InputFileError(f"{other}: net {quoted(net)} has the input shapes {shapes}, as in"
                                 f" {name}: the runtime could not choose")
    return shared(stages)


def _border_difference(a: Stage, b: Stage) -> str:
    """How the tensors of two stages differ beside their shapes."""
    for what, ours, theirs in (("inputs", a.inputs, b.inputs), ("outputs", a.outputs, b.outputs)):
        if [t.name for t in ours] != [t.name for t in theirs]:
            return f"has other {what}"
        for x, y in zip(ours, theirs, strict=True):
            if x.data_type != y.data_type or x.scale != y.scale:
                return f"has another type or scale of {quoted(x.name)}"
    return ""


def shared(stages: Sequence[tuple[str, Stage]]) -> tuple[Stage, ...]:
    """The stages with common weights, and contexts of one place and size. Each has the name of its
    file. Raises InputFileError where a command cannot be moved."""
    weights = _Weights()
    moves: list[_Blocks] = []
    for name, stage in stages:
        with _about(name):
            moves.append(weights.add(stage))
    size = max(stage.context_size for _, stage in stages)
    found: list[Stage] = []
    for (name, stage), move in zip(stages, moves, strict=True):
        with _about(name):
            found.append(_moved(stage, move, bytes(weights.content), size))
    return tuple(found)


def alone(name: str, stage: Stage) -> Stage:
    """A stage with only those of its weights that it reads. ``name`` is its file's. Raises
    InputFileError where a command cannot be moved."""
    weights = _Weights()
    with _about(name):
        moves = weights.add_blocks(stage)
        return _moved(stage, moves, bytes(weights.content), stage.context_size)


@contextmanager
def _about(name: str) -> Generator[None]:
    """Errors become one sentence about a file."""
    try:
        yield
    except (IsaError, ModelError) as error:
        raise InputFileError(f"{name}: a command cannot be moved: {error}; bmnetu-model check says"
                             " more") from None


@dataclass(frozen=True)
class _Moves:
    """Where addresses of a stage go: those below ``context`` by the block of weights in which they
    lie, the others with the context."""

    blocks: _Blocks
    context: int
    new_context: int

    def __call__(self, address: int) -> int:
        if address >= self.context:
            return address - self.context + self.new_context
        for (first, end), target in self.blocks:
            if first <= address < end:
                return address - first + target
        return address


class _Weights:
    """The weights of several stages, equal ones once."""

    def __init__(self) -> None:
        self.content = bytearray()

    def add(self, stage: Stage) -> _Blocks:
        """Adds those of a stage, all of the first one's; where its blocks went."""
        if self.content:
            return self.add_blocks(stage)
        _blocks(stage)  # which raises
        self.content += stage.coeff
        whole = (stage.coeff_address, stage.coeff_address + len(stage.coeff))
        return [(whole, BM1684.context_start)]

    def add_blocks(self, stage: Stage) -> _Blocks:
        """Adds those that a stage reads."""
        moves: _Blocks = []
        for first, end in _blocks(stage):
            offset = first - stage.coeff_address
            block = stage.coeff[offset : end - stage.coeff_address]
            at = self._place(block, first % BM1684.alignment)
            moves.append(((first, end), BM1684.context_start + at))
        return moves

    def _place(self, block: bytes, rest: int) -> int:
        """Where a block stands; ``rest``: bytes behind a multiple of the alignment, as before."""
        at = self.content.find(block)
        while at >= 0 and at % BM1684.alignment != rest:
            at = self.content.find(block, at + 1)
        if at < 0:
            at = -(-len(self.content) // BM1684.alignment) * BM1684.alignment + rest
            self.content += bytes(at - len(self.content)) + block
        return at


def _blocks(stage: Stage) -> list[Range]:
    """The ranges of addresses of the weights that are read; those that overlap are one. Raises
    IsaError, ModelError for a command that the chip cannot run."""
    found: list[Range] = [
        (t.address, t.address + t.size)
        for subnet in stage.subnets for t in subnet.inputs if t.address < stage.context_address
    ]  # fmt: skip
    end = stage.coeff_address + len(stage.coeff)
    for instruction in _transfers(stage.groups):
        for a in accesses(instruction):
            if a.space is Space.DDR and a.start < stage.context_address:
                if a.start < stage.coeff_address or a.stop > end:
                    raise ModelError(f"it touches {a}, which is not in the weights")
                found.append((a.start, a.stop))
    found += [
        (stage.coeff_address + w.offset, stage.coeff_address + w.offset + w.size)
        for w in stage.weights
    ]
    merged: list[Range] = []
    for first, end in sorted(found):
        if merged and first < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((first, end))
    return merged


def _transfers(groups: Sequence[CommandGroup]) -> Iterator[Instruction]:
    for group in groups:
        for at in range(0, len(group.gdma), COMMAND_BYTES):
            yield unpack(Engine.GDMA, group.gdma[at : at + COMMAND_BYTES])


def _moved(stage: Stage, blocks: _Blocks, coeff: bytes, size: int) -> Stage:
    """A stage whose weights are ``coeff``, where its own went to ``blocks``."""
    begin = BM1684.context_start + align_page(max(len(coeff), 1))
    moves = _Moves(blocks, stage.context_address, begin)

    def tensor(old: Tensor) -> Tensor:
        return replace(old, address=moves(old.address))

    def tensors(some: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(map(tensor, some))

    first = stage.coeff_address
    return replace(
        stage,
        inputs=tensors(stage.inputs),
        outputs=tensors(stage.outputs),
        context_address=moves.new_context,
        context_size=size,
        coeff_address=BM1684.context_start,
        coeff=coeff,
        groups=tuple(replace(g, gdma=_moved_commands(g.gdma, moves)) for g in stage.groups),
        weights=tuple(
            Weight(w.name, moves(first + w.offset) - BM1684.context_start, w.size)
            for w in stage.weights
        ),
        subnets=tuple(
            replace(s, inputs=tensors(s.inputs), outputs=tensors(s.outputs)) for s in stage.subnets
        ),
        notes=_moved_notes(stage.notes, moves),
    )


def _moved_notes(data: bytes, moves: Callable[[int], int]) -> bytes:
    """Ours with the new addresses; others are left out, as nothing is known of theirs."""
    notes = Notes.parse(data)
    if notes is None:
        return b""
    tensors = tuple(replace(t, address=moves(t.address)) for t in notes.tensors)
    return replace(notes, tensors=tensors).pack()


def _moved_commands(commands: bytes, moves: Callable[[int], int]) -> bytes:
    """Transfers with the addresses of DDR changed."""
    found: list[bytes] = []
    for at in range(0, len(commands), COMMAND_BYTES):
        command = commands[at : at + COMMAND_BYTES]
        instruction = unpack(Engine.GDMA, command)
        far = {(a.write, a.start) for a in accesses(instruction) if a.space is Space.DDR}
        changed: dict[str, int] = {}
        for side, writes in (("src", False), ("dst", True)):
            address = start_of(instruction, side)
            if (writes, address) in far:
                changed |= start(side, moves(address))
        if changed:
            command = instruction.replace(**changed).pack()
        found.append(command)
    return b"".join(found)


def moved_differences(before: Stage, after: Stage) -> Iterator[str]:
    """A sentence for each command of a stage that does more than to find what it found before in
    another place of DDR."""
    for number, (one, other) in enumerate(zip(before.groups, after.groups, strict=True)):
        if one.tiu != other.tiu or len(one.gdma) != len(other.gdma):
            yield f"group {number} has other commands"
            continue
        commands = zip(_transfers([one]), _transfers([other]), strict=True)
        for place, (a, b) in enumerate(commands, 1):
            if _placeless(a) != _placeless(b) or not _same_places(a, b, before, after):
                yield f"transfer {place} of group {number} is another one"


def _placeless(instruction: Instruction) -> bytes:
    """The command without its addresses in DDR."""
    far = {(a.write, a.start) for a in accesses(instruction) if a.space is Space.DDR}
    fields: dict[str, int] = {}
    for side, writes in (("src", False), ("dst", True)):
        if (writes, start_of(instruction, side)) in far:
            fields |= start(side, 0)
    return instruction.replace(**fields).pack()


def _same_places(a: Instruction, b: Instruction, before: Stage, after: Stage) -> bool:
    """Whether both touch the same bytes of the context, and weights of equal content."""
    for one, other in zip(accesses(a), accesses(b), strict=True):
        if one.space is not Space.DDR:
            continue
        if one.start >= before.context_address:
            if one.start - before.context_address != other.start - after.context_address:
                return False
        elif _weights(before, one) != _weights(after, other):
            return False
    return True


def _weights(stage: Stage, access: Access) -> bytes:
    begin = stage.coeff_address
    return stage.coeff[access.start - begin : access.stop - begin]
