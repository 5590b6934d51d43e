"""A net that ends before its own end: what its outputs need, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.note import Note
from dialects.names import quoted, shown

MOST_NAMED = 8
"""How many of the layers that are left out a note names."""


def split_needed(
    layers: Sequence[Layer], outputs: Iterable[str]
) -> tuple[list[Layer], list[Layer]]:
    """The layers that the outputs, unique blobs, need, and the others; both in their order."""
    needed, kept = set(outputs), list[Layer]()
    others: list[Layer] = []
    for layer in reversed(layers):
        if needed.isdisjoint(layer.tops):
            others.append(layer)
        else:
            kept.append(layer)
            needed.update(layer.bottoms)
    return kept[::-1], others[::-1]


def cut_note(path: Path, why: str, dropped: Sequence[Layer], outputs: Sequence[str]) -> Note:
    """What is left out by ``why``, and where the net ends now."""
    named = [f"{quoted(x.name)} ({shown(x.param.type)})" for x in dropped[:MOST_NAMED]]
    more = f" and {len(dropped) - MOST_NAMED} more" if len(dropped) > MOST_NAMED else ""
    plural = "layer is" if len(dropped) == 1 else "layers are"
    return Note(
        "left-out",
        f"{path}: {why}: {len(dropped)} {plural} left out, {', '.join(named)}{more}; the outputs"
        f" are {', '.join(map(quoted, outputs))}",
    )
