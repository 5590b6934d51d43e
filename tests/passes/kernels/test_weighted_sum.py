"""Sums of two 8-bit tensors as windows that meet both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from dialects.bm1684 import tile
from dialects.quant.base import i64s, int_attr
from dialects.quant.eltwise import EltwiseKind, EltwiseKindAttr, EltwiseOp
from dialects.ufw import ops as ufw
from passes.commands.compute import pieces
from tests.branch_nets import BranchNet
from tests.compiled import compiled
from tests.passes.kernels.one_quant_op import check, tensor

SUM = EltwiseKindAttr(EltwiseKind.SUM)
FACTORS = [(64, 96), (1, 1), (-128, 127), (127, -5)]


def windows(module: ModuleOp) -> int:
    return sum(isinstance(op, tile.WeightedSumOp) for op in module.walk())


def total(
    shape: tuple[int, ...], kinds: str, factors: tuple[int, int], shift: int, opt: int
) -> ModuleOp:
    """Compiles and compares a sum; ``kinds``: s or u of both operands and the result."""
    x, y, result = (tensor(shape, f"{kind}i8") for kind in kinds)
    return check(
        EltwiseOp, [x, y], [result], opt, kind=SUM, multipliers=i64s(factors), shift=int_attr(shift)
    )


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize("kinds", ["sss", "ssu", "suu", "usu", "uss", "sus", "uuu", "uus"])
def test_signs(kinds: str, opt: int) -> None:
    for factors in FACTORS:
        assert windows(total((4, 5, 6, 7), kinds, factors, 7, opt))


@pytest.mark.parametrize("opt", [1, 2])
@pytest.mark.parametrize("shape", [(1, 8, 6, 6), (5, 70, 9, 7), (4, 130, 1, 1), (9, 3, 40, 33)])
def test_shapes(shape: tuple[int, ...], opt: int) -> None:
    assert windows(total(shape, "suu", (100, 27), 6, opt))


@pytest.mark.parametrize(("shift", "window"), [(0, True), (7, True), (8, False), (9, False)])
def test_what_saturates_in_16_bits(shift: int, window: bool) -> None:
    """Where a sum of 16 bits saturates, the result does as well, up to a shift of 7."""
    assert bool(windows(total((4, 5, 6, 7), "uuu", (127, 127), shift, 2))) == window


def test_a_sum_of_16_bits_that_suffices_for_any_shift() -> None:
    assert windows(total((4, 5, 6, 7), "sss", (127, 120), 12, 2))


@pytest.mark.parametrize("opt", [1, 2])
def test_a_tensor_and_itself(opt: int) -> None:
    """They do not lie apart. The factors differ, so that both count."""
    net = BranchNet((1, 24, 9, 11), True)
    x = net.conv(net.input, 70)
    net.add(ufw.EltwiseOp([x, x], net.top(), ufw.EltwiseOperation.SUM, [0.75, -0.25]))
    findings = compiled(net.module(), opt, "INT8")
    assert findings.ok, findings.verdict()


@given(st.integers(1, 3000), st.integers(1, 3840), st.integers(0, 3000))
def test_pieces_cover_a_plane_once_and_read_little_more(plane: int, units: int, more: int) -> None:
    apart, room = 32 * units, plane + tile.WeightedSumOp.BEHIND // 4 + more
    behind = 0
    for begin, rows, columns, step in pieces(plane, apart, room):
        assert begin == behind
        behind += rows * columns
        width, rest = divmod(apart, step)
        assert rest == 0
        assert step <= 16
        assert columns <= width <= 65535
        assert rows == 1 or columns == width
        assert begin + rows * width <= room
    assert behind == plane


ONE = [(0, 1, 100, 5)]
TWO = [(0, 2, 40, 16), (80, 1, 20, 16)]


@pytest.mark.parametrize(("room", "expected"), [(128, ONE), (127, TWO)])
def test_more_pieces_where_there_is_little_room(
    room: int, expected: list[tuple[int, ...]]
) -> None:
    assert list(pieces(100, 640, room)) == expected
