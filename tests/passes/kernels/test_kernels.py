"""The table of kernels."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.quant import QUANT
from dialects.quant.base import QuantOp
from dialects.quant.compute import ConvOp
from passes.convert_quant_to_tile import ConvertQuantToTilePass
from passes.kernels import KERNELS, register
from passes.kernels.builder import TileBuilder
from passes.kernels.convolution.conv import lower_conv
from passes.module.locations import LayerError
from tests.random_nets import random_module


@pytest.mark.parametrize("op", list(QUANT.operations), ids=lambda op: op.name)
def test_every_op_has_a_kernel(op: type[Operation]) -> None:
    assert issubclass(op, QuantOp)
    assert op in KERNELS


def quant_module() -> ModuleOp:
    """A network with a convolution, at the quant level."""
    module = random_module(0, False)
    run_pipeline(module, parse_pipeline("convert-ufw-to-quant"))
    assert any(isinstance(op, ConvOp) for op in module.walk())
    return module


def test_the_pass_uses_what_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def lower(b: TileBuilder, op: ConvOp, sources: Sequence[SSAValue], dest: SSAValue) -> None:
        seen.append((len(sources), b.options.budget))
        lower_conv(b, op, sources, dest)

    monkeypatch.setitem(KERNELS, ConvOp, lower_conv)
    register(ConvOp, lower)
    ConvertQuantToTilePass(share=4).apply(Context(), quant_module())
    assert seen
    assert set(seen) == {(1, 512 * 1024 // 4)}


def test_an_op_without_a_kernel_is_an_error_that_names_the_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = quant_module()
    conv = next(op for op in module.walk() if isinstance(op, ConvOp))
    monkeypatch.delitem(KERNELS, ConvOp)
    with pytest.raises(LayerError, match=r"quant\.conv has no kernel") as caught:
        ConvertQuantToTilePass().apply(Context(), module)
    assert caught.value.location == conv.location
