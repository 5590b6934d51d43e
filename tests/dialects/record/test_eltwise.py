"""The eltwise record against numbers by hand."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.utils.exceptions import VerifyException

from dialects.bm1684.record.base import Call
from dialects.bm1684.record.eltwise import MAX, PRODUCT, SUM, EltwiseOp

Array = NDArray[Any]
A, B = (np.array([x], np.float32) for x in ([[-1.5, 2, 100]], [[4, -0.5, 3]]))


def computed(xs: list[Array], extra: tuple[int, ...] = (), **values: Any) -> Array:
    """The result; 8-bit operands are uint8, as from memory."""
    v = {**EltwiseOp.RECORD.struct.defaults, "count": len(xs), **values}
    EltwiseOp.check(v)
    call = Call(v, extra, [x if x.dtype == np.float32 else x.view(np.uint8) for x in xs], _none)
    shapes = EltwiseOp.shapes(v, extra, call.shapes)
    (y,) = EltwiseOp.compute(call)
    assert [y.shape] == shapes
    return y


def _none(name: str, kind: type[np.generic], count: int) -> Array:
    raise AssertionError(name)


def bits(value: float) -> int:
    """The word of a float32."""
    return struct.unpack("<I", struct.pack("<f", value))[0]


@pytest.mark.parametrize(
    ("values", "extra", "expected"),
    [
        ({"op": PRODUCT}, (), [-6, -1, 300]),
        ({"op": MAX}, (), [4, 2, 100]),
        ({"op": SUM}, (bits(1), bits(-2)), [-9.5, 3, 94]),
        ({"op": SUM, "relu": 1}, (bits(1), bits(-2)), [0, 3, 94]),
        ({"op": SUM, "relu": 1, "relu_limit": 6.0}, (bits(1), bits(-2)), [0, 3, 6]),
    ],
)
def test_floats(values: dict[str, Any], extra: tuple[int, ...], expected: list[float]) -> None:
    y = computed([A, B], extra, **values)
    assert y.dtype == np.float32
    assert y.tolist() == [[expected]]


def test_a_sum_of_bytes() -> None:
    a, b = np.array([[-128, 5, 100]], np.int8), np.array([[200, 3, 255]], np.uint8)
    settings = {"op": SUM, "signs": (1, 0, *[1] * 8), "shifts": (1, 2, *[0] * 8)}
    assert computed([a, b], (1, 3), **settings).tolist() == [[86, 5, 127]]
    lower = np.array([[0, 3, 0]], np.uint8)
    assert computed([a, lower], (1, 3), **settings, relu=1).tolist() == [[0, 5, 50]]


@pytest.mark.parametrize(
    ("values", "extra", "message"),
    [
        ({"op": 3}, (), "there is no operation 3"),
        ({"op": MAX, "count": 1}, (), "it takes 2 to 10 operands, not 1"),
        ({"op": SUM}, (1,), "a sum has a factor an operand"),
        ({"op": SUM}, (1, 128), "a factor is greater than 127"),
        ({"op": MAX}, (), "the firmware has no factors for a product or a maximum of 8 bits"),
    ],
)
def test_refused(values: dict[str, Any], extra: tuple[int, ...], message: str) -> None:
    x = np.zeros((1, 2), np.int8)
    with pytest.raises(VerifyException, match=message):
        computed([x, x], extra, **values)


def test_the_block_is_laid_out_as_the_firmware_reads_it() -> None:
    offset = EltwiseOp.RECORD.struct.offset
    places = [offset(name) for name in ("op", "count", "relu", "signs", "shifts", "relu_limit")]
    assert (places, EltwiseOp.RECORD.struct.size) == ([4, 5, 6, 7, 17, 28], 32)
