"""convert-tile-to-npu: every tile op becomes its commands, with absolute addresses."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from dialects.bm1684 import tile
from dialects.bm1684.layout import Ref
from dialects.bm1684.npu import CommandOp, GdmaOp, Observation, ObserveAttr, command_op
from dialects.quant import types
from dialects.quant.base import ints
from passes.commands import lower_compute, lower_transfer
from passes.commands.place import Addresses
from passes.support.program import main_function


@dataclass
class _Emitter:
    """The commands so far, and the last one of the GDMA."""

    addresses: Addresses = field(default_factory=Addresses)
    commands: list[CommandOp] = field(default_factory=list[CommandOp])
    last_gdma: CommandOp | None = None

    def emit(self, op: Operation) -> None:
        if isinstance(op, tile.BufferOp):
            self.addresses.define(op)
        elif isinstance(op, tile.ViewOp):
            self.addresses.define_view(op)
        elif isinstance(op, tile.ObserveOp):
            self._observe(op)
        else:
            transfer = isinstance(op, (tile.TransferOp, tile.FillOp))
            lower = lower_transfer if transfer else lower_compute
            for instruction in lower(op, self.addresses):
                command = command_op(instruction, op.location)
                self.commands.append(command)
                if isinstance(command, GdmaOp):
                    self.last_gdma = command

    def _observe(self, op: tile.ObserveOp) -> None:
        if self.last_gdma is None:
            return  # a view of a network input: nothing was computed
        ref = Ref.of(op.ref)
        dtype, packed = types.dtype_name(ref.element), ref.layout.pack > 1
        where = self.addresses.of(op.ref)
        seen = Observation(op.top.data, where, ints(op.shape), dtype, packed)
        old = () if self.last_gdma.observe is None else self.last_gdma.observe.data
        self.last_gdma.observe = ArrayAttr([*old, ObserveAttr(seen)])


@dataclass(frozen=True)
class ConvertTileToNpuPass(ModulePass):
    """Replaces tile ops by commands with absolute addresses.

    Before: every buffer has an address. After: the function holds buffers of the network's inputs,
    outputs and constants, and commands in program order without ids; a tensor's name stands on the
    GDMA command after which it is final.
    """

    name = "convert-tile-to-npu"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = main_function(op)
        emitter = _Emitter()
        for inner in list(function.body.block.ops):
            if inner.name.startswith("tile."):
                emitter.emit(inner)
        _replace(function, emitter.commands)


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
