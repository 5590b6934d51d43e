"""What counts as a difference, and what the findings say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.verification.findings import FLOAT_TOLERANCE, Difference, Findings, TensorFinding
from passes.verification.npu import from_packed, to_packed


def floats(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32).reshape(1, -1)


def test_integers_differ_by_their_difference() -> None:
    npu = np.array([[1, 255], [3, 4]], np.uint8)
    cpu = np.array([[1, 0], [3, 5]], np.uint8)
    assert Difference.between(npu, cpu) == Difference(255, 2, (0, 1), 255, 0)
    assert Difference.between(cpu, cpu) == Difference(0, 0)


def test_floats_differ_relative_to_1_or_the_reference() -> None:
    within = Difference.between(floats(1.0005, 0.0005), floats(1, 0))
    assert within.index == ()
    assert within.unequal == 2
    assert within.error == pytest.approx(5e-4, rel=1e-3)
    large = Difference.between(floats(1000, 1001.5), floats(1000, 1000))
    assert large.error == pytest.approx(1.5e-3, rel=1e-3)
    assert (large.index, large.npu, large.cpu) == ((0, 1), 1001.5, 1000)


def test_the_first_element_beyond_the_tolerance_is_named_not_the_worst() -> None:
    found = Difference.between(floats(0, 0.5, 9), floats(0, 0, 0))
    assert (found.error, found.index, found.npu) == (9, (0, 1), 0.5)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_must_be_the_same(odd: float) -> None:
    assert Difference.between(floats(odd), floats(odd)) == Difference(0, 0)
    for other in (1.0, -odd if np.isinf(odd) else np.inf):
        assert Difference.between(floats(odd), floats(other)).error == np.inf
        assert Difference.between(floats(other), floats(odd)).error == np.inf


def finding(top: str, error: float, dtype: str = "float32") -> TensorFinding:
    difference = Difference(error, 1, (0, 2), 1.5, 1.25)
    return TensorFinding(
        top, f"layer {top}", "net.prototxt:3", "conv", dtype, (1, 4), difference, difference
    )


def test_the_first_bad_tensor_is_the_verdict() -> None:
    seen: list[str] = []
    findings = Findings(on_tensor=lambda found: seen.append(found.top))
    findings.add(finding("a", FLOAT_TOLERANCE))
    findings.add(finding("b", 0, "int8"))
    assert findings.ok
    assert findings.verdict() == "all 2 tensors agree"
    findings.add(finding("c", 1, "int8"))
    findings.add(finding("d", 1))
    findings.fail("deadlock")
    assert not findings.ok
    assert findings.first_bad is findings.tensors[2]
    assert seen == ["a", "b", "c", "d"]
    assert findings.verdict() == (
        'net.prototxt:3: layer "layer c": tensor "c" at [0, 2]: the NPU has 1.5, the CPU 1.25;'
        " 1 of 4 elements differ, isolated error 1, accumulated error 1"
    )


def test_the_first_failure_is_the_verdict() -> None:
    findings = Findings()
    findings.fail("deadlock")
    findings.fail("race")
    assert not findings.ok
    assert findings.verdict() == "deadlock"


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4), st.sampled_from([np.int8, np.uint8])
)
def test_four_images_share_a_word(shape: list[int], dtype: type[np.generic]) -> None:
    array = np.arange(int(np.prod(shape))).astype(np.uint8).view(dtype).reshape(shape)
    data = to_packed(array)
    plane = array[0].size
    assert data.size == -(-shape[0] // 4) * 4 * plane
    np.testing.assert_array_equal(from_packed(data.reshape(-1), shape, dtype), array)
    flat = array.reshape(shape[0], -1)
    words = data.reshape(-1, plane, 4)
    for image in range(shape[0]):
        np.testing.assert_array_equal(words[image // 4, :, image % 4].view(dtype), flat[image])


def test_what_is_left_of_large_terms_is_measured_against_them() -> None:
    """A sum of terms around 9000 leaves 3.134 or 3.137, as its terms are ordered."""
    cpu = np.array([9000.0, 3.134], np.float32)
    for gap, fits in ((0.003, True), (0.08, True), (0.1, False), (9.1, False)):
        error = Difference.between(cpu + np.array([0, gap], np.float32), cpu).error
        assert (error <= FLOAT_TOLERANCE) is fits
    assert Difference.between(np.array([9010, 3.134], np.float32), cpu).error > FLOAT_TOLERANCE
    assert Difference.between(floats(1.002), floats(1)).error > FLOAT_TOLERANCE
