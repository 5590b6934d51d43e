"""Convolutions and depthwise convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from numpy.typing import NDArray
from xdsl.dialects.builtin import BoolAttr, f32
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684 import tile
from dialects.bm1684.cycles.gdma import LOCAL_BURST
from dialects.bm1684.cycles.tiu import STEP_PIXELS, float_conv_step, int8_conv_step
from dialects.bm1684.layout import Ref, lane_rows
from dialects.quant import compute, types
from dialects.quant.base import i64s, int_attr, ints
from passes.kernels.builder import TileBuilder, float_bits
from passes.kernels.convolution.choice import (
    BYTES,
    NEAR,
    PACKED,
    ROWS,
    WORDS,
    Arrival,
    choose_fold,
)
from passes.kernels.convolution.fold import AxisFold, Fold, fold_bytes
from passes.kernels.convolution.gather import Gather
from passes.kernels.convolution.last_weights import least_part
from passes.kernels.convolution.packed import PackedGather
from passes.kernels.convolution.packing import Packing
from passes.kernels.convolution.stacked import (
    has_columns_apart,
    is_stacked,
    load_stack,
    stack_weight,
)
from passes.kernels.convolution.weights import (
    CONV_FLOAT,
    CONV_INT8,
    DEPTHWISE_FLOAT,
    DEPTHWISE_INT8,
    WINOGRAD_FLOAT,
    WINOGRAD_INT8,
    load_weights,
)
from passes.kernels.input_strips.ahead import FloatStripsAhead
from passes.kernels.input_strips.source import (
    Source,
    StripImage,
    is_input,
    lane_of,
    ref_of,
    source_of,
)
from passes.kernels.tiling import (
    Axis,
    Problem,
    ranges,
)
from passes.kernels.window import (
    Pads,
    TileStep,
    Weights,
    boxes,
    check_fields,
    padded,
    run_window,
    tile_size,
    whole,
)

Array = NDArray[Any]

MOVE_WEIGHT = 2
"""A move between lanes counts so much: it waits for the tensor unit, and holds up loads behind."""
FORMS = {
    (False, False): (CONV_INT8, CONV_FLOAT),
    (False, True): (WINOGRAD_INT8, WINOGRAD_FLOAT),
    (True, False): (DEPTHWISE_INT8, DEPTHWISE_FLOAT),
}
"""Weights by (depthwise, winograd), of integers and of floats."""


def lower_conv(
    b: TileBuilder, op: compute.AnyConvOp, sources: Sequence[SSAValue], dest: SSAValue
) -> None:
    """Convolution; groups run one after the other unless each has one channel (depthwise)."""
    source, *addends = sources
    stride, dilation, pad = ints(op.stride), ints(op.dilation), ints(op.pad)
    x, y, weight = types.shape_of(op.x), types.shape_of(op.y), op.weight.array
    kh, kw = op.kernel
    height = Axis(x[2], y[2], kh, stride[0], dilation[0], pad[0])
    width = Axis(x[3], y[3], kw, stride[1], dilation[1], pad[2])
    group = op.group.value.data
    bias = None if op.bias is None else op.bias.array
    stacked = is_stacked(op)
    check_fields(stride, (1,) if stacked else dilation)
    if group == x[1] == y[1] and not stacked:
        conv_group(b, op, source, dest, (height, width), weight, bias, depthwise=True)
        return
    ins, outs = x[1] // group, y[1] // group
    whole_source = source_of(op.x, source)
    for g in range(group):
        src = whole_source
        if isinstance(src, SSAValue):
            src = b.window(src, (0, g * ins, 0, 0), (x[0], ins, x[2], x[3]))
        box = (0, g * outs, 0, 0), (y[0], outs, y[2], y[3])
        dst = b.window(dest, *box)
        addend = b.window(addends[0], *box) if addends else None
        part = slice(g * outs, (g + 1) * outs)
        part_bias = None if bias is None else bias[part]
        if stacked and isinstance(src, SSAValue):
            stacked_conv(b, op, src, dst, (height, width), weight[part], part_bias)
            continue
        conv_group(
            b, op, src, dst, (height, width), weight[part], part_bias, depthwise=False, held=addend
        )


def conv_group(
    b: TileBuilder,
    op: compute.AnyConvOp,
    source: Source,
    dest: SSAValue,
    axes: tuple[Axis, Axis],
    weight: Array,
    bias: Array | None,
    depthwise: bool,
    held: SSAValue | None = None,
) -> None:
    """One dense convolution, or one depthwise convolution. It adds to a tensor that is ``held``."""
    is_float = types.is_float(op.x)
    winograd = bool(op.winograd.value.data)
    form = FORMS[depthwise, winograd][is_float]
    fold, packing = None, None
    folds = b.options.fold or isinstance(source, StripImage)
    if folds and not depthwise and not winograd:
        fold, packing = _folded(b, source, axes, weight, bias is not None)
    if fold is not None:
        axes, weight = (fold.height.folded, fold.width.folded), fold.weights(weight)
    outputs, inputs, kh, kw = weight.shape
    problem = Problem(
        batch=types.shape_of(op.x)[0],
        channels_in=inputs,
        channels_out=outputs,
        height=axes[0],
        width=axes[1],
        pack=1 if is_float else 4,
        dense=not depthwise,
        weight_row=form.row_bytes(inputs, kh * kw, bias is not None),
        scratch=packing.space if packing else fold_bytes(fold) if fold else 0,
        multiple=2 if winograd else 1,
        lane=0 if depthwise else _start_lane(b, op, dest, weight),
        lane_in=0 if depthwise or fold is not None else lane_of(b, source),
    )
    kind = tile.DepthwiseOp if depthwise else tile.ConvOp

    def weights(begin: int, extent: int, lane: int) -> Weights:
        part = slice(begin, begin + extent)
        return load_weights(b, form, weight[part], None if bias is None else bias[part], lane)

    def emit(dst: SSAValue, src: SSAValue, loaded: Weights | None, pads: Pads) -> None:
        assert loaded is not None
        kernel, bias_there = loaded
        properties: dict[str, Attribute] = {
            "stride": i64s([axis.stride for axis in axes]),
            "pad": i64s(pads),
            "dilation": i64s([axis.dilation for axis in axes]),
            "shift": int_attr(op.shift.value.data),
        }
        if winograd:
            properties["winograd"] = BoolAttr.from_bool(True)
        if held is not None:
            properties["accumulate"] = BoolAttr.from_bool(True)
        b.add(kind, [dst, src, kernel, [] if bias_there is None else [bias_there]], properties)

    relu = is_float and bool(op.relu.value.data)
    gather = None if fold is None else Gather(b, fold, source)
    if packing is not None and isinstance(source, StripImage):
        gather = PackedGather(b, packing, source)
    rows, ahead = (0, True) if packing is None else (packing.rows, packing.moves)
    cycles = 0.0 if depthwise or winograd else _step_cycles(op, weight, axes[1].stride)
    least = least_part(op, problem, cycles) if b.options.whole else 0
    step = TileStep(emit, weights, relu, gather, cycles, rows, ahead, least, held)
    run_window(b, padded(problem, 0), whole(*axes), source, dest, step)


def _folded(
    b: TileBuilder, source: Source, axes: tuple[Axis, Axis], weight: Array, bias: bool
) -> tuple[Fold | None, Packing | None]:
    """The fold that costs least, and how bytes of strips become its input where they come four
    pixels a word."""
    ref, outside = ref_of(source), is_input(b, source)

    def choice(arrival: Arrival) -> tuple[Fold | None, float]:
        lean = not b.options.fold
        return choose_fold(axes, weight, bias, ref.groups, ref.element == f32, arrival, lean=lean)

    if isinstance(source, FloatStripsAhead):
        return choice(ROWS)[0], None
    if not outside:
        return choice(NEAR)[0], None
    if isinstance(source, SSAValue):
        return choice(WORDS)[0], None
    fold, price = choice(BYTES)
    if not source.is_packable or max(axis.dilation for axis in axes) > 1:
        return fold, None
    packed, less = choice(PACKED)
    packed = packed or Fold(ref.shape[1], AxisFold(axes[0], 1, 1), AxisFold(axes[1], 1, 1))
    packing = Packing.of(packed)
    return (packed, packing) if less < price and packing.fits else (fold, None)


def _start_lane(b: TileBuilder, op: compute.AnyConvOp, dest: SSAValue, weight: Array) -> int:
    """The lane where the results begin: where they will lie, unless they would fill more rows of
    lanes from there on, and moving them costs less."""
    lane, outputs = b.lane(dest), weight.shape[0]
    more = lane_rows(outputs, lane) - lane_rows(outputs)
    n, _, height, width = Ref.of(b.words(dest)).shape
    computed = _step_cycles(op, weight, ints(op.stride)[1])
    blocks = -(-height * width // STEP_PIXELS)
    moved = 4 * outputs * height * width / float(LOCAL_BURST)
    return lane if n * more * blocks * computed <= MOVE_WEIGHT * n * moved else 0


def _step_cycles(op: compute.AnyConvOp, weight: Array, stride: int) -> float:
    """Cycles of a step of pixels of a dense convolution."""
    step = float_conv_step if types.is_float(op.x) else int8_conv_step
    return float(step(prod(weight.shape[2:]), weight.shape[1], stride, op.bias is not None))


def stacked_conv(
    b: TileBuilder,
    op: compute.AnyConvOp,
    source: SSAValue,
    dest: SSAValue,
    axes: tuple[Axis, Axis],
    weight: Array,
    bias: Array | None,
) -> None:
    """A dense convolution whose taps are stacked, row by row."""
    is_float = types.is_float(op.x)
    form = CONV_FLOAT if is_float else CONV_INT8
    height, width = axes
    apart = has_columns_apart(width)
    stacked = stack_weight(weight, apart)
    outputs, inputs, kh, kw = stacked.shape
    columns = replace(width, kernel=1, dilation=1) if apart else width
    problem = Problem(
        batch=types.shape_of(op.x)[0],
        channels_in=inputs,
        channels_out=outputs,
        height=Axis(kh, 1, kh),
        width=columns,
        pack=1 if is_float else 4,
        dense=True,
        weight_row=form.row_bytes(inputs, kh * kw, bias is not None),
        fill=0,
    )
    size = tile_size(b, problem)
    for c0, cn in ranges(outputs, size.c):
        part = slice(c0, c0 + cn)
        kernel, addend = load_weights(b, form, stacked[part], None if bias is None else bias[part])
        for batch, _, span in boxes(problem, size):
            for row in range(height.out):
                src = load_stack(b, source, axes, batch, row, span)
                shape = (batch[1], cn, 1, span[1])
                dst = b.local(Ref.of(dest).element, shape, 4, problem.pack)
                properties: dict[str, Attribute] = {
                    "stride": i64s([1, columns.stride]),
                    "dilation": i64s([1, columns.dilation]),
                    "shift": int_attr(op.shift.value.data),
                }
                addends = [] if addend is None else [addend]
                b.add(tile.ConvOp, [dst, src, kernel, addends], properties)
                if is_float and op.relu.value.data:
                    b.arith("max", dst, dst, float_bits(0.0))
                b.store(b.window(dest, (batch[0], c0, row, span[0]), shape), dst)
