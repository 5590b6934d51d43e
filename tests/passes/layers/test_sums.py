"""Layers that add over many numbers: the NPU computes what they mean, at every opt level."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from xdsl.ir import SSAValue

from dialects.ufw import ops
from dialects.ufw.layer import LayerOp
from dialects.ufw.ops import Top
from tests.dialects.ufw.sums import SUMS
from tests.one_layer import check

T = Top("t")

Build = Callable[[SSAValue], LayerOp]

SHAPED: dict[str, tuple[Build, tuple[int, ...]]] = {
    **{name: (build, (2, 4, 5, 7)) for name, (build, _) in SUMS.items()},
    "lrn of many channels": (lambda x: ops.LRNOp(x, T, size=5, alpha=0.1), (1, 600, 2, 3)),
    "normalize of a row": (
        lambda x: ops.NormalizeOp(x, T, np.ones(1, np.float32), across_spatial=True, eps=1e-10),
        (5, 200, 1),
    ),
    "lrn of a matrix": (lambda x: ops.LRNOp(x, T, size=3, alpha=0.1), (3, 70)),
    "lrn wider than the channels": (lambda x: ops.LRNOp(x, T, size=9, k=0.5), (1, 3, 4, 4)),
    "lrn within, wide": (lambda x: ops.LRNOp(x, T, size=33, within=True), (1, 3, 20, 4)),
}


@pytest.mark.parametrize("name", SHAPED)
@pytest.mark.parametrize("integer", [False, True])
def test_npu_and_meaning_agree(name: str, integer: bool) -> None:
    build, shape = SHAPED[name]
    opts = (1,) if integer else (0, 2)
    assert check(build, shape, integer=integer, opts=opts) <= 1e-5
