"""What a static BM1684 bmodel says, as plain values, and the rules it must keep.

The names follow the container's schema: a file has nets; a net has stages, one per set of input
shapes; a stage has its tensors, its weights ("coeff") and its command groups.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from bmnetu.version import VERSION

COMMAND_BYTES = 128
"""Every TIU and every GDMA command takes this many bytes."""

ALIGNMENT = 4096
"""Weights, tensors and binaries start on multiples of this many bytes."""

COEFF_ADDRESS = 0x1_0510_0000
"""The first DDR address that the runtime relocates; the weights start here at compile time."""

ADDRESS_END = 1 << 40
"""A command's DDR address has 40 bits."""

MAX_CONTEXT_SIZE = 1 << 34
"""No BM1684 board has more DDR than this many bytes."""

MAX_COMMANDS = 0xFFFF
"""Command ids have 16 bits and start at 1 in every group."""

MAX_RANK = 8


class DataType(IntEnum):
    """Element types that BM1684 takes at the net's boundary, numbered as in the file."""

    FLOAT32 = 0
    FLOAT16 = 1
    INT8 = 2
    UINT8 = 3
    INT16 = 4
    UINT16 = 5
    INT32 = 6
    UINT32 = 7

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy type with the same meaning."""
        return np.dtype(self.name.lower())


class StoreMode(IntEnum):
    """How a tensor lies in DDR, numbered as in the file.

    ``N1`` is contiguous NCHW. ``N4`` is ``[ceil(n/4)][c][h][w][4]``: byte k of a 32-bit word
    belongs to batch 4g+k, and the batch is padded to a multiple of 4 (8-bit types only).
    """

    N1 = 0
    N4 = 2


def align(size: int) -> int:
    """``size`` rounded up to a multiple of :data:`ALIGNMENT`."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def tensor_bytes(data_type: DataType, store_mode: StoreMode, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor in DDR, with the batch padding of the 4N layout."""
    if store_mode == StoreMode.N4:
        shape = (-(-shape[0] // 4) * 4, *shape[1:])
    return math.prod(shape) * data_type.numpy.itemsize


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a net.

    ``address`` is the compile-time DDR address, ``size`` the bytes there. ``scale`` is for the
    caller: an input is a real value times ``scale``, an output times ``scale`` is a real value.
    The file holds the scale as float32.
    """

    name: str
    data_type: DataType
    store_mode: StoreMode
    address: int
    size: int
    shape: tuple[int, ...]
    scale: float = 1.0


@dataclass(frozen=True)
class CommandGroup:
    """The commands of both engines, 128 bytes each; ids start at 1 in every group."""

    tiu: bytes = field(repr=False)
    gdma: bytes = field(repr=False)

    @property
    def tiu_count(self) -> int:
        """Number of TIU commands, which is the last TIU id of the group."""
        return len(self.tiu) // COMMAND_BYTES

    @property
    def gdma_count(self) -> int:
        """Number of GDMA commands, which is the last GDMA id of the group."""
        return len(self.gdma) // COMMAND_BYTES


@dataclass(frozen=True)
class Weight:
    """Where one named weight lies inside ``Stage.coeff``, in bytes. For tools only."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Stage:
    """One compiled set of input shapes.

    The context ("neuron memory") holds inputs, outputs and everything between; the runtime
    moves it and the weights, and patches the addresses in the GDMA commands.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    context_address: int
    context_size: int
    coeff_address: int
    coeff: bytes = field(repr=False)
    groups: tuple[CommandGroup, ...] = field(repr=False)
    weights: tuple[Weight, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Net:
    """A net by its launch name; the runtime picks the stage by the input shapes."""

    name: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Bmodel:
    """The whole file. ``version`` and ``time`` are free text that the runtime ignores."""

    nets: tuple[Net, ...]
    chip: str = "BM1684"
    version: str = f"2.2+bmnetu-{VERSION}"
    time: str = "Thu Jan  1 00:00:00 1970\n"


def check(bmodel: Bmodel) -> None:
    """Raise ValueError, with one sentence, where a bmodel breaks a rule of the runtime."""
    _require(bmodel.chip == "BM1684", f"the file is for the chip {bmodel.chip!r}, not for BM1684")
    _require(len(bmodel.nets) > 0, "the file has no net")
    _unique([net.name for net in bmodel.nets], "the file", "net")
    for net in bmodel.nets:
        _require(len(net.stages) > 0, f"net {net.name!r} has no stage")
        for stage in net.stages:
            _check_stage(f"net {net.name!r}", stage)
        names = {tuple(t.name for t in (*s.inputs, *s.outputs)) for s in net.stages}
        _require(len(names) == 1, f"the stages of net {net.name!r} have different tensors")


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise ValueError(sentence)


def _unique(names: list[str], owner: str, what: str) -> None:
    _require(all(names), f"{owner} has a {what} without a name")
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    _require(count <= 1, f"{owner} has the {what} {name!r} {count} times")


def _check_stage(owner: str, stage: Stage) -> None:
    end = stage.context_address + stage.context_size
    _require(0 < stage.context_size <= MAX_CONTEXT_SIZE,
             f"{owner} requires {stage.context_size} bytes of context, which no board has")
    _require(COEFF_ADDRESS <= stage.context_address and end <= ADDRESS_END,
             f"{owner} has its context at {stage.context_address:#x}, outside the DDR")
    if stage.coeff:
        inside = COEFF_ADDRESS <= stage.coeff_address
        inside = inside and stage.coeff_address + len(stage.coeff) <= stage.context_address
        _require(inside, f"{owner} has its weights at {stage.coeff_address:#x}, which is not"
                 " between the reserved DDR and the context")
    for weight in stage.weights:
        _require(weight.offset + weight.size <= len(stage.coeff),
                 f"{owner} has the weight {weight.name!r} outside its weights")
    for what, tensors in (("input", stage.inputs), ("output", stage.outputs)):
        _unique([tensor.name for tensor in tensors], owner, what)
        for tensor in tensors:
            _check_tensor(f"{what} {tensor.name!r} of {owner}", tensor)
            inside = stage.context_address <= tensor.address
            inside = inside and tensor.address + tensor.size <= end
            _require(inside, f"{what} {tensor.name!r} of {owner} lies outside the context")
    _check_groups(owner, stage.groups)


def _check_tensor(owner: str, tensor: Tensor) -> None:
    rank = len(tensor.shape)
    _require(1 <= rank <= MAX_RANK, f"{owner} has {rank} dimensions, not 1 to {MAX_RANK}")
    _require(min(tensor.shape) > 0, f"{owner} has a dimension of 0")
    _require(tensor.store_mode == StoreMode.N1 or tensor.data_type.numpy.itemsize == 1,
             f"{owner} is stored 4N, which is for 8-bit types only")
    expected = tensor_bytes(tensor.data_type, tensor.store_mode, tensor.shape)
    _require(tensor.size == expected, f"{owner} takes {tensor.size} bytes where its shape"
             f" requires {expected}")
    _require(math.isfinite(tensor.scale), f"{owner} has the scale {tensor.scale}")


def _check_groups(owner: str, groups: tuple[CommandGroup, ...]) -> None:
    _require(len(groups) > 0, f"{owner} has no commands")
    for index, group in enumerate(groups):
        for engine, commands in (("TIU", group.tiu), ("GDMA", group.gdma)):
            count, rest = divmod(len(commands), COMMAND_BYTES)
            _require(rest == 0 and count <= MAX_COMMANDS,
                     f"group {index} of {owner} has {len(commands)} bytes of {engine} commands,"
                     f" not 0 to {MAX_COMMANDS} times {COMMAND_BYTES}")
