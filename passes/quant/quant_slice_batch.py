"""quant-slice-batch: layers whose batch does not fit local memory run on a few images at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import aligned, local_bytes
from dialects.quant import types
from dialects.quant.base import QuantOp
from dialects.quant.pointwise import PointwiseOp
from passes.base import NpuFunctionPass
from passes.kernels.movement.in_place import part_of
from passes.kernels.tiling import ranges
from passes.slices.copies import Copies, SliceSpans, results_read_outside

HEAVY = BM1684.lane_bytes // 2
"""Weights of as many bytes of each lane leave no memory to load others ahead."""
LEAST_PIXELS = 8
"""Of a map; fewer take a quarter of their place in local memory at most."""


def _serves(op: QuantOp, images: int) -> bool:
    """Whether a layer can run on a part of the batch."""
    values = (*op.operands, *op.results)
    return op.is_image_by_image() and all(types.shape_of(value)[0] == images for value in values)


def _bytes(value: SSAValue, images: int) -> int:
    """Bytes of each lane that so many images of a tensor take."""
    c, h, *rest = (*types.shape_of(value)[1:], 1, 1)
    w = 1
    for extent in rest:
        w *= extent
    shape = (images, c, h, w)
    return local_bytes(shape, aligned(shape, 4, 1 if types.is_float(value) else 4))


def need_of(op: Operation, images: int) -> int:
    """Bytes of each lane that the tensors of a layer take."""
    values = dict.fromkeys((*op.operands, *op.results))
    return sum(_bytes(value, images) for value in values)


def has_maps(op: QuantOp) -> bool:
    """Whether a tensor of a layer has maps of more than a few pixels. Others leave most of local
    memory empty: they come and go as runs of words."""
    shapes = (types.shape_of(value) for value in (*op.operands, *op.results))
    return any(prod(shape[2:]) >= LEAST_PIXELS for shape in shapes)


def weights_of(op: QuantOp) -> int:
    """Bytes of each lane that a layer's weights take. Layers without any go with the others,
    unless they alone take too much."""
    nbytes = op.weight_bytes
    return nbytes // BM1684.lanes if nbytes else BM1684.lane_bytes // 2


def _runs(block: Block) -> Iterator[list[QuantOp]]:
    """Runs of layers that follow each other and can be cut alike."""
    run: list[QuantOp] = []
    for op in block.ops:
        images = types.shape_of(op.results[0])[0] if op.results else 0
        alike = run and images == types.shape_of(run[0].results[0])[0]
        if run and not (alike and isinstance(op, QuantOp) and _serves(op, images)):
            yield run
            run = []
        if isinstance(op, QuantOp) and _serves(op, images):
            run.append(op)
    if run:
        yield run


Plan = tuple[Sequence[QuantOp], int]
"""Layers, and how many images of them are computed at a time."""


def _plans(run: Sequence[QuantOp], space: int) -> list[Plan]:
    """The plans for a run. A layer of HEAVY weights, which, loaded again for each slice, are more
    than its tensors, stored and loaded, stays whole: the layers before and behind it have plans of
    their own."""
    found = _plan(run, space) if run else None
    if found is None:
        return []
    chosen, part = found
    images = types.shape_of(run[0].results[0])[0]
    again = -(-images // part) - 1
    for i, op in enumerate(run):
        heavy = op.weight_bytes and weights_of(op) >= HEAVY
        heavy = heavy and again * weights_of(op) > 2 * need_of(op, images)
        if heavy and any(op is each for each in chosen):
            return [*_plans(run[:i], space), *_plans(run[i + 1 :], space)]
    return [found]


def _plan(run: Sequence[QuantOp], space: int) -> Plan | None:
    """The layers of a run from the first to the last whose tensors need more than ``space`` bytes
    of each lane, and more than their weights; and how many images of them fit. What moves nothing
    needs no memory. None where all fit, or are one word of images, or a function is alone: nothing
    stays in local memory then."""
    images = types.shape_of(run[0].results[0])[0]
    large = [
        i for i, op in enumerate(run)
        if part_of(op) is None and has_maps(op)
        and need_of(op, images) > max(space, weights_of(op))
    ]
    if not large:
        return None
    chosen = run[large[0] : large[-1] + 1]
    values = [value for op in chosen for value in (*op.operands, *op.results)]
    least = 1 if all(types.is_float(value) for value in values) else BM1684.int8_images_per_word
    part = least
    while 2 * part < images and all(need_of(op, 2 * part) <= space for op in chosen):
        part *= 2
    alone = len(chosen) == 1 and isinstance(chosen[0], PointwiseOp)
    return (chosen, part) if part < images and not alone else None


def _cut(layers: Sequence[QuantOp], count: int) -> None:
    """Replaces layers by copies of them, ``count`` images each."""
    values = dict.fromkeys(value for op in layers for value in (*op.operands, *op.results))
    kept = results_read_outside(layers)
    parts = [
        SliceSpans(dict.fromkeys(values, span), dict.fromkeys(kept, span))
        for span in ranges(types.shape_of(layers[0].results[0])[0], count)
    ]
    Copies(layers, 0, lambda op, part, held: part.needed[op.results[0]]).run(parts)


@dataclass(frozen=True)
class QuantSliceBatchPass(NpuFunctionPass):
    """Runs layers on a part of the batch after the other, so that their tensors stay in local
    memory.

    Before: tensors of N images. After: from the first layer to the last whose operands and results
    together need more than ``space`` bytes of each lane, and more than the layer's weights, copies
    of the layers on as many images as fit (8 bit: four at least, one word); slices before them and
    concatenations behind, which need no copy. The layers behind stay whole: their weights are
    loaded once. So does one between them with HEAVY weights, which would cost more than its
    tensors.
    """

    name = "quant-slice-batch"
    level = "quant"

    space: int = BM1684.lane_bytes // 16

    def apply_to(self, function: FuncOp) -> None:
        for run in list(_runs(function.body.block)):
            for layers, images in _plans(run, self.space):
                _cut(layers, images)
