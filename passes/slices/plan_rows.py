"""Which layers run in slices of rows, and in how many.

A run of layers is cut into segments. The tensors inside a segment stay in local memory, and so do
small ones between two segments; large ones go through DDR there. A segment whose tensors do not fit
runs slice by slice, and rows that two slices need (halos) are computed twice. Dynamic programming
finds the cuts that cost least, each segment the time of the slower engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd

from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import PEAK_BYTES
from dialects.bm1684.layout import align
from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.windows import RowWindow
from passes.cost.rows import cut_window
from passes.cost.tensors import WORD, LayerCost, TensorCost
from passes.slices.copies import SliceSpans, Span, results_read_outside

LONGEST = 24
"""Layers of a segment, at most."""
BEHIND = 8
"""Layers behind the last large one that may run in its slices."""
SHARED = 0.25
"""What of the faster engine's time counts: the two never overlap wholly."""
SLICE_CYCLES = 1000
"""What a slice costs beside its work: the first load and the last store wait."""


UNEVEN = 1.15
"""By how much a slice may be larger than even ones."""


@dataclass(frozen=True)
class Segment:
    """Layers that run in ``parts``."""

    layers: Sequence[QuantOp]
    parts: Sequence[SliceSpans]


def rows_read(window: RowWindow, result: Span) -> Span:
    """The rows of its operands that a layer reads for rows of its result."""
    first, count = result
    begin = first * window.stride - window.pad
    end = begin + (count - 1) * window.stride + window.extent
    low, high = max(begin, 0), min(end, window.height)
    return low, high - low


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer that can be cut along its rows."""

    op: QuantOp
    window: RowWindow

    @staticmethod
    def of(op: Operation) -> _Layer | None:
        window = cut_window(op)
        if window is None or window.out < 2:
            return None
        behind = (window.out - 1) * window.stride - window.pad >= window.height
        return None if behind or not isinstance(op, QuantOp) else _Layer(op, window)

    @cached_property
    def operands(self) -> tuple[SSAValue, ...]:
        return tuple(dict.fromkeys(self.op.operands))

    @cached_property
    def result(self) -> SSAValue:
        return self.op.results[0]

    @cached_property
    def cost(self) -> LayerCost:
        return LayerCost.of(self.op, self.window)


def _runs(block: Block) -> Iterator[list[_Layer]]:
    """Runs of layers that follow each other and can be cut along their rows."""
    run: list[_Layer] = []
    for op in block.ops:
        layer = _Layer.of(op)
        if layer is not None:
            run.append(layer)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _hull(a: Span | None, b: Span) -> Span:
    if a is None:
        return b
    first = min(a[0], b[0])
    return first, max(sum(a), sum(b)) - first


def _needed(layers: Sequence[_Layer], share: Mapping[SSAValue, Span]) -> dict[SSAValue, Span]:
    """The rows of every tensor that these rows of the results need."""
    found = dict(share)
    for layer in reversed(layers):
        first, count = found[layer.result]
        odd = first % layer.window.multiple
        found[layer.result] = first - odd, count + odd
        read = rows_read(layer.window, found[layer.result])
        for x in layer.operands:
            found[x] = _hull(found.get(x), read)
    return found


def _share(layers: Sequence[_Layer], count: int, index: int) -> dict[SSAValue, Span]:
    """The rows of all results in the ``index``-th of ``count`` slices: about even parts. All rows
    are computed, also those that nobody reads, as the compare needs them."""
    last, step = layers[-1].window.out, _step(layers, count)
    edges = min(index * step, last), min((index + 1) * step, last)
    found: dict[SSAValue, Span] = {}
    for layer in layers:
        first, end = (layer.window.out * edge // last for edge in edges)
        found[layer.result] = first, end - first
    return found


def _step(layers: Sequence[_Layer], count: int) -> int:
    """Rows of the last result in each of ``count`` slices; where that does not make them much more
    uneven, so many that each part begins where the engine takes a tensor in local memory."""
    last = layers[-1].window.out
    step = -(-last // count)
    words = BM1684.alignment // WORD
    even = align(step, words // gcd(types.shape_of(layers[-1].result)[3], words))
    return even if count > 1 and even <= step * UNEVEN else step


def _slices(layers: Sequence[_Layer], count: int) -> int:
    """How many slices there are for about ``count``."""
    return -(-layers[-1].window.out // _step(layers, count))


def _cuts(
    layers: Sequence[_Layer], inside: set[SSAValue], rows: Mapping[SSAValue, Span]
) -> Iterator[SSAValue]:
    """Tensors made in a slice of which a layer reads less than there is: a sum, say, whose other
    operand has gone through windows."""
    for layer in layers:
        first, count = rows_read(layer.window, rows[layer.result])
        for value in layer.operands:
            begin, held = rows[value]
            if value in inside and (begin < first or held - count >= layer.window.stride):
                yield value


@dataclass
class _Planner:
    """The best segments of one run of layers."""

    run: Sequence[_Layer]
    space: int

    def __post_init__(self) -> None:
        self._tensors: dict[SSAValue, TensorCost] = {}

    def segments(self) -> Iterator[Segment]:
        """Those that run in slices, last one first."""
        least: list[tuple[float, int, int]] = [(0.0, 0, 1)]
        for end in range(1, len(self.run) + 1):
            offers = (
                (least[begin][0] + cycles, begin, count)
                for begin in range(max(0, end - LONGEST), end)
                for cycles, count in [self._offer(self.run[begin:end])]
            )
            least.append(min(offers))
        end = len(self.run)
        while end:
            _, begin, count = least[end]
            if count > 1:
                yield self._segment(self.run[begin:end], count)
            end = begin

    def is_large(self, layer: _Layer) -> bool:
        """Whether the tensors of a layer need more space than there is."""
        return self._peak([layer], _needed([layer], _share([layer], 1, 0))) > self.space

    def _segment(self, layers: Sequence[_Layer], count: int) -> Segment:
        ops = [layer.op for layer in layers]
        kept = results_read_outside(ops)
        parts: list[SliceSpans] = []
        for index in range(count):
            share = _share(layers, count, index)
            needed = _needed(layers, share)
            parts.append(SliceSpans(needed, {value: share[value] for value in kept}))
        return Segment(ops, parts)

    def _tensor(self, value: SSAValue) -> TensorCost:
        if value not in self._tensors:
            self._tensors[value] = TensorCost.of(value)
        return self._tensors[value]

    def _offer(self, layers: Sequence[_Layer]) -> tuple[float, int]:
        """The cycles of a segment and its number of slices. A layer alone runs tile by tile where
        it does not fit; several cost too much then."""
        whole = _needed(layers, _share(layers, 1, 0))
        fits = self._peak(layers, whole) <= BM1684.lane_bytes
        if len(layers) == 1 or (fits and not any(map(self.is_large, layers))):
            return self._cycles(layers, 1), 1
        weights = sum(layer.cost.lane_weights for layer in layers)
        rows, count = min(layer.window.out for layer in layers), 2
        while count <= rows // 2:
            made = _slices(layers, count)
            parts = [_needed(layers, _share(layers, made, i)) for i in {0, made // 2, made - 1}]
            if max(self._peak(layers, part) for part in parts) + weights <= self.space:
                return self._cycles(layers, made), made
            count *= 2
        return float("inf"), 1

    def _peak(self, layers: Sequence[_Layer], rows: Mapping[SSAValue, Span]) -> int:
        """Bytes of each lane that the tensors of one slice take at most."""
        last = {value: i for i, layer in enumerate(layers)
                for value in (*layer.operands, layer.result)}  # fmt: skip
        live: dict[SSAValue, int] = {}
        peak = 0
        for i, layer in enumerate(layers):
            for value in (*layer.operands, layer.result):
                if value not in live:
                    live[value] = self._tensor(value).lane_bytes(rows[value][1])
            scratch = 2 * live[layer.result] if layer.cost.wide else 0
            peak = max(peak, sum(live.values()) + scratch)
            live = {value: size for value, size in live.items() if last[value] > i}
        return peak

    def _cycles(self, layers: Sequence[_Layer], count: int) -> float:
        """Cycles of a segment in so many slices; those in the middle count as one alike."""
        inside = {layer.result for layer in layers}
        kept = results_read_outside([layer.op for layer in layers])
        alike = {0: 1} if count == 1 else {0: 1, count - 1: 1}
        if count > 2:
            alike[count // 2] = count - 2
        work = moved = 0.0
        for index, times in alike.items():
            share = _share(layers, count, index)
            rows = _needed(layers, share)
            for layer in layers:
                cost = layer.cost
                each = cost.cycles_a_row if count == 1 else cost.cycles_a_cut_row
                work += times * each * rows[layer.result][1]
            border = [(value, span[1]) for value, span in rows.items() if value not in inside]
            border += [(value, share[value][1]) for value in kept]
            for value, height in border:
                tensor = self._tensor(value)
                if tensor.is_input or tensor.whole_bytes > self.space // 2:
                    moved += times * height * tensor.ddr_bytes_a_row(count > 1)
                elif count > 1:
                    work += times * height * tensor.turn_cycles_a_row
            if any(self._tensor(value).in_strips for value in _cuts(layers, inside, rows)):
                return float("inf")  # the strips would have to be joined and split for the cut
        moved += count * sum(layer.cost.weights for layer in layers)
        engines = work, moved / PEAK_BYTES
        return max(engines) + SHARED * min(engines) + SLICE_CYCLES * count


def plan_rows(block: Block, space: int) -> list[Segment]:
    """The segments that run in slices, each of whose tensors take at most ``space`` bytes of a
    lane."""
    found: list[Segment] = []
    for run in _runs(block):
        planner = _Planner(run, space)
        large = [i for i, layer in enumerate(run) if planner.is_large(layer)]
        if large:
            planner.run = run[large[0] : large[-1] + 1 + BEHIND]
            found += reversed(list(planner.segments()))
    return found
