"""The layer of a prototxt that stands for a chain of layers that is a function."""

from __future__ import annotations

from xdsl.dialects.builtin import NameLoc

from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.functions import FUNCTIONS
from dialects.ufw.activation import PointwiseOp

COMPOSED = "ComposedFunction"


def function_message(op: PointwiseOp) -> LayerParameter:
    """The layer's message but for its blobs: the function's own type, or a composed function."""
    name = op.location.desc.data if isinstance(op.location, NameLoc) else op.name
    row = FUNCTIONS.get(op.function.data)
    if row is None:
        found = LayerParameter(name=name, type=COMPOSED)
        found.composed_function_param.function = op.function.data
        return found
    found = LayerParameter(name=name, type=row.layer)
    if row.message:
        message = getattr(found, row.message)
        for field, value in op.settings.items():
            is_bool = isinstance(getattr(message, field), bool)
            setattr(message, field, bool(value) if is_bool else value)
    return found
