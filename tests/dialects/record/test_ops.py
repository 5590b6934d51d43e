"""Record ops as text, as bytes, and what their verifier refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import (
    DenseArrayBase,
    DictionaryAttr,
    FunctionType,
    ModuleOp,
    TensorType,
    f32,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Region
from xdsl.parser import Parser
from xdsl.utils.exceptions import VerifyException

from bmnetu.files.dump import module_text
from bmnetu.pipeline import new_context
from dialects.bm1684.record import movement, pointwise, reductions, shape_ops, windows
from dialects.bm1684.record.base import NO_BUFFER, RecordOp, Source, is_shape
from dialects.bm1684.record.ops import ALL_OPS
from dialects.bm1684.record.stream import (
    MAX_ID,
    SHAPE_SIZE,
    Coefficient,
    Neuron,
    Operand,
    RecordCode,
    Stream,
    StreamError,
    pack,
    store_mode,
    unpack,
    word_size,
)
from dialects.quant import types
from tests.dialects.record.examples import EXAMPLES, MAP, conv, eight, floats, made, result

START = 0x105100000


def module_of(op: RecordOp) -> ModuleOp:
    """A network of one record with addresses."""
    op.addresses = DenseArrayBase.from_list(i64, [NO_BUFFER])
    if op.constants:
        places = [START + 64 * i for i in range(len(op.constants))]
        op.coefficient_addresses = DenseArrayBase.from_list(i64, places)
    block = op.parent
    assert block is not None
    block.add_op(ReturnOp(*op.ys))
    kind = FunctionType.from_lists([x.type for x in block.args], [y.type for y in op.ys])
    return ModuleOp([FuncOp("main", kind, Region(block))])


def codes_of(op: RecordOp) -> RecordCode:
    """The record in the stream; operands have the ids 10, 11, ..., the result 1."""
    ids = iter(range(10, 99))

    def operand(i: int, source: Source) -> Operand:
        if source.is_coefficient:
            return Coefficient(START + 64 * i)
        return Neuron(next(ids), None if source.is_shape else START + i, source.is_shape)

    sources = tuple(
        operand(i, source) for i, source in enumerate(op.sources(op.values, op.numbers))
    )
    y = op.ys[0]
    made = Neuron(1, None, op.RECORD.makes_shape)
    mode = store_mode((*op.xs, y)[0])
    return RecordCode(
        type(op), op.values, op.numbers, word_size(y), mode, store_mode(y), sources, (made,)
    )


def test_there_is_an_example_of_every_op() -> None:
    assert set(EXAMPLES) == {kind.name for kind in ALL_OPS}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_op_comes_back_as_text(name: str) -> None:
    op = EXAMPLES[name]()
    op.verify()
    module = module_of(op)
    text = module_text(module)
    again = Parser(new_context(), text).parse_module()
    assert name in text
    assert again.is_structurally_equivalent(module)
    assert module_text(again) == text


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_record_comes_back_as_bytes(name: str) -> None:
    record = codes_of(EXAMPLES[name]())
    stream = Stream((10,), (1,), (record,), 4)
    data = pack(stream)
    assert len(data) % 4 == 0
    assert unpack(data, 1, 1) == stream
    for end in range(0, len(data), 4):
        with pytest.raises(StreamError):
            unpack(data[:end], 1, 1)
    with pytest.raises(StreamError, match="4 bytes behind the records"):
        unpack(data + bytes(4), 1, 1)


@pytest.mark.parametrize("name", EXAMPLES)
def test_shapes_have_an_id_alone(name: str) -> None:
    """What the op says of its operands and results is what their types say."""
    op = EXAMPLES[name]()
    sources = [each for each in op.sources(op.values, op.numbers) if not each.is_coefficient]
    assert [each.is_shape for each in sources] == [is_shape(x) for x in op.xs]
    assert [is_shape(y) for y in op.ys] == [op.RECORD.makes_shape]
    assert (word_size(op.ys[0]) == SHAPE_SIZE) == op.RECORD.makes_shape


def test_the_words_of_a_shape() -> None:
    """An operand that is a shape is one word; a tensor is two, and its address."""
    record = codes_of(EXAMPLES["record.reshape_to"]())
    data = pack(Stream((10, 11), (1,), (record,)))
    tail = np.frombuffer(data, np.uint32)[-7:].tolist()
    assert tail == [0, 10, START & 0xFFFFFFFF, START >> 32, 11, 1, 1]
    data = pack(Stream((10,), (1,), (codes_of(EXAMPLES["record.shape_of"]()),)))
    tail = np.frombuffer(data, np.uint32)[-6:].tolist()
    assert tail == [0, 0, 10, START & 0xFFFFFFFF, START >> 32, 1]


@pytest.mark.parametrize("name", ["record.shape_of", "record.shape_join", "record.resize"])
def test_ids_of_shapes_have_16_bits(name: str) -> None:
    record = codes_of(EXAMPLES[name]())
    words = np.frombuffer(pack(Stream((10,), (1,), (record,))), np.uint32).copy()
    words[-3 if name == "record.resize" else -1] = MAX_ID
    unpack(words.tobytes(), 1, 1)
    words[-3 if name == "record.resize" else -1] = MAX_ID + 1
    with pytest.raises(StreamError, match="no shape at"):
        unpack(words.tobytes(), 1, 1)


def test_all_records_in_one_stream() -> None:
    records = tuple(codes_of(build()) for build in EXAMPLES.values())
    stream = Stream((10, 11), (1, 1, 1), records, 7)
    assert unpack(pack(stream), 2, 3) == stream


def test_ids_have_16_bits() -> None:
    record = codes_of(EXAMPLES["record.reverse"]())
    data = pack(Stream((10,), (1,), (record,)))
    for id, good in ((MAX_ID, True), (MAX_ID + 1, False)):
        words = np.frombuffer(data, np.uint32).copy()
        (place,) = np.flatnonzero(words == 10)[-1:]
        words[place] = id
        if good:
            unpack(words.tobytes(), 1, 1)
            continue
        with pytest.raises(StreamError, match="no tensor at"):
            unpack(words.tobytes(), 1, 1)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_result_of_another_shape(name: str) -> None:
    op = EXAMPLES[name]()
    block = op.parent
    assert block is not None
    kind = op.ys[0].type
    assert isinstance(kind, TensorType)
    wrong = TensorType(f32, [size + 1 for size in kind.get_shape()])
    again = type(op).create(
        operands=op.xs, result_types=[wrong], properties=op.properties
    )
    with pytest.raises(VerifyException, match=rf"{name}: the results are .*, the operands give"):
        again.verify_()


@pytest.mark.parametrize("name", [n for n, build in EXAMPLES.items() if build().constants])
def test_a_coefficient_that_is_missing_or_not_known(name: str) -> None:
    op = EXAMPLES[name]()
    given = op.coefficients
    assert given is not None
    for other in ({}, {**given.data, "other": next(iter(given.data.values()))}):
        op.coefficients = DictionaryAttr(other)
        with pytest.raises(VerifyException, match=f"{name}: coefficients must be "):
            op.verify_()
    op.coefficients = None
    with pytest.raises(VerifyException, match="lacks the coefficient"):
        _ = op.constants


@pytest.mark.parametrize("name", EXAMPLES)
def test_another_number_of_operands_or_names(name: str) -> None:
    op = EXAMPLES[name]()
    block = op.parent
    assert block is not None
    more = block.insert_arg(TensorType(f32, MAP), 0)
    again = type(op).create(
        operands=[*op.xs, more], result_types=[op.ys[0].type], properties=op.properties
    )
    with pytest.raises(VerifyException, match=rf"{name}: {len(op.xs) + 1} operands, it takes"):
        again.verify_()
    named = type(op).create(
        operands=op.xs, result_types=[op.ys[0].type, op.ys[0].type], properties=op.properties
    )
    with pytest.raises(VerifyException, match=f"{name}: it has one result, with a name"):
        named.verify_()


BINARY = {"a_rank": 4, "a_shape": eight(*MAP), "b_rank": 4, "b_shape": eight(*MAP)}
REFUSED: dict[str, tuple[type[RecordOp], list[tuple[int, ...]], dict[str, Any]]] = {
    "an input of 4 channels is needed": (
        windows.ConvOp, [(4, 3, 6, 5)],
        {"channels": 4 << 16 | 8, "kernel": 3 << 16 | 3}),
    "the groups do not divide the channels": (
        windows.ConvOp, [MAP], {"channels": 4 << 16 | 8, "groups": 3, "kernel": 1 << 16 | 1}),
    "pads are at most 15": (
        windows.ConvOp, [MAP],
        {"channels": 4 << 16 | 8, "kernel": 3 << 16 | 3, "pad": (16, 0, 0, 0)}),
    "the kernel is larger than the input": (
        windows.PoolOp, [MAP], {"kernel": 7 << 16 | 7}),
    "with ceil a window may lie outside": (
        windows.PoolOp, [MAP], {"kernel": 2 << 16 | 2, "ceil": 1}),
    "an input of 119 numbers an image is needed": (
        windows.MatrixOp, [MAP], {"inputs": 119, "outputs": 2}),
    "do not fit": (windows.MatMulOp, [(4, 3, 2), (4, 3, 2)], {}),
    "do not repeat to each other": (windows.MatMulOp, [(4, 3, 2), (3, 2, 3)], {}),
    "the ranks differ": (pointwise.BinaryOp, [MAP, (5,)], BINARY),
    r"operands of .* do not fit": (pointwise.BinaryOp, [MAP, (4, 4, 6, 2)], BINARY),
    "there is no operation 77": (pointwise.BinaryOp, [MAP, MAP], {**BINARY, "op": 77}),
    "a scale is at most 127": (pointwise.BinaryOp, [MAP, MAP], {**BINARY, "a_scale": 128}),
    "there is no rounding 3": (pointwise.ConvertOp, [MAP], {"round": 3}),
    "there is no function 99": (pointwise.FunctionOp, [MAP], {"function": 99}),
    "5 channels are needed": (pointwise.PReluOp, [MAP], {"channels": 5, "shared": 1}),
    "their shapes differ": (pointwise.SelectOp, [MAP, MAP, (4, 4, 6, 1)], {}),
    "does not fit the shape": (
        movement.ReshapeOp, [MAP], {"rank": 2, "shape": eight(7, movement.INFER)}),
    "has no extent 4 to copy": (
        movement.ReshapeOp, [MAP], {"rank": 5, "shape": eight(*MAP, movement.COPY)}),
    "a shape of 9 extents": (movement.ReshapeOp, [MAP], {"rank": 9}),
    "is no order of": (movement.TransposeOp, [MAP], {"order": eight(0, 1, 1, 3)}),
    "differ beside axis 1": (
        movement.ConcatOp, [MAP, (4, 4, 6, 4)], {"count": 2, "rank": 4, "axis": 1}),
    "is outside axis 2": (
        movement.SliceOp, [MAP],
        {"rank": 4, "from_start": 0b1011, "to_end": 0b1011, "end": eight(0, 0, 7)}),
    "there is no mode 9": (movement.PadOp, [MAP], {"mode": 9}),
    "pads are not negative": (movement.PadOp, [MAP], {"pads": eight(-1)}),
    "it repeats at least once": (
        movement.TileOp, [MAP], {"rank": 4, "repeats": eight(1, 0, 1, 1)}),
    "does not become axis 2": (
        movement.BroadcastLikeOp, [MAP, MAP],
        {"count": 1, "axes": eight(2), "like_axes": eight(2)}),
    "there is no axis 4 in": (movement.ReverseOp, [MAP], {"axis": 4}),
    "over axes 0 and 1": (reductions.ReduceOp, [MAP], {"count": 2, "axes": eight(0, 1),
                                                       "method": reductions.SUM}),
    "there is no axis 5": (reductions.ReduceOp, [MAP], {"count": 1, "axes": eight(5),
                                                        "method": reductions.SUM}),
    "of a tensor only": (shape_ops.ShapeOfOp, [MAP], {"of_shape": 1}),
    "no shape of 9 numbers": (shape_ops.ShapeNumbersOp, [], {"count": 9, "numbers": (1,) * 8}),
    "no shape of 0 numbers": (shape_ops.ShapeNumbersOp, [], {}),
    "no shape of 2 numbers": (shape_ops.ShapeNumbersOp, [], {"count": 2, "numbers": eight(3)}),
    "no extents 3 to 5 of": (shape_ops.ShapeSliceOp, [MAP], {"place": 3 | 5 << 8 | 1 << 16}),
    "no extents 2 to 2 of": (shape_ops.ShapeSliceOp, [MAP], {"place": 2 | 2 << 8 | 1 << 16}),
    "no extents 0 to 4 of": (shape_ops.ShapeSliceOp, [MAP], {"place": 4 << 8 | 2 << 16}),
    "there is no operation 4": (shape_ops.ShapeArithmeticOp, [(2,), (3,)], {"op": 4}),
    "have different ranks": (shape_ops.ShapeArithmeticOp, [(2, 2), (3,)], {}),
    r"\(0, 1\) is no shape": (
        shape_ops.ShapeArithmeticOp, [(2, 3), (3, 2)], {"op": shape_ops.DIV}),
    r"\(-1,\) is no shape": (shape_ops.ShapeArithmeticOp, [(2,), (3,)], {"op": shape_ops.SUB}),
    "has more than 8 extents": (shape_ops.ShapeJoinOp, [MAP, (5,), MAP], {"count": 3}),
    r"\(4, 4, 6, 5\) does not fit \(4, 5, 7\)": (shape_ops.ReshapeToOp, [MAP, (4, 5, 7)], {}),
    "bilinear, of a computed shape": (shape_ops.ResizeOp, [MAP, MAP], {"shape_fixed": 1}),
    r"does not become \(4, 3, 6, 5\)": (shape_ops.ResizeOp, [MAP, (4, 3, 6, 5)], {}),
    r"does not become \(4, 4, 6\)": (shape_ops.ResizeOp, [MAP, (4, 4, 6)], {}),
    "there is no method 0": (reductions.ReduceOp, [MAP], {"count": 1, "axes": eight(1)}),
}  # fmt: skip
"""What is said of records with which the firmware goes wrong."""


@pytest.mark.parametrize("sentence", REFUSED)
def test_parameters_that_do_not_fit(sentence: str) -> None:
    kind, shapes, parameters = REFUSED[sentence]
    sources = kind.sources({**kind.RECORD.struct.defaults, **parameters}, ())
    given = {source.name: floats(1) for source in sources if source.is_coefficient}
    op = made(kind, shapes, result(1), coefficients=given, **parameters)
    with pytest.raises(VerifyException, match=f"{kind.name}: .*{sentence}"):
        op.verify_()


def test_an_unknown_parameter() -> None:
    op = conv()
    given = op.parameters.data
    op.parameters = DictionaryAttr({**given, "colour": given["relu"]})
    with pytest.raises(VerifyException, match="look at colour"):
        op.verify_()


def test_only_what_is_no_default_is_printed() -> None:
    text = module_text(module_of(EXAMPLES["record.reverse"]()))
    assert "{axis = 3 : i32}" in text
    op = made(movement.ReverseOp, [MAP], result(*MAP, element=types.si8), element=types.si8, axis=0)
    assert op.parameters.data == {}
