"""The NPU side of the compare: tensors in DDR, and where each command comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import LocationAttr
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine
from dialects.bm1684.layout import Ref
from dialects.bm1684.model import Npu, run
from dialects.bm1684.npu import LocalBox, Observation
from dialects.quant import types
from dialects.quant.base import ints
from dialects.quant.strips import join_strips
from passes.support.encode import Group, command_groups, integer, weights_image
from passes.verification.findings import Difference

Array = NDArray[Any]
MAX_CONTEXT = 1 << 34
"""Bytes: more than a board has."""
Site = tuple[int, Engine, int]
"""A command: group, engine, id."""


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


@dataclass(frozen=True)
class NetworkTensor:
    """A network input or output: its place in DDR and the real value of one step (None for
    float). ``packed``: four 8-bit images lie in a word (4N).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    address: int
    nbytes: int
    scale: float | None
    packed: bool

    def observation(self) -> Observation:
        return Observation(self.name, self.address, self.shape, self.dtype, self.packed)


@dataclass(frozen=True)
class Program:
    """What the chip gets: command bytes (TIU, GDMA) of each group, and the weights."""

    groups: tuple[tuple[bytes, bytes], ...]
    coeff: bytes
    ddr_bytes: int

    @staticmethod
    def of(function: FuncOp) -> Program:
        """Encodes a function of npu ops."""
        groups = command_groups(function)
        coded = tuple((g.encode(Engine.TIU), g.encode(Engine.GDMA)) for g in groups)
        coeff = weights_image(function)
        size = integer(function, "context_size")
        if not 0 < size <= MAX_CONTEXT:
            raise PassFailedException(f"context_size is {size}, no board has so much memory")
        return Program(coded, coeff, len(coeff) + size)

    def holds(self, tensor: NetworkTensor) -> bool:
        """Whether a tensor lies in the program's memory."""
        end = BM1684.context_start + self.ddr_bytes
        return BM1684.context_start <= tensor.address <= end - tensor.nbytes


@dataclass(frozen=True)
class Sites:
    """For each command: the tensors that are final after it, and its location."""

    groups: list[Group]

    @staticmethod
    def of(function: FuncOp) -> Sites:
        return Sites(command_groups(function))

    def observations(self) -> dict[Site, tuple[Observation, ...]]:
        """The tensors that are final after a command."""
        return {
            (number, op.instruction.engine, op.instruction.id): op.observations
            for number, group in enumerate(self.groups)
            for op in group.commands
            if op.observations
        }

    def location(self, group: int, engine: Engine, number: int) -> LocationAttr | None:
        """The location of a command, or None when there is no such command."""
        if group >= len(self.groups):
            return None
        ops = self.groups[group].ops(engine)
        return ops[number - 1].location if 0 < number <= len(ops) else None


def read_tensor(npu: Npu, at: Observation) -> Array:
    """A copy of a tensor in DDR or local memory; strips are joined to their image."""
    if at.local is None:
        data = npu.ddr_view(at.address, at.nbytes).copy()
    else:
        data = _local_words(npu, at.address, at.local).view(np.uint8)
    if at.packed:
        tensor = from_packed(data, at.shape, np.dtype(at.dtype))
        return tensor if at.height is None else join_strips(tensor, at.height)
    return data.view(np.dtype(at.dtype)).reshape(at.shape)


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


def _local_words(npu: Npu, offset: int, box: LocalBox) -> Array:
    """The words of a box in local memory, in row-major order."""
    g, c, h, w = np.ogrid[tuple(slice(n) for n in box.extents)]
    lanes = BM1684.lanes
    gs, cs, hs, ws = box.strides
    index = offset // 4 + g * gs + c // lanes * cs + h * hs + w * ws
    return npu.lmem.view(np.uint32)[c % lanes, index].reshape(-1)


def execute(
    program: Program,
    tensors: Mapping[NetworkTensor, Array],
    noise: int,
    observe: Callable[[Site, Npu], None] | None = None,
) -> Npu:
    """Runs the program on fresh memory full of noise; ``observe`` follows every command. Raises
    ModelError (a race, a deadlock, an illegal command...).
    """
    npu = Npu(program.ddr_bytes, noise)
    npu.ddr_view(BM1684.context_start, len(program.coeff))[:] = np.frombuffer(
        program.coeff, np.uint8
    )
    npu.protected = range(BM1684.context_start, BM1684.context_start + len(program.coeff))
    for tensor, value in tensors.items():
        data = to_packed(value) if tensor.packed else value
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
        npu.ddr_view(tensor.address, flat.size)[:] = flat

    def after(engine: Engine, group: int, number: int) -> None:
        if observe is not None:
            observe((group, engine, number), npu)

    run(npu, program.groups, after)
    return npu


def network_tensors(
    function: FuncOp, kind: type[tile.InputOp] | type[tile.OutputOp]
) -> list[NetworkTensor]:
    """The network's inputs or outputs, in order.

    Raises PassFailedException when the bytes of one are not those of its shape.
    """
    found: list[NetworkTensor] = []
    for op in function.body.block.ops:
        if isinstance(op, kind):
            ref = Ref.of(op.ref)
            dtype, packed = types.dtype_name(ref.element), ref.layout.pack > 1
            scale = None if op.scale is None else float(op.scale.data.scale)
            shape = ints(op.shape)
            tensor = NetworkTensor(
                op.top.data, shape, dtype, op.located, op.bytes.value.data, scale, packed
            )
            if min(shape, default=0) < 1 or tensor.observation().nbytes != tensor.nbytes:
                raise PassFailedException(
                    f'{op.name} "{tensor.name}": {tensor.nbytes} bytes are not those of its shape'
                )
            found.append(tensor)
    return found
