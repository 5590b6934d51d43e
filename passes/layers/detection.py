"""Layers of detection networks that become constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdsl.ir import Operation

from dialects.ufw import ops as ufw
from passes.layers.binary import constant
from passes.layers.converter import Converter


def _prior_box(c: Converter, op: ufw.PriorBoxOp) -> None:
    c.finish(op, constant(c, op.boxes(), like=op.top))


LAYERS: dict[type[Operation], Callable[[Converter, Any], None]] = {ufw.PriorBoxOp: _prior_box}
