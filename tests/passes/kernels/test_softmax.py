"""Softmax: the NPU model's result of every form, and what the forms cost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from bmnetu.pipeline import new_context, parse_pipeline, run_pipeline
from dialects.bm1684.cycles import schedule
from dialects.bm1684.isa import Engine
from passes.image.groups import command_groups
from passes.module.functions import main_function
from passes.verify_layers import VerifyLayersPass

NETWORK = """builtin.module {{ func.func @main(%x: {0}) -> {0} attributes {{
  input_names = ["x"], output_names = ["s"]}} {{
  %s = quant.softmax %x axis {1} tops ["s"] : {0} -> {0}
  func.return %s : {0} }} }}"""
LOWERING = (
    "keep-reference,convert-quant-to-tile{{share={}}},tile-allocate-ddr,"
    "tile-allocate-local,convert-tile-to-npu,npu-assign-waits,verify-layers"
)


def compiled(shape: Sequence[int], axis: int, share: int = 1) -> ModuleOp:
    """Lowered, and compared with the reference on random inputs."""
    kind = f"tensor<{'x'.join(map(str, shape))}xf32>"
    module = Parser(new_context(), NETWORK.format(kind, axis)).parse_module()
    passes = parse_pipeline(LOWERING.format(share))
    run_pipeline(module, passes, lambda item: None)
    assert isinstance(passes[-1], VerifyLayersPass)
    (tensor,) = passes[-1].findings.tensors
    assert tensor.isolated.error < 1e-6
    return module


def kinds(module: ModuleOp) -> list[str]:
    (group,) = command_groups(main_function(module))
    return [op.instruction.kind.mnemonic for op in group.commands]


@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 5, 1, 70), (70, 1, 2, 3)])
def test_every_axis(shape: tuple[int, ...], axis: int) -> None:
    compiled(shape, axis)


@pytest.mark.parametrize("shape", [(1, 1000), (4, 1000), (1, 128), (1, 9001), (20, 6400)])
def test_few_long_vectors_go_across_the_lanes(shape: tuple[int, ...]) -> None:
    assert "conv" in kinds(compiled(shape, 1))


@pytest.mark.parametrize("shape", [(150, 21), (64, 1000), (1, 20), (1, 1)])
def test_many_or_short_vectors_lie_in_lanes_of_their_own(shape: tuple[int, ...]) -> None:
    assert "conv" not in kinds(compiled(shape, 1))


def test_vectors_that_do_not_fit_at_once_are_cut() -> None:
    assert kinds(compiled((8, 6000), 1, share=64)).count("max_pool") > 2
    assert kinds(compiled((1, 3, 30, 40), 1, share=256)).count("max_pool") > 1


def test_four_vectors_cost_less_than_four_times_one() -> None:
    def cycles(shape: Sequence[int]) -> int:
        groups = command_groups(main_function(compiled(shape, 1)))
        return schedule([op.instruction for op in g.commands] for g in groups).total

    assert cycles((4, 1000)) < 2 * cycles((1, 1000))


BYTES = """builtin.module {{ func.func @main(%x: {0}) -> {1} attributes {{
  input_names = ["x"], output_names = ["s"]}} {{
  %c = quant.requantize %x multiplier 1 tops ["c"] : {0} -> {0}
  %d = quant.dequantize %c tops ["d"] : {0} -> {1}
  %s = quant.softmax %d axis {2} tops ["s"] : {1} -> {1}
  func.return %s : {1} }} }}"""


def transfers_of_bytes(shape: Sequence[int], axis: int, sign: str) -> int:
    """The DMA engine's commands of a softmax of 8-bit numbers, compared."""
    sizes = "x".join(map(str, shape))
    kinds = f"tensor<{sizes}x{sign}i8, #quant.scale<0.05>>", f"tensor<{sizes}xf32>"
    module = Parser(new_context(), BYTES.format(*kinds, axis)).parse_module()
    whole = LOWERING.format("2 whole=true")
    passes = parse_pipeline(whole)
    run_pipeline(module, passes)
    assert isinstance(passes[-1], VerifyLayersPass)
    findings = {tensor.top: tensor for tensor in passes[-1].findings.tensors}
    assert findings["s"].isolated.error < 1e-6
    assert ("d" in findings) == (shape[0] > 1)
    (group,) = command_groups(main_function(module))
    return sum(op.instruction.engine is Engine.GDMA for op in group.commands)


@pytest.mark.parametrize("sign", ["s", "u"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((1, 2, 50, 51), 1), ((1, 1000, 1, 1), 1), ((1, 3, 4, 300), 3), ((1, 77), 1),
        ((1, 5000, 1, 2), 1), ((1, 6, 4100), 2),
    ],
)
def test_bytes_of_one_image_are_read_as_they_are(
    shape: tuple[int, ...], axis: int, sign: str
) -> None:
    transfers_of_bytes(shape, axis, sign)


def test_bytes_of_several_images_become_floats_first() -> None:
    assert transfers_of_bytes((2, 70), 1, "s") > transfers_of_bytes((1, 70), 1, "s")
