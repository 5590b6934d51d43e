"""The whole of what the chip gets: the commands of every group, and the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import IntegerAttr
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import align
from passes.image.groups import CodedGroup, command_groups
from passes.image.tensors import NetworkTensor

MAX_CONTEXT = 1 << 34
"""Bytes: more than a board has."""


@dataclass(frozen=True)
class Program:
    """What the chip gets. ``coeff``: the weights, from the start of the network's memory on;
    ``ddr_bytes``: the size of that memory with the tensors behind them."""

    groups: tuple[CodedGroup, ...]
    coeff: bytes
    ddr_bytes: int

    @staticmethod
    def of(function: FuncOp) -> Program:
        """Encodes a function of npu ops."""
        coded = tuple(group.encode() for group in command_groups(function))
        coeff = weights_image(function)
        size = integer(function, "context_size")
        if not 0 < size <= MAX_CONTEXT:
            raise PassFailedException(f"context_size is {size}, no board has so much memory")
        return Program(coded, coeff, len(coeff) + size)

    def holds(self, tensor: NetworkTensor) -> bool:
        """Whether a tensor lies in the program's memory."""
        end = BM1684.context_start + self.ddr_bytes
        return BM1684.context_start <= tensor.address <= end - tensor.nbytes


def integer(function: FuncOp, name: str) -> int:
    """An integer attribute of a function."""
    found = function.attributes.get(name)
    if not isinstance(found, IntegerAttr):
        raise PassFailedException(f"function @{function.sym_name.data} lacks {name}")
    return found.value.data


def weights_image(function: FuncOp) -> bytes:
    """The weights part of DDR, from the start of the network's memory on.

    Raises PassFailedException when ``coeff_size`` is not what the constants need.
    """
    constants = [op for op in function.body.block.ops if isinstance(op, tile.ConstantOp)]
    parts = [np.ascontiguousarray(op.value.array).view(np.uint8).reshape(-1) for op in constants]
    begins = [op.located - BM1684.context_start for op in constants]
    ends = [begin + part.size for begin, part in zip(begins, parts, strict=True)]
    size, used = integer(function, "coeff_size"), max(ends, default=0)
    if min(begins, default=0) < 0 or not used <= size <= align(max(used, 1), BM1684.ddr_alignment):
        raise PassFailedException(f"coeff_size is {size}, the constants end at {used}")
    image = np.zeros(size, np.uint8)
    for begin, part in zip(begins, parts, strict=True):
        image[begin : begin + part.size] = part
    return image.tobytes()
