"""quant-float-means: means of integers whose divisor depends on the shape."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue

from dialects.quant.base import QuantOp
from dialects.quant.compute import AveragePoolOp
from dialects.quant.reference import evaluate
from passes.module.functions import functions
from tests.dialects.quant.ops_by_hand import noise
from tests.passes.dynamic.shapes import Size, at_shapes, compared, run

Array = NDArray[Any]
UNSIGNED = {"s": False, "u": True}


def pooled(
    kind: str, size: Size, window: str, result: tuple[int, int], ratio: float = 1.0
) -> str:
    """A function of one mean; ``ratio`` is the scale of x by that of y."""
    n, h, w = size
    x = f"tensor<{n}x3x{h}x{w}x{kind}i8, #quant.scale<0.5>>"
    y = f"tensor<{n}x3x{result[0]}x{result[1]}x{kind}i8, #quant.scale<{0.5 / ratio!r}>>"
    return f"""(%x: {x}) -> {y} attributes {{input_names = ["x"], output_names = ["y"]}} {{
      %y = quant.average_pool %x {window} tops ["y"] : {x} -> {y} loc("mean"("net.prototxt":4:0))
      func.return %y : {y}
    }}"""


def whole(kind: str, *sizes: Size, ratio: float = 1.0) -> ModuleOp:
    """The mean of the whole map, at these sizes."""
    def text(n: int, h: int, w: int) -> str:
        window = f"kernel [{h}, {w}] stride [1, 1]"
        return pooled(kind, (n, h, w), window, (1, 1), ratio)

    return at_shapes(text, *sizes)


def executed(function: FuncOp, x: Array) -> Array:
    """The result of the quant ops of a function."""
    values: dict[SSAValue, Array] = {function.body.block.args[0]: x}
    for op in function.body.block.ops:
        if isinstance(op, ReturnOp):
            return values[op.operands[0]]
        assert isinstance(op, QuantOp)
        (values[op.results[0]],) = evaluate(op, [values[v] for v in op.operands])
    raise AssertionError


def exact(total: int, count: int, ratio: float, unsigned: bool) -> int:
    """The mean rounded to the nearest, halves upwards, saturated."""
    mean = floor(Fraction(total, count) * Fraction(ratio) + Fraction(1, 2))
    low, high = (0, 255) if unsigned else (-128, 127)
    return min(high, max(low, mean))


SIZES: list[Size] = [(2, 8, 6), (1, 8, 6), (2, 7, 6), (2, 1, 5), (2, 3, 2)]


@pytest.mark.parametrize("kind", UNSIGNED)
@pytest.mark.parametrize("ratio", [1.0, 0.75, 1.5, 2.25, 36.0])
def test_the_mean_of_the_map(kind: str, ratio: float) -> None:
    """Exact for equal scales; else within 1 of the exact one, and hardly ever away from it."""
    module = run(whole(kind, *SIZES, ratio=ratio), "quant-float-means")
    gaps: list[int] = []
    for seed, (function, (n, h, w)) in enumerate(zip(functions(module), SIZES, strict=True)):
        assert sum(isinstance(op, AveragePoolOp) for op in function.body.block.ops) == 1
        for bits in (0, 5, 7):
            x = noise(seed, np.uint8 if kind == "u" else np.int8, (n, 3, h, w)) >> bits
            y = executed(function, x)
            assert y.dtype == x.dtype
            np.testing.assert_array_equal(executed(function, x), y)
            for total, found in zip(
                x.astype(int).sum(axis=(2, 3)).flat, y.reshape(-1), strict=True
            ):
                gaps.append(abs(int(found) - exact(total, h * w, ratio, kind == "u")))
    assert max(gaps) <= (ratio != 1)
    assert sum(gaps) <= len(gaps) / 10


@pytest.mark.parametrize("count", [2, 3, 4, 6, 7, 64, 100, 1024])
@pytest.mark.parametrize("kind", UNSIGNED)
def test_every_half_is_told_from_its_neighbours(count: int, kind: str) -> None:
    """Sums at a half of the divisor, and one less and more, at equal scales."""
    module = run(whole(kind, (1, 1, count), (1, 1, 1)), "quant-float-means")
    function, _ = functions(module)
    low, high = (0, 255) if kind == "u" else (-128, 127)
    for k in (low, low + 1, -1, 0, 3, high - 1):
        if k < low:
            continue
        for total in {k * count + count // 2 + d for d in (-1, 0, 1)}:
            numbers = np.full(count, total // count)
            numbers[: total % count] += 1
            x = np.tile(numbers, 3).reshape(1, 3, 1, count)
            x = x.astype(np.uint8 if kind == "u" else np.int8)
            expected = exact(int(numbers.sum()), count, 1.0, kind == "u")
            assert executed(function, x).reshape(-1).tolist() == [expected] * 3


@pytest.mark.parametrize("kind", UNSIGNED)
@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_records_compute_the_same_at_every_size(kind: str, ratio: float) -> None:
    module = run(whole(kind, *SIZES, ratio=ratio), "quant-float-means")
    findings = compared(module)
    assert findings.ok, findings.verdict()
    assert len(findings.smaller) == len(SIZES) - 1


WINDOWS = {
    "kernel [2, 2] stride [2, 2] ceil false": True,
    "kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1]": True,
    "kernel [3, 3] stride [1, 1] pad [1, 1, 1, 1] exclude_pad true": False,
    "kernel [2, 2] stride [2, 2]": False,
}
"""Whether every window has the same divisor: padding counts in the second, in the third it does
not, and the last window of the fourth may be clipped."""


@pytest.mark.parametrize("window", WINDOWS)
def test_windows(window: str) -> None:
    """Those with one divisor stay integers; all agree with the reference."""
    def text(n: int, h: int, w: int) -> str:
        up = 0 if "false" in window else 1
        result = ((h + up) // 2, (w + up) // 2) if "stride [2" in window else (h, w)
        return pooled("s", (n, h, w), window, result)

    module = at_shapes(text, (3, 8, 7), (2, 5, 4))
    before = module.clone()
    run(module, "quant-float-means")
    assert module.is_structurally_equivalent(before) == WINDOWS[window]
    findings = compared(module)
    assert findings.ok, findings.verdict()


def test_one_size_of_the_map_is_left_to_integers() -> None:
    module = whole("s", (4, 6, 6), (2, 6, 6))
    before = module.clone()
    assert run(module, "quant-float-means").is_structurally_equivalent(before)


def test_the_layers_name_stays_with_its_result() -> None:
    module = run(whole("s", (2, 6, 6), (2, 3, 6)), "quant-float-means")
    for function in functions(module):
        ops = [op for op in function.body.block.ops if isinstance(op, QuantOp)]
        assert {str(op.location) for op in ops} == {'loc("mean"("net.prototxt":4:0))'}
        tops = [op.properties["tops"] for op in ops]
        assert [str(top) for top in tops] == ['[""]'] * (len(ops) - 1) + ['["y"]']


def test_functions_of_different_ops_are_left_to_the_conversion() -> None:
    def text(n: int, h: int, w: int) -> str:
        made = pooled("s", (n, h, w), f"kernel [{h}, {w}] stride [1, 1]", (1, 1))
        if h == 6:
            return made
        flip = '%z = quant.transpose %y order [0, 1, 3, 2] tops ["z"] : '
        y = f"tensor<{n}x3x1x1xsi8, #quant.scale<0.5>>"
        return made.replace("func.return", f"{flip}{y} -> {y}\n func.return")

    module = at_shapes(text, (2, 6, 6), (2, 3, 6))
    before = module.clone()
    assert run(module, "quant-float-means").is_structurally_equivalent(before)
