"""What a BM1684 bmodel says, as plain values.

The names follow the container's schema: a file has nets; a net has stages, one per set of input
shapes; a stage has its tensors, its weights ("coeff") and its command groups. A dynamic stage has
records in place of commands, and takes any shape up to its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from bmnetu.version import VERSION

COMMAND_BYTES = 128
"""Every TIU and every GDMA command takes this many bytes."""

WORD_BYTES = 4
"""Records are a stream of words of so many bytes."""

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
class HostCall:
    """A layer that the runtime computes on the host: the operation's number in its library, and the
    bytes of its parameters."""

    number: int
    params: bytes = field(repr=False)


@dataclass(frozen=True)
class Subnet:
    """One step of a stage: ``group_count`` of its groups on the NPU, or a layer on the host.

    Tensors that host layers touch are 1N, of 32 bits; inputs that no subnet makes and that are not
    the net's are constants in the weights. Outputs of host layers have their largest shapes.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    group_count: int = 0
    host: HostCall | None = None


@dataclass(frozen=True)
class Stage:
    """One compiled set of input shapes.

    The context ("neuron memory") holds inputs, outputs and everything between; the runtime
    moves it and the weights, and patches the addresses in the GDMA commands. ``subnets`` run in
    their order; none stands for one that runs all groups on the NPU. ``records`` makes the stage
    dynamic: the stream of records that the chip's own processor reads at every launch; the shapes
    are then the largest. ``batch_is_free`` and ``size_is_free`` (height or width) are for tools,
    and so are ``notes``: see :class:`Notes` for ours, the vendor's can be there, too.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    context_address: int
    context_size: int
    coeff_address: int
    coeff: bytes = field(repr=False)
    groups: tuple[CommandGroup, ...] = field(repr=False)
    weights: tuple[Weight, ...] = field(default=(), repr=False)
    subnets: tuple[Subnet, ...] = ()
    records: bytes = field(default=b"", repr=False)
    batch_is_free: bool = False
    size_is_free: bool = False
    notes: bytes = field(default=b"", repr=False)

    @property
    def is_dynamic(self) -> bool:
        """Whether shapes are chosen at run time."""
        return bool(self.records)


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
