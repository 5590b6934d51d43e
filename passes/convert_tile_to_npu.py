"""convert-tile-to-npu: every tile op becomes its commands, with absolute addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.isa import Engine
from dialects.bm1684.layout import Ref, Space, is_contiguous
from dialects.bm1684.npu import (
    AxisPart,
    CommandOp,
    FarBox,
    LocalBox,
    Observation,
    ObserveAttr,
    command_op,
)
from dialects.quant import types
from dialects.quant.base import ints
from passes.base import NpuFunctionPass
from passes.commands import lower_compute, lower_transfer
from passes.commands.place import Addresses
from passes.memory.lifetimes import lifetimes, overlaps
from passes.module.functions import SHARED
from passes.module.locations import location_text


@dataclass
class _Emitter:
    """The commands so far, the buffer under each view, and the last command of each engine that
    wrote a buffer."""

    addresses: Addresses = field(default_factory=Addresses)
    commands: list[CommandOp] = field(default_factory=list[CommandOp])
    base: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    writers: dict[SSAValue, dict[Engine, CommandOp]] = field(
        default_factory=dict[SSAValue, dict[Engine, CommandOp]]
    )

    def emit(self, op: Operation) -> None:
        if isinstance(op, tile.BufferOp):
            self.addresses.define(op)
            self.base[op.ref] = op.ref
        elif isinstance(op, tile.ViewOp):
            self.addresses.define_view(op)
            self.base[op.ref] = self.base[op.source]
        elif isinstance(op, tile.ObserveOp):
            self._observe(op)
        else:
            transfer = isinstance(op, (tile.TransferOp, tile.FillOp))
            lower = lower_transfer if transfer else lower_compute
            for instruction in lower(op, self.addresses):
                command = command_op(instruction, op.location)
                self.commands.append(command)
                buffer = self.base[op.operands[0]]
                self.writers.setdefault(buffer, {})[instruction.engine] = command

    def _observe(self, op: tile.ObserveOp) -> None:
        ref = Ref.of(op.ref)
        local = ref.place.space is Space.LMEM
        commands = self.writers.get(self.base[op.ref])
        if commands is None:
            return  # a view of a network input: nothing was computed
        words = ref.as_words()
        apart = not local and words.layout.unit == 4 and not is_contiguous(words)
        seen = Observation(
            top=op.top.data,
            address=self.addresses.offset(op.ref) if local else self.addresses.of(op.ref),
            shape=ints(op.shape),
            dtype=types.dtype_name(ref.element),
            packed=ref.layout.pack > 1,
            local=LocalBox(words.shape, words.layout.strides, ref.place.lane) if local else None,
            height=None if op.height is None else op.height.value.data,
            parts=() if op.part is None else _parts(ints(op.part)),
            channels=() if op.channels is None else ints(op.channels),
            last=() if op.last is None else ints(op.last),
            far=FarBox(words.shape, words.layout.strides) if apart else None,
        )
        for command in commands.values():
            old = () if command.observe is None else command.observe.data
            command.observe = ArrayAttr([*old, ObserveAttr(seen)])


def _parts(flat: Sequence[int]) -> tuple[AxisPart, ...]:
    """Axis, first index and whole extent, one axis after the other."""
    return tuple(map(AxisPart, flat[::3], flat[1::3], flat[2::3]))


@dataclass(frozen=True)
class ConvertTileToNpuPass(NpuFunctionPass):
    """Replaces tile ops by commands with absolute addresses.

    Before: every buffer has an address. After: the function holds buffers of the network's inputs,
    outputs and constants, and commands in program order without ids; a tensor's name stands on the
    command after which it is final, the last one that writes its buffer. Buffers that wrongly share
    memory are told in ``shared_memory``, for the compare: the commands do not show them.
    """

    name = "convert-tile-to-npu"
    level = "tile"

    def apply_to(self, function: FuncOp) -> None:
        shared = list(_shared(function))
        if shared:
            function.attributes[SHARED] = ArrayAttr(map(StringAttr, shared))
        emitter = _Emitter()
        for inner in list(function.body.block.ops):
            if inner.name.startswith("tile."):
                emitter.emit(inner)
        _replace(function, emitter.commands)


def _shared(function: FuncOp) -> Iterator[str]:
    for space in Space:
        for one, other in overlaps(lifetimes(function.body.block, [space])):
            places = [
                f"{location_text(buffer.location)} has {space} {buffer.located:#x} to"
                f" {buffer.located + buffer.bytes.value.data - 1:#x}"
                for buffer in (one.buffer, other.buffer)
            ]
            yield f"{places[0]}, {places[1]} at the same time"


def _replace(function: FuncOp, commands: list[CommandOp]) -> None:
    """Puts the commands in place of the tile ops; constants and network tensors stay."""
    block = function.body.block
    kept = (tile.ConstantOp, tile.InputOp, tile.OutputOp)
    for inner in reversed(list(block.ops)):
        if inner.name.startswith("tile.") and not isinstance(inner, kept):
            inner.detach()
            inner.erase(safe_erase=True)
    last = block.last_op
    assert last is not None
    block.insert_ops_before(commands, last)
