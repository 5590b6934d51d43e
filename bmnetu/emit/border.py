"""What the files of both ways have: the net's name, and the border that a user sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr

from bmnetu.bmodel import Bmodel, DataType, StoreMode, Tensor, tensor_bytes


def network_name(module: ModuleOp) -> str:
    """The name the runtime launches the network by."""
    found = module.attributes.get("bmnetu.net_name")
    return found.data if isinstance(found, StringAttr) else "network"


def border_tensor(
    name: str, dtype: str, shape: tuple[int, ...], address: int, scale: float | None, *,
    packed: bool, is_input: bool,
) -> Tensor:  # fmt: skip
    """A tensor of the border; ``scale`` is the real value of one step, ``packed`` is 4N."""
    kind, mode = DataType[dtype.upper()], StoreMode.N4 if packed else StoreMode.N1
    step = scale or 1.0
    factor = 1.0 if scale is None else float(np.float32(1 / step if is_input else step))
    return Tensor(name, kind, mode, address, tensor_bytes(kind, mode, shape), shape, factor)


def border_differences(written: Bmodel, compiled: Bmodel) -> Iterator[str]:
    """A sentence for everything but commands and weights in which two files of one net differ."""
    (net,), (own,) = written.nets, compiled.nets
    yield from _differences("the net", net, own, ("name",))
    (stage,), (kept,) = net.stages, own.stages
    memory = ("context_address", "context_size", "coeff_address", "weights")
    yield from _differences("the net", stage, kept, memory)
    for what, tensors, ours in (
        ("input", stage.inputs, kept.inputs),
        ("output", stage.outputs, kept.outputs),
    ):
        if len(tensors) != len(ours):
            yield f"the file has {len(tensors)} {what}s, the module {len(ours)}"
        for tensor, other in zip(tensors, ours, strict=False):
            yield from _differences(f"{what} {other.name!r}", tensor, other, TENSOR_FIELDS)


TENSOR_FIELDS = tuple(field.name for field in fields(Tensor))


def _differences(owner: str, found: object, ours: object, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        own, theirs = getattr(ours, name), getattr(found, name)
        if own != theirs:
            yield f"{owner} has {name} {theirs!r} in the file, {own!r} in the module"
