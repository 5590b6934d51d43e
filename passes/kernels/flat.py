"""Tensors in DDR as runs of words, cut over the 64 lanes."""


from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from numpy.typing import NDArray
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.tiu import ceil_div
from dialects.bm1684.layout import (
    DDR,
    Ref,
    align,
    aligned,
    contiguous,
    i32,
    lane_rows,
    local_bytes,
    si8,
    si16,
    ui8,
    ui16,
)
from passes.kernels.builder import TileBuilder
from passes.kernels.tiling import CannotLower

Array = NDArray[Any]
_PACKS: dict[Attribute, int] = {si8: 4, ui8: 4, si16: 2, ui16: 2}
"""Elements in a word, where it is more than one."""


BAND_BYTES = 8192
"""What a band of a tensor takes of each lane, at most."""
Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Chunk:
    """``lanes`` runs of ``width`` words each, from word ``begin`` of the tensor on."""

    begin: int
    lanes: int
    width: int


def chunks(words: int, budget: int, buffers: int) -> Iterator[Chunk]:
    """Cuts a run of words into pieces whose ``buffers`` copies fit ``budget`` bytes per lane.

    Raises CannotLower when there are so many that none does.
    """
    lanes = BM1684.lanes
    unit = BM1684.alignment // 4
    most = min(budget // (4 * buffers) // unit * unit, BM1684.limits.gdma_size // unit * unit)
    if most < 1:
        raise CannotLower(f"{buffers} pieces of its tensors do not fit local memory together")
    begin = 0
    while begin < words:
        left = words - begin
        width = min(most, max(1, left // lanes))
        rows = min(lanes, left // width)
        yield Chunk(begin, rows, width)
        begin += rows * width


class Flat:
    """Moves chunks of tensors between DDR and local memory: runs of words, or (chunk None) the
    whole tensor with its channels in their lanes."""

    def __init__(self, b: TileBuilder, images: int, tensor: Ref | None = None):
        self.b = b
        self.images = min(images, 4)
        self.tensor = tensor

    def shape(self, chunk: Chunk | None, pack: int) -> Shape:
        """The local shape of a chunk whose words hold ``pack`` elements."""
        if chunk is not None:
            return (self.images if pack > 1 else 1, chunk.lanes, 1, chunk.width)
        assert self.tensor is not None
        n, *rest = self.tensor.shape if pack > 1 else self.tensor.as_words().shape
        return (n, rest[0], rest[1], rest[2])

    def source(self, buffer: SSAValue, chunk: Chunk | None) -> SSAValue:
        """The chunk's words of a DDR tensor as [1, lanes, 1, width] words."""
        if chunk is None:
            return self.b.words(buffer)
        shape = (1, chunk.lanes, 1, chunk.width)
        ref = Ref(i32, shape, contiguous(shape, 4), DDR)
        return self.b.view(buffer, ref, chunk.begin * 4)

    def local(self, chunk: Chunk | None, element: Attribute) -> SSAValue:
        """A local buffer for the chunk: float32 or i32 words, 4N bytes, or 2N half words."""
        pack = _PACKS.get(element, 1)
        return self.b.local(element, self.shape(chunk, pack), 4, pack)

    def result(self, chunk: Chunk | None, element: Attribute) -> SSAValue:
        """The buffer that what is computed goes into."""
        return self.local(chunk, element)

    def load(self, buffer: SSAValue, chunk: Chunk | None, element: Attribute) -> SSAValue:
        target = self.local(chunk, element)
        self.b.load(target, self.source(buffer, chunk))
        return target

    def store(self, buffer: SSAValue, chunk: Chunk | None, value: SSAValue) -> None:
        self.b.store(self.source(buffer, chunk), value)


class _Band(Flat):
    """A part of a tensor that lies whole in local memory: some rows of lanes, or a run of words in
    one. ``extent`` counts words, ``images`` those in them."""

    def __init__(self, whole: Flat, offset: int, extent: Shape, images: int, result: SSAValue):
        super().__init__(whole.b, whole.images)
        self.offset = offset
        self._extent, self._images, self._result = extent, images, result

    def shape(self, chunk: Chunk | None, pack: int) -> Shape:
        return (self._images, *self._extent[1:]) if pack > 1 else self._extent

    def of(self, whole: SSAValue) -> SSAValue:
        """The part of a tensor."""
        ref = Ref.of(whole)
        shape = self.shape(None, ref.layout.pack)
        part = ref.with_(shape=shape, layout=aligned(shape, 4, ref.layout.pack))
        return self.b.view(whole, part, self.offset)

    def result(self, chunk: Chunk | None, element: Attribute) -> SSAValue:
        return self.of(self._result)


def _bands(whole: Flat, result: SSAValue, most: int) -> Iterator[_Band]:
    """Parts of a tensor of at most so many bytes of each lane, about even ones."""
    tensor, words = Ref.of(result), Ref.of(result).as_words()
    groups, channels, height, width = words.shape
    image, plane = (4 * stride for stride in words.layout.strides[:2])
    rows = lane_rows(channels)
    if groups * image <= most:
        yield _Band(whole, 0, words.shape, tensor.shape[0], result)
        return
    pixels, step = height * width, ceil_div(rows, ceil_div(rows * plane, most))
    run = align(ceil_div(pixels, ceil_div(plane, most)), BM1684.alignment // 4)
    for n, row in product(range(groups), range(0, rows, step)):
        images = min(tensor.layout.pack, tensor.shape[0] - n * tensor.layout.pack)
        begin = n * image + row * plane
        extent = min(channels - row * BM1684.lanes, step * BM1684.lanes)
        if plane <= most:
            yield _Band(whole, begin, (1, extent, height, width), images, result)
            continue
        for first in range(0, pixels, run):
            shape = (1, extent, 1, min(run, pixels - first))
            yield _Band(whole, begin + 4 * first, shape, images, result)


def words_of(value: SSAValue) -> int:
    """32-bit words of a contiguous DDR tensor."""
    ref = Ref.of(value)
    return ref.groups * ref.layout.strides[0] * ref.layout.unit // 4


def _fits_whole(b: TileBuilder, tensor: Ref, buffers: int) -> bool:
    """Whether a tensor is kept whole, channels in their lanes."""
    if not b.options.whole or tensor.shape[1] > BM1684.limits.channels:
        return False
    return (
        buffers * local_bytes(tensor.shape, aligned(tensor.shape, 4, tensor.layout.pack))
        <= b.options.budget
    )


def each_chunk(
    b: TileBuilder,
    sources: Sequence[SSAValue],
    dest: SSAValue,
    buffers: int,
    emit: Callable[[Flat, Chunk | None, list[SSAValue]], SSAValue],
) -> None:
    """Loads every source's chunk, emits, stores the result, chunk by chunk."""
    tensor = Ref.of(dest)
    flat = Flat(b, tensor.shape[0], tensor)
    whole = _fits_whole(b, tensor, buffers)
    for chunk in [None] if whole else chunks(words_of(dest), b.options.budget, buffers):
        loaded: list[SSAValue] = []
        for source in sources:
            same = [v for s, v in zip(sources, loaded, strict=False) if s is source]
            loaded.append(same[0] if same else flat.load(source, chunk, Ref.of(source).element))
        flat.store(dest, chunk, emit(flat, chunk, loaded))


def in_bands(
    b: TileBuilder,
    sources: Sequence[SSAValue],
    dest: SSAValue,
    buffers: int,
    emit: Callable[[Flat, Chunk | None, list[SSAValue]], SSAValue],
) -> None:
    """As :func:`each_chunk`, for what computes its result in ``flat.result``. Where the tensors
    are kept whole, other buffers hold a band of them only."""
    tensor, own = Ref.of(dest), list(dict.fromkeys(sources))
    if not _fits_whole(b, tensor, len(own) + 1):
        each_chunk(b, sources, dest, buffers, emit)
        return
    flat = Flat(b, tensor.shape[0], tensor)
    loaded = {source: flat.load(source, None, Ref.of(source).element) for source in own}
    result = flat.local(None, tensor.element)
    scratch = buffers > len(own) + 1
    for band in _bands(flat, result, BAND_BYTES if scratch else BM1684.lane_bytes):
        made = emit(band, None, [band.of(loaded[source]) for source in sources])
        if not b.is_at(made, result, band.offset):
            b.arith("copy", b.words(band.of(result)), b.words(made))
    flat.store(dest, None, result)
