"""Float arithmetic of tensors that repeat: the commands compute what numpy does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.parser import Parser

from bmnetu.pipeline import new_context, parse_pipeline, run_pipeline
from dialects.quant.eltwise import MEANINGS, BinaryKind
from passes.kernels.elementwise.broadcast import View
from passes.verification.findings import Findings
from passes.verify_layers import VerifyLayersPass

LOWERING = (
    "keep-reference,convert-quant-to-tile{{{options}}},tile-allocate-ddr,"
    "tile-allocate-local,convert-tile-to-npu,npu-assign-waits,verify-layers"
)
OPTIONS = ("share=1", "share=2 whole=true", "share=64")


def tensor(shape: Sequence[int]) -> str:
    return f"tensor<{'x'.join(map(str, shape))}xf32>"


def network(ops: Sequence[str], shapes: Sequence[Sequence[int]], result: Sequence[int]) -> str:
    """A function whose arguments are ``%x0``, ``%x1`` ..., and whose result is ``%y``."""
    args = ", ".join(f"%x{i}: {tensor(s)}" for i, s in enumerate(shapes))
    names = ", ".join(f'"x{i}"' for i in range(len(shapes)))
    return (
        f"builtin.module {{ func.func @main({args}) -> {tensor(result)}\n"
        f'attributes {{ input_names = [{names}], output_names = ["y"] }} {{\n'
        + "\n".join(ops)
        + f"\nfunc.return %y : {tensor(result)} }} }}"
    )


def run(text: str, options: str) -> Findings:
    module = Parser(new_context(), text).parse_module()
    passes = parse_pipeline(LOWERING.format(options=options))
    assert isinstance(passes[-1], VerifyLayersPass)
    run_pipeline(module, passes, lambda item: None)
    return passes[-1].findings


def binary(kind: str, a: Sequence[int], b: Sequence[int], options: str) -> Findings:
    y = np.broadcast_shapes(tuple(a), tuple(b))
    types = f"{tensor(a)}, {tensor(b)} -> {tensor(y)}"
    op = f'%y = quant.binary {kind} %x0, %x1 tops ["y"] : {types}'
    return run(network([op], [a, b], y), options)


@st.composite
def operands(draw: st.DrawFn, count: int, most: int = 30000) -> list[tuple[int, ...]]:
    """Shapes of one rank that broadcast."""
    extents = st.sampled_from([1, 2, 3, 5, 16, 64, 65, 130])
    shape = draw(st.lists(extents, min_size=1, max_size=6).filter(lambda s: np.prod(s) <= most))
    masks = st.lists(st.booleans(), min_size=len(shape), max_size=len(shape))
    return [
        tuple(e if kept else 1 for e, kept in zip(shape, draw(masks), strict=True))
        for _ in range(count)
    ]


@given(operands(2), st.sampled_from(list(BinaryKind)), st.sampled_from(OPTIONS))
@settings(max_examples=80, deadline=None)
def test_any_two_tensors(shapes: list[tuple[int, ...]], kind: BinaryKind, options: str) -> None:
    findings = binary(kind.value, shapes[0], shapes[1], options)
    assert findings.ok, findings.verdict()


@given(operands(3), st.sampled_from(OPTIONS))
@settings(max_examples=25, deadline=None)
def test_any_choice(shapes: list[tuple[int, ...]], options: str) -> None:
    y = np.broadcast_shapes(*shapes)
    types = f"{', '.join(map(tensor, shapes))} -> {tensor(y)}"
    op = f'%y = quant.select %x0, %x1, %x2 tops ["y"] : {types}'
    findings = run(network([op], shapes, y), options)
    assert findings.ok, findings.verdict()


@pytest.mark.parametrize(
    "small",
    [(2, 64, 1, 1), (1, 64, 1, 1), (1, 1, 56, 56), (1, 1, 1, 56), (1, 64, 56, 1), (1, 1, 1, 1)],
)
@pytest.mark.parametrize("options", OPTIONS)
def test_an_operand_that_repeats_in_a_large_tensor(small: tuple[int, ...], options: str) -> None:
    for shapes in ((small, (2, 64, 56, 56)), ((2, 64, 56, 56), small)):
        findings = binary("sub", shapes[0], shapes[1], options)
        assert findings.ok, findings.verdict()


@pytest.mark.parametrize("kind", ["eq", "ne", "ge", "le", "gt", "lt"])
def test_a_tensor_compared_with_itself(kind: str) -> None:
    shape = (1, 5, 3, 4)
    types = f"{tensor(shape)}, {tensor(shape)} -> {tensor(shape)}"
    op = f'%y = quant.binary {kind} %x0, %x0 tops ["y"] : {types}'
    findings = run(network([op], [shape], shape), OPTIONS[0])
    assert findings.ok, findings.verdict()


def test_every_kind_has_a_meaning() -> None:
    assert set(MEANINGS) == set(BinaryKind)


def test_a_view_that_fills_the_lanes_costs_less() -> None:
    assert View((1, 64, 1, 100), ()).cost < View((64, 100, 1, 1), ()).cost
