"""Strided copies: the commands move what numpy's strided view holds."""

from __future__ import annotations

from math import prod
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.passes import ModulePass

from bmnetu.pipeline import parse_pipeline, run_pipeline
from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref, si8
from dialects.quant import movement, types
from dialects.ufw import ops as ufw
from passes.kernels.builder import TileBuilder
from passes.kernels.movement.copies import pack, unpack
from passes.kernels.movement.strided_copy import StridedCopy, copy_box, merge_dims, row_major
from passes.verify_layers import VerifyLayersPass
from tests.net_maker import NetMaker
from tests.passes.kernels.tile_memory import Array, new_builder, run_copies
from tests.pipelines import static_passes, static_text
from tests.random_nets import finished


def noise(size: int) -> Array:
    return np.random.default_rng(size).integers(0, 256, size).astype(np.uint8)


def buffers(b: TileBuilder, *sizes: int) -> list[SSAValue]:
    """DDR buffers of so many bytes."""
    return [b.ddr(si8, (1, 1, 1, size), 1) for size in sizes]


def copied(box: StridedCopy, source: Array, dest_bytes: int) -> tuple[Array, int]:
    """What the commands of a box leave in a destination full of zeros, and how many they are."""
    b = new_builder()
    src, dst = buffers(b, source.size, dest_bytes)
    copy_box(b, src, dst, box)
    target = np.zeros(dest_bytes, np.uint8)
    count = run_copies(b.block, {src: source, dst: target})
    for op in b.block.ops:
        if isinstance(op, tile.CopyOp):
            assert Ref.of(op.src).layout.strides[3] <= BM1684.limits.gdma_source_step
    return target, count


@st.composite
def permutations(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6).map(tuple))
    return shape, draw(st.permutations(range(len(shape))).map(tuple))


@given(permutations(), st.sampled_from([1, 4]))
def test_a_permutation_is_numpys(
    case: tuple[tuple[int, ...], tuple[int, ...]], unit: int
) -> None:
    shape, order = case
    source = noise(prod(shape) * unit)
    out, strides = tuple(shape[i] for i in order), row_major(shape)
    box = StridedCopy(out, tuple(strides[i] for i in order), row_major(out), unit)
    got, _ = copied(box, source, source.size)
    expected = source.reshape(*shape, unit).transpose(*order, len(shape))
    np.testing.assert_array_equal(got, expected.reshape(-1))


@given(st.data(), st.sampled_from([1, 4]))
def test_a_part_of_a_tensor_goes_into_a_part_of_another(data: st.DataObject, unit: int) -> None:
    extents = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    grown = st.lists(st.integers(0, 2), min_size=len(extents), max_size=len(extents))
    sides: list[tuple[tuple[int, ...], tuple[slice, ...], int]] = []
    for _ in "sd":
        before, after = data.draw(grown), data.draw(grown)
        shape = tuple(b + e + a for b, e, a in zip(before, extents, after, strict=True))
        inside = tuple(slice(b, b + e) for b, e in zip(before, extents, strict=True))
        begin = sum(b * s for b, s in zip(before, row_major(shape), strict=True))
        sides.append((shape, inside, begin))
    (s_shape, s_inside, s_begin), (d_shape, d_inside, d_begin) = sides
    box = StridedCopy(extents, row_major(s_shape), row_major(d_shape), unit, s_begin, d_begin)
    source = noise(prod(s_shape) * unit)
    got, _ = copied(box, source, prod(d_shape) * unit)
    expected = np.zeros((*d_shape, unit), np.uint8)
    expected[d_inside] = source.reshape(*s_shape, unit)[s_inside]
    np.testing.assert_array_equal(got, expected.reshape(-1))


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=5))
def test_a_source_stride_of_0_repeats(dims: list[tuple[int, bool]]) -> None:
    large = tuple(extent for extent, _ in dims)
    small = tuple(1 if repeated else extent for extent, repeated in dims)
    strides = tuple(
        0 if repeated else s for s, (_, repeated) in zip(row_major(small), dims, strict=True)
    )
    source = noise(prod(small) * 4)
    got, _ = copied(StridedCopy(large, strides, row_major(large), 4), source, prod(large) * 4)
    expected = np.broadcast_to(source.reshape(*small, 4), (*large, 4))
    np.testing.assert_array_equal(got, expected.reshape(-1))


@pytest.mark.parametrize(
    ("shape", "order", "commands"),
    [
        ((70000,), (0,), 2),
        ((70000, 2), (1, 0), 2),
        ((3, 70000), (0, 1), 2),
        ((2, 3, 2, 5, 2), (4, 2, 0, 3, 1), 2),
        ((2, 3, 4, 5), (0, 1, 2, 3), 1),
    ],
)
def test_extents_and_ranks_above_the_commands_limits(
    shape: tuple[int, ...], order: tuple[int, ...], commands: int
) -> None:
    source, strides = noise(prod(shape)), row_major(shape)
    out = tuple(shape[i] for i in order)
    box = StridedCopy(out, tuple(strides[i] for i in order), row_major(out), 1)
    got, count = copied(box, source, source.size)
    np.testing.assert_array_equal(got, source.reshape(shape).transpose(order).reshape(-1))
    assert count == commands


def test_a_source_step_too_large_for_w() -> None:
    step = BM1684.limits.gdma_source_step + 1
    source = noise(3 * step)
    got, _ = copied(StridedCopy((3,), (step,), (1,), 1), source, 3)
    np.testing.assert_array_equal(got, source[::step])


def test_neighbours_that_are_contiguous_on_both_sides_become_one_dim() -> None:
    shape = (2, 3, 1, 4)
    merged = merge_dims(StridedCopy(shape, row_major(shape), row_major(shape), 4))
    assert merged == StridedCopy((24,), (1,), (1,), 4)
    apart = merge_dims(StridedCopy((2, 3, 4), (24, 4, 1), (12, 4, 1), 4))
    assert apart == StridedCopy((2, 12), (24, 1), (12, 1), 4)


@given(st.integers(1, 9), st.integers(1, 7))
def test_packing_and_unpacking_four_images_a_word(images: int, plane: int) -> None:
    b, size = new_builder(), images * plane
    flat, packed = buffers(b, size, -(-images // 4) * plane * 4)
    pack(b, flat, packed, (images, plane))
    back = unpack(b, packed, (images, plane))
    memory = {value: np.zeros(size + 3 * plane + 3, np.uint8) for value in (packed, back)}
    memory[flat] = noise(size)
    run_copies(b.block, memory)
    for image in range(images):
        begin = 4 * plane * (image // 4) + image % 4
        words = memory[packed][begin : begin + 4 * plane : 4]
        np.testing.assert_array_equal(words, memory[flat][image * plane : (image + 1) * plane])
    np.testing.assert_array_equal(memory[back][:size], memory[flat])


def test_a_transposition_reads_in_order() -> None:
    """Gaps of the source are paid for like elements: NHWC from NCHW, 24 x 19 x 19."""
    merged = merge_dims(StridedCopy((19, 19, 24), (19, 1, 361), (456, 24, 1), 4))
    assert merged == StridedCopy((24, 361), (361, 1), (1, 24), 4)


@pytest.mark.parametrize("small", [(2, 70, 1, 1), (2, 70, 6, 1), (2, 70, 1, 5), (2, 1, 1, 1)])
@pytest.mark.parametrize("integer", [False, True])
def test_the_tensor_unit_repeats_pixels(small: tuple[int, ...], integer: bool) -> None:
    """At opt 2; where channels repeat the DMA engine does it."""
    kinds = [
        types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
        for shape in (small, (2, 70, 6, 5))
    ]
    block = Block(arg_types=kinds[:1])
    op = movement.BroadcastOp.create(
        operands=[block.args[0]], result_types=kinds[1:],
        properties={"tops": ArrayAttr([StringAttr("y")])},
    )  # fmt: skip
    block.add_ops([op, ReturnOp(op.y)])
    function = FuncOp("main", FunctionType.from_lists(kinds[:1], kinds[1:]), Region(block))
    function.attributes["input_names"] = ArrayAttr([StringAttr("x")])
    function.attributes["output_names"] = ArrayAttr([StringAttr("y")])
    module = ModuleOp([function])
    text = static_text(2, "INT8", verify=True)
    passes = parse_pipeline(text[text.index("keep-reference") :])
    copies: list[int] = []

    def count(item: ModulePass) -> None:
        if item.name == "convert-quant-to-tile":
            copies.append(sum(isinstance(op, tile.CopyOp) for op in module.walk()))

    run_pipeline(module, passes, count)
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    assert verify.findings.ok, verify.findings.verdict()
    assert (copies == [0]) == (small[1] == 70)


@pytest.mark.parametrize(("integer", "batch"), [(False, 1), (True, 4)])
def test_parts_that_change_places_stay_in_local_memory(integer: bool, batch: int) -> None:
    """Channels cut in halves and joined the other way round: the halves are no tensors of their
    own, so the tensor unit copies them."""
    net = NetMaker(Random(0), integer)
    shape = (batch, 128, 6, 5)
    kind = types.int_tensor(shape, 0.02, False) if integer else types.float_tensor(shape)
    net.values.append(net.block.insert_arg(kind, 0))
    net.add(ufw.ReLUOp(net.values[-1], net.top(unsigned=True)))
    whole = net.values[-1]
    net.add(ufw.SliceOp(whole, [net.top(like=whole), net.top(like=whole)], [64, 64]))
    halves = net.values[-2:]
    net.add(ufw.ConcatOp(halves[::-1], net.top(like=whole)))
    top = net.top(like=whole)
    net.add(ufw.PoolingOp(net.values[-1], top, ufw.PoolingKind.MAX, (2, 2)))
    module = finished(net)
    passes = static_passes(2, "INT8" if integer else "FP32", verify=True)
    found: list[int] = []

    def count(item: ModulePass) -> None:
        if item.name == "tile-keep-local":
            found.append(sum(isinstance(op, tile.TransferOp) for op in module.walk()))

    run_pipeline(module, passes, count)
    verify = passes[-1]
    assert isinstance(verify, VerifyLayersPass)
    assert verify.findings.ok, verify.findings.verdict()
    assert found == [2]  # the network's input and output
