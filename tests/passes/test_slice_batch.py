"""Slices of the batch: the same network with every layer on a few images at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from bmnetu.pipeline import new_context
from dialects.quant import types
from dialects.quant.base import PART, ints
from passes.quant import quant_slice_batch
from passes.quant.quant_slice_batch import need_of
from tests.passes.slices import (
    compared,
    lowered,
    observed_parts,
    random_inputs,
    results,
    sliced,
)
from tests.random_nets import random_module

LARGEST_BATCH = 10


def few_images(integer: bool, seeds: Iterable[int]) -> Iterator[tuple[int, ModuleOp]]:
    """Random networks that are quick to run image by image."""
    for seed in seeds:
        module = random_module(seed, integer)
        values = (value for op in module.walk() for value in op.results)
        if max(types.shape_of(value)[0] for value in values) <= LARGEST_BATCH:
            yield seed, module


EVERYWHERE = "quant-slice-batch{space=0}"


@pytest.fixture(autouse=True)
def weights_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quant_slice_batch, "weights_of", lambda op: 0)  # pyright: ignore


@pytest.mark.parametrize("integer", [False, True])
def test_a_network_in_slices_computes_the_same(integer: bool) -> None:
    kinds: set[str] = set()
    for seed, module in few_images(integer, range(24)):
        lowered(module, "convert-ufw-to-quant")
        inputs = random_inputs(module, seed)
        expected = results(module, inputs)
        lowered(module, EVERYWHERE).verify()
        kinds |= {op.name for op in sliced(module)}
        for got, one in zip(results(module, inputs), expected, strict=True):
            np.testing.assert_allclose(got, one, rtol=1e-5, atol=1e-5)
    assert len(kinds) > 8


@pytest.mark.parametrize("integer", [False, True])
def test_the_npu_computes_slices(integer: bool) -> None:
    seen = 0
    for _, module in few_images(integer, range(6)):
        findings = compared(module, integer, "quant-slice-batch", EVERYWHERE)
        seen += len(observed_parts(module) & {tensor.top for tensor in findings.tensors})
    assert seen > 2


@pytest.mark.parametrize("space", [0, 5000])
@pytest.mark.parametrize("integer", [False, True])
def test_slices_cover_the_batch_once_and_fit(integer: bool, space: int) -> None:
    for _, module in few_images(integer, range(24)):
        lowered(module, "convert-ufw-to-quant", f"quant-slice-batch{{space={space}}}")
        covered: dict[tuple[str, int], int] = {}
        for op in sliced(module):
            _, first, total = ints(cast(Any, op.attributes[PART]))
            images, layer = types.shape_of(op.results[0])[0], (f"{op.name} {op.location}", total)
            covered[layer] = covered.get(layer, 0) + images
            values = (*op.operands, *op.results)
            least = 1 if all(types.is_float(value) for value in values) else 4
            assert images <= 4 or need_of(op, images) <= space
            assert first % least == 0
            assert images % least == 0 or first + images == total
        assert all(images % total == 0 for (_, total), images in covered.items())


def test_images_of_a_word_are_joined_without_a_copy() -> None:
    """What slices of four images make lies in its place of the whole from the start."""
    net = """builtin.module {{ func.func @main(%x: {0}) -> {0} attributes {{
      input_names = ["x"], output_names = ["y"]}} {{
      %y = quant.max_pool %x kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1] tops ["y"] : {0} -> {0}
      func.return %y : {0} }} }}""".format("tensor<9x8x20x20xsi8, #quant.scale<0.5>>")
    module = Parser(new_context(), net).parse_module()
    lowered(module, EVERYWHERE, "convert-quant-to-tile")
    kinds = [op.name for op in module.walk()]
    assert kinds.count("tile.max_pool") == 6  # of columns, and of rows
    assert "tile.copy" not in kinds
    assert kinds.count("tile.load") == kinds.count("tile.store") == 3
