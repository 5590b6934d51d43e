"""The bmodel container: what BMRuntime loads. ``write`` makes the bytes, ``read`` reads them."""

from __future__ import annotations

from bmnetu.bmodel.model import (
    COEFF_ADDRESS,
    COMMAND_BYTES,
    Bmodel,
    CommandGroup,
    DataType,
    HostCall,
    Net,
    Stage,
    StoreMode,
    Subnet,
    Tensor,
    Weight,
    align,
    tensor_bytes,
)
from bmnetu.bmodel.notes import NamedTensor, Notes
from bmnetu.bmodel.reader import read
from bmnetu.bmodel.writer import write

__all__ = [
    "COEFF_ADDRESS",
    "COMMAND_BYTES",
    "Bmodel",
    "CommandGroup",
    "DataType",
    "HostCall",
    "NamedTensor",
    "Net",
    "Notes",
    "Stage",
    "StoreMode",
    "Subnet",
    "Tensor",
    "Weight",
    "align",
    "read",
    "tensor_bytes",
    "write",
]
