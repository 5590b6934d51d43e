"""Commands of a compiled function as bytes, and the blocks of weights they read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import IntegerAttr
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import PassFailedException

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine
from dialects.bm1684.layout import align
from dialects.bm1684.npu import CommandOp


@dataclass
class Group:
    """One group of commands: each engine's ids run from 1. ``commands`` are in program order."""

    commands: list[CommandOp]

    def ops(self, engine: Engine) -> list[CommandOp]:
        """The commands of one engine in id order."""
        return [c for c in self.commands if c.instruction.engine is engine]

    def encode(self, engine: Engine) -> bytes:
        """The engine's commands, 128 bytes each."""
        return b"".join(c.instruction.pack() for c in self.ops(engine))


def command_groups(function: FuncOp) -> list[Group]:
    """The groups of a function whose commands have ids. A new one begins where an id does not
    grow.
    """
    groups: list[Group] = []
    last = dict.fromkeys(Engine, 0)
    for op in function.body.block.ops:
        if not isinstance(op, CommandOp):
            continue
        instruction = op.instruction
        if not groups or instruction.id <= last[instruction.engine]:
            groups.append(Group([]))
            last = dict.fromkeys(Engine, 0)
        groups[-1].commands.append(op)
        last[instruction.engine] = instruction.id
    if not groups:
        raise PassFailedException("the function holds no commands")
    return groups


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
    parts = [np.ascontiguousarray(op.blob.array).view(np.uint8).reshape(-1) for op in constants]
    begins = [op.located - BM1684.context_start for op in constants]
    ends = [begin + part.size for begin, part in zip(begins, parts, strict=True)]
    size, used = integer(function, "coeff_size"), max(ends, default=0)
    if min(begins, default=0) < 0 or not used <= size <= align(max(used, 1), BM1684.ddr_alignment):
        raise PassFailedException(f"coeff_size is {size}, the constants end at {used}")
    image = np.zeros(size, np.uint8)
    for begin, part in zip(begins, parts, strict=True):
        image[begin : begin + part.size] = part
    return image.tobytes()
