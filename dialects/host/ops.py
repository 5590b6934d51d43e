"""The host dialect: layers that the runtime computes on the host's processor, one op each."""

from __future__ import annotations

from xdsl.ir import Dialect

from dialects.host.base import HostOp
from dialects.host.detection import DetectionOutputOp

ALL_OPS: list[type[HostOp]] = [DetectionOutputOp]
HOST = Dialect("host", [*ALL_OPS], [])
BY_NUMBER = {op.LAYER.number: op for op in ALL_OPS}
"""The ops by their numbers in the bmodel."""
