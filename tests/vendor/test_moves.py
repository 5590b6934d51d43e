"""Networks of layers that cut, pad, resize, rearrange and unpool on the vendor's runtime."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from xdsl.dialects.builtin import ModuleOp

from bmnetu.bmodel import write
from bmnetu.emit.static import bmodel_of
from dialects.quant import types
from tests.compiled import compiled
from tests.net_maker import NetMaker
from tests.net_moves import MOVES
from tests.random_nets import finished
from tests.vendor.runtime import replay, run_bmodel
from tests.vendor.test_random_nets import PRECISIONS, compare


def network(seed: int, integer: bool) -> ModuleOp:
    """Six of these layers, and convolutions, on a tensor of four dimensions."""
    rng = Random(seed)
    net = NetMaker(rng, integer)
    shape = rng.choice([1, 2, 5]), rng.choice([4, 24, 64, 72]), rng.choice([6, 9]), 8
    kind = types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
    net.values.append(net.block.insert_arg(kind, 0))
    while net.count < 7:
        if rng.random() < 0.2:
            net.convolution()
        else:
            rng.choice(MOVES)(net)
    return finished(net)


@pytest.mark.parametrize("opt", [0, 2])
@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_a_network_of_moves(seed: int, integer: bool, opt: int, tmp_path: Path) -> None:
    module = network(seed, integer)
    findings = compiled(module, opt, PRECISIONS[integer], seed)
    assert findings.ok, findings.verdict()
    path = tmp_path / "compilation.bmodel"
    path.write_bytes(write(bmodel_of(module)))
    compare(run_bmodel(path, findings.inputs), findings.outputs)
    compare(replay(path, findings.inputs, seed, seed + 1), findings.outputs)
