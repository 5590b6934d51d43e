"""The NPU side of the compare: the program's run, and the tensors it leaves in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import ModelError, Npu, steps
from dialects.bm1684.npu import FarBox, LocalBox, Observation
from dialects.quant.strips import join_strips
from passes.image.groups import Site
from passes.image.host import HostCall
from passes.image.program import Program
from passes.image.tensors import NetworkTensor
from passes.verification.findings import Difference
from passes.verification.host import HostMemory

Array = NDArray[Any]


def to_packed(array: Array) -> Array:
    """[n, ...] 8-bit tensor as the bytes of its 4N form; the padding images hold zeros."""
    flat = array.reshape(array.shape[0], -1)
    groups = -(-flat.shape[0] // 4)
    padded = np.zeros((groups * 4, flat.shape[1]), array.dtype)
    padded[: flat.shape[0]] = flat
    return np.ascontiguousarray(padded.reshape(groups, 4, -1).transpose(0, 2, 1)).view(np.uint8)


def from_packed(data: Array, shape: Sequence[int], dtype: Any) -> Array:
    """The inverse of :func:`to_packed`."""
    groups = -(-shape[0] // 4)
    split = data.view(dtype).reshape(groups, -1, 4).transpose(0, 2, 1)
    return np.ascontiguousarray(split.reshape(groups * 4, -1)[: shape[0]]).reshape(shape)


def read_tensor(npu: Npu, at: Observation) -> Array:
    """A copy of a tensor in DDR or local memory; strips are joined to their image, channels stand
    in the network's order."""
    if at.far is not None:
        data = _far_words(npu.ddr_view(at.address, at.nbytes), at.far).view(np.uint8)
    elif at.local is None:
        data = npu.ddr_view(at.address, at.nbytes).copy()
    else:
        data = _local_words(npu, at.address, at.local).view(np.uint8)
    if at.packed:
        tensor = from_packed(data, at.shape, np.dtype(at.dtype))
        tensor = tensor if at.height is None else join_strips(tensor, at.height)
    else:
        tensor = data.view(np.dtype(at.dtype)).reshape(at.shape)
    return tensor[:, np.argsort(at.channels)] if at.channels else tensor


def in_network(at: Observation, whole: Array) -> Array:
    """A whole tensor as it is in the network: channels that come last there come last."""
    return np.moveaxis(whole, 1, -1).reshape(at.last) if at.last else whole


class Parts:
    """Puts tensors together that are observed part by part. Parts may overlap (halos that are
    computed twice), and must agree there; ``fail`` gets a sentence where they do not."""

    def __init__(self, fail: Callable[[str], None]) -> None:
        self._fail = fail
        self._wholes: dict[str, tuple[Array, Array]] = {}

    def add(self, at: Observation, value: Array) -> Array | None:
        """The whole tensor once its last part has come."""
        if not at.parts:
            return value
        shape, box = list(value.shape), [slice(None)] * value.ndim
        for part in at.parts:
            box[part.axis] = slice(part.first, part.first + shape[part.axis])
            shape[part.axis] = part.total
        if at.top not in self._wholes:
            self._wholes[at.top] = np.empty(shape, value.dtype), np.zeros(shape, bool)
        whole, known = self._wholes[at.top]
        here = tuple(box)
        twice = known[here]
        if twice.any():
            difference = Difference.between(value[twice], whole[here][twice])
            if difference.index:
                self._fail(f'tensor "{at.top}": two slices compute a common element differently,'
                           f" {difference.npu:g} and {difference.cpu:g}")
        whole[here], known[here] = value, True
        if not known.all():
            return None
        del self._wholes[at.top]
        return whole


def _far_words(data: Array, box: FarBox) -> Array:
    """The words of a box in DDR, in row-major order."""
    g, c, h, w = np.ogrid[tuple(slice(n) for n in box.extents)]
    gs, cs, hs, ws = box.strides
    return data.view(np.uint32)[g * gs + c * cs + h * hs + w * ws].reshape(-1)


def _local_words(npu: Npu, offset: int, box: LocalBox) -> Array:
    """The words of a box in local memory, in row-major order."""
    g, c, h, w = np.ogrid[tuple(slice(n) for n in box.extents)]
    lanes, c = BM1684.lanes, c + box.lane
    gs, cs, hs, ws = box.strides
    index = offset // 4 + g * gs + c // lanes * cs + h * hs + w * ws
    return npu.lmem.view(np.uint32)[c % lanes, index].reshape(-1)


def execute(
    program: Program,
    tensors: Mapping[NetworkTensor, Array],
    noise: int | None,
    observe: Callable[[Site, Npu], None] | None = None,
    on_host: Callable[[int, list[Array]], None] | None = None,
    on_npu: Callable[[int, Npu], None] | None = None,
) -> Npu:
    """Runs the program on fresh memory full of noise (None: zeros). ``observe`` follows every
    command, ``on_host`` every host layer: its place among the calls, and its results; ``on_npu``
    every other call. Raises as :func:`executed`.
    """
    npu = started(program, tensors, noise)
    for done in executed(program, npu):
        if done.site is not None:
            if observe is not None:
                observe(done.site, npu)
        elif done.results is not None:
            if on_host is not None:
                on_host(done.place, done.results)
        elif on_npu is not None:
            on_npu(done.place, npu)
    return npu


def started(program: Program, tensors: Mapping[NetworkTensor, Array], noise: int | None) -> Npu:
    """Memory full of noise (None: zeros) with the program's weights and these tensors."""
    npu = Npu(program.ddr_bytes, noise)
    first_weight = program.coeff_address
    npu.ddr_view(first_weight, len(program.coeff))[:] = np.frombuffer(program.coeff, np.uint8)
    npu.protected = range(first_weight, first_weight + len(program.coeff))
    for tensor, value in tensors.items():
        data = to_packed(value) if tensor.packed else value
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        npu.ddr_view(tensor.address, flat.size)[:] = flat
    return npu


@dataclass(frozen=True)
class Done:
    """What was executed last, of the call at a place among the program's: a command at a site; or
    a host layer, with its results; or the last command of a call, which is then done."""

    place: int
    site: Site | None = None
    results: list[Array] | None = None


def executed(program: Program, npu: Npu) -> Iterator[Done]:
    """Executes the program on memory that is :func:`started`, a command or a host layer at a time.

    Raises ModelError (a race, a deadlock, an illegal command...), HostError for a host layer that
    cannot be computed.
    """
    host = HostMemory()
    first = 0
    for place, call in enumerate(program.calls):
        if isinstance(call, HostCall):
            yield Done(place, results=host.call(npu, place, call))
            continue
        try:
            for engine, group, number in steps(npu, call.groups):
                yield Done(place, (first + group, engine, number))
        except ModelError as error:
            error.group = None if error.group is None else first + error.group
            raise
        first += len(call.groups)
        yield Done(place)
