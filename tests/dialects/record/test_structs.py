"""The parameter blocks are those of the format: type, size and where the fields begin."""

from __future__ import annotations

import pytest

from dialects.bm1684.record.ops import ALL_OPS, BY_NUMBER

FORMAT: dict[str, tuple[int, int, dict[str, int]]] = {
    "record.conv": (0, 120, {
        "channels": 0, "groups": 8, "kernel": 12, "dilation": 16, "pad": 18, "stride": 22,
        "has_bias": 24, "relu": 25, "relu_limit": 28, "winograd": 32, "shift": 44,
        "input_sign": 45, "weight_sign": 46, "bias_sign": 47, "output_sign": 48, "unused_52": 52,
        "weight_is_tensor": 60, "unused_64": 64, "fused": 92, "unused_104": 104, "same_pad": 116,
    }),
    "record.pool": (1, 28, {
        "channels": 0, "kernel": 4, "pad": 8, "stride": 12, "is_average": 14, "valid_only": 15,
        "relu": 16, "relu_limit": 20, "input_sign": 24, "output_sign": 25, "is_global": 26,
        "ceil": 27,
    }),
    "record.matrix": (3, 64, {
        "inputs": 0, "outputs": 4, "transpose": 8, "has_bias": 9, "has_activation": 10,
        "activation": 12, "slope_shared": 16, "slope": 20, "shift": 24, "input_sign": 25,
        "weight_sign": 26, "bias_sign": 27, "unused_32": 32, "rank": 36, "scale": 44,
        "weight_is_tensor": 52, "version": 56, "wide": 57, "output_sign": 58, "unused_60": 60,
    }),
    "record.concat": (7, 36, {"count": 0, "rank": 1, "axis": 2, "shape": 4}),
    "record.eltwise": (10, 32, {
        "channels": 0, "op": 4, "count": 5, "relu": 6, "signs": 7, "shifts": 17, "relu_limit": 28,
    }),
    "record.prelu": (11, 20, {
        "channels": 0, "slope": 4, "shared": 8, "shift": 9, "relu_limit": 12, "input_sign": 16,
        "output_sign": 17, "slope_sign": 18,
    }),
    "record.reshape": (18, 56, {
        "rank": 0, "shape": 4, "batch": 36, "channels": 40, "input_id": 44, "scratch": 48,
    }),
    "record.softmax": (19, 24, {"place": 0, "unused_4": 4, "scratch": 8, "is_log": 16}),
    "record.resize": (20, 56, {
        "shape_fixed": 0, "rank": 1, "platform": 2, "shape": 4, "pad_begin": 36, "pad_end": 40,
        "sign": 44, "align_corners": 48, "half_pixel": 52,
    }),
    "record.pad": (26, 72, {
        "channels": 0, "value": 4, "mode": 8, "pads": 12, "input_scratch": 48,
        "output_scratch": 56, "unused_64": 64,
    }),
    "record.tile": (28, 88, {
        "is_coefficient": 0, "rank": 3, "shape": 4, "repeats": 36, "scratch": 72, "data_size": 80,
    }),
    "record.select": (29, 24, {
        "a_value": 0, "b_value": 4, "a_is_number": 8, "b_is_number": 9, "relu": 10,
        "relu_limit": 12, "signs": 16,
    }),
    "record.binary": (31, 96, {
        "a_rank": 0, "a_is_coefficient": 1, "b_rank": 2, "b_is_coefficient": 3, "op": 4, "relu": 8,
        "a_shape": 12, "b_shape": 44, "relu_limit": 76, "scratch": 80, "a_scale": 88, "b_scale": 89,
        "a_shift": 90, "b_shift": 91, "a_sign": 92, "b_sign": 93, "output_sign": 94,
    }),
    "record.const_binary": (32, 24, {
        "value": 0, "op": 4, "inversed": 8, "relu": 9, "relu_limit": 12, "scale": 16, "shift": 18,
        "input_sign": 20, "output_sign": 21,
    }),
    "record.function": (35, 28, {
        "channels": 0, "function": 4, "unused_8": 8, "unused_12": 12, "scales": 16, "signs": 24,
    }),
    "record.shape_of": (38, 4, {"of_shape": 0}),
    "record.shape_numbers": (39, 44, {"count": 0, "numbers": 4, "unused_36": 36, "dtype": 40}),
    "record.shape_arithmetic": (40, 4, {"op": 0}),
    "record.shape_slice": (41, 128, {"place": 0, "unused_4": 4}),
    "record.shape_join": (42, 8, {"count": 0, "axis": 4}),
    "record.reshape_to": (43, 0, {}),
    "record.transpose": (49, 24, {"order": 0, "scratch": 8, "unused_16": 16}),
    "record.reduce": (50, 40, {
        "keep": 0, "count": 2, "method": 4, "axes": 8, "scratch": 16, "sign": 24, "scales": 28,
    }),
    "record.slice": (51, 144, {
        "from_start": 0, "to_end": 4, "begin": 8, "end": 40, "step": 72, "rank": 104,
        "input_scratch": 120, "output_scratch": 128, "unused_136": 136,
    }),
    "record.matmul": (65, 88, {
        "a_is_coefficient": 0, "a_shape": 4, "a_rank": 36, "b_is_coefficient": 40, "b_shape": 44,
        "b_rank": 76, "relu": 80, "relu_limit": 84,
    }),
    "record.convert": (74, 20, {
        "source": 0, "result": 4, "input_mode": 8, "output_mode": 12, "round": 16,
    }),
    "record.constant": (100, 40, {"shape": 0, "rank": 32, "dtype": 36}),
    "record.reverse": (104, 4, {"axis": 0}),
    "record.broadcast_like": (105, 32, {
        "count": 0, "axes": 4, "like_axes": 12, "scratch": 24,
    }),
    "record.lookup": (106, 40, {
        "rank": 0, "table_is_coefficient": 2, "kind": 3, "shape": 4, "result": 36,
    }),
}  # fmt: skip
"""Of each op the type in the stream, the bytes of the block, and offsets in it."""


@pytest.mark.parametrize("name", FORMAT)
def test_the_block_is_that_of_the_format(name: str) -> None:
    number, size, offsets = FORMAT[name]
    kind = BY_NUMBER[number]
    assert kind.name == name
    struct = kind.RECORD.struct
    assert struct.size == size
    assert {field: struct.offset(field) for field in offsets} == offsets
    assert struct.unpack(struct.pack({})) == struct.defaults


@pytest.mark.parametrize(("number", "field"), [
    (0, "92 i32 fused[3]"), (20, "4 i32 shape[8]"), (39, "4 i32 numbers[8]"),
    (41, "4 u32 unused_4[31]"),
])  # fmt: skip
def test_arrays_in_a_block(number: int, field: str) -> None:
    assert field in BY_NUMBER[number].RECORD.struct.text().split(", ")


def test_what_the_firmware_needs_beside_zeros() -> None:
    """The numbers are 32-bit integers; a resize is bilinear, of rank 4 and signed."""
    numbers = BY_NUMBER[39].RECORD.struct.pack({})
    assert (numbers[40], sum(numbers)) == (6, 6)
    resize = BY_NUMBER[20].RECORD.struct.pack({})
    assert (resize[1], resize[2], resize[44], sum(resize)) == (4, 1, 1, 6)


def test_no_two_ops_have_one_type() -> None:
    assert len(BY_NUMBER) == len(ALL_OPS)
    assert set(FORMAT) == {kind.name for kind in ALL_OPS}


@pytest.mark.parametrize("number", BY_NUMBER)
def test_fields_that_the_op_names_are_in_its_block(number: int) -> None:
    record = BY_NUMBER[number].RECORD
    flags = {flag for flag in record.coefficients.values() if flag}
    assert flags | set(record.scratch) <= set(record.struct.types)
