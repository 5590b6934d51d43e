"""Slices of the batch beside layers with large weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects.quant import types
from passes.quant import quant_slice_batch
from tests.frontend.samples import data, layer, loaded
from tests.passes.slices import compared, lowered

SLICES = "quant-slice-batch{space=2000}"


def net(folder: Path, outputs: int) -> ModuleOp:
    """Layers of large tensors and few weights, with one of so many outputs between them."""
    conv = "convolution_param { num_output: 8 kernel_size: 3 pad: 1 }"
    text = data(40, 8, 7, 7) + layer("Convolution", conv, name="c", top="c")
    for name, bottom, count in (("wide", "c", outputs), ("narrow", "wide", 4)):
        settings = f"inner_product_param {{ num_output: {count} }}"
        text += layer("InnerProduct", settings, name=name, bottom=bottom, top=name)
    return loaded(folder, text).module


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of ten thousand bytes of each lane are loaded for each slice."""
    monkeypatch.setattr(quant_slice_batch, "HEAVY", 10_000)


def images(module: ModuleOp) -> dict[int, set[int]]:
    """How many images the layers run on at a time, by their channels."""
    found: dict[int, set[int]] = {}
    for op in module.walk():
        if op.name == "quant.conv":
            count, channels, *_ = types.shape_of(op.results[0])
            found.setdefault(channels, set()).add(count)
    return found


@pytest.mark.parametrize(("outputs", "whole"), [(16, False), (512, True)])
def test_a_layer_of_large_weights_between_slices_stays_whole(
    tmp_path: Path, outputs: int, whole: bool
) -> None:
    found = images(lowered(net(tmp_path, outputs), "convert-ufw-to-quant", SLICES))
    assert max(found[8]) < 40
    assert (found[outputs] == {40}) is whole


def test_the_npu_computes_them(tmp_path: Path) -> None:
    findings = compared(net(tmp_path, 512), False, "quant-slice-batch", SLICES)
    assert findings.ok
