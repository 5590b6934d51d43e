"""Passes refuse modules of another level, and texts whose values come too late."""

from __future__ import annotations

import pytest
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from bmnetu.files.module_text import parse_module
from bmnetu.pipeline import new_context
from bmnetu.ways.levels import ALL_LEVELS, STATIC_LEVELS
from bmnetu.ways.static import OPT_LEVELS
from passes import ALL_PASSES
from passes.base import NpuFunctionPass
from passes.keep_reference import KeepReferencePass
from passes.module.functions import RUNS_ON, main_function, reference_module
from passes.module.precondition import check_precondition
from passes.npu.npu_assign_waits import NpuAssignWaitsPass
from tests.pipelines import static_passes

LAYOUT = '#tile.layout<tensor unit 4 pack 1 strides [1, 1, 1, 1]>'
MEMREF = f'memref<1x1x1x1xf32, {LAYOUT}, #tile.place<ddr>>'
BODIES = {
    "ufw": '%y = ufw.relu ["y"] %x : (tensor<1x3xf32>) -> tensor<1x3xf32> loc("r"("net":7:0))',
    "quant": '%y = quant.pointwise "tanh" %x tops ["y"] : tensor<1x3xf32> -> tensor<1x3xf32>',
    "tile": f"%0 = tile.alloc bytes 4 : {MEMREF}",
    "npu": 'npu.gdma <"move">',
}
PLACES = {"ufw": ' (net:7: layer "r")'}


def module_at(level: str, body: str | None = None) -> ModuleOp:
    """A module whose function holds ops of a level."""
    text = f"func.func @main(%x: tensor<1x3xf32>) {{ {body or BODIES[level]}\nfunc.return }}"
    return parse_module(new_context(), text.encode(), "it.mlir")


def test_every_pass_but_one_declares_a_level() -> None:
    levels = {item.name: getattr(item, "level", None) for item in ALL_PASSES}
    assert [name for name, level in levels.items() if level is None] == ["keep-reference"]
    on_modules = [item.name for item in ALL_PASSES if not issubclass(item, NpuFunctionPass)]
    assert on_modules == [
        "keep-reference", "quant-outline-host", "tile-allocate-ddr", "verify-layers",
        "quant-float-means", "convert-quant-to-record",
        "record-allocate-ddr", "verify-records",
    ]  # fmt: skip
    assert set(levels.values()) == {None, *ALL_LEVELS}


@pytest.mark.parametrize("item", [item for item in ALL_PASSES if hasattr(item, "level")])
@pytest.mark.parametrize("level", STATIC_LEVELS)
def test_a_pass_at_another_level_is_refused(item: type[ModulePass], level: str) -> None:
    module, expected = module_at(level), getattr(item, "level")  # noqa: B009
    if level == expected:
        check_precondition(item(), module)
        return
    op = next(iter(main_function(module).body.block.ops)).name
    with pytest.raises(PassFailedException) as caught:
        check_precondition(item(), module)
    sentence = f"pass {item.name} takes a module at the {expected} level; this one holds {op}"
    assert str(caught.value) == sentence + PLACES.get(level, "")


def test_the_npu_level_keeps_tensors_and_weights() -> None:
    tensor = f'%0 = tile.input "x" shape [1] bytes 4 : {MEMREF}'
    check_precondition(NpuAssignWaitsPass(), module_at("npu", tensor + "\n" + BODIES["npu"]))


@pytest.mark.parametrize("item", ALL_PASSES)
def test_values_are_defined_before_they_are_used(item: type[ModulePass]) -> None:
    late = BODIES["ufw"].replace("%x", "%z") + BODIES["ufw"].replace("%y", "%z")
    with pytest.raises(PassFailedException, match=r"^ufw\.relu \(net:7: .* uses a value before"):
        check_precondition(item(), module_at("ufw", late))


def test_a_reference_is_looked_at_too() -> None:
    function = "func.func @main() { func.return }"
    text = function + "builtin.module @reference {" + function + "}"
    module = parse_module(new_context(), text.encode(), "it.mlir")
    check_precondition(KeepReferencePass(), module)
    reference = reference_module(module)
    assert reference is not None
    main_function(reference).body.add_block(Block())
    with pytest.raises(PassFailedException, match="function @main must have one block"):
        check_precondition(KeepReferencePass(), module)


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
@pytest.mark.parametrize("opt", OPT_LEVELS)
def test_pipelines_run_in_the_order_of_the_levels(precision: str, opt: int) -> None:
    passes = static_passes(opt, precision, verify=True)
    order = [STATIC_LEVELS.index(item.level) for item in passes if hasattr(item, "level")]  # pyright: ignore
    assert order == sorted(order)


def test_every_function_of_the_npu_is_looked_at_and_none_of_the_host() -> None:
    module = module_at("npu")
    other = module_at("quant").body.block.first_op
    assert isinstance(other, FuncOp)
    other.detach()
    other.sym_name = StringAttr("other")
    module.body.block.add_op(other)
    with pytest.raises(PassFailedException, match=r"this one holds quant\."):
        check_precondition(NpuAssignWaitsPass(), module)
    other.attributes[RUNS_ON] = StringAttr("host")
    check_precondition(NpuAssignWaitsPass(), module)
