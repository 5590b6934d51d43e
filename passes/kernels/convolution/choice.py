"""Which taps of a convolution become channels, by the cycles of both engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.convolution import Convolution
from dialects.bm1684.cycles.gdma import LOAD_CYCLES, LOCAL_BURST, PEAK_BYTES
from dialects.bm1684.cycles.tiu import STEP_PIXELS, ceil_div
from passes.kernels.convolution.fold import Array, AxisFold, Fold
from passes.kernels.convolution.packing import Packing
from passes.kernels.tiling import Axis

SHARED = 0.25
"""What work costs beside the other engine's: other layers need its time too."""
SPARE = 0.1
"""What work of the tensor unit costs where other layers leave it much time."""
LOADS = 8
"""Bands of an input: so many loads bring a tap."""
UNEVEN_CHANNELS = 3
"""Input channels of a float convolution that cost more than one channel more."""


@dataclass(frozen=True)
class Arrival:
    """How the input of a convolution comes to the lanes of its channels.

    ``outside``: in bands from outside of the network, and both engines work side by side; else one
    waits for the other. ``direct``: taps may be loaded one by one. ``in_lanes``: rows lie in the
    lanes, from where they move, or go to DDR, which brings taps of rows together. ``packed``: bytes
    come four pixels a word, taps of rows one by one. ``word``: bytes that are loaded for a word of
    four images, as if without gaps.
    """

    outside: bool = False
    direct: bool = False
    in_lanes: bool = False
    packed: bool = False
    word: float = 4


NEAR = Arrival()
WORDS = Arrival(outside=True, direct=True)
BYTES = Arrival(outside=True, word=12)
PACKED = Arrival(outside=True, packed=True)
ROWS = Arrival(outside=True, in_lanes=True)


def _options(axis: Axis) -> Iterator[AxisFold]:
    for step in sorted({1, axis.stride}):
        times = range(1, ceil_div(axis.kernel + step, step) + 1)
        for taps in sorted({*(n * step for n in times), axis.kernel}):
            fold = AxisFold(axis, step, taps)
            if fold.folded.dilation <= BM1684.limits.dilation:
                yield fold


def choose_fold(
    axes: tuple[Axis, Axis],
    weight: Array,
    bias: bool,
    groups: int,
    is_float: bool,
    arrival: Arrival = NEAR,
    *,
    lean: bool = False,
) -> tuple[Fold | None, float]:
    """The fold that costs least, None when none pays, and its price in cycles.

    weight [O, I, kh, kw]; ``groups``: images, or groups of four 8-bit ones. ``lean``: whether the
    DMA engine is what the network waits for.
    """
    outputs, inputs = weight.shape[:2]
    down, across = axes
    plain = Fold(inputs, AxisFold(down, 1, 1), AxisFold(across, 1, 1))
    found: list[Fold] = []
    if max(axis.dilation for axis in axes) == 1:
        found = list(_folds(plain, axes, arrival, idle=is_float and inputs == UNEVEN_CHANNELS))

    def price(fold: Fold) -> float:
        engines = fold_cycles(fold, outputs, bias, groups, is_float, arrival)
        if lean:
            return SPARE * engines[0] + engines[1]
        return max(engines) + sum(engines) * SHARED if arrival.outside else sum(engines)

    least, best = price(plain), None
    for fold in found:
        if (cycles := price(fold)) < least:
            least, best = cycles, fold
    return best, least


def _folds(
    plain: Fold, axes: tuple[Axis, Axis], arrival: Arrival, *, idle: bool
) -> Iterator[Fold]:
    """All that may be chosen between. ``idle``: whether one more channel may be worth it."""
    if idle:
        yield replace(plain, idle=1)
    for pair in product(_options(axes[0]), _options(axes[1])):
        fold = Fold(plain.channels, *pair)
        rows_alone = fold.width.taps == fold.width.step == 1
        if not plain.channels < fold.folded_channels <= BM1684.lanes:
            continue
        if arrival.in_lanes:
            yield replace(fold, direct=rows_alone)
            continue
        yield fold
        if arrival.direct and fold.width.step == 1:
            yield replace(fold, direct=True)


def fold_cycles(
    fold: Fold, outputs: int, bias: bool, groups: int, is_float: bool, arrival: Arrival = NEAR
) -> tuple[float, float]:
    """Cycles of the tensor unit and of the DMA engine: convolution, copies, and the load of the
    input."""
    height, width = fold.height.folded, fold.width.folded
    convolution = Convolution(
        groups if is_float else groups * BM1684.int8_images_per_word,
        outputs,
        fold.folded_channels,
        size=(height.out, width.out),
        kernel=(height.kernel, width.kernel),
        stride=(height.stride, width.stride),
        bias=bias,
        is_float=is_float,
    )
    cycles = convolution.cycles()
    words = fold.channels * fold.height.axis.size * fold.width.axis.size
    if arrival.packed:
        made, loaded = Packing.of(fold).cycles
        return cycles + made, loaded
    if fold.direct and arrival.in_lanes:
        folded = 4 * fold.folded_channels * height.size * width.size
        return cycles, groups * (4 * words + folded) / PEAK_BYTES
    if fold.direct:
        plane = 4 * fold.channels * fold.height.folded.size * fold.width.axis.size
        loads = fold.height.taps * fold.width.taps
        return cycles, groups * loads * (plane / PEAK_BYTES + LOADS * LOAD_CYCLES)
    rate = float(LOCAL_BURST) if arrival.in_lanes else PEAK_BYTES
    loaded = arrival.word * words / rate
    return cycles + groups * _phase_cycles(fold), groups * (loaded + _moved_cycles(fold))


def _moved_cycles(fold: Fold) -> float:
    """Of the DMA engine, which moves all copies but the first to their lanes."""
    copies = fold.height.taps * fold.width.taps - 1
    plane = 4 * fold.height.folded.size * fold.width.folded.size
    filled = fold.idle * 4 * fold.height.axis.size * fold.width.axis.size
    return (copies * fold.channels * plane + filled / 2) / float(LOCAL_BURST)


def _phase_cycles(fold: Fold) -> float:
    """Of the tensor unit, which picks columns, and copies what stays in its lanes."""
    if not fold.moves:
        return 0
    pixels = fold.height.folded.size * fold.width.folded.size
    picked = fold.height.axis.size * fold.width.axis.size if fold.width.step > 1 else 0
    return (pixels + picked) / STEP_PIXELS
