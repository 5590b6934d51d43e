"""A net that is cut at blobs that the user names, or before its host layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bmnetu.errors import UsageError
from bmnetu.frontend.layers.importers import IMPORTERS
from bmnetu.frontend.prototxt.cut import cut_note, split_needed
from bmnetu.frontend.prototxt.topology import Topology
from dialects.host.ops import HostOp


@dataclass(frozen=True)
class Cut:
    """Where a net ends: at ``outputs`` (none: at its own), and before its host layers unless
    ``host``."""

    outputs: tuple[str, ...] = ()
    host: bool = True

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
    an output. Raises :class:`UsageError` where nothing is left."""
    lost: set[str] = set()
    border: set[str] = set()
    for layer in topology.layers:
        if is_host(layer.param.type):
            border.update(layer.bottoms)
            lost.update(layer.tops)
        elif not lost.isdisjoint(layer.bottoms):
            lost.update(layer.tops)
    if not lost:
        return topology
    wanted = (border | set(topology.outputs)) - lost
    outputs = tuple(top for layer in topology.layers for top in layer.tops if top in wanted)
    if not outputs:
        raise UsageError(f"-host=false: {topology.path} has no layers before its host layers")
    kept, dropped = split_needed(topology.layers, outputs)
    note = cut_note(topology.path, "-host=false", dropped, outputs)
    return replace(
        topology, layers=tuple(kept), outputs=outputs, notes=(*topology.notes, note),
        unknown=topology.unknown_of(kept),
    )  # fmt: skip
