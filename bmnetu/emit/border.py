"""What the files of both ways have: the net's name, and the border that a user sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from xdsl.dialects.builtin import ModuleOp, StringAttr

from bmnetu.bmodel import Bmodel, Tensor


def network_name(module: ModuleOp) -> str:
    """The name the runtime launches the network by."""
    found = module.attributes.get("bmnetu.net_name")
    return found.data if isinstance(found, StringAttr) else "network"


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
