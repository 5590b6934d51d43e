"""Packed weights: every value lies where the layout of its memref says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.bm1684 import tile
from dialects.bm1684.chip import BM1684
from dialects.bm1684.layout import Ref
from passes.kernels.convolution.weights import (
    CONV_FLOAT,
    CONV_INT8,
    DEPTHWISE_FLOAT,
    DEPTHWISE_INT8,
    WeightForm,
    load_weights,
    load_words,
    pack_weights,
)
from tests.passes.kernels.tile_memory import Array, located, new_builder

FORMS = {
    "conv int8": CONV_INT8,
    "conv float": CONV_FLOAT,
    "depthwise int8": DEPTHWISE_INT8,
    "depthwise float": DEPTHWISE_FLOAT,
}


def values(shape: tuple[int, ...], dtype: type[np.generic]) -> Array:
    return np.random.default_rng(len(shape)).integers(-99, 99, shape).astype(dtype)


def lanes_of(words: Array) -> Array:
    """[lanes, words] as the bytes of each lane."""
    return words.view(np.uint8).reshape(words.shape[0], -1)


@pytest.mark.parametrize("name", FORMS)
@given(
    outputs=st.sampled_from([1, 3, 63, 64, 65, 130]),
    inputs=st.integers(1, 9),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    has_bias=st.booleans(),
)
def test_every_weight_lies_where_the_layout_says(
    name: str, outputs: int, inputs: int, kernel: tuple[int, int], has_bias: bool
) -> None:
    form = FORMS[name]
    inputs = 1 if form.depthwise else inputs
    weight = values((outputs, inputs, *kernel), form.dtype)
    bias = values((outputs,), form.bias_dtype) if has_bias else None
    words, _ = pack_weights(form, weight, bias)
    assert words.shape[0] == min(outputs, BM1684.lanes)
    b = new_builder()
    weight_ref, bias_ref = load_weights(b, form, weight, bias)
    assert (bias_ref is None) == (bias is None)
    ref, lanes = Ref.of(weight_ref), lanes_of(words)
    found = np.empty_like(weight)
    row, group, down, right = ref.layout.strides
    for o, i, y, x in np.ndindex(*weight.shape):
        unit = o // 64 * row + i // ref.layout.pack * group + y * down + x * right
        begin = unit * ref.layout.unit + i % ref.layout.pack * weight.itemsize
        found[o, i, y, x] = lanes[o % 64, begin : begin + weight.itemsize].view(weight.dtype)[0]
    np.testing.assert_array_equal(found, weight)
    if bias is not None and bias_ref is not None:
        _, offset = located(bias_ref)
        for o in range(outputs):
            begin = offset + o // 64 * Ref.of(bias_ref).layout.strides[1] * bias.itemsize
            assert lanes[o % 64, begin : begin + bias.itemsize].view(bias.dtype)[0] == bias[o]


def test_missing_input_channels_hold_zeros() -> None:
    words, _ = pack_weights(CONV_INT8, np.full((1, 5, 1, 1), -1, np.int8), None)
    assert words.tolist() == [[0xFFFFFFFF, 0x000000FF]]


@given(st.sampled_from(list(FORMS.values())), st.sampled_from([1, 64, 200]), st.integers(1, 20))
def test_a_row_takes_the_bytes_that_the_tiler_reckons_with(
    form: WeightForm, outputs: int, inputs: int
) -> None:
    inputs = 1 if form.depthwise else inputs
    weight = values((outputs, inputs, 3, 3), form.dtype)
    words, _ = pack_weights(form, weight, values((outputs,), form.bias_dtype))
    rows = -(-outputs // BM1684.lanes)
    reckoned = rows * form.row_bytes(inputs, 9, bias=True)
    assert reckoned <= words.shape[1] * 4 < reckoned + 8


@pytest.mark.parametrize("count", [1, 33, 65535, 65536, 70001])
def test_long_rows_are_cut_into_what_a_transfer_takes(count: int) -> None:
    b = new_builder()
    words = np.arange(2 * count, dtype=np.uint32).reshape(2, count)
    target = Ref.of(load_words(b, words))
    (constant,) = (op for op in b.block.ops if isinstance(op, tile.ConstantOp))
    (load,) = (op for op in b.block.ops if isinstance(op, tile.LoadOp))
    load.verify()
    held = constant.value.array.reshape(2, -1)
    np.testing.assert_array_equal(held[:, :count], words)
    _, _, rows, width = target.shape
    assert rows * width == held.shape[1]
    assert target.layout.strides[2:] == (width, 1)
