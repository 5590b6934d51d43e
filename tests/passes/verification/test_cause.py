"""Patterns of wrong elements, and the causes that they are told as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dialects.bm1684.npu import AxisPart, LocalBox, Observation
from passes.verification.cause import RULES, Facts, cause_of
from passes.verification.npu import in_network, to_packed
from passes.verification.pattern import Pattern
from passes.verification.trace import place_of

Array = NDArray[Any]
LAYER = Facts(weights=True, bias=True)
RNG = np.random.default_rng(7)


def numbers(dtype: str, shape: tuple[int, ...] = (2, 80, 6, 6)) -> Array:
    """A tensor with numbers of all sizes."""
    if dtype == "float32":
        return RNG.normal(0, 3, shape).astype(np.float32)
    info = np.iinfo(dtype)
    return RNG.integers(info.min // 2, info.max // 2, shape).astype(dtype)


def cause(npu: Array, cpu: Array, facts: Facts = LAYER) -> tuple[str, str]:
    found = cause_of(Pattern(npu, cpu), facts)
    return found.name, found.phrase


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_one_error_everywhere_in_a_channel_is_the_bias(dtype: str) -> None:
    cpu = numbers(dtype)
    npu = cpu.copy()
    npu[:, 5] += np.array(3, dtype)
    name, phrase = cause(npu, cpu)
    assert name == "bias"
    assert "channel 5: " in phrase
    assert "3 in channel 5" in phrase
    assert cause(npu, cpu, Facts())[0] == "offset"


def test_a_bias_is_seen_through_a_relu() -> None:
    sums = numbers("float32")
    npu = sums.copy()
    npu[:, 5] += 2
    name, phrase = cause(np.maximum(npu, 0), np.maximum(sums, 0))
    assert name == "bias"
    assert "2 in channel 5" in phrase


@pytest.mark.parametrize("k", [-2, -1, 1, 2])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_power_of_two_is_the_shift(dtype: str, k: int) -> None:
    info = np.iinfo(dtype)
    sums = RNG.integers(16 * info.min, 16 * info.max, (1, 8, 9, 9))
    cpu, npu = (
        np.clip((sums + (1 << (s - 1))) >> s, info.min, info.max).astype(dtype) for s in (5, 5 - k)
    )
    name, phrase = cause(npu, cpu)
    assert name == "shift"
    assert f"2^{k} times" in phrase
    assert "all channels" in phrase


def test_a_power_of_two_of_floats_is_a_coefficient() -> None:
    cpu = numbers("float32")
    npu = cpu.copy()
    npu[:, 3] *= 4
    name, phrase = cause(npu, cpu, Facts(weights=True))
    assert name == "coefficient"
    assert "channel 3: the NPU has 2^2 times" in phrase


def test_saturation_on_the_npu_alone() -> None:
    cpu = numbers("int8")
    npu = np.clip(cpu.astype(int) * 5, -128, 127).astype(np.int8)
    npu[cpu % 2 == 0] = cpu[cpu % 2 == 0]
    name, phrase = cause(npu, cpu)
    assert name == "saturation"
    assert "at the limit of int8" in phrase


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_some_channels_without_a_pattern_are_their_weights(dtype: str) -> None:
    cpu = numbers(dtype)
    npu = cpu.copy()
    npu[:, 7:9] = numbers(dtype)[:, 7:9]
    name, phrase = cause(npu, cpu)
    assert name == "weights"
    assert "channels 7 to 8: all other channels are right" in phrase


def test_rows_lanes_and_garbage_of_a_layer_without_weights() -> None:
    cpu = numbers("float32")
    rows, lanes = cpu.copy(), cpu.copy()
    rows[:, :, :2] = numbers("float32")[:, :, :2]
    assert "only rows 0 to 1 of it" in cause(rows, cpu, Facts())[1]
    lanes[:, [3, 67]] = numbers("float32")[:, [3, 67]]
    assert "only lane 3 have" in cause(lanes, cpu, Facts())[1]
    assert cause(numbers("float32"), cpu, Facts())[0] == "memory"
    wild = cpu.copy()
    wild[:, ::2, :, ::2] = np.nan
    assert cause(wild, cpu, Facts())[0] == "memory"


def test_what_is_known_of_memory_goes_first() -> None:
    cpu = numbers("int8")
    npu = cpu + np.int8(1)
    assert cause(npu, cpu, Facts(varies=True, overlap="x"))[0] == "shared memory"
    name, phrase = cause(npu, cpu, Facts(bias=True, overlap="a has 1, b has 1"))
    assert name == "shared memory"
    assert phrase.endswith("a has 1, b has 1")


def test_a_small_error_everywhere_is_not_explained_away() -> None:
    cpu = numbers("float32")
    npu = cpu + RNG.normal(0, 0.1, cpu.shape).astype(np.float32)
    last = RULES[-1]
    assert cause(npu, cpu, Facts()) == (last.name, last.phrase(Pattern(npu, cpu), Facts()))


def test_undefined_elements_count_for_nothing() -> None:
    cpu = numbers("float32")
    npu, undefined = cpu.copy(), np.zeros(cpu.shape, bool)
    undefined[:, 9] = True
    npu[:, 9] = 1e30
    npu[:, 5] += 3
    pattern = Pattern(npu, np.where(undefined, np.float32(np.nan), cpu), undefined)
    assert pattern.channels == [5]
    assert cause_of(pattern, LAYER).name == "bias"


def test_places_are_counted() -> None:
    cpu = numbers("int8", (2, 4, 5, 5))
    npu = cpu.copy()
    npu[1, 2, 3, :] += 1
    assert Pattern(npu, cpu).places() == (
        "2.50% of the elements are wrong: image 1 of 2, channel 2 of 4, row 3 of 5,"
        " the worst channel is 2, the largest error is 1"
    )


@pytest.mark.parametrize(
    "at",
    [
        Observation("x", 1 << 32, (3, 5, 4, 2), "float32", False),
        Observation("x", 1 << 32, (6, 5, 4, 2), "int8", True),
        Observation("x", 1 << 32, (2, 3), "float32", False, channels=(2, 0, 1)),
        Observation("x", 1 << 32, (4, 3, 2, 5), "uint8", True, height=7),
    ],
)
def test_an_element_lies_where_the_tensor_has_it(at: Observation) -> None:
    whole = at.shape if at.height is None else (1, at.shape[1], at.height, at.shape[3])
    size = np.dtype(at.dtype).itemsize
    seen = set[int]()
    for index in np.ndindex(*whole):
        place = place_of(at, index)
        assert place is not None
        assert place.stop - place.start == size
        assert 0 <= place.start - at.address <= at.nbytes - size
        seen.add(place.start)
    assert len(seen) == np.prod(whole)
    if at.packed and at.height is None:
        x = np.arange(np.prod(at.shape)).astype(np.int8).reshape(at.shape)
        place = place_of(at, (5, 3, 2, 1))
        assert place is not None
        assert to_packed(x).reshape(-1).view(np.int8)[place.start - at.address] == x[5, 3, 2, 1]


@pytest.mark.parametrize("last", [(2, 20, 3), (2, 4, 5, 3), (2, 2, 2, 5, 3)])
def test_an_element_of_what_lies_as_an_image(last: tuple[int, ...]) -> None:
    at = Observation("x", 0, (2, 3, 4, 5), "float32", False, last=last)
    assert at.is_image_of(last)
    assert not at.is_image_of((2, 3, 20))
    numbers = np.arange(2 * 3 * 4 * 5).reshape(at.shape)
    network = in_network(at, numbers)
    assert network.shape == last
    for index in np.ndindex(*last):
        place = place_of(at, index)
        assert place is not None
        assert place.start == 4 * network[index]


def test_an_element_of_a_part_in_local_memory() -> None:
    box = LocalBox((1, 70, 2, 3), (0, 32, 4, 1), 60)
    part = (AxisPart(2, 4, 9),)
    at = Observation("x", 0x100, (1, 70, 2, 3), "float32", False, box, None, part)
    assert place_of(at, (0, 0, 3, 0)) is None
    place = place_of(at, (0, 5, 5, 2))
    assert place is not None
    assert (place.first_lane, place.start) == (1, 0x100 + 4 * (32 + 4 + 2))
