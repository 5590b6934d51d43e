"""Single layers whose maps, or rows, are small: opt 2 must not take more cycles than opt 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from xdsl.ir import SSAValue

from dialects.bm1684.cycles import schedule
from dialects.ufw import ops as ufw
from dialects.ufw.ops import Top
from passes.image.groups import command_groups
from passes.module.functions import main_function
from tests.compiled import compiled
from tests.one_layer import one_layer

MORE = 1.02
"""What opt 2 may take more: a bias and weights in one transfer, say."""


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(0).standard_normal(shape) / 8).astype(np.float32)


def large_kernel(x: SSAValue) -> ufw.ConvolutionOp:
    """Bands of its rows would leave most of a step of pixels idle."""
    return ufw.ConvolutionOp(x, Top("y"), normal(64, 64, 9, 9), pad=[4] * 4)


def rows(x: SSAValue) -> ufw.StandardizeOp:
    return ufw.StandardizeOp(x, Top("y"), axes=(1,), weight=normal(1000), bias=normal(1000))


def clipped(x: SSAValue) -> ufw.PoolingOp:
    """Windows that leave the padding out have as many sizes as are clipped."""
    kind = ufw.PoolingKind("average")
    return ufw.PoolingOp(
        x, Top("y"), kind, (33, 8), stride=(1, 8), pad=(15, 15, 7, 7), exclude_pad=True
    )


def cycles(build: Any, shape: tuple[int, ...], opt: int) -> int:
    module = one_layer(build, shape)
    findings = compiled(module, opt, "FP32")
    assert findings.ok, findings.verdict()
    (group,) = command_groups(main_function(module))
    return schedule([[op.instruction for op in group.commands]]).total


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (large_kernel, (1, 64, 9, 9)),
        (rows, (4, 1000)),
        (rows, (1, 1000)),
        (clipped, (1, 65, 33, 8)),
    ],
)
def test_local_memory_costs_no_cycles(build: Any, shape: tuple[int, ...]) -> None:
    assert cycles(build, shape, 2) <= MORE * cycles(build, shape, 1)
