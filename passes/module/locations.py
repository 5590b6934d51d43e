"""Where in the network's files an op comes from, and errors that name it."""

from __future__ import annotations

from xdsl.dialects.builtin import FileLineColLoc, LocationAttr, NameLoc
from xdsl.ir import Attribute, Operation
from xdsl.utils.exceptions import PassFailedException


class LayerError(PassFailedException):
    """A layer that cannot be compiled: its location, and why in one sentence."""

    def __init__(self, location: LocationAttr, message: str):
        super().__init__(f"{location_text(location)}: {message}")
        self.location = location
        self.message = message


def location_text(location: Attribute) -> str:
    """``net.prototxt:41: layer "conv1"``, as much of it as the location holds."""
    if isinstance(location, NameLoc):
        inner = location_text(location.location)
        layer = f'layer "{location.desc.data}"'
        return f"{inner}: {layer}" if inner else layer
    if isinstance(location, FileLineColLoc):
        return f"{location.filename.data}:{location.line.data}"
    return ""


def layer_name(op: Operation) -> str:
    """The network's name of the layer an op comes from."""
    location = op.location
    return location.desc.data if isinstance(location, NameLoc) else op.name
