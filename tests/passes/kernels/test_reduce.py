"""Reductions: every set of axes of tensors of all ranks, few and many numbers."""

from __future__ import annotations

from itertools import combinations

import pytest
from xdsl.parser import Parser

from bmnetu.pipeline import new_context, parse_pipeline, run_pipeline
from passes.verify_layers import VerifyLayersPass

NETWORK = """builtin.module {{ func.func @main(%x: tensor<{0}xf32>) -> tensor<{1}xf32> attributes {{
  input_names = ["x"], output_names = ["s"]}} {{
  %s = quant.reduce {2} %x axes {3} tops ["s"] : tensor<{0}xf32> -> tensor<{1}xf32>
  func.return %s : tensor<{1}xf32> }} }}"""
LOWERING = (
    "keep-reference,convert-quant-to-tile{{share={} whole={}}},tile-allocate-ddr,"
    "tile-allocate-local,convert-tile-to-npu,npu-assign-waits,verify-layers"
)


def reduced(shape: tuple[int, ...], axes: tuple[int, ...], kind: str, share: int = 1) -> None:
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    text = ["x".join(map(str, each)) for each in (shape, kept)]
    network = NETWORK.format(*text, kind, list(axes))
    module = Parser(new_context(), network).parse_module()
    passes = parse_pipeline(LOWERING.format(share, str(share > 1).lower()))
    run_pipeline(module, passes, lambda item: None)
    assert isinstance(passes[-1], VerifyLayersPass)
    (tensor,) = passes[-1].findings.tensors
    assert tensor.isolated.error < (3e-5 if kind == "sum" else 1e-6)


def subsets(rank: int) -> list[tuple[int, ...]]:
    return [axes for count in range(1, rank + 1) for axes in combinations(range(rank), count)]


@pytest.mark.parametrize("kind", ["sum", "max", "min"])
@pytest.mark.parametrize("axes", subsets(4))
def test_all_axes(axes: tuple[int, ...], kind: str) -> None:
    reduced((2, 5, 3, 7), axes, kind)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((7,), (0,)), ((1, 1), (0, 1)), ((300, 5), (0,)), ((5, 300), (1,)), ((3, 1, 4), (1,)),
        ((2, 3, 4, 5, 6), (1, 3)), ((2, 3, 2, 5, 3), (0, 2, 4)), ((1, 40000), (1,)),
        ((1, 70, 130, 70), (1,)), ((1, 70, 130, 70), (2, 3)), ((1, 70, 9, 11), (1, 2, 3)),
        ((2, 200, 150), (1,)), ((100, 64, 20), (1,)), ((130, 3, 700), (2,)),
        ((9, 20000, 2), (1,)), ((1, 1, 400, 400), (3,)), ((1, 1, 400, 400), (2,)),
        ((70000, 2), (1,)), ((2, 70000), (0,)),
    ],
)  # fmt: skip
def test_forms(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    reduced(shape, axes, "sum", share=4)
    reduced(shape, axes, "max")
