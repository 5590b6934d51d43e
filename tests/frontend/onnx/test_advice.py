"""What the refusals advise can be compiled, and computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.frontend.onnx.advice import ADVICE, HOST, OWN_DOMAIN, advice_on
from bmnetu.frontend.onnx.operators.table import all_operators
from tests.frontend.onnx.graphs import (
    Net,
    by_bmnetu,
    by_onnx,
    check,
    inputs_of,
    loaded,
    node,
)

SAME: dict[str, tuple[Net, Net]] = {
    "Pow": (
        Net([node("Exp", "x", "e"), node("Pow", "e z", "y")], inputs={"x": (2, 3), "z": (2, 3)}),
        Net([node("Exp", "x", "e"), node("Log", "e", "l"), node("Mul", "z l", "m"),
             node("Exp", "m", "y")], inputs={"x": (2, 3), "z": (2, 3)}),
    ),
    "Einsum": (
        Net([node("Einsum", "a b c", "y", equation="ij,jk,kl->il")],
            inputs=dict.fromkeys("abc", (3, 3))),
        Net([node("Einsum", "a b", "d", equation="ij,jk->ik"),
             node("Einsum", "d c", "y", equation="ik,kl->il")],
            inputs=dict.fromkeys("abc", (3, 3))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("op", SAME)
def test_the_other_way_to_write_it_compiles_and_is_the_same(op: str, tmp_path: Path) -> None:
    refused, compiled = SAME[op]
    assert isinstance(loaded(tmp_path, refused), str)
    assert op in ADVICE
    network = check(tmp_path, compiled)
    inputs = inputs_of(refused)
    expected = by_onnx(refused.model(), inputs)["y"]
    np.testing.assert_allclose(by_bmnetu(network, inputs)["y"], expected, rtol=1e-4, atol=1e-5)
    result = bmnetu.compile(compiled.write(tmp_path), None, tmp_path / "out", cmp_data=inputs)
    assert result.findings is not None
    (found,) = result.findings.outputs.values()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_the_advice_is_on_operators_that_may_be_refused() -> None:
    assert list(ADVICE) == sorted(ADVICE)
    assert not {"Relu", "Sigmoid", "Tanh", "Flatten", "Identity"} & set(ADVICE)
    assert set(ADVICE) - set(all_operators())
    assert advice_on("com.microsoft.Gelu") == OWN_DOMAIN
    assert advice_on("Anything") == HOST
