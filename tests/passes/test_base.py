"""Passes on modules of several functions."""

from __future__ import annotations

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region
from xdsl.utils.exceptions import PassFailedException

from bmnetu.ways.static import OPT_LEVELS
from dialects.host.ops import YoloActivationOp
from dialects.quant import types
from dialects.ufw.layer import Top
from passes import ALL_PASSES
from passes.base import NpuFunctionPass
from passes.keep_reference import KeepReferencePass
from passes.module.functions import (
    MAIN,
    RUNS_ON,
    functions,
    main_function,
    names,
    npu_functions,
    reference_module,
)
from passes.npu.npu_assign_waits import NpuAssignWaitsPass
from tests.pipelines import static_passes
from tests.random_nets import random_module

CASES = [(opt, precision) for opt in OPT_LEVELS for precision in ("FP32", "INT8")]


def function_of(seed: int, precision: str, name: str = MAIN) -> FuncOp:
    """The function of a random network, alone in no module."""
    function = main_function(random_module(seed, precision == "INT8"))
    function.detach()
    function.sym_name = StringAttr(name)
    for attribute in ("input_names", "output_names"):  # of no other function
        own = [StringAttr(f"{seed}/{each}") for each in names(function, attribute)]
        function.attributes[attribute] = ArrayAttr(own)
    return function


def host_function() -> FuncOp:
    """A function that runs on the host: one layer."""
    block = Block(arg_types=[types.float_tensor((1, 5, 2, 3))])
    op = YoloActivationOp([block.args[0]], [Top("host")], {"classes": 0, "num": 1})
    block.add_op(op)
    block.add_op(ReturnOp(*op.results))
    kinds = ([block.args[0].type], [op.results[0].type])
    function = FuncOp("host", kinds, Region(block))
    function.attributes["input_names"] = ArrayAttr([StringAttr("a")])
    function.attributes["output_names"] = ArrayAttr([StringAttr("b")])
    function.attributes[RUNS_ON] = StringAttr("host")
    return function


def body(module: ModuleOp, name: str) -> str:
    """A function's text, without its name."""
    (found,) = (f for f in functions(module) if f.sym_name.data == name)
    return str(found).replace(f"@{name}", "")


def op_names(module: ModuleOp, name: str) -> list[str]:
    (found,) = (f for f in functions(module) if f.sym_name.data == name)
    return [op.name for op in found.body.block.ops]


@pytest.mark.parametrize(("opt", "precision"), CASES)
def test_every_function_of_the_npu_is_lowered_as_if_it_were_alone(opt: int, precision: str) -> None:
    alone = [ModuleOp([function_of(seed, precision)]) for seed in (0, 1)]
    both = ModuleOp(
        [
            function_of(0, precision),
            host_function(),
            function_of(1, precision, "second"),
        ]
    )
    host, placed = body(both, "host"), False
    for item in static_passes(opt, precision):
        for module in (both, *alone):
            item.apply(Context(), module)
        placed = placed or item.name == "tile-allocate-ddr"  # the whole network's addresses
        for name, module in zip((MAIN, "second"), alone, strict=True):
            if placed:
                assert op_names(both, name) == op_names(module, MAIN), item.name
            else:
                assert body(both, name) == body(module, MAIN), item.name
                assert body(both, "host") == host
    assert op_names(both, "host") == ["host.yolo_activation", "func.return"]
    assert "npu.gdma" in body(both, "second")
    reference = reference_module(both)
    assert reference is not None
    assert [f.sym_name.data for f in functions(reference)] == [MAIN, "host", "second"]


def test_the_pipelines_above_hold_every_pass_on_functions() -> None:
    run = {
        item.name
        for opt, precision in CASES
        for item in static_passes(opt, precision)
    }
    assert {item.name for item in ALL_PASSES if issubclass(item, NpuFunctionPass)} <= run


def test_a_module_without_functions_is_an_error() -> None:
    module = ModuleOp([])
    with pytest.raises(PassFailedException, match="no function that runs on the NPU"):
        NpuAssignWaitsPass().apply(Context(), module)
    module = ModuleOp([host_function()])
    NpuAssignWaitsPass().apply(Context(), module)
    KeepReferencePass().apply(Context(), module)


def test_a_function_may_say_that_it_runs_on_the_npu() -> None:
    function = function_of(0, "FP32")
    function.attributes[RUNS_ON] = StringAttr("npu")
    assert npu_functions(ModuleOp([function])) == [function]
