"""quant-widen-convs: a narrow convolution computes several columns as channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import LOCAL_BURST, PEAK_BYTES
from dialects.bm1684.cycles.tiu import STEP_PIXELS
from dialects.constant import Array, ConstantAttr
from dialects.quant import types
from dialects.quant.base import QuantOp, i64s, int_attr, ints
from dialects.quant.compute import (
    ConvOp,
    EltwiseOp,
    LookupOp,
    MaxPoolOp,
    PointwiseFunctionOp,
    PReluOp,
    RequantizeOp,
)
from dialects.quant.eltwise import EltwiseKind, EltwiseKindAttr
from dialects.quant.movement import InterleaveOp, SliceOp
from passes.base import NpuFunctionPass
from passes.cost.conv import folded_cycles, on_strips
from passes.cost.layers import layer_work
from passes.kernels.convolution.stacked import is_stacked
from passes.module.inserting import inserted

FUNCTIONS = (LookupOp, PReluOp, PointwiseFunctionOp, RequantizeOp)
"""What may stand between: functions of each number, or of each number and its channel."""


DMA_SHARE = 0.5
"""What a cycle of the DMA engine counts beside one of the tensor unit."""
AHEAD_SHARE = 0.25
"""The same of loads that run ahead of the computation, as those of weights do."""


@dataclass(frozen=True)
class Narrow:
    """A convolution of few outputs, or one with the functions behind it, the pooling that reads
    them, and the functions ``after`` that.

    The result has ``phases`` columns in neighbouring groups of channels; ``width``: of its
    columns then.
    """

    conv: ConvOp
    functions: tuple[QuantOp, ...]
    pool: MaxPoolOp | None
    phases: int
    after: tuple[QuantOp, ...] = ()

    @property
    def layers(self) -> tuple[QuantOp, ...]:
        """In their order."""
        pool = () if self.pool is None else (self.pool,)
        return (self.conv, *self.functions, *pool, *self.after)

    @property
    def result(self) -> SSAValue:
        """What is read behind them."""
        return self.layers[-1].results[0]

    @property
    def columns(self) -> int:
        """Columns under a window of the pooling."""
        return 1 if self.pool is None else ints(self.pool.kernel)[1]

    @property
    def channels(self) -> int:
        """From one phase to the next."""
        return BM1684.lanes // self.phases

    @property
    def width(self) -> int:
        return -(-types.shape_of(self.result)[3] // self.phases)

    @property
    def step(self) -> int:
        """Columns of the input from one group of results to the next."""
        return self.phases * self.columns * ints(self.conv.stride)[1]

    @property
    def kernel(self) -> int:
        """Columns of the wide kernel."""
        return self.conv.kernel[1] + self.step - ints(self.conv.stride)[1]

    @property
    def right(self) -> int:
        """Columns of padding on the right."""
        left, width = ints(self.conv.pad)[2], types.shape_of(self.conv.x)[3]
        return (self.width - 1) * self.step + self.kernel - left - width

    def spread(self, weight: Array) -> Array:
        """The weights [O, ...] of all columns of a window and all phases: the kernel moved by the
        columns between them, or, without columns, repeated."""
        outputs = len(weight)
        shape = (self.columns, self.phases, self.channels, *weight.shape[1:])
        if weight.ndim < 4:
            wide = np.zeros(shape, weight.dtype)
            wide[:, :, :outputs] = weight
            return wide.reshape(-1, *shape[3:])
        stride, taps = ints(self.conv.stride)[1], weight.shape[3]
        wide = np.zeros((*shape[:-1], self.kernel), weight.dtype)
        for column in range(self.columns):
            for phase in range(self.phases):
                at = (phase * self.columns + column) * stride
                wide[column, phase, :outputs, ..., at : at + taps] = weight
        return wide.reshape(-1, *wide.shape[3:])

    def pays(self) -> bool:
        """Whether the wide layers, the way of their results to the other lanes, and the loads of
        their larger weights take less. Each engine works while the other does."""
        now = on_strips(self.conv)
        if now.words > 1:  # parts of the channels would be copied, not lie in their place
            return False
        rows, stride = now.size[0], ints(self.conv.stride)[0]
        wide = replace(
            now, outputs=self.columns * BM1684.lanes, size=(rows, self.width),
            kernel=(now.kernel[0], self.kernel), stride=(stride, self.step),
        )  # fmt: skip
        behind = sum(layer_work(op).tiu for op in self.layers[1:])
        behind *= now.words / types.shape_of(self.conv.y)[0] * rows / types.shape_of(self.conv.y)[2]
        saved = folded_cycles(now) - folded_cycles(wide) + behind * (1 - 1 / self.phases)
        _, channels, height, width = types.shape_of(self.result)
        pixels = now.words * -(-height * rows // types.shape_of(self.conv.y)[2]) * width
        saved -= pixels / STEP_PIXELS
        moved = 4 * channels * pixels * (1 - 1 / self.phases) / float(LOCAL_BURST)
        weight = self.conv.weight.array
        loaded = (self.spread(weight).nbytes - weight.nbytes) / PEAK_BYTES
        return DMA_SHARE * moved + AHEAD_SHARE * loaded < saved


def narrow_convs(function: FuncOp) -> Iterator[Narrow]:
    """The convolutions that can be widened."""
    for op in function.body.block.ops:
        if not isinstance(op, ConvOp) or is_stacked(op) or op.winograd.value.data:
            continue
        functions = _functions_behind(op)
        reader = _only_reader(functions[-1] if functions else op)
        if op.group.value.data == 1:
            if isinstance(reader, MaxPoolOp):
                yield from _widened(op, functions, reader)
            else:
                yield from _widened(op, (), None)


def _functions_behind(op: QuantOp) -> list[QuantOp]:
    found: list[QuantOp] = []
    reader = _only_reader(op)
    while isinstance(reader, FUNCTIONS):
        found.append(reader)
        reader = _only_reader(reader)
    return found


def _only_reader(op: QuantOp) -> QuantOp | None:
    (result,) = op.results
    use = result.first_use
    one = use is not None and result.has_one_use() and isinstance(use.operation, QuantOp)
    return use.operation if use is not None and one and isinstance(use.operation, QuantOp) else None


def _widened(
    conv: ConvOp, functions: Sequence[QuantOp], pool: MaxPoolOp | None
) -> Iterator[Narrow]:
    """The most phases that the lanes and the chip's fields hold."""
    limits = BM1684.limits
    plain = ints(conv.dilation)[1] == 1 and len(types.shape_of(conv.y)) == 4
    after, columns, apart, inside = list[QuantOp](), 1, True, True
    if pool is not None:
        columns, after = ints(pool.kernel)[1], _functions_behind(pool)
        apart = ints(pool.stride)[1] == columns and not any(ints(pool.pad)[2:])
        inside = types.shape_of(pool.y)[3] * columns <= types.shape_of(pool.x)[3]
    phases = 1
    while 2 * phases * types.shape_of(conv.y)[1] <= BM1684.lanes:
        phases *= 2
    while phases > 1 and phases * columns * ints(conv.stride)[1] > limits.stride:
        phases //= 2
    if phases > 1 and plain and apart and inside:
        found = Narrow(conv, tuple(functions), pool, phases, tuple(after))
        if 0 <= found.right <= limits.pad and found.pays():
            yield found


def _pooled(
    narrow: Narrow, pool: MaxPoolOp, value: SSAValue, shape: Callable[..., tuple[int, ...]]
) -> SSAValue:
    """The pooling of a wide result: of the columns that are groups of channels, and of rows."""
    lanes = BM1684.lanes
    part = types.like(pool.x, shape(pool.x, lanes))
    parts = [
        inserted(pool, SliceOp, [value], part, f"column{i}", axis=int_attr(1),
                 begin=int_attr(i * lanes))
        for i in range(narrow.columns)
    ]  # fmt: skip
    if len(parts) > 1:
        most = EltwiseKindAttr(EltwiseKind.MAX)
        value = inserted(pool, EltwiseOp, [parts], part, "columns", kind=most)
    pad = ints(pool.pad)
    value = inserted(
        pool, MaxPoolOp, [value], types.like(pool.y, shape(pool.y, lanes)), "rows",
        kernel=i64s([ints(pool.kernel)[0], 1]), stride=i64s([ints(pool.stride)[0], 1]),
        pad=i64s([*pad[:2], 0, 0]), ceil_mode=pool.ceil_mode,
    )  # fmt: skip
    return value


def widen(narrow: Narrow) -> None:
    """Replaces the layers by wide ones."""
    conv, pool = narrow.conv, narrow.pool
    top, bottom, left, _ = ints(conv.pad)
    images = types.shape_of(conv.y)[0]

    def shape(rows: SSAValue, channels: int = narrow.columns * BM1684.lanes) -> tuple[int, ...]:
        return images, channels, types.shape_of(rows)[2], narrow.width

    bias = None if conv.bias is None else ConstantAttr.of(narrow.spread(conv.bias.array))
    properties = {k: v for k, v in conv.properties.items() if k not in ("tops", "bias")}
    properties |= {
        "weight": ConstantAttr.of(narrow.spread(conv.weight.array)),
        "stride": i64s([ints(conv.stride)[0], narrow.step]),
        "pad": i64s([top, bottom, left, narrow.right]),
    }
    if bias is not None:
        properties["bias"] = bias
    wide = types.like(conv.y, shape(conv.y))
    value = inserted(conv, ConvOp, [conv.x], wide, "wide", **properties)
    lanes = BM1684.lanes

    def applied(value: SSAValue, op: QuantOp, channels: int) -> SSAValue:
        properties = {k: v for k, v in op.properties.items() if k != "tops"}
        if isinstance(op, PReluOp) and op.slope.array.size > 1:
            properties["slope"] = ConstantAttr.of(narrow.spread(op.slope.array)[:channels])
        (result,) = op.results
        kind = types.like(result, shape(result, channels))
        return inserted(op, type(op), [value], kind, "wide", **properties)

    for op in narrow.functions:
        value = applied(value, op, narrow.columns * lanes)
    if pool is not None:
        value = _pooled(narrow, pool, value, shape)
    for op in narrow.after:
        value = applied(value, op, lanes)
    last, result = narrow.layers[-1], narrow.result
    value = inserted(
        last, InterleaveOp, [[value]], result.type, "", step=i64s([1, narrow.phases])
    )
    result.replace_all_uses_with(value)
    for op in reversed(narrow.layers):
        op.detach()
        op.erase()


@dataclass(frozen=True)
class QuantWidenConvsPass(NpuFunctionPass):
    """Computes neighbouring columns of a convolution with few outputs as channels.

    Before: a convolution of 16 outputs, functions of each number, and a pooling of 2 by 2 with
    stride 2. A command has a lane for each of 64 outputs, so three quarters are idle. After: a
    convolution of 128 outputs and an eighth of the columns. For each of both columns under a window
    of the pooling it computes four windows side by side, whose kernels lie beside each other among
    zeros. The maximum over columns is that of both halves of the channels; the maximum over rows
    follows, and functions behind it; then the four columns are interleaved.

    ``which`` convolutions: "all" where it pays, "pooled" ones that such a pooling reads, or "none".
    """

    name = "quant-widen-convs"
    level = "quant"

    which: str = "all"

    def apply_to(self, function: FuncOp) -> None:
        for narrow in list(narrow_convs(function)):
            if self.which == "all" or (self.which == "pooled" and narrow.pool is not None):
                widen(narrow)
