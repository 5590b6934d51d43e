"""The opt levels: their texts, what they promise about each other, and the run of a pipeline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.parser import Parser
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from bmnetu.files.dump import module_text
from bmnetu.pipeline import new_context, parse_pipeline, pipeline_text, run_pipeline
from bmnetu.ways.levels import STATIC_LEVELS
from bmnetu.ways.static import OPT_LEVELS
from passes.convert_ufw_to_quant import ConvertUfwToQuantPass
from passes.module.functions import main_function, reference_module
from tests.pipelines import static_passes, static_text
from tests.random_nets import random_module

PRECISIONS = ("FP32", "INT8")
CASES = [(opt, precision) for opt in OPT_LEVELS for precision in PRECISIONS]
CONVERSIONS = ["convert-ufw-to-quant", "convert-quant-to-tile", "convert-tile-to-npu"]


def names(text: str) -> list[str]:
    return [item.name for item in parse_pipeline(text)]


def nothing(item: ModulePass) -> None:
    """Watches a pipeline and does nothing."""


@pytest.mark.parametrize(("opt", "precision"), CASES)
def test_every_level_goes_down_all_the_stairs_in_order(opt: int, precision: str) -> None:
    found = names(static_text(opt, precision, verify=True))
    assert [name for name in found if name.startswith("convert-")] == CONVERSIONS
    assert found[-2:] == ["npu-assign-waits", "verify-layers"]
    assert found.count("keep-reference") == 1
    at = {name: i for i, name in enumerate(found)}
    for level, (begin, end) in {
        "ufw": (-1, at[CONVERSIONS[0]]),
        "quant": (at[CONVERSIONS[0]], at[CONVERSIONS[1]]),
        "tile": (at[CONVERSIONS[1]], at[CONVERSIONS[2]]),
        "npu": (at[CONVERSIONS[2]], len(found)),
    }.items():
        assert all(begin < i < end for name, i in at.items() if name.startswith(f"{level}-"))
    settled = at["keep-reference"] > at[CONVERSIONS[0]]
    assert settled == (precision == "INT8")
    changing = [at[name] for name in ("ufw-fold-batch-norm", "quant-fuse-relu") if name in at]
    assert all(at["keep-reference"] < i for i in changing)


@pytest.mark.parametrize(("opt", "precision"), CASES)
def test_a_level_ends_where_it_is_told(opt: int, precision: str) -> None:
    whole = static_text(opt, precision)
    for level, end in zip(STATIC_LEVELS, [*CONVERSIONS, None], strict=True):
        text = static_text(opt, precision, stop_after=level, verify=True)
        if end is None:
            assert text == f"{whole},verify-layers"
        else:
            assert whole.startswith(text)
            assert end not in names(text) if text else True
            assert whole.removeprefix(text).lstrip(",").startswith(end)


TEXTS = {
    (0, "FP32"): (
        "keep-reference,convert-ufw-to-quant,quant-choose-winograd,quant-fold-constants,"
        "quant-outline-host,convert-quant-to-tile,"
        "tile-allocate-ddr,tile-allocate-local,convert-tile-to-npu,npu-assign-waits{serial=true}"
    ),
    (0, "INT8"): (
        "convert-ufw-to-quant,quant-choose-winograd,quant-fold-constants,keep-reference,"
        "quant-outline-host,convert-quant-to-tile,"
        "tile-allocate-ddr,tile-allocate-local,convert-tile-to-npu,npu-assign-waits{serial=true}"
    ),
    (1, "FP32"): (
        "keep-reference,ufw-fold-batch-norm,ufw-fuse-functions,convert-ufw-to-quant,quant-choose-winograd,"
        "quant-fold-constants,quant-drop-unread,quant-outline-host,quant-fuse-relu,quant-merge-transposes,quant-fold-shuffles,quant-merge-groups,quant-choose-matmul,quant-fuse-sums,convert-quant-to-tile{share=2},tile-allocate-ddr,"
        "tile-allocate-local{overlap=true},convert-tile-to-npu,npu-hoist-loads,npu-assign-waits"
    ),
    (1, "INT8"): (
        "convert-ufw-to-quant,quant-choose-winograd,quant-fold-constants,quant-drop-unread,"
        "keep-reference,quant-outline-host,quant-merge-transposes,quant-fold-shuffles,quant-merge-groups,quant-choose-matmul,quant-turn-rows,quant-merge-transposes,"
        "convert-quant-to-tile{share=2},tile-allocate-ddr,tile-allocate-local{overlap=true},"
        "convert-tile-to-npu,npu-hoist-loads,npu-assign-waits"
    ),
    (2, "FP32"): (
        "keep-reference,ufw-fold-batch-norm,ufw-fuse-functions,convert-ufw-to-quant,quant-choose-winograd,"
        "quant-fold-constants,quant-drop-unread,quant-outline-host,quant-fuse-relu,quant-merge-transposes,quant-fold-shuffles,quant-merge-groups,quant-channels-first,quant-merge-transposes,quant-choose-matmul,quant-sink-functions,quant-widen-convs,quant-arrange-concats,quant-slice-batch,quant-slice-rows,quant-spread-rows,quant-fuse-sums,"
        "convert-quant-to-tile{share=2 whole=true fold=true},tile-keep-local,tile-merge-loads,"
        "tile-allocate-ddr,"
        "tile-allocate-local{overlap=true},convert-tile-to-npu,npu-hoist-loads,npu-fill-waits,npu-assign-waits"
    ),
    (2, "INT8"): (
        "convert-ufw-to-quant,quant-choose-winograd,quant-fold-constants,quant-drop-unread,"
        "keep-reference,quant-outline-host,quant-merge-transposes,quant-fold-shuffles,quant-merge-groups,quant-choose-matmul,quant-turn-rows,quant-channels-first,quant-merge-transposes,"
        "quant-sink-functions,quant-widen-convs,quant-arrange-concats,quant-slice-batch,quant-slice-rows,quant-spread-rows,quant-cut-strips,"
        "convert-quant-to-tile{share=2 whole=true fold=true},tile-keep-local,tile-merge-loads,"
        "tile-allocate-ddr,"
        "tile-allocate-local{overlap=true},convert-tile-to-npu,npu-hoist-loads,npu-fill-waits,npu-assign-waits"
    ),
}


def test_the_texts_of_the_opt_levels() -> None:
    assert {case: static_text(*case) for case in CASES} == TEXTS


@pytest.mark.parametrize(("opt", "precision"), CASES)
def test_texts_read_back_to_the_same_passes(opt: int, precision: str) -> None:
    passes = static_passes(opt, precision, verify=True, seed=7, use_wino=True)
    assert parse_pipeline(pipeline_text(passes)) == passes
    assert "quant-choose-winograd{everywhere=true seed=7}" in pipeline_text(passes)


def test_two_compilations_share_no_state() -> None:
    """Passes that keep what they are given or find are made anew."""
    first, second = (static_passes(2, "INT8", verify=True) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one is not other or not hasattr(one, "data")


def test_the_seed_is_part_of_the_text() -> None:
    assert static_text(1, "INT8", verify=True, seed=7).endswith(",verify-layers{seed=7}")
    assert static_text(1, "INT8", verify=True).endswith(",verify-layers")


NAMES = st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))


@given(NAMES, NAMES)
def test_any_names_survive_the_text(inputs: list[str], outputs: list[str]) -> None:
    passes = static_passes(0, "INT8", input_as_fp32=tuple(inputs), output_as_fp32=tuple(outputs))
    assert passes[0] == ConvertUfwToQuantPass(tuple(inputs), tuple(outputs))
    assert parse_pipeline(pipeline_text(passes)) == passes


@pytest.mark.parametrize("seed", range(4))
def test_int8_arithmetic_is_the_same_at_all_opt_levels(seed: int) -> None:
    references: set[str] = set()
    for opt in OPT_LEVELS:
        module = random_module(seed, integer=True)
        text = static_text(opt, "INT8", stop_after="quant")
        run_pipeline(module, parse_pipeline(text), nothing)
        reference = reference_module(module)
        assert reference is not None
        references.add(str(main_function(reference)))
        _, *passes = text.split("keep-reference,")  # their tests in tests/passes compare results
        assert passes or str(main_function(module)) == str(main_function(reference))
    assert len(references) == 1


@pytest.mark.parametrize("level", STATIC_LEVELS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_dump_of_every_level_reads_back(precision: str, level: str) -> None:
    module = random_module(11, precision == "INT8")
    text = static_text(1, precision, stop_after=level)
    run_pipeline(module, parse_pipeline(text) if text else (), nothing)
    printed = module_text(module)
    again = Parser(new_context(), printed).parse_module()
    again.verify()
    assert module_text(again) == printed
    assert "layer1" in printed


def test_the_watcher_sees_every_pass_after_it_ran() -> None:
    module = random_module(1, integer=False)
    seen: list[tuple[str, bool]] = []

    def after(item: ModulePass) -> None:
        seen.append((item.name, any(op.name.startswith("ufw.") for op in main_ops(module))))

    run_pipeline(module, parse_pipeline("keep-reference,convert-ufw-to-quant"), after)
    assert seen == [("keep-reference", True), ("convert-ufw-to-quant", False)]


def main_ops(module: ModuleOp) -> list[Operation]:
    return list(main_function(module).body.block.ops)


def test_a_pipeline_in_a_wrong_order_is_an_error() -> None:
    module = random_module(1, integer=False)
    with pytest.raises(PassFailedException, match="holds no commands"):
        run_pipeline(module, parse_pipeline("keep-reference,verify-layers"), nothing)
    with pytest.raises(Exception, match="no-such-pass"):
        parse_pipeline("no-such-pass")
