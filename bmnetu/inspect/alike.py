"""Whether two static stages do the same, wherever their weights and neurons lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bmnetu.bmodel import COMMAND_BYTES, Stage, Tensor
from dialects.bm1684.isa import Engine, IsaError, start, start_of, unpack
from dialects.bm1684.model import ModelError, Space, accesses


def same_commands(a: Stage, b: Stage) -> bool:
    """Whether both execute the same commands and host layers on the same weights: addresses are
    compared as offsets in the neurons, and weights by what is read of them. False where a command
    is none, too."""
    if len(a.groups) != len(b.groups) or any(
        (x.tiu, len(x.gdma)) != (y.tiu, len(y.gdma))
        for x, y in zip(a.groups, b.groups, strict=True)
    ):
        return False
    try:
        return all(x == y for x, y in zip(_facts(a), _facts(b), strict=True))
    except (IsaError, ModelError, ValueError):
        return False


def _facts(stage: Stage) -> Iterator[Any]:
    for tensors in (stage.inputs, stage.outputs):
        yield [_place(stage, t.address, t.address + t.size) for t in tensors]
    for subnet in stage.subnets:
        yield subnet.group_count, subnet.host
        yield [_tensor(stage, t) for t in (*subnet.inputs, *subnet.outputs)]
    for group in stage.groups:
        for at in range(0, len(group.gdma), COMMAND_BYTES):
            yield from _transfer(stage, group.gdma[at : at + COMMAND_BYTES])


def _tensor(stage: Stage, tensor: Tensor) -> tuple[Any, ...]:
    place = _place(stage, tensor.address, tensor.address + tensor.size)
    return tensor.name, tensor.shape, tensor.data_type, tensor.scale, place


def _transfer(stage: Stage, data: bytes) -> Iterator[Any]:
    """A command without its addresses in DDR, and what these are."""
    command = unpack(Engine.GDMA, data)
    far = [each for each in accesses(command) if each.space is Space.DDR]
    changed: dict[str, int] = {}
    for side, writes in (("src", False), ("dst", True)):
        if any((each.write, each.start) == (writes, start_of(command, side)) for each in far):
            changed |= start(side, 0)
    yield command.replace(**changed).pack() if changed else data
    yield [(each.write, _place(stage, each.start, each.stop)) for each in far]


def _place(stage: Stage, first: int, end: int) -> int | bytes:
    """An offset in the neurons, or the bytes of weights."""
    if first >= stage.context_address:
        return first - stage.context_address
    offset = first - stage.coeff_address
    if offset < 0 or end - stage.coeff_address > len(stage.coeff):
        raise ValueError("an address that lies in no memory of the stage")
    return stage.coeff[offset : end - stage.coeff_address]
