"""What a layer takes, by the commands that its kernel makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from xdsl.dialects.builtin import ArrayAttr, StringAttr, UnknownLoc, UnrealizedConversionCastOp
from xdsl.ir import Attribute, Block, Operation, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles import cycles_of
from dialects.bm1684.isa import Engine
from dialects.bm1684.layout import Ref, Space
from dialects.quant.base import QuantOp
from passes.commands import lower_compute, lower_transfer
from passes.commands.place import Addresses
from passes.kernels import KERNELS
from passes.kernels.builder import TileBuilder, ddr_bytes
from passes.kernels.options import KernelOptions
from passes.kernels.storage import storage
from passes.kernels.tiling import CannotLower

OPTIONS = KernelOptions(share=2, whole=True)
"""Those of the opt level whose plans ask, without folds: a plan of each can be tried."""
REMEMBERED = 4096
UNNAMED = ArrayAttr([StringAttr("")])


@dataclass(frozen=True)
class Work:
    """Cycles of the tensor unit and of the DMA engine. The loads of operands and weights and the
    store of the result are not in it: plans know whether there are any. ``leaves_lanes``: there
    are, always, as the operands come as runs of words, which fill all lanes."""

    tiu: float
    dma: float
    leaves_lanes: bool = False

    @property
    def cycles(self) -> float:
        """Of the engine that takes longer."""
        return max(self.tiu, self.dma)


NO_WAY = Work(float("inf"), 0.0)
"""The work of a layer that has no kernel, or that the commands cannot express."""


def lowered(
    op: QuantOp,
    operands: Sequence[Attribute],
    result: Attribute,
    changed: Mapping[str, Attribute] | None = None,
) -> Work:
    """The work of a copy of the op on tensors of other types, with ``changed`` properties."""
    properties = {**op.properties, **(changed or {}), "tops": UNNAMED}
    return _lowered(type(op), tuple(properties.items()), tuple(operands), result)


@lru_cache(maxsize=REMEMBERED)
def _lowered(
    kind: type[QuantOp],
    properties: tuple[tuple[str, Attribute], ...],
    operands: tuple[Attribute, ...],
    result: Attribute,
) -> Work:
    kernel = KERNELS.get(kind)
    if kernel is None:
        return NO_WAY
    given = UnrealizedConversionCastOp.create(result_types=list(operands))
    op = kind.create(operands=given.results, result_types=[result], properties=dict(properties))
    block = Block()
    b = TileBuilder(block, UnknownLoc(), OPTIONS)
    border = [_buffer(b, value) for value in (*given.results, *op.results)]
    try:
        kernel(b, op, border[:-1], border[-1])
    except CannotLower:
        return NO_WAY
    return _price(block, set(border))


def _buffer(b: TileBuilder, value: SSAValue) -> SSAValue:
    ref = storage(value)
    return b.alloc(ref, ddr_bytes(ref))


def _price(block: Block, border: set[SSAValue]) -> Work:
    addresses, base, local = Addresses(), dict[SSAValue, SSAValue](), 0
    tensors = set(border)
    spent, leaves_lanes = dict.fromkeys(Engine, 0.0), False
    for op in block.ops:
        if isinstance(op, tile.BufferOp):
            in_ddr = Ref.of(op.ref).place.space is Space.DDR
            addresses.found[op.ref] = BM1684.context_start if in_ddr else local
            if isinstance(op, tile.AllocOp) and not in_ddr:
                local = (local + op.bytes.value.data) % BM1684.lane_bytes
            base[op.ref] = op.ref
            if isinstance(op, tile.ConstantOp):
                border.add(op.ref)
        elif isinstance(op, tile.ViewOp):
            addresses.define_view(op)
            base[op.ref] = base[op.source]
        elif not _is_apart(op, base, border):
            transfer = isinstance(op, (tile.TransferOp, tile.FillOp))
            for inst in (lower_transfer if transfer else lower_compute)(op, addresses):
                spent[inst.engine] += cycles_of(inst) or 0
        elif isinstance(op, tile.LoadOp) and base[op.src] in tensors:
            part, whole = Ref.of(op.dst).shape, Ref.of(base[op.src]).shape
            leaves_lanes |= part[1] > whole[1] or part[3] > whole[3]
    return Work(spent[Engine.TIU], spent[Engine.GDMA], leaves_lanes)


def _is_apart(op: Operation, base: dict[SSAValue, SSAValue], border: set[SSAValue]) -> bool:
    """Whether it moves an operand, the result or a constant from or to the chip."""
    if not isinstance(op, tile.TransferOp):
        return False
    ends = [Ref.of(value).place.space for value in (op.src, op.dst)]
    moved = base[op.src] in border or base[op.dst] in border
    return moved and ends != [Space.DDR, Space.DDR]
