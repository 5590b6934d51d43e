"""A compare that failed names the cause: each fault that is planted is found as what it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.dialects.func import FuncOp

import bmnetu
from bmnetu.frontend import load_network
from bmnetu.pipeline import run_pipeline
from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Direction, Engine, Instruction
from dialects.bm1684.layout import Space
from passes.base import NpuFunctionPass
from passes.memory.lifetimes import lifetimes, overlaps
from passes.tile.tile_allocate_local import TileAllocateLocalPass
from passes.verification.explanation import Explanation
from passes.verification.findings import Findings
from passes.verify_layers import VerifyLayersPass
from tests.broken import FILES, PIPELINE, small
from tests.pipelines import static_passes
from tests.test_compare import FUSED, WEIGHTED

CASES = [(precision, opt) for precision in FILES for opt in (1, 2)]
LAYERS = [(p, opt, layer) for p, opt in CASES for layer in WEIGHTED[p]]


def explained(findings: Findings) -> Explanation:
    """Why the compare failed, which must be said."""
    assert not findings.ok
    assert findings.explained is not None
    return findings.explained


@pytest.mark.parametrize(("precision", "opt", "layer"), LAYERS)
def test_a_flipped_weight_is_one_of_a_channel(precision: str, opt: int, layer: str) -> None:
    net = small(precision, opt)
    byte, bit = (3, 6) if precision == "FP32" else (0, 7)  # of an exponent; a sign
    weights = net.weights()[layer][0]
    findings = net.verify(net.flipped(weights, byte, bit))
    found = explained(findings)
    named = FUSED.get((precision, opt, layer), layer)
    assert findings.first_bad is not None
    assert findings.first_bad.layer == named
    assert found.cause.name == "weights"
    assert "channel 0: all other channels are right" in found.cause.phrase
    channels = findings.first_bad.shape[1]
    assert f"channel 0 of {channels}, " in found.places
    assert f'of layer "{layer}"' in found.command
    flipped = net.flipped(weights, byte + weights.value.array[0, 0].nbytes, bit)
    assert "channel 1: all other" in explained(net.verify(flipped)).cause.phrase


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize(("layer", "by"), [("conv", -1), ("conv2", 1), ("fc", 1), ("pool", -1)])
def test_a_wrong_shift_is_named_with_its_size(layer: str, by: int, opt: int) -> None:
    net = small("INT8", opt)

    def change(tiu: list[Instruction], _: list[Instruction]) -> None:
        for at, inst in enumerate(tiu):
            own = net.layer(Engine.TIU, inst.id) == layer
            if own and inst.kind.mnemonic in ("conv", "depthwise") and inst["opt_right_shift"]:
                tiu[at] = inst.replace(opt_right_shift=inst["opt_right_shift"] + by)

    findings = net.verify(net.changed(change))
    found = explained(findings)
    assert findings.first_bad is not None
    assert findings.first_bad.layer == layer
    assert found.cause.name == "shift"
    assert f"2^{-by} times" in found.cause.phrase
    assert f"by 1 too {'few' if by < 0 else 'many'}" in found.cause.phrase


@pytest.mark.parametrize(("precision", "opt"), CASES)
def test_a_dropped_wait_is_named_with_both_commands(precision: str, opt: int) -> None:
    net = small(precision, opt)
    tiu, _ = net.commands()
    (first, *_) = (inst for inst in tiu if inst.wait)

    def drop(tiu: list[Instruction], _: list[Instruction]) -> None:
        at = first.id - 1
        tiu[at] = first.with_ids(first.id, 0)

    found = explained(net.verify(net.changed(drop)))
    assert found.cause.name == "missing wait"
    pattern = r'.*: tiu command (\d+) \(layer "(.*)"\) has to wait for gdma command (\d+)'
    match = re.match(pattern, found.cause.phrase)
    assert match is not None
    late, layer, early = match.groups()
    assert int(late) >= first.id
    assert int(early) <= first.wait
    assert layer == net.layer(Engine.TIU, int(late))


@pytest.mark.parametrize(("precision", "opt"), CASES)
def test_a_load_that_is_gone_leaves_unwritten_memory(precision: str, opt: int) -> None:
    net = small(precision, opt)
    _, gdma = net.commands()
    at = next(i for i, inst in enumerate(gdma)
              if inst["direction"] == Direction.SYSTEM_TO_LOCAL
              and inst["src_start_addr_l32"] >= BM1684.context_start & 0xFFFFFFFF
              and net.layer(Engine.GDMA, inst.id) == "conv" and inst["src_wsize"] > 4)  # fmt: skip

    def lose(_: list[Instruction], gdma: list[Instruction]) -> None:
        again = next(inst for inst in gdma if inst["direction"] == Direction.SYSTEM_TO_LOCAL)
        other = gdma[at - 1] if at else again
        gdma[at] = other.with_ids(gdma[at].id, gdma[at].wait) if at else gdma[at].replace(
            dst_start_addr_l32=gdma[at]["dst_start_addr_l32"] + 0x20000)

    found = explained(net.verify(net.changed(lose)))
    assert found.cause.name == "unwritten memory"


@dataclass(frozen=True)
class _OverlapPass(NpuFunctionPass):
    """Puts one buffer in local memory on another one that is alive: the pair of that number."""

    name = "test-overlap"
    level = "tile"
    pair: int = 0

    def apply_to(self, function: FuncOp) -> None:
        one, other = _pairs(function)[self.pair]
        other.address = IntegerAttr(one.located, i64)


def _pairs(function: FuncOp) -> list[tuple[tile.AllocOp, tile.AllocOp]]:
    spans = lifetimes(function.body.block, [Space.LMEM])
    assert not list(overlaps(spans))
    return [(a.buffer, b.buffer) for a in spans for b in spans if a.first < b.first < a.last]


@pytest.mark.parametrize(("precision", "opt"), CASES)
def test_an_overlapping_allocation_is_named_with_both_tensors(precision: str, opt: int) -> None:
    found = 0
    for pair in range(8):
        findings = _overlapped(precision, opt, pair)
        if findings is None:
            break
        if findings.ok:
            continue  # what was overwritten was no longer needed
        why = explained(findings)
        assert why.cause.name == "shared memory"
        assert why.cause.phrase.count('layer "') == 2
        assert " has lmem 0x" in why.cause.phrase
        found += 1
    assert found > 4


def _overlapped(precision: str, opt: int, pair: int) -> Findings | None:
    """What the compare finds when a pair of buffers shares memory; None: there is no such pair."""
    model, weight = FILES[precision]
    module = load_network(PIPELINE / model, PIPELINE / "Inputs" / weight).module
    passes = list(static_passes(opt, precision, verify=True))
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    verify.findings.fatal = False
    at = 1 + next(i for i, item in enumerate(passes) if isinstance(item, TileAllocateLocalPass))
    try:
        run_pipeline(module, (*passes[:at], _OverlapPass(pair), *passes[at:]), lambda item: None)
    except IndexError:
        return None
    return verify.findings


def test_error_and_log_of_a_compilation_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = TileAllocateLocalPass.apply_to

    def overlapping(self: TileAllocateLocalPass, function: FuncOp) -> None:
        before(self, function)
        _OverlapPass(0).apply_to(function)

    monkeypatch.setattr(TileAllocateLocalPass, "apply_to", overlapping)
    model, weight = FILES["INT8"]
    lines: list[str] = []
    with pytest.raises(bmnetu.CompareError) as raised:
        bmnetu.compile(
            model=PIPELINE / model, weight=PIPELINE / "Inputs" / weight, outdir=tmp_path,
            report=lines.append,
        )  # fmt: skip
    message = raised.value.message
    assert 'layer "conv": tensor "conv_1" at [' in message
    assert "of the elements are wrong: " in message
    assert "the first wrong element was written by group 0, " in message
    assert "likely cause: memory that two tensors share: " in message
    told = [line for line in lines if line.startswith("compare: ")]
    assert len(told) == 3
    assert all(line.removeprefix("compare: ") in message for line in told)
    assert not list(tmp_path.iterdir())
