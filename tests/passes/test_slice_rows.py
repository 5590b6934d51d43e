"""Slices of rows: the same network with layers on some rows of their images at a time."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.parser import Parser

from bmnetu.pipeline import new_context
from dialects.bm1684 import tile
from dialects.bm1684.layout import Ref, Space
from dialects.bm1684.npu import AxisPart, Observation
from dialects.quant import types
from dialects.quant.base import PART, ints
from dialects.quant.movement import SliceOp
from passes.kernels.movement.in_place import first_row
from passes.slices import plan_rows
from passes.verification.npu import Parts
from tests.branch_nets import BranchNet
from tests.passes.slices import (
    compared,
    lowered,
    observed_parts,
    random_inputs,
    results,
    sliced,
)
from tests.pipelines import static_text
from tests.random_nets import random_image_module

SPACE = 3000
NETS = 12
SLICED = f"quant-slice-rows{{space={SPACE}}}"


@pytest.fixture(autouse=True)
def slices_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_rows, "SLICE_CYCLES", 0)


@cache
def sliced_nets(integer: bool) -> list[tuple[int, ModuleOp, ModuleOp]]:
    """Seeds, networks, and the same networks in slices; they are read only."""
    found: list[tuple[int, ModuleOp, ModuleOp]] = []
    for seed in range(200):
        module = lowered(random_image_module(seed, integer), "convert-ufw-to-quant")
        copy = lowered(module.clone(), SLICED)
        if len(sliced(copy)) > 3:
            found.append((seed, module, copy))
        if len(found) == NETS:
            break
    return found


@pytest.mark.parametrize("integer", [False, True])
def test_a_network_in_slices_computes_the_same(integer: bool) -> None:
    kinds: set[str] = set()
    for seed, module, copy in sliced_nets(integer):
        copy.verify()
        kinds |= {op.name for op in sliced(copy)}
        inputs = random_inputs(module, seed)
        for got, expected in zip(results(copy, inputs), results(module, inputs), strict=True):
            largest = float(np.abs(expected).max())  # sums of fewer rows are added in another order
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * largest)
    assert len(kinds) > 3


@pytest.mark.parametrize("integer", [False, True])
def test_every_row_is_computed(integer: bool) -> None:
    for _, _, copy in sliced_nets(integer):
        covered: dict[tuple[str, int], set[int]] = {}
        for op in sliced(copy):
            axis, first, total = ints(cast(Any, op.attributes[PART]))
            rows, layer = types.shape_of(op.results[0])[2], f"{op.name} {op.location}"
            assert axis == 2
            covered.setdefault((layer, total), set()).update(range(first, first + rows))
        assert covered
        assert all(rows == set(range(total)) for (_, total), rows in covered.items())


@pytest.mark.parametrize("integer", [False, True])
def test_the_npu_computes_slices(integer: bool) -> None:
    seen = 0
    for seed, _, _ in sliced_nets(integer):
        module = random_image_module(seed, integer)
        findings = compared(module, integer, "quant-slice-rows", SLICED)
        seen += len(observed_parts(module) & {tensor.top for tensor in findings.tensors})
    assert seen > 2


NET = """builtin.module {{ func.func @main(%x: {0}) -> {0} attributes {{
  input_names = ["x"], output_names = ["c"]}} {{
  %a = quant.max_pool %x kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1] tops ["a"] : {0} -> {0}
  %b = quant.max_pool %a kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1] tops ["b"] : {0} -> {0}
  %c = quant.eltwise sum(%a, %b) tops ["c"] : {0}, {0} -> {0}
  func.return %c : {0} }} }}"""


def test_tensors_of_a_slice_stay_in_local_memory() -> None:
    module = Parser(new_context(), NET.format("tensor<1x8x96x64xf32>")).parse_module()
    level = "convert-quant-to-tile{share=2 whole=true}"
    lowered(module, "quant-slice-rows{space=60000}", level, "tile-keep-local")
    assert not moved_through_ddr(module)


JOINED = """builtin.module { func.func @main(%x: !whole) -> !whole attributes {
  input_names = ["x"], output_names = ["y"]} {
  %a = quant.slice %x axis 2 begin 0 tops [""] : !whole -> !half
  %b = quant.max_pool %a kernel [1, 1] stride [1, 1] tops [""] : !half -> !half
  %c = quant.slice %x axis 2 begin 8 tops [""] : !whole -> !half
  %d = quant.max_pool %c kernel [1, 1] stride [1, 1] tops [""] : !half -> !half
  %e = quant.concat(%b, %d) axis 2 tops ["e"] : !half, !half -> !whole
  %y = quant.max_pool %e kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1] tops ["y"] : !whole -> !whole
  func.return %y : !whole } }"""


def test_rows_of_many_channels_are_joined_in_local_memory() -> None:
    """Such a part takes two rows of lanes, and is made and stored by each of them."""
    text = JOINED.replace("!whole", "tensor<1x128x16x8xf32>").replace(
        "!half", "tensor<1x128x8x8xf32>"
    )
    module = Parser(new_context(), text).parse_module()
    lowered(module, "convert-quant-to-tile{share=2 whole=true}", "tile-keep-local")
    assert not moved_through_ddr(module)


def moved_through_ddr(module: ModuleOp) -> list[Operation]:
    """Transfers from and to anything in DDR but inputs, outputs and constants."""
    found: list[Operation] = []
    for op in module.walk():
        far = op.src if isinstance(op, tile.LoadOp) else None
        far = op.dst if isinstance(op, tile.StoreOp) else far
        if far is not None and isinstance(_buffer(far), tile.AllocOp):
            found.append(op)
    return found


def _buffer(value: SSAValue) -> Any:
    while isinstance(value.owner, tile.ViewOp):
        value = value.owner.source
    return value.owner


SLICE = """builtin.module {{ func.func @main(%x: tensor<{0}>) -> tensor<{1}> attributes {{
  input_names = ["x"], output_names = ["y"]}} {{
  %y = quant.slice %x axis 2 begin 1 tops ["y"] : tensor<{0}> -> tensor<{1}>
  func.return %y : tensor<{1}> }} }}"""
SI8 = "si8, #quant.scale<0.5>"


@pytest.mark.parametrize(
    ("shape", "element"),
    [
        ((1, 3, 9, 7), SI8),
        ((1, 4100, 3, 1), "f32"),
        ((300, 2, 6, 5), SI8),
        ((1, 2, 3, 70000), "f32"),
    ],
)
def test_rows_of_any_shape(shape: tuple[int, int, int, int], element: str) -> None:
    n, c, h, w = shape
    whole, rows = (f"{n}x{c}x{height}x{w}x{element}" for height in (h, h - 2))
    module = Parser(new_context(), SLICE.format(whole, rows)).parse_module()
    text = static_text(2, "INT8", verify=True)
    lowered(module, "keep-reference", text[text.index("convert-quant-to-tile") :])


def part(first: int) -> Observation:
    return Observation("t", 0, (1, 1, 3, 2), "int8", False, parts=(AxisPart(2, first, 5),))


def test_parts_make_the_whole() -> None:
    whole = np.arange(10, dtype=np.int8).reshape(1, 1, 5, 2)
    parts = Parts(pytest.fail)
    assert parts.add(part(0), whole[:, :, :3]) is None
    made = parts.add(part(2), whole[:, :, 2:])
    assert made is not None
    np.testing.assert_array_equal(made, whole)


def test_a_halo_that_differs_is_reported() -> None:
    whole = np.arange(10, dtype=np.int8).reshape(1, 1, 5, 2)
    reported: list[str] = []
    parts = Parts(reported.append)
    parts.add(part(0), whole[:, :, :3])
    parts.add(part(2), whole[:, :, 2:] + np.int8(1))
    assert reported == ['tensor "t": two slices compute a common element differently, 5 and 4']


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("opt", ["share=2 whole=true", "share=2"])
def test_functions_at_the_ends_of_slices_copy_nothing(integer: bool, opt: str) -> None:
    """They read and write rows of the whole tensor, also of several words a pixel."""
    net = BranchNet((5 if integer else 1, 8, 40, 36), integer)
    x = net.function(net.conv(net.input, 24, 3), "swish")
    x = net.prelu(net.sum(x, net.conv(x, 24, 5)), 0.0)
    net.conv(x, 8, 7)
    module = lowered(net.module(), "convert-ufw-to-quant", SLICED)
    assert sliced(module)
    lowered(module, f"convert-quant-to-tile{{{opt}}}")
    copies = [op for op in module.walk() if isinstance(op, tile.CopyOp)]
    assert not [op for op in copies if Ref.of(op.dst).place.space is Space.DDR]


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("channels", [3, 70])
def test_functions_of_few_channels_at_the_ends_of_slices(integer: bool, channels: int) -> None:
    """A function of many cycles fills all lanes with a tensor of few channels where its numbers lie
    one behind the other; rows of a larger tensor do not."""
    net = BranchNet((5 if integer else 1, 8, 60, 36), integer)
    x = net.function(net.conv(net.input, channels, 3), "mish")
    x = net.sum(x, net.conv(x, channels, 5))
    net.conv(net.function(x, "sigmoid"), 8, 7)
    module = net.module()
    assert compared(module, integer, "quant-slice-rows", SLICED).ok
    assert observed_parts(module)


@pytest.mark.parametrize(("shape", "row"), [("1x4x6x5", 2), ("1x4x6", None), ("1x4x6x5x2", None)])
def test_rows_of_images_alone_are_read_where_they_lie(shape: str, row: int | None) -> None:
    part = shape.replace("x6", "x3", 1)
    text = f"""builtin.module {{ func.func @main(%x: tensor<{shape}xf32>) -> tensor<{part}xf32>
      attributes {{input_names = ["x"], output_names = ["y"]}} {{
      %s = quant.slice %x axis 2 begin 2 tops [""] : tensor<{shape}xf32> -> tensor<{part}xf32>
      %y = quant.pointwise "exp" %s tops ["y"] : tensor<{part}xf32> -> tensor<{part}xf32>
      func.return %y : tensor<{part}xf32> }} }}"""
    module = Parser(new_context(), text).parse_module()
    (cut,) = (op for op in module.walk() if isinstance(op, SliceOp))
    assert first_row(cut) == row
