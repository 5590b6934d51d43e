"""tile-allocate-ddr: addresses of weights, network tensors and intermediates in DDR."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Space, align
from dialects.constant import ConstantAttr
from dialects.quant.base import i64s
from passes.image.host import ADDRESSES, HostTensor, host_tensors
from passes.memory.allocation import allocate
from passes.memory.arenas import Arena
from passes.memory.lifetimes import lifetimes
from passes.module.functions import functions as functions_of
from passes.module.functions import npu_functions, runs_on_host

DDR_BYTES = 1 << 34
"""Bytes that addresses may span; the runtime refuses what the board does not have."""


@dataclass(frozen=True)
class TileAllocateDdrPass(ModulePass):
    """Gives every DDR buffer its address.

    Before: buffers without addresses. After: constants lie from the start of the network's DDR on
    (equal ones once), then, from the next 4 KiB, network inputs, outputs and the tensors that pass
    from function to function, each in a place of its own; then the intermediates, which share
    memory when their lifetimes do not meet. ``coeff_size``, ``context_address`` and
    ``context_size`` of each function hold the network's sizes, ``addresses`` of a host function the
    places of what its layer reads and makes.
    """

    name = "tile-allocate-ddr"
    level = "tile"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        start, page = BM1684.context_start, BM1684.ddr_alignment
        functions = functions_of(op)
        weights = _Constants(start)
        for function in functions:
            weights.place(function)
        context = start + align(max(weights.end - start, 1), page)
        borders = _Borders(context)
        for function in functions:
            borders.place(function, weights)
        top = max(borders.end, context + 1)
        for function in npu_functions(op):
            block = function.body.block
            arena = Arena(borders.end, borders.end + DDR_BYTES, BM1684.alignment)
            for buffer, address in allocate(lifetimes(block, [Space.DDR]), arena):
                buffer.address = IntegerAttr(address, i64)
            top = max(top, arena.top)
        for function in functions:
            for name, value in (
                ("coeff_size", context - start),
                ("context_address", context),
                ("context_size", align(top, page) - context),
            ):
                function.attributes[name] = IntegerAttr(value, i64)


@dataclass
class _Constants:
    """Places constants one after the other, equal ones once."""

    end: int
    used: dict[str, int] = field(default_factory=dict[str, int])

    def place(self, function: FuncOp) -> None:
        """Those of an NPU function get their addresses; those of a host function a place."""
        for op in function.body.block.ops:
            if isinstance(op, tile.ConstantOp):
                op.address = IntegerAttr(self.at(op.value), i64)
        if runs_on_host(function):
            for tensor in host_tensors(function):
                if tensor.constant is not None:
                    self.at(tensor.constant)

    def at(self, value: ConstantAttr) -> int:
        constant = value.data
        if constant.digest not in self.used:
            self.used[constant.digest] = self.end
            self.end += align(constant.data.nbytes, BM1684.alignment)
        return self.used[constant.digest]


@dataclass
class _Borders:
    """Places the tensors of the network and those between functions, by their names."""

    end: int
    used: dict[str, int] = field(default_factory=dict[str, int])

    def place(self, function: FuncOp, weights: _Constants) -> None:
        for op in function.body.block.ops:
            if isinstance(op, (tile.InputOp, tile.OutputOp)):
                op.address = IntegerAttr(self._at(op.top.data, op.bytes.value.data), i64)
        if runs_on_host(function):
            places = [self._of_host(tensor, weights) for tensor in host_tensors(function)]
            function.attributes[ADDRESSES] = i64s(places)

    def _of_host(self, tensor: HostTensor, weights: _Constants) -> int:
        if tensor.constant is not None:
            return weights.at(tensor.constant)
        return self._at(tensor.name, tensor.nbytes)

    def _at(self, name: str, nbytes: int) -> int:
        if name not in self.used:
            self.used[name] = self.end
            self.end = align(self.end + nbytes, BM1684.ddr_alignment)
        return self.used[name]
