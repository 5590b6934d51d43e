"""convert-quant-to-tile: every layer becomes loads, computations and stores of tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import DenseArrayBase, IntegerType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, SSAValue
from xdsl.utils.hints import isa

from dialects.bm1684 import tile
from dialects.bm1684.layout import Ref
from dialects.host.base import HostOp
from dialects.quant import strips, types
from dialects.quant.base import CHANNEL_ORDER, CHANNELS_LAST, PART, QuantOp, i64s, ints, pieces_of
from dialects.quant.compute import DequantizeOp
from dialects.quant.eltwise import ConstantOp
from dialects.quant.windows import ROWS
from passes.base import NpuFunctionPass
from passes.kernels import KERNELS
from passes.kernels.builder import TileBuilder, ddr_bytes
from passes.kernels.convolution.stacked import is_one_dense
from passes.kernels.elementwise.binary import beside_weights, is_uniform
from passes.kernels.flat import words_of
from passes.kernels.input_strips.ahead import FloatStripsAhead
from passes.kernels.movement.copies import copy_words
from passes.kernels.movement.in_place import Home, first_row, homes_in_concats, part_of
from passes.kernels.options import KernelOptions
from passes.kernels.softmax import takes_bytes
from passes.kernels.storage import network_tensor, part_in, storage
from passes.kernels.tiling import CannotLower
from passes.module.functions import named_inputs, named_outputs, replace_body
from passes.module.locations import LayerError


@dataclass
class _Lowering:
    """The function being built, and where each tensor lies."""

    b: TileBuilder
    buffers: dict[SSAValue, SSAValue]
    outputs: dict[SSAValue, SSAValue]
    homes: dict[SSAValue, Home] = field(default_factory=dict[SSAValue, Home])
    """Where tensors lie that are made inside of another."""
    unseen: set[str] = field(default_factory=set[str])
    """Tensors that lie nowhere as they are, or some parts of which do not."""

    def dest(self, value: SSAValue) -> SSAValue:
        """Where a result goes: the network output, or scratch memory in DDR."""
        if value not in self.buffers:
            self.buffers[value] = self._new_dest(value)
        return self.buffers[value]

    def _new_dest(self, value: SSAValue) -> SSAValue:
        ref = storage(value)
        if value in self.outputs:
            return self.outputs.pop(value)
        if value in self.homes:
            home = self.homes[value]
            return part_in(self.b, self.dest(home.whole), ref, home.byte, home.row)
        return self.b.alloc(ref, ddr_bytes(ref))

    def _is_read_as_bytes(self, op: strips.SplitStripsOp) -> bool:
        """Whether strips need not be made: convolutions load them from the plain bytes of their
        image."""
        readers = [use.operation for use in op.y.uses]
        bytes_there = Ref.of(self.buffers[op.x]).layout.pack == 1 and self.b.options.whole
        return bytes_there and all(map(is_one_dense, readers))

    def _is_read_as_floats(self, op: strips.QuantizeStripsOp) -> bool:
        """Whether the one convolution that reads strips quantises them, as they come."""
        readers = [use.operation for use in op.y.uses]
        one = len(readers) == 1 and is_one_dense(readers[0])
        return self.b.options.whole and one and FloatStripsAhead.pays(op)

    def _is_read_as_words(self, op: DequantizeOp) -> bool:
        """Whether floats need not be made: a softmax takes the words of 8-bit numbers."""
        words_there = Ref.of(self.buffers[op.x]).layout.pack > 1 and self.b.options.whole
        return words_there and takes_bytes(op)

    def lower(self, op: QuantOp) -> None:
        self.b.location = op.location
        result = op.results[0]
        sources = [self.buffers[x] for x in op.operands]
        byte = row = None
        if result not in self.outputs and result not in self.homes:
            if isinstance(op, ConstantOp) and not is_uniform(op):
                self.buffers[result] = beside_weights(self.b, op)
                return
            row = first_row(op)
            byte = part_of(op) if row is None else None
        if (
            (isinstance(op, DequantizeOp) and self._is_read_as_words(op))
            or (isinstance(op, strips.SplitStripsOp) and self._is_read_as_bytes(op))
            or (isinstance(op, strips.QuantizeStripsOp) and self._is_read_as_floats(op))
        ):
            self.buffers[result] = sources[0]
            self.unseen.add(op.top)
            return
        if byte is not None or row is not None:
            self.buffers[result] = part_in(self.b, sources[0], storage(result), byte, row)
        else:
            kernel = KERNELS.get(type(op))
            if kernel is None:
                raise LayerError(op.location, f"{op.name} has no kernel")
            try:
                kernel(self.b, op, sources, self.dest(result))
            except CannotLower as error:
                raise LayerError(op.location, str(error)) from None
        if _has_halo(op):
            self.unseen.add(op.top)
        elif op.top and not isinstance(op, strips.StripOp):
            self._observe(op, self.buffers[result])

    def _observe(self, op: QuantOp, buffer: SSAValue) -> None:
        """Marks a result for the compare, or those rows of its pieces that are the network's."""
        known = (strips.IMAGE_HEIGHT, PART, CHANNEL_ORDER, CHANNELS_LAST)
        height, part, order, last = map(op.attributes.get, known)
        shape, pieces = types.shape_of(op.results[0]), pieces_of(op)
        if pieces is None:
            self.b.observe(buffer, op.top, shape, height, part, order, last)
            return
        whole, spans = pieces
        n, c, _, width = shape
        others = ints(part) if isa(part, DenseArrayBase[IntegerType]) else ()
        channels = c // len(spans)
        for i, (row, count, first) in enumerate(spans):
            shape = n, channels, count, width
            rows = self.b.window(buffer, (0, i * channels, row, 0), shape)
            part = i64s([*others, ROWS, first, whole])
            self.b.observe(rows, op.top, shape, height, part, order, last)


def _touched_once(value: SSAValue) -> bool:
    """Whether one layer reads a network input, or only the network's caller an output."""
    return len({use.operation for use in value.uses}) == 1


def _has_halo(op: QuantOp) -> bool:
    """Whether strips have rows of their neighbours."""
    return isinstance(op, strips.QuantizeStripsOp) and op.rows < types.shape_of(op.y)[2]


@dataclass(frozen=True)
class ConvertQuantToTilePass(KernelOptions, NpuFunctionPass):
    """Replaces tensors by memrefs in DDR and every layer by its tiles, one layer after the other.

    Before: quant ops on tensors. After: tile ops; every tensor lies whole in DDR (float32
    row-major, 8 bit as 4N) and is marked by tile.observe when it is final. The pass's options are
    those of the kernels, :class:`passes.kernels.options.KernelOptions`.
    """

    name = "convert-quant-to-tile"
    level = "quant"

    def apply_to(self, function: FuncOp) -> None:
        block, body = Block(), function.body.block
        b = TileBuilder(block, function.location, self)
        lowering = _Lowering(b, {}, {})
        for value, name in named_inputs(function):
            lowering.buffers[value] = network_tensor(b, tile.InputOp, value, name)
            if _touched_once(value):
                b.border.add(lowering.buffers[value])
        returned = body.last_op
        assert isinstance(returned, ReturnOp)
        targets: list[tuple[SSAValue, SSAValue]] = []
        for value, name in named_outputs(function):
            target = network_tensor(b, tile.OutputOp, value, name)
            targets.append((value, target))
            if value not in body.args:
                lowering.outputs.setdefault(value, target)
                if _touched_once(value):
                    b.border.add(target)
        lowering.homes = homes_in_concats(body, set(lowering.outputs))
        for inner in body.ops:
            if isinstance(inner, HostOp):
                why = "stands in a function of the NPU: run quant-outline-host before"
                raise LayerError(inner.location, f"{inner.name} {why}")
            if isinstance(inner, QuantOp):
                lowering.lower(inner)
        _copy_repeated(lowering, targets)
        _drop_parts(block, lowering.unseen)
        _drop_unused(block)
        b.add(ReturnOp, [[]], {})
        replace_body(function, block)


def _copy_repeated(lowering: _Lowering, targets: Sequence[tuple[SSAValue, SSAValue]]) -> None:
    """Copies outputs that are network inputs, or another output once more."""
    for value, target in targets:
        source = lowering.buffers[value]
        if source is not target:
            copy_words(lowering.b, source, target, words_of(target))


def _drop_parts(block: Block, unseen: set[str]) -> None:
    """Removes the marks of parts of tensors where other parts have none: a tensor is compared as a
    whole."""
    for op in list(block.ops):
        if isinstance(op, tile.ObserveOp) and op.part is not None and op.top.data in unseen:
            op.detach()
            op.erase()


def _drop_unused(block: Block) -> None:
    """Removes views and scratch buffers that nothing uses."""
    for op in reversed(list(block.ops)):
        if isinstance(op, (tile.AllocOp, tile.ViewOp)) and op.ref.first_use is None:
            op.detach()
            op.erase()
