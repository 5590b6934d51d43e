"""What a compiled module says of its layers and tensors, for tools, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import FileLineColLoc, LocationAttr, ModuleOp, NameLoc

from bmnetu.bmodel import Bmodel, NamedTensor, Notes, Stage
from bmnetu.bmodel.notes import RECORD, runs_of
from bmnetu.files.hashes import of_file
from dialects.bm1684.isa import Engine
from dialects.bm1684.npu import Observation
from dialects.quant import types
from passes.image.groups import Sites
from passes.image.records import records_of
from passes.module.functions import main_function


class _Layers:
    """The layers that come up, each once, in their order."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, int], int] = {}

    def place(self, location: LocationAttr) -> int:
        """The place of a layer among them. The name of the prototxt is left out."""
        inner = location.location if isinstance(location, NameLoc) else location
        line = inner.line.data if isinstance(inner, FileLineColLoc) else 0
        name = location.desc.data if isinstance(location, NameLoc) else ""
        return self.places.setdefault((name, line), len(self.places))

    def runs(self, locations: Iterable[LocationAttr]) -> tuple[tuple[int, int], ...]:
        """Runs of commands of one layer."""
        return runs_of(map(self.place, locations))


def static_notes(module: ModuleOp) -> Notes:
    """Which layer each command of a module of npu ops belongs to, and the tensors in DDR."""
    sites, layers = Sites.of(module), _Layers()
    runs = tuple(
        {str(engine): layers.runs(op.location for op in group.ops(engine)) for engine in Engine}
        for group in sites.groups
    )
    tensors = tuple(
        NamedTensor(at.top, group, str(engine), number, at.address, at.shape, at.dtype, at.packed)
        for (group, engine, number), found in sites.observations().items()
        for at in found
        if _is_plain(at)
    )
    return Notes(tuple(layers.places), runs, tensors)


def _is_plain(at: Observation) -> bool:
    """Whether a tensor lies in DDR as a whole, in the network's order."""
    whole = at.local is None and at.height is None and not at.parts
    return whole and not at.channels and not at.last


def dynamic_notes(module: ModuleOp) -> Notes:
    """Which layer each record of a module belongs to, and its results."""
    records, layers = records_of(main_function(module)), _Layers()
    runs = ({RECORD: layers.runs(record.location for record in records)},)
    tensors = tuple(
        NamedTensor(top, 0, RECORD, number, 0, types.shape_of(y),
                    types.dtype_name(types.tensor_type(y).element_type), False)
        for number, record in enumerate(records, 1)
        for top, y in zip(record.top_names, record.ys, strict=True)
        if top
    )  # fmt: skip
    return Notes(tuple(layers.places), runs, tensors)


def with_origin(
    bmodel: Bmodel, options: Mapping[str, Any], files: Mapping[str, Path | None]
) -> Bmodel:
    """The bmodel with the options that decide what is made, and the SHA-256 of the files that it
    was made from, in the notes of every stage."""
    hashes = {name: of_file(path) for name, path in files.items() if path and path.is_file()}

    def noted(stage: Stage) -> Stage:
        notes = Notes.parse(stage.notes) or Notes()
        return replace(stage, notes=replace(notes, options=options, sha256=hashes).pack())

    nets = (replace(net, stages=tuple(map(noted, net.stages))) for net in bmodel.nets)
    return replace(bmodel, nets=tuple(nets))
