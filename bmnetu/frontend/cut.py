"""A net that is cut at blobs that the user names, or before its host layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bmnetu.errors import UsageError
from bmnetu.frontend.layers.importers import IMPORTERS
from bmnetu.frontend.prototxt.cut import cut_note, split_needed
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.prototxt.topology import Topology, read_topology
from bmnetu.frontend.prototxt.unique_names import named_as_blobs
from dialects.host.ops import HostOp


@dataclass(frozen=True)
class Cut:
    """Where a net ends: at ``outputs`` (none: at its own), and before its host layers unless
    ``host``."""

    outputs: tuple[str, ...] = ()
    host: bool = True

    def read(self, path: Path) -> Topology:
        """The prototxt, ending there; see :func:`read_topology` and :meth:`applied`."""
        return self.applied(read_topology(path, self.outputs, self.host))

    def applied(self, topology: Topology) -> Topology:
        """The topology, which has ``outputs`` already, without host layers where these are not
        wanted. Raises :class:`UsageError` where nothing is left."""
        return topology if self.host else without_host(topology)


WHOLE = Cut()


def is_host(kind: str) -> bool:
    """Whether a layer type is computed on the host."""
    importer = IMPORTERS.get(kind)
    return importer is not None and importer.op is not None and issubclass(importer.op, HostOp)


def without_host(topology: Topology) -> Topology:
    """The net without its host layers and all behind them: what other layers make for these becomes
    an output, but for constants. Raises :class:`UsageError` where nothing is left."""
    lost: set[str] = set()
    border: set[str] = set()
    left_out = 0
    for layer in topology.layers:
        if is_host(layer.param.type) or not lost.isdisjoint(layer.bottoms):
            border.update(layer.bottoms)
            lost.update(layer.tops)
            left_out += 1
    if not left_out:
        return topology
    wanted = (border | set(topology.outputs)) - lost
    making = [layer for layer in topology.layers if layer.bottoms]  # others are constants
    outputs = tuple(top for layer in making for top in layer.tops if top in wanted)
    if not outputs:
        all_ = left_out == len(topology.layers)
        without = "layers before its host layers" if all_ else "outputs without its host layers"
        raise UsageError(f"-host=false: {topology.path} has no {without}")
    kept, dropped = split_needed(topology.layers, outputs)
    kept, outputs = named_as_blobs(kept, outputs, _versions(topology, kept))
    note = cut_note(topology.path, "-host=false", dropped, outputs)
    return replace(
        topology, layers=tuple(kept), outputs=outputs, notes=(*topology.notes, note),
        unknown=topology.unknown_of(kept),
    )  # fmt: skip


def _versions(topology: Topology, layers: Sequence[Layer]) -> dict[str, list[str]]:
    """The unique names of each blob whose last one of ``layers`` has not the name of the text; that
    one first, then in order."""
    found: dict[str, list[str]] = {}
    for layer in layers:
        for blob, top in zip(layer.param.top, layer.tops, strict=False):
            found.setdefault(blob, []).append(top)
    free = {top for layer in topology.layers for top in layer.tops}
    free -= {blob.name for blob in topology.inputs}
    return {
        blob: list(dict.fromkeys([blob, *names]))
        for blob, names in found.items()
        if blob in free and names[-1] != blob
    }
