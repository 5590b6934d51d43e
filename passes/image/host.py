"""What the runtime gets of a function that runs on the host: one layer and its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import PassFailedException

from dialects.constant import ConstantAttr
from dialects.execute import names_of
from dialects.host.base import HostOp
from dialects.quant import types
from dialects.quant.base import ints
from dialects.quant.eltwise import ConstantOp
from passes.image.tensors import NetworkTensor
from passes.module.functions import named_inputs, named_outputs

ADDRESSES = "addresses"
"""The attribute of a host function: where the operands of its layer lie, and then its results."""


@dataclass(frozen=True)
class HostTensor:
    """An operand or a result of a host layer: a float32 or int32 array, or a constant."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: ConstantAttr | None = None

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class HostCall:
    """A layer of the host as the runtime gets it: the operation's number, the bytes of its
    parameters, and where its tensors lie."""

    number: int
    params: bytes
    inputs: tuple[NetworkTensor, ...]
    outputs: tuple[NetworkTensor, ...]


def host_op(function: FuncOp) -> HostOp:
    """The one layer of a host function."""
    found = [op for op in function.body.block.ops if isinstance(op, HostOp)]
    if len(found) != 1:
        raise PassFailedException(f"function @{function.sym_name.data} must hold one host layer")
    return found[0]


def host_tensors(function: FuncOp) -> list[HostTensor]:
    """The operands of a host function's layer, then its results."""
    op, block = host_op(function), function.body.block
    known: dict[SSAValue, str] = dict(named_inputs(function))
    returned = block.last_op
    if not isinstance(returned, ReturnOp) or list(returned.operands) != list(op.results):
        raise PassFailedException(f"function @{function.sym_name.data} must return all results")
    found: list[HostTensor] = []
    for value in op.operands:
        constant = value.owner if isinstance(value.owner, ConstantOp) else None
        name = known[value] if constant is None else names_of(constant, "tops")[0]
        dtype = np.dtype(types.dtype_of(value)).name
        blob = None if constant is None else constant.value
        found.append(HostTensor(name, types.shape_of(value), dtype, blob))
    for value, name in named_outputs(function):
        dtype = np.dtype(types.dtype_of(value)).name
        found.append(HostTensor(name, types.shape_of(value), dtype))
    return found


def host_call(function: FuncOp) -> HostCall:
    """A host function as the runtime gets it. Raises PassFailedException where it has no
    addresses."""
    op, tensors = host_op(function), host_tensors(function)
    found = function.attributes.get(ADDRESSES)
    places = ints(cast(Any, found)) if isinstance(found, DenseArrayBase) else ()
    if len(places) != len(tensors):
        raise PassFailedException(f"function @{function.sym_name.data} lacks {ADDRESSES}")
    placed = tuple(
        NetworkTensor(t.name, t.shape, t.dtype, address, t.nbytes, None, False)
        for t, address in zip(tensors, places, strict=True)
    )
    count = len(op.operands)
    return HostCall(op.LAYER.number, op.packed, placed[:count], placed[count:])
