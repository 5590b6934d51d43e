"""Tables of 256 bytes as chains of commands: all results, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684 import isa
from dialects.bm1684.cycles import schedule
from dialects.bm1684.layout import Place, Ref, Space, aligned, si8
from dialects.bm1684.npu import CommandOp
from dialects.execute import names_of
from passes.convert_ufw_to_quant import FAST_FUNCTIONS
from passes.image.groups import command_groups
from passes.kernels.elementwise.piecewise import chain_for, fast_table, find_chain, table_cycles
from passes.module.functions import main_function
from passes.verify_layers import VerifyLayersPass
from tests.branch_cases import function_between
from tests.compiled import compiled
from tests.pipelines import static_text

Array = NDArray[Any]
CONVERT = "convert-ufw-to-quant"
FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "silu": lambda x: x / (1 + np.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "clip": lambda x: np.clip(x, -0.5, 1.5),
    "minus": lambda x: 0.3 - x,
}


def table_of(function: Callable[[Array], Array], signed: bool, signed_result: bool) -> Array:
    """y = f(x) for x up to 4, in the scale that just holds y."""
    x = np.arange(-128, 128) if signed else np.arange(256)
    y = function(x * 4 / x.max())
    scale = np.abs(y).max() / (127 if signed_result else 255)
    low, high = (-128, 127) if signed_result else (0, 255)
    table = np.zeros(256, np.uint8)
    table[x & 255] = np.clip(np.rint(y / scale), low, high).astype(np.int64) & 255
    return table


@pytest.mark.parametrize("signed_result", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_results(name: str, signed: bool, signed_result: bool) -> None:
    table = table_of(FUNCTIONS[name], signed, signed_result)
    chain = find_chain(table.tobytes(), signed, signed_result)
    assert chain is not None
    assert chain.cycles(not signed_result) < table_cycles(4)
    x = np.arange(-128, 128) if signed else np.arange(256)
    assert (chain.results(x, signed_result) & 255 == table[x & 255]).all()
    assert all(-128 <= term.factor <= 127 and term.knot in x for term in chain.terms)


@pytest.mark.parametrize("signed_result", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ["silu", "sigmoid", "hard swish"])
def test_one_unit_less_exact_is_faster(name: str, signed: bool, signed_result: bool) -> None:
    table = table_of(FUNCTIONS[name], signed, signed_result)
    found = fast_table(table, signed, signed_result)
    assert found is not None
    fast = found.table
    kind = np.int8 if signed_result else np.uint8
    gaps = np.abs(fast.view(kind).astype(int) - table.view(kind).astype(int))
    assert gaps.max() == 1
    exact, chain = (find_chain(t.tobytes(), signed, signed_result) for t in (table, fast))
    assert exact is not None
    assert chain is not None
    assert len(chain.terms) < len(exact.terms)


def test_noise_has_no_faster_table() -> None:
    table = np.random.default_rng(0).permutation(256).astype(np.uint8)
    assert fast_table(table, True, True) is None


def test_what_is_fast_stays() -> None:
    half = (np.arange(256).astype(np.uint8).view(np.int8) >> 1).view(np.uint8)
    assert fast_table(half, True, True) is None


@pytest.mark.parametrize("opt", [0, 2])
def test_fast_functions_are_settled_arithmetic(opt: int) -> None:
    """Reference and chip agree, each function is listed, and opt 2 takes fewer cycles."""
    module = function_between((1, 70, 45, 52), "mish")(True)
    exact = module.clone()
    text = static_text(opt, "INT8").replace(CONVERT, f"{CONVERT}{{fast-functions=true}}", 1)
    passes = parse_pipeline(f"{text},verify-layers")
    run_pipeline(module, passes)
    check = passes[-1]
    assert isinstance(check, VerifyLayersPass)
    assert check.findings.ok
    (line,) = names_of(main_function(module), FAST_FUNCTIONS)
    assert "a fast function" in line
    assert compiled(exact, opt, "INT8").ok
    if opt:
        assert total(module) < total(exact)


def total(module: ModuleOp) -> int:
    groups = command_groups(main_function(module))
    return schedule([op.instruction for op in group.commands] for group in groups).total


def test_a_table_of_noise() -> None:
    table = np.random.default_rng(0).permutation(256).astype(np.uint8)
    assert find_chain(table.tobytes(), True, True) is None


def test_steps_up_to_half_the_range() -> None:
    x = np.arange(-128, 128).astype(np.int8).view(np.uint8)
    table = np.where(np.argsort(x) >= 200, 127, 0).astype(np.uint8)
    assert find_chain(table.tobytes(), True, True) is not None
    table = np.where(np.argsort(x) >= 200, 127, 128).astype(np.uint8)
    assert find_chain(table.tobytes(), True, True) is None


@pytest.mark.parametrize(("images", "chosen"), [(1, False), (4, True)])
def test_no_chain_where_a_table_takes_less(images: int, chosen: bool) -> None:
    table = table_of(FUNCTIONS["sigmoid"], True, True)
    x = Ref(si8, (images, 1, 1, 1), aligned((images, 1, 1, 1), 4, 4), Place(Space.LMEM))
    assert (chain_for(table, x, x, images) is not None) == chosen


def kinds(module: ModuleOp) -> set[isa.InstructionKind]:
    """The commands of a compiled network."""
    return {op.instruction.kind for op in module.walk() if isinstance(op, CommandOp)}


@pytest.mark.parametrize("images", [1, 4, 6])
def test_a_network(images: int) -> None:
    """A single image is four strips."""
    module = function_between((images, 6, 24, 8), "swish")(True)
    assert compiled(module, 2, "INT8").ok
    assert isa.LOOKUP not in kinds(module)
