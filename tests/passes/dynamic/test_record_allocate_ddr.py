"""record-allocate-ddr: places of coefficients, intermediates and scratch memory."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr, TensorType, f32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue

from bmnetu.pipeline import new_context
from dialects.bm1684.chip import BM1684
from dialects.bm1684.record import movement, pointwise, reductions
from dialects.bm1684.record.base import NO_BUFFER, RecordOp, is_float, room, shape_of
from dialects.quant import types
from passes.image.program import integer
from passes.image.records import DynamicProgram, records_of
from passes.module.functions import main_function
from passes.record.record_allocate_ddr import RecordAllocateDdrPass
from tests.dialects.record.examples import eight

START, PAGE = BM1684.context_start, BM1684.ddr_alignment


def module_of(block: Block, *outputs: SSAValue) -> ModuleOp:
    """A network of these records."""
    block.add_op(ReturnOp(*outputs))
    kinds = FunctionType.from_lists([x.type for x in block.args], [y.type for y in outputs])
    function = FuncOp("main", kinds, Region(block))
    for name, count in (("input_names", len(block.args)), ("output_names", len(outputs))):
        function.attributes[name] = ArrayAttr([StringAttr(f"{name[0]}{i}") for i in range(count)])
    return ModuleOp([function])


def placed(block: Block, *outputs: SSAValue) -> list[RecordOp]:
    """The records, with addresses."""
    module = module_of(block, *outputs)
    module.verify()
    RecordAllocateDdrPass().apply(new_context(), module)
    module.verify()
    return records_of(main_function(module))


def flip(block: Block, x: SSAValue) -> SSAValue:
    """One more record without scratch memory."""
    op = movement.ReverseOp([x], [x.type], ["y"], {"axis": 1})
    block.add_op(op)
    return op.ys[0]


def place(record: RecordOp) -> int:
    """The address of the first result."""
    assert record.addresses is not None
    return record.addresses.get_values()[0]


@pytest.mark.parametrize("count", [3, 8, 40])
def test_a_chain_alternates_between_two_buffers(count: int) -> None:
    block = Block(arg_types=[types.float_tensor((2, 3, 40, 40))])
    x: SSAValue = block.args[0]
    for _ in range(count):
        x = flip(block, x)
    records = placed(block, x)
    size = -(-2 * 3 * 40 * 40 * 4 // PAGE) * PAGE
    first = START + PAGE
    assert [place(r) for r in records[:-1]] == [first + i % 2 * size for i in range(count - 1)]
    assert place(records[-1]) == NO_BUFFER
    function = main_function_of(records[0])
    assert integer(function, "context_address") == first
    assert integer(function, "context_size") == 2 * size


def main_function_of(record: RecordOp) -> FuncOp:
    """The function around a record."""
    function = record.parent_op()
    assert isinstance(function, FuncOp)
    return function


def test_eight_bits_lie_in_groups_of_four_images() -> None:
    for kind, size in ((types.int_tensor((5, 1, 32, 32), 1.0, False), 2 * PAGE),
                       (types.int_tensor((5, 1, 32, 32), 1.0, True), 2 * PAGE),
                       (types.float_tensor((5, 1, 32, 32)), 5 * PAGE)):  # fmt: skip
        block = Block(arg_types=[kind])
        a = flip(block, block.args[0])
        records = placed(block, flip(block, flip(block, a)))
        assert place(records[1]) - place(records[0]) == size


def test_equal_coefficients_lie_once() -> None:
    kind = types.float_tensor((2, 3, 4, 4))
    block = Block(arg_types=[kind])
    x: SSAValue = block.args[0]
    for value in (0.5, 0.25, 0.5):
        slope = np.full(3, value, np.float32)
        op = pointwise.PReluOp([x], [kind], ["y"], {"channels": 3}, coefficients={"slope": slope})
        block.add_op(op)
        x = op.ys[0]
    records = placed(block, x)
    places = [r.coefficient_addresses.get_values() for r in records if r.coefficient_addresses]
    assert places == [(START,), (START + PAGE,), (START,)]
    function = main_function_of(records[0])
    assert integer(function, "coeff_size") == 2 * PAGE
    module = function.parent_op()
    assert isinstance(module, ModuleOp)
    coeff = DynamicProgram.of(module).coeff
    assert np.frombuffer(coeff, np.float32)[[0, 1024]].tolist() == [0.5, 0.25]


def test_a_tensor_that_nobody_reads_leaves_its_room() -> None:
    block = Block(arg_types=[types.float_tensor((2, 3, 4, 4))])
    flip(block, block.args[0])
    a = flip(block, block.args[0])
    records = placed(block, flip(block, a))
    assert place(records[0]) == place(records[1])


def test_a_network_without_coefficients_and_intermediates_has_memory() -> None:
    block = Block(arg_types=[types.float_tensor((2, 3, 4, 4))])
    (record,) = placed(block, flip(block, block.args[0]))
    assert integer(main_function_of(record), "coeff_size") == PAGE
    assert integer(main_function_of(record), "context_size") == PAGE


# -- any network -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lease:
    """Memory that holds something from one record's begin to another one's end."""

    what: str
    begin: int
    end: int
    first: int
    last: int

    def clashes(self, other: Lease) -> bool:
        """Whether both need the same byte at the same time."""
        together = self.first <= other.last and other.first <= self.last
        return together and self.begin < other.end and other.begin < self.end


def leases(records: list[RecordOp]) -> list[Lease]:
    """What lies where and when, read off the records alone."""
    index: dict[Operation, int] = {record: i for i, record in enumerate(records)}
    found: list[Lease] = []
    for i, record in enumerate(records):
        assert record.addresses is not None
        for y, at in zip(record.ys, record.addresses.get_values(), strict=True):
            if at == NO_BUFFER:
                continue
            last = max((index[use.operation] for use in y.uses), default=i)
            found.append(Lease(f"{i}", at, at + room(shape_of(y), is_float(y)), i, last))
        shapes = [[shape_of(v) for v in some] for some in (record.xs, record.ys)]
        for name, nbytes in record.RECORD.scratch.items():
            size = nbytes(shapes[0], shapes[1], is_float(record.ys[0]))
            at = record.values[name]
            assert (at > 0) == (size > 0)
            if size:
                found.append(Lease(f"{name} of {i}", at, at + size, i, i))
    return found


def random_network(rng: Random) -> tuple[Block, list[SSAValue]]:
    """Records that read any earlier tensor, of several sizes; some have scratch memory."""
    block = Block(arg_types=[TensorType(f32, (rng.choice([1, 5]), 2, 30, 30))])
    values: list[SSAValue] = list(block.args)
    for _ in range(rng.randint(2, 30)):
        x = rng.choice(values[-4:] + values[:1])
        n, c, h, w = shape_of(x)
        kind = x.type
        match rng.randrange(6):
            case 0:
                op = reductions.SoftmaxOp([x], [kind], ["y"], {"place": 1 << 28})
            case 1:
                op = movement.TransposeOp(
                    [x], [TensorType(f32, (n, c, w, h))], ["y"],
                    {"order": eight(0, 1, 3, 2, rest=1)})  # fmt: skip
            case 2:
                op = movement.PadOp(
                    [x], [TensorType(f32, (n, c, h + 7, w))], ["y"],
                    {"pads": eight(0, 0, 0, 0, 3, 4)})  # fmt: skip
            case 3 if h > 1:
                cut = {"rank": 4, "from_start": 15, "to_end": 11, "end": eight(0, 0, h // 2)}
                op = movement.SliceOp([x], [TensorType(f32, (n, c, h // 2, w))], ["y"], cut)
            case 4:
                others = [v for v in values if shape_of(v) == (n, c, h, w)]
                op = movement.ConcatOp(
                    [x, rng.choice(others)], [TensorType(f32, (n, c, 2 * h, w))], ["y"],
                    {"count": 2, "rank": 4, "axis": 2}, extra=(h, h))  # fmt: skip
            case _:
                op = movement.ReverseOp([x], [kind], ["y"], {"axis": 1})
        block.add_op(op)
        values.append(op.ys[0])
    made = values[1:]
    outputs = [v for v in made if rng.random() < (0.2 if v.first_use else 0.8)]
    return block, outputs or made[-1:]


@pytest.mark.parametrize("seed", range(25))
def test_what_is_needed_at_the_same_time_lies_apart(seed: int) -> None:
    block, outputs = random_network(Random(seed))
    records = placed(block, *outputs)
    function = main_function_of(records[0])
    begin = integer(function, "context_address")
    end = begin + integer(function, "context_size")
    found = leases(records)
    for i, one in enumerate(found):
        assert begin <= one.begin < one.end <= end
        assert one.begin % PAGE == 0
        assert not [other for other in found[:i] if one.clashes(other)]
    assert max((each.end for each in found), default=begin + 1) > end - PAGE
