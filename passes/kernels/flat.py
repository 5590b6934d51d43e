"""Tensors in DDR as runs of words, cut over the 64 lanes."""


from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from numpy.typing import NDArray
from xdsl.ir import Attribute, SSAValue

from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles.gdma import load_cycles
from dialects.bm1684.cycles.tiu import STEP_PIXELS, ceil_div
from dialects.bm1684.layout import (
    DDR,
    Ref,
    align,
    aligned,
    contiguous,
    i32,
    is_rows,
    lane_rows,
    local_bytes,
    si8,
    si16,
    ui8,
    ui16,
)
from passes.kernels.builder import TileBuilder
from passes.kernels.tiling import CannotLower, ranges

Array = NDArray[Any]
_PACKS: dict[Attribute, int] = {si8: 4, ui8: 4, si16: 2, ui16: 2}
"""Elements in a word, where it is more than one."""


MANY_IMAGES = 16
"""Of a few pixels each: channels in their lanes, each is a transfer of its own."""
PLAIN_CYCLES = 4
"""Of a step of one or two commands on two tensors."""
BAND_BYTES = 8192
"""What a band of a tensor takes of each lane, at most."""
TOGETHER = BM1684.lane_bytes * 3 // 4
"""What the tensors of an element-wise layer of one image take of each lane at most where they may
stay: the rest is for what lives beside them."""
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

    def load(self, buffer: SSAValue, chunk: Chunk | None, element: Attribute) -> SSAValue:
        target = self.local(chunk, element)
        self.b.load(target, self.source(buffer, chunk))
        return target

    def store(self, buffer: SSAValue, chunk: Chunk | None, value: SSAValue) -> None:
        self.b.store(self.source(buffer, chunk), value)


class _Box(Flat):
    """Some channels of a tensor and of each some rows, in buffers of their own: where the tensor
    stays in local memory they are parts of it, else they come and go one after the other."""

    def __init__(self, whole: Flat, begin: Sequence[int], extent: Sequence[int]):
        super().__init__(whole.b, extent[0])
        self._begin, self._extent = begin, extent

    def shape(self, chunk: Chunk | None, pack: int) -> Shape:
        images, channels, height, width = self._extent
        return (images if pack > 1 else 1, channels, height, width)

    def source(self, buffer: SSAValue, chunk: Chunk | None) -> SSAValue:
        return self.b.words(self.b.window(buffer, self._begin, self._extent))


def words_of(value: SSAValue) -> int:
    """32-bit words of a contiguous DDR tensor."""
    ref = Ref.of(value)
    return ref.groups * ref.layout.strides[0] * ref.layout.unit // 4


def _fits_whole(b: TileBuilder, tensor: Ref, buffers: int, budget: int = 0) -> bool:
    """Whether a tensor is kept whole, channels in their lanes: so many buffers of it fit the
    budget, which is that of a tile unless given."""
    if not b.options.whole or tensor.shape[1] > BM1684.limits.channels:
        return False
    size = local_bytes(tensor.shape, aligned(tensor.shape, 4, tensor.layout.pack))
    return buffers * size <= (budget or b.options.budget)


def each_chunk(
    b: TileBuilder,
    sources: Sequence[SSAValue],
    dest: SSAValue,
    buffers: int,
    emit: Callable[[Flat, Chunk | None, list[SSAValue]], SSAValue],
    cycles: float = PLAIN_CYCLES,
) -> None:
    """Loads every source's chunk, emits, stores the result, chunk by chunk. ``cycles``: about those
    of a step."""
    tensor = Ref.of(dest)
    flat = Flat(b, tensor.shape[0], tensor)
    whole = _fits_whole(b, tensor, buffers)
    whole = whole and not _leaves_lanes(b, tensor, cycles, [dest, *dict.fromkeys(sources)])
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
    cycles: float,
    emit: Callable[[Flat, Chunk | None, list[SSAValue]], SSAValue],
) -> None:
    """As :func:`each_chunk`. Where the tensors may be kept whole, band by band: other buffers hold
    a band only, and a tensor that does not stay comes and goes while another band is computed. So
    do some rows of a larger tensor. ``cycles``: about those of a step."""
    tensor, own = Ref.of(dest), list(dict.fromkeys(sources))
    apart = any(is_rows(Ref.of(value)) for value in (dest, *own))
    in_parts = tensor.as_words().groups == 1  # where it does not stay, bands come and go
    whole = _fits_whole(b, tensor, len(own) + 1, TOGETHER if in_parts else 0)
    if not apart and (not whole or _leaves_lanes(b, tensor, cycles, [dest, *own])):
        each_chunk(b, sources, dest, buffers, emit, cycles)
        return
    flat = Flat(b, tensor.shape[0], tensor)
    for box in _boxes(flat, tensor, BAND_BYTES, apart):
        loaded = {source: box.load(source, None, Ref.of(source).element) for source in own}
        box.store(dest, None, emit(box, None, [loaded[source] for source in sources]))


def is_of_small_images(shape: Sequence[int]) -> bool:
    """Whether words are many images of a few pixels, too many to lie with their channels in the
    lanes."""
    return shape[0] >= MANY_IMAGES and shape[2] * shape[3] < STEP_PIXELS // 2


def _leaves_lanes(
    b: TileBuilder, tensor: Ref, cycles: float, values: Sequence[SSAValue]
) -> bool:
    """Whether the lanes that few channels leave idle, and the pixels of a step that small maps do,
    cost more than to bring the ``values``, tensors as this one, and to take them away, as chunks
    that fill all of them require. Those at the border of the network come and go anyway: faster in
    chunks, where maps are small or channels few."""
    words = tensor.as_words()
    groups, channels, height, width = words.shape
    steps = groups * lane_rows(channels) * ceil_div(height * width, STEP_PIXELS)
    size = groups * channels * height * width
    idle = steps - size / (STEP_PIXELS * BM1684.lanes)
    if is_of_small_images(words.shape):
        return True
    in_lanes, in_chunks = (load_cycles(4 * size, 4 * run) for run in (height * width, size))
    border = sum(map(b.at_border, values))
    if border == len(values):
        return True
    saved = border * (in_lanes - in_chunks)
    return idle * cycles + saved > (len(values) - border) * (in_lanes + in_chunks)


def _boxes(whole: Flat, tensor: Ref, most: int, apart: bool) -> Iterator[Flat]:
    """Parts of a tensor, see :func:`boxes`. Of several words a pixel there are none, unless
    ``apart``: then each word is one."""
    if tensor.as_words().groups > 1 and not apart:
        yield whole
        return
    found = list(boxes(tensor, most))
    if len(found) == 1:
        yield whole
        return
    yield from (_Box(whole, begin, extent) for begin, extent in found)


def boxes(tensor: Ref, most: int) -> Iterator[tuple[Shape, Shape]]:
    """(begin, extent) of parts of a tensor of about ``most`` bytes of each lane, as far as they can
    be parts of it in local memory: the images of a word, of these whole rows of lanes, or rows of
    the image in one of them that begin where the engine takes a tensor."""
    words = tensor.as_words()
    _, channels, height, width = words.shape
    lanes, plane = lane_rows(channels), align(4 * height * width, BM1684.alignment)
    rows, step = height, ceil_div(lanes, ceil_div(lanes * plane, most))
    if plane > most:
        parts = ceil_div(plane, most)
        rows = align(ceil_div(height, parts), BM1684.alignment // gcd(4 * width, BM1684.alignment))
    for n, nn in ranges(tensor.shape[0], tensor.layout.pack):
        for c, cn in ranges(channels, step * BM1684.lanes):
            for y, yn in ranges(height, rows):
                yield (n, c, y, 0), (nn, cn, yn, width)


def stay_in_lanes(
    b: TileBuilder, packed: SSAValue, floats: SSAValue, cycles: float
) -> bool:
    """Whether 8-bit images and the same as floats are kept whole, channels in their lanes;
    ``cycles``: about those of a step of floats. Several images of a few pixels are not: to store
    their floats takes a row a number."""
    refs = [Ref.of(packed), Ref.of(floats)]
    images, channels, height, width = refs[1].shape
    if not b.options.whole or channels > BM1684.limits.channels:
        return False
    if images > 1 and height * width < STEP_PIXELS // 2:
        return False
    size = sum(
        local_bytes(each.shape, aligned(each.shape, 4, each.layout.pack))
        for each in refs
    )
    values = [packed, floats]
    return size <= b.options.budget and not _leaves_lanes(b, refs[1], cycles, values)
