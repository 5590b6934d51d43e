"""verify-records: what is wrong with the records is found, and the layer named."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import PassFailedException

from bmnetu.pipeline import new_context
from dialects.bm1684.chip import BM1684
from dialects.bm1684.record.stream import Coefficient, Neuron, RecordCode, Stream
from passes.image.records import DynamicProgram, records_of
from passes.module.functions import main_function
from passes.verification.findings import Findings
from passes.verification.inputs import InputData
from passes.verify_records import VerifyRecordsPass, verify_dynamic
from tests.passes.dynamic.shapes import at_shapes, run

SIZES = ((5, 6, 8), (2, 6, 8), (5, 5, 8), (3, 6, 7))
Records = list[RecordCode]


def records_in(stream: Stream) -> Records:
    """The records of a stream."""
    return [each for each in stream.groups if isinstance(each, RecordCode)]


def text(n: int, h: int, w: int) -> str:
    """8 bits, then floats; "wave" is read again behind "soft"."""
    hp, wp = (h + 1) // 2, (w + 1) // 2
    x = f"tensor<{n}x3x{h}x{w}xsi8, #quant.scale<0.5>>"
    u = f"tensor<{n}x4x{h}x{w}xui8, #quant.scale<0.25>>"
    p = f"tensor<{n}x4x{hp}x{wp}xui8, #quant.scale<0.25>>"
    f = f"tensor<{n}x4x{hp}x{wp}xf32>"

    def at(name: str, line: int) -> str:
        return f'loc("{name}"("net.prototxt":{line}:0))'

    return f"""(%x: {x}) -> {f} attributes {{input_names = ["x"], output_names = ["less"]}} {{
      %c = quant.conv %x weight <"2c1046f7afedf198", "int8", [4, 3, 3, 3]>
        bias <"764b9769ead158a8", "int16", [4]> pad [1, 1, 1, 1] shift 9 tops ["conv"]
        : {x} -> {u} {at("conv", 1)}
      %p = quant.max_pool %c kernel [2, 2] stride [2, 2] tops ["pool"] : {u} -> {p} {at("pool", 2)}
      %f = quant.dequantize %p tops ["float"] : {p} -> {f} {at("float", 3)}
      %t = quant.pointwise "tanh" %f tops ["wave"] : {f} -> {f} {at("wave", 4)}
      %s = quant.softmax %t axis 1 tops ["soft"] : {f} -> {f} {at("soft", 5)}
      %d = quant.binary sub %s, %t tops ["less"] : {f}, {f} -> {f} {at("less", 6)}
      func.return %d : {f}
    }}"""


@cache
def network() -> tuple[ModuleOp, DynamicProgram]:
    """The network as records, and what the chip gets."""
    module = run(
        at_shapes(text, *SIZES), "keep-reference,convert-quant-to-record,record-allocate-ddr"
    )
    return module, DynamicProgram.of(module)


def found(program: DynamicProgram, data: InputData | None = None) -> Findings:
    findings = Findings()
    verify_dynamic(network()[0], program, findings, data)
    return findings


def changed(change: Callable[[Records], Any]) -> DynamicProgram:
    """The network's program with other records."""
    _, program = network()
    records: Records = records_in(program.stream)
    change(records)
    stream = replace(program.stream, groups=tuple(records))
    return replace(program, stream=stream)


def index_of(records: Records, name: str) -> int:
    """Where the first record of a kind is."""
    return next(i for i, each in enumerate(records) if each.kind.name == f"record.{name}")


def with_values(name: str, **values: Any) -> Callable[[Records], None]:
    """Changes parameters of the first record of a kind."""
    def change(records: Records) -> None:
        i = index_of(records, name)
        records[i] = replace(records[i], values={**records[i].values, **values})

    return change


def test_the_right_program_passes_at_every_shape() -> None:
    findings = found(network()[1])
    assert findings.ok, findings.verdict()
    assert findings.verdict() == "all 6 tensors agree"
    assert [each.at for each in findings.smaller] == ["2x3x6x8", "5x3x5x8", "3x3x6x7"]
    assert all(len(each.tensors) == 6 for each in findings.smaller)
    assert list(findings.outputs) == ["less"]
    assert findings.outputs["less"].shape == (5, 4, 3, 4)
    assert findings.inputs["x"].shape == (5, 3, 6, 8)


def swap_operands(records: Records) -> None:
    i = index_of(records, "binary")
    records[i] = replace(records[i], sources=records[i].sources[::-1])


def overlap(records: Records) -> None:
    """The softmax's result lies where "wave" still is needed."""
    i = index_of(records, "softmax")
    (wave,), (soft,) = records[i].neurons, records[i].results
    moved = replace(soft, address=wave.address)
    for j, record in enumerate(records):
        sources = tuple(moved if each == soft else each for each in record.sources)
        results = tuple(moved if each == soft else each for each in record.results)
        records[j] = replace(record, sources=sources, results=results)


def swap_records(records: Records) -> None:
    i = index_of(records, "softmax")
    records[i - 1 : i + 1] = records[i - 1 : i + 1][::-1]


def leave_out(records: Records) -> None:
    """The pooling reads the network's input in place of the convolution's result."""
    i = index_of(records, "pool")
    records[i] = replace(records[i], sources=(Neuron(1),))


FAULTS: dict[str, tuple[Callable[[Records], Any], str]] = {
    "a wrong shift": (with_values("conv", shift=8), 'net.prototxt:1: layer "conv": tensor "conv"'),
    "a missing bias": (
        lambda records: (
            with_values("conv", has_bias=0)(records),
            records.__setitem__(0, replace(records[0], sources=records[0].sources[:2])),
        ), 'net.prototxt:1: layer "conv": tensor "conv"'),
    "a wrong stride": (
        with_values("pool", stride=(1, 1)),
        'net.prototxt:2: layer "pool": tensor "pool" is 5x4x6x8, the CPU has 5x4x3x4'),
    "a mean in place of a maximum": (
        with_values("pool", is_average=1), 'net.prototxt:2: layer "pool": record.pool: the firm'),
    "another function": (
        with_values("function", function=1), 'net.prototxt:4: layer "wave": tensor "wave"'),
    "another axis": (
        with_values("softmax", place=2 << 28), 'net.prototxt:5: layer "soft": tensor "soft"'),
    "swapped operands": (swap_operands, 'net.prototxt:6: layer "less": tensor "less"'),
    "a live tensor overwritten": (overlap, 'net.prototxt:6: layer "less": tensor "less"'),
    "records in another order": (swap_records, 'layer "wave": record.softmax: tensor '),
    "another operand": (leave_out, 'net.prototxt:2: layer "pool"'),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_its_layer_named(name: str) -> None:
    change, sentence = FAULTS[name]
    findings = found(changed(change))
    assert not findings.ok
    assert sentence in findings.verdict()


def test_a_changed_byte_of_any_weight() -> None:
    _, program = network()
    records: Records = records_in(program.stream)
    conv = records[index_of(records, "conv")]
    (weight, bias) = (each for each in conv.sources if isinstance(each, Coefficient))
    at = weight.address - BM1684.context_start
    used = [at + 4 * i + j for i in range(36) for j in range(3)]
    for place in [*used[::17], bias.address - BM1684.context_start + 1]:
        coeff = bytearray(program.coeff)
        coeff[place] ^= 64
        findings = found(replace(program, coeff=bytes(coeff)))
        assert 'net.prototxt:1: layer "conv": tensor "conv"' in findings.verdict()
    for place in (at + 3, at + 4 * 36):  # padding is not read
        coeff = bytearray(program.coeff)
        coeff[place] ^= 64
        assert found(replace(program, coeff=bytes(coeff))).ok


@pytest.mark.parametrize("pad", ["bottom", "right"])
def test_a_wrong_pad_that_only_shows_at_smaller_shapes(pad: str) -> None:
    given = (0, 0, 0, 1) if pad == "bottom" else (0, 1, 0, 0)
    findings = found(changed(with_values("pool", pad=given)))
    assert findings.first_bad is None
    assert findings.failure is None
    bad = [each.at for each in findings.smaller if not each.ok]
    assert bad == ["5x3x5x8" if pad == "bottom" else "3x3x6x7"]
    shapes = ("5x4x2x4", "5x4x3x4") if pad == "bottom" else ("3x4x3x3", "3x4x3x4")
    tensor = 'tensor "pool" is {}, the CPU has {}'.format(*shapes)
    assert findings.verdict() == (
        f'with an input of {bad[0]}: net.prototxt:2: layer "pool": {tensor}'
    )
    assert not findings.ok


def test_rows_that_stand_still_only_show_at_smaller_shapes() -> None:
    """A reshape to the largest shape, in place of one that follows its operand."""
    def flat(n: int, h: int, w: int) -> str:
        x, y = f"tensor<{n}x4x{h}x{w}xf32>", f"tensor<{n}x{4 * h * w}xf32>"
        return f"""(%x: {x}) -> {y} attributes {{input_names = ["x"], output_names = ["y"]}} {{
          %y = quant.reshape %x tops ["y"] : {x} -> {y} loc("flat"("net.prototxt":1:0))
          func.return %y : {y}
        }}"""

    module = run(
        at_shapes(flat, (4, 3, 2), (2, 3, 2)),
        "keep-reference,convert-quant-to-record,record-allocate-ddr",
    )
    program = DynamicProgram.of(module)
    (record,) = records_in(program.stream)
    assert record.values["shape"][:2] == (0, 24)
    record = replace(record, values={**record.values, "shape": (4, 24, 0, 0, 0, 0, 0, 0)})
    stream = replace(program.stream, groups=(record,))
    findings = Findings()
    verify_dynamic(module, replace(program, stream=stream), findings)
    assert findings.verdict().startswith(
        'with an input of 2x4x3x2: net.prototxt:1: layer "flat": record.reshape: (2, 4, 3, 2) does'
    )


def test_a_bias_where_nothing_was_written() -> None:
    """The bias is read where noise is."""
    def change(records: Records) -> None:
        i = index_of(records, "conv")
        weight, bias = (each for each in records[i].sources if isinstance(each, Coefficient))
        beyond = BM1684.context_start + network()[1].ddr_bytes - 64
        moved = (records[i].sources[0], weight, replace(bias, address=beyond))
        records[i] = replace(records[i], sources=moved)

    assert 'layer "conv": tensor "conv"' in found(changed(change)).verdict()


def test_an_output_that_is_not_the_tensor_that_was_compared() -> None:
    _, program = network()
    stream = replace(program.stream, outputs=program.stream.inputs)
    verdict = found(replace(program, stream=stream)).verdict()
    assert verdict == 'output "less" is not the tensor that was compared'
    records: Records = records_in(program.stream)
    soft = records[index_of(records, "softmax")].results[0].id
    stream = replace(program.stream, outputs=(soft,))
    assert found(replace(program, stream=stream)).verdict() == verdict


def test_the_pass_raises_the_verdict() -> None:
    module, _ = network()
    item = VerifyRecordsPass()
    item.apply(new_context(), module)
    assert item.findings.ok
    wrong = module.clone()
    conv = records_of(main_function(wrong))[0]
    conv.parameters = conv.RECORD.struct.attribute({**conv.values, "shift": 8})
    item = VerifyRecordsPass()
    with pytest.raises(PassFailedException, match=re.escape('layer "conv": tensor "conv"')):
        item.apply(new_context(), wrong)
    assert not item.findings.ok


def test_the_users_input_is_compared_at_the_largest_shape() -> None:
    findings = found(network()[1], InputData({"x": np.full((5, 3, 6, 8), 3.5, np.float32)}))
    assert findings.ok
    np.testing.assert_array_equal(findings.inputs["x"], np.full((5, 3, 6, 8), 7, np.int8))


def test_without_a_reference() -> None:
    module = run(at_shapes(text, *SIZES), "convert-quant-to-record,record-allocate-ddr")
    with pytest.raises(PassFailedException, match="there is no @reference: run keep-reference"):
        VerifyRecordsPass().apply(new_context(), module)


def test_the_same_seed_gives_the_same_findings() -> None:
    one, two = found(network()[1]), found(network()[1])
    assert one.tensors == two.tensors
    np.testing.assert_array_equal(one.inputs["x"], two.inputs["x"])
