"""convert-quant-to-record: one network at several shapes becomes records that compute them all."""

from __future__ import annotations

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp

from dialects.bm1684.record.movement import ConstantOp, ReshapeOp
from dialects.quant.compute import SoftmaxOp
from dialects.quant.movement import TransposeOp
from passes.image.records import records_of
from passes.module.functions import functions, main_function
from passes.module.locations import LayerError
from passes.records import RECORDS, ShapeFixed
from tests.passes.dynamic.shapes import Text, at_shapes, compared, names, recorded, run


def chain(middle: str, result: str = "4x{h}x{w}", *, types: str = "") -> Text:
    """A function of ``x`` [n, 4, h, w] whose layer "m" stands in line 7 of the file."""
    def text(n: int, h: int, w: int) -> str:
        sizes = {"n": n, "h": h, "w": w, "hw": h * w}
        x, y = f"tensor<{n}x4x{h}x{w}xf32>", f"tensor<{n}x{result.format(**sizes)}xf32>"
        body = middle.format(x=x, y=y, **sizes)
        return f"""(%x: {x}) -> {y} attributes {{input_names = ["x"], output_names = ["m"]}} {{
          %m = {body} loc("m"("net.prototxt":7:0))
          func.return %m : {y}
        }}"""

    return text


SIZES = ((4, 6, 5), (2, 6, 5), (4, 3, 5), (3, 4, 3))


def test_samples_are_gone_and_the_border_stays() -> None:
    module = at_shapes(chain('quant.softmax %x axis 1 tops ["m"] : {x} -> {y}'), *SIZES)
    before = main_function(module).function_type
    run(module, "convert-quant-to-record")
    assert functions(module) == [main_function(module)]
    assert main_function(module).function_type == before


def test_records_have_the_layers_name_and_place() -> None:
    module = at_shapes(chain('quant.softmax %x axis 1 tops ["m"] : {x} -> {y}'), *SIZES)
    (record,) = recorded(module)
    assert record.top_names == ["m"]
    assert str(record.location) == 'loc("m"("net.prototxt":7:0))'


FIXED: dict[str, tuple[Text, int, str]] = {
    "a property": (
        lambda n, h, w: chain(
            f'quant.softmax %x axis {1 if h > 3 else 2} tops ["m"] : {{x}} -> {{y}}')(n, h, w),
        2, 'it computes with numbers that follow from the shape (its "axis")'),
    "another op": (
        lambda n, h, w: chain(
            'quant.softmax %x axis 1 tops ["m"] : {x} -> {y}' if w > 3 else
            'quant.pointwise "tanh" %x tops ["m"] : {x} -> {y}')(n, h, w),
        3, "it becomes other ops for other shapes"),
}  # fmt: skip


@pytest.mark.parametrize("name", FIXED)
def test_a_layer_that_fixes_the_shape_is_named_with_the_sample(name: str) -> None:
    text, sample, sentence = FIXED[name]
    module = at_shapes(text, *SIZES)
    with pytest.raises(ShapeFixed) as raised:
        run(module, "convert-quant-to-record")
    assert raised.value.sample == sample
    assert str(raised.value) == f'net.prototxt:7: layer "m": {sentence}'


@pytest.mark.parametrize("longer", [6, 3])
def test_functions_of_different_lengths(longer: int) -> None:
    """The layer that one of them lacks is named."""
    def text(n: int, h: int, w: int) -> str:
        x = f"tensor<{n}x4x{h}x{w}xf32>"
        more = "" if h != longer else (
            f'%y = quant.softmax %m axis 1 tops ["y"] : {x} -> {x} loc("y"("net.prototxt":9:0))')
        return f"""(%x: {x}) -> {x} attributes {{input_names = ["x"], output_names = ["y"]}} {{
          %m = quant.softmax %x axis 1 tops ["m"] : {x} -> {x} loc("m"("net.prototxt":7:0))
          {more}
          func.return {"%m" if h != longer else "%y"} : {x}
        }}"""

    with pytest.raises(ShapeFixed, match='layer "y": it becomes other ops') as raised:
        recorded(at_shapes(text, (4, 6, 5), (2, 6, 5), (4, 3, 5)))
    assert raised.value.sample == 2


def three_layers() -> ModuleOp:
    x = "tensor<2x4x6x6xf32>"
    return at_shapes(lambda n, h, w: f"""(%x: {x}) -> {x}
      attributes {{input_names = ["x"], output_names = ["c"]}} {{
    %a = quant.softmax %x axis 1 tops ["a"] : {x} -> {x} loc("a"("net.prototxt":3:0))
    %b = quant.transpose %a order [0, 1, 3, 2] tops ["b"] : {x} -> {x} loc("b"("net.prototxt":5:0))
    %c = quant.softmax %b axis 2 tops ["c"] : {x} -> {x} loc("c"("net.prototxt":8:0))
    func.return %c : {x}
    }}""", (2, 6, 6))


def test_layers_without_a_record_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RECORDS, SoftmaxOp)
    with pytest.raises(LayerError) as raised:
        run(three_layers(), "convert-quant-to-record")
    assert not isinstance(raised.value, ShapeFixed)
    why = "the chip's firmware has nothing for a part of it (quant.softmax)"
    assert str(raised.value).splitlines() == [
        "2 layer(s) cannot be computed at run-time shapes:",
        f'  net.prototxt:3: layer "a": {why}',
        f'  net.prototxt:8: layer "c": {why}',
        "  compile without -dyn, or end the network before them (-output_whitelist)",
    ]


def test_the_module_stays_where_a_layer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RECORDS, TransposeOp)
    module = three_layers()
    before = module.clone()
    with pytest.raises(LayerError, match=r'layer "b": .*a part of it \(quant\.transpose\)'):
        run(module, "convert-quant-to-record")
    assert module.is_structurally_equivalent(before)


INTEGER = "tensor<{n}x4x{h}x{w}x{k}i8, #quant.scale<0.5>>"


@pytest.mark.parametrize("kind", ["f32", "s", "u"])
def test_outputs_that_are_inputs_or_returned_twice(kind: str) -> None:
    def text(n: int, h: int, w: int) -> str:
        x = f"tensor<{n}x4x{h}x{w}xf32>" if kind == "f32" else INTEGER.format(n=n, h=h, w=w, k=kind)
        y = f"tensor<{n}x4x{w}x{h}x" + x.split("x", 4)[4]
        return f"""(%x: {x}) -> ({x}, {y}, {y}, {x})
            attributes {{input_names = ["x"], output_names = ["x", "s", "t", "u"]}} {{
          %s = quant.transpose %x order [0, 1, 3, 2] tops ["s"] : {x} -> {y}
          func.return %x, %s, %s, %x : {x}, {y}, {y}, {x}
        }}"""

    module = at_shapes(text, *SIZES)
    kinds = main_function(module).function_type.outputs.data
    findings = compared(module)
    assert findings.ok, findings.verdict()
    records = records_of(main_function(module))
    assert names(records) == ["transpose", "reshape", "reshape", "reshape"]
    assert [record.top_names for record in records] == [["s"], ["x"], ["t"], ["u"]]
    returned = main_function(module).body.block.last_op
    assert isinstance(returned, ReturnOp)
    assert len({*returned.operands}) == 4
    assert main_function(module).function_type.outputs.data == kinds
    assert list(findings.outputs) == ["x", "s", "t", "u"]
    assert (findings.outputs["x"] == findings.inputs["x"]).all()
    assert (findings.outputs["s"] == findings.outputs["t"]).all()


def test_a_constant_that_is_read_and_returned() -> None:
    blob = '<"60f83fd0cda76d99", "float32", [2]>'

    def text(n: int, h: int, w: int) -> str:
        k, x = "tensor<2xf32>", f"tensor<{n}x3xf32>"
        return f"""(%x: {x}) -> ({x}, {k}, {k})
            attributes {{input_names = ["x"], output_names = ["m", "k", "j"]}} {{
          %k = quant.constant {blob} tops ["k"] : {k}
          %m = quant.softmax %x axis 1 tops ["m"] : {x} -> {x}
          func.return %m, %k, %k : {x}, {k}, {k}
        }}"""

    module = at_shapes(text, (5, 1, 1), (3, 1, 1))
    findings = compared(module)
    assert findings.ok, findings.verdict()
    records = records_of(main_function(module))
    assert [type(each) for each in records[1:]] == [ConstantOp, ReshapeOp, ReshapeOp]
    assert findings.outputs["k"].tolist() == findings.outputs["j"].tolist() == [1, 2]


def test_a_constant_that_nobody_reads_has_no_record() -> None:
    def text(n: int, h: int, w: int) -> str:
        x = f"tensor<{n}x4xf32>"
        return f"""(%x: {x}) -> {x} attributes {{input_names = ["x"], output_names = ["m"]}} {{
          %k = quant.constant <"60f83fd0cda76d99", "float32", [2]> tops ["k"] : tensor<2xf32>
          %m = quant.softmax %x axis 1 tops ["m"] : {x} -> {x}
          func.return %m : {x}
        }}"""

    assert names(recorded(at_shapes(text, (5, 1, 1)))) == ["softmax"]
