"""The compare finds what is wrong: a bit of a weight, a missing wait, commands in a wrong order."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from bmnetu.pipeline import new_context
from bmnetu.ways.static import OPT_LEVELS
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import COMMAND_BYTES, Direction, Instruction
from dialects.bm1684.model import Npu
from passes.image.program import Program
from passes.verification.findings import Findings
from passes.verify_layers import NOISE, verify_program
from tests.broken import ENGINES, FILES, PIPELINE, small

CASES = [(precision, opt) for precision in FILES for opt in OPT_LEVELS]
WEIGHTED = {"FP32": ["conv", "fc"], "INT8": ["conv", "conv2", "fc"]}
FUSED = {("FP32", 1, "conv"): "relu", ("FP32", 2, "conv"): "relu"}
"""Where a layer's own tensor is not there: the layer at the end of the chain it was fused into."""


def line_of(precision: str, layer: str) -> int:
    """The line of a prototxt where a layer begins."""
    lines = (PIPELINE / FILES[precision][0]).read_text().splitlines()
    name = next(i for i, text in enumerate(lines) if f'name: "{layer}"' in text)
    return next(i for i in range(name, 0, -1) if lines[i].startswith("layer {")) + 1


@pytest.mark.parametrize(("precision", "opt"), CASES)
def test_what_was_compiled_passes(precision: str, opt: int) -> None:
    findings = small(precision, opt).verify()
    assert findings.ok
    assert findings.verdict() == f"all {len(findings.tensors)} tensors agree"
    layers = {t.layer for t in findings.tensors}
    assert layers >= {FUSED.get((precision, opt, w), w) for w in WEIGHTED[precision]}
    integers = [t for t in findings.tensors if t.dtype != "float32"]
    assert bool(integers) == (precision == "INT8")
    assert all(t.isolated.error == t.accumulated.error == 0 for t in integers)


@pytest.mark.parametrize("opt", OPT_LEVELS)
@pytest.mark.parametrize(
    ("precision", "layer"), [(p, layer) for p, layers in WEIGHTED.items() for layer in layers]
)
def test_one_wrong_bit_of_a_weight_is_found_in_its_layer_alone(
    precision: str, layer: str, opt: int
) -> None:
    net = small(precision, opt)
    byte, bit = (3, 6) if precision == "FP32" else (0, 7)  # of an exponent; a sign
    findings = net.verify(net.flipped(net.weights()[layer][0], byte, bit))
    bad = [t for t in findings.tensors if not t.ok]
    named = FUSED.get((precision, opt, layer), layer)
    assert {t.layer for t in bad} == {named}
    assert findings.failure is None
    assert not findings.ok
    first = bad[0]
    assert first is findings.first_bad
    assert first.isolated.unequal > 0
    assert first.isolated.npu != first.isolated.cpu
    place = f"{FILES[precision][0]}:{line_of(precision, named)}"
    assert f'{place}: layer "{named}": tensor "{first.top}" at [' in findings.verdict()
    later = findings.tensors[findings.tensors.index(first) + 1 :]
    assert all(t.isolated.error <= 1e-3 for t in later if t.layer != named)
    assert any(t.accumulated.error > t.isolated.error for t in later) or layer == "fc"


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize("precision", FILES)
def test_every_wait_that_is_lowered_is_a_race_in_its_layer(precision: str, opt: int) -> None:
    net = small(precision, opt)
    streams = net.commands()
    found = 0
    for own, other in ((0, 1), (1, 0)):
        for at, inst in enumerate(streams[own]):
            if not inst.wait:
                continue

            def lower(*both: list[Instruction], own: int = own, at: int = at) -> None:
                inst = both[own][at]
                both[own][at] = inst.with_ids(inst.id, inst.wait - 1)

            failure = net.verify(net.changed(lower)).failure
            assert failure is not None
            assert "no wait orders the two" in failure
            layers = {net.layer(ENGINES[own], inst.id), net.layer(ENGINES[other], inst.wait)}
            assert any(f'layer "{layer}": group 0, ' in failure for layer in layers)
            found += 1
    assert found > 4


@pytest.mark.parametrize(("precision", "opt"), CASES)
def test_two_stores_in_the_wrong_order_are_found(precision: str, opt: int) -> None:
    net = small(precision, opt)
    _, gdma = net.commands()
    stores = [i for i, inst in enumerate(gdma) if is_store(inst)]
    pairs = [(a, b) for a, b in pairwise(stores) if unlike(gdma[a], gdma[b])]
    assert pairs
    for first, second in pairs:

        def swap(
            _: list[Instruction], gdma: list[Instruction], a: int = first, b: int = second
        ) -> None:
            left, right = gdma[a], gdma[b]
            gdma[a] = right.with_ids(left.id, left.wait)
            gdma[b] = left.with_ids(right.id, right.wait)

        assert not net.verify(net.changed(swap)).ok


def unlike(a: Instruction, b: Instruction) -> bool:
    """Whether two commands do different things."""
    return a.with_ids(1, 0) != b.with_ids(1, 0)


def is_store(inst: Instruction) -> bool:
    return inst["direction"] == Direction.LOCAL_TO_SYSTEM


def test_waits_in_a_circle_are_a_deadlock() -> None:
    net = small("FP32", 1)

    def knot(tiu: list[Instruction], gdma: list[Instruction]) -> None:
        gdma[0] = gdma[0].with_ids(1, 1)

    failure = net.verify(net.changed(knot)).failure
    assert failure is not None
    assert 'layer "conv": group 0, ' in failure
    assert "deadlock: tiu command 1 waits for gdma command 2" in failure


def test_commands_that_are_none_are_refused() -> None:
    net = small("INT8", 1)
    ((tiu, gdma),) = net.program.groups
    cut = net.program.with_groups([(tiu, gdma[:-COMMAND_BYTES])])
    gone = net.verify(cut)
    assert gone.failure == 'tensor "prob" was never computed'
    torn = net.verify(net.program.with_groups([(tiu[:-1], gdma)]))
    assert torn.failure is not None
    assert "not a multiple of 128" in torn.failure
    noise = net.verify(net.program.with_groups([(bytes(COMMAND_BYTES) + tiu, gdma)]))
    assert noise.failure is not None
    assert f'{FILES["INT8"][0]}:{line_of("INT8", "conv")}: layer "conv": group 0, ' in noise.failure


def test_a_store_into_the_weights_is_refused() -> None:
    net = small("INT8", 1)

    def aim(_: list[Instruction], gdma: list[Instruction]) -> None:
        at = next(i for i, inst in enumerate(gdma) if is_store(inst))
        gdma[at] = gdma[at].replace(dst_start_addr_l32=BM1684.context_start & 0xFFFFFFFF)

    failure = net.verify(net.changed(aim)).failure
    assert failure is not None
    assert 'layer "conv": ' in failure


def test_an_output_that_is_overwritten_later_is_found() -> None:
    net = small("INT8", 0)

    def add(tiu: list[Instruction], gdma: list[Instruction]) -> None:
        load = next(i for i in gdma if i["direction"] == Direction.SYSTEM_TO_LOCAL)
        again = gdma[-1].replace(src_start_addr_l32=load["dst_start_addr_l32"])
        gdma.append(again.with_ids(len(gdma) + 1, len(tiu)))

    failure = net.verify(net.changed(add)).failure
    assert failure == 'output "prob" was overwritten after it was final'


# -- unwritten memory ------------------------------------------------------------------------------

DDR = '#tile.layout<tensor unit 4 pack 1 strides [32, 32, 32, 1]>, #tile.place<ddr>'
MAXIMUM = """
func.func @main() attributes {input_names = ["x"], output_names = ["y"], coeff_size = 4096 : i64,
    context_address = 4379906048 : i64, context_size = 8192 : i64} {
  %x = tile.input "x" shape [1, 32] bytes 128 address 4379906048 : memref<1x1x1x32xf32, DDR>
  %y = tile.output "y" shape [1, 32] bytes 128 address 4379910144 : memref<1x1x1x32xf32, DDR>
  npu.gdma <"move cmd_id=1 chw_copy=1 src_wsize=32 src_start_addr_l32=0x5101000
 dst_start_addr_l32=0x8000000 src_start_addr_h8=1">
  npu.tiu <"arith cmd_id_tpu=1 cmd_id_gdma=1 tsk_eu_typ=4 opt_res0_prec=2 opt_opd0_prec=2
 opt_opd1_prec=2 opt_opd2_prec=2 short_opd1_str=3 res0_w=32 res0_addr=0x8001000
 opd0_addr=0x8000000 opd1_addr=WORD opd1_w_str=0x0">
  npu.gdma <"move direction=1 cmd_id=2 chw_copy=1 eng0_sync_id=1 src_wsize=32
 src_start_addr_l32=0x8001000 dst_start_addr_l32=0x5102000 dst_start_addr_h8=1">
    observe [#npu.observe<"y", 4379910144, [1, 32], "float32">] loc("max"("net.prototxt":4:0))
  func.return
}
builtin.module @reference {
  func.func @main(%x: tensor<1x32xf32>) -> tensor<1x32xf32>
      attributes {input_names = ["x"], output_names = ["y"]} {
    %y = quant.reshape %x tops ["y"] : tensor<1x32xf32> -> tensor<1x32xf32>
    func.return %y : tensor<1x32xf32>
  }
}
"""
"""y is the larger one of x and a word of local memory; the reference says x."""


def word_that_tells_the_noises_apart() -> int:
    """An address in lane 0 that holds a large negative float in one noise, a positive in the
    other."""
    one, other = (Npu(4096, seed).lmem[0].view("float32")[0x1000:] for seed in NOISE)
    (found,) = ((one < -1e6) & (one > -1e30) & (other > 1e6) & (other < 1e30)).nonzero()
    return BM1684.local_base + 4 * (0x1000 + int(found[0]))


def verified(text: str) -> Findings:
    """What the compare finds in a module given as text."""
    module = Parser(new_context(), text).parse_module()
    module.verify()
    return verified_module(module)


def verified_module(module: ModuleOp) -> Findings:
    findings = Findings()
    verify_program(module, Program.of(module), findings)
    return findings


def test_a_result_that_depends_on_unwritten_memory_is_an_error() -> None:
    text = MAXIMUM.replace("DDR>", f"{DDR}>").replace("\n ", " ")
    findings = verified(text.replace("WORD", hex(word_that_tells_the_noises_apart())))
    assert all(t.ok for t in findings.tensors)
    assert findings.failure == (
        'net.prototxt:4: layer "max": tensor "y" depends on memory that nothing has written'
    )
    same = verified(text.replace("WORD", "0x8000000").replace("opd1_w_str=0x0", "opd1_w_str=0x1"))
    assert same.ok, same.verdict()


def test_what_no_machine_holds_is_refused_before_the_memory_is_taken() -> None:
    network = small("FP32", 1)
    program = replace(network.program, ddr_bytes=1 << 50)
    with pytest.raises(MemoryError):
        verify_program(network.module, program, Findings())
