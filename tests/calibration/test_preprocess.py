"""The preprocess contract, field by field against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bmnetu.calibration.data.faults import MisfitError
from bmnetu.calibration.data.preprocess import Preprocess
from dialects.blob import Array

RGB = np.random.default_rng(0).integers(0, 256, (9, 14, 3)).astype(np.uint8)
PICTURE = Image.fromarray(RGB)
LARGE = (1, 3, 9, 14)


def made(contract: Preprocess, shape: tuple[int, ...] = LARGE) -> Array:
    return contract.resolved(shape).of_picture(PICTURE, shape[1])


def test_without_wishes_pixels_are_kept_in_bgr() -> None:
    assert np.array_equal(made(Preprocess()), RGB[:, :, ::-1].transpose(2, 0, 1))


def test_rgb_keeps_the_order_of_the_image() -> None:
    assert np.array_equal(made(Preprocess(color="rgb")), RGB.transpose(2, 0, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_gray_makes_equal_channels_of_the_luminance(channels: int) -> None:
    found = made(Preprocess(color="gray"), (1, channels, 9, 14))
    expected = RGB.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert found.shape == (channels, 9, 14)
    assert np.abs(found - expected).max() < 1


@given(st.sampled_from([1, 3]), st.sampled_from([1, 3]), st.integers(0, 1000))
def test_the_mean_is_subtracted_before_the_scale(means: int, scales: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    mean, scale = random.uniform(0, 200, means), random.uniform(-2, 2, scales)
    found = made(Preprocess(mean=tuple(mean), scale=tuple(scale)))
    for channel in range(3):
        pixels = RGB[:, :, 2 - channel].astype(np.float64)
        expected = (pixels - mean[channel % means]) * scale[channel % scales]
        assert np.allclose(found[channel], expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(9, 14), (4, 14), (3, 3), (8, 1)])
def test_a_crop_keeps_the_centre(height: int, width: int) -> None:
    top, left = (9 - height) // 2, (14 - width) // 2
    expected = RGB[top : top + height, left : left + width, ::-1].transpose(2, 0, 1)
    found = made(Preprocess(crop=(height, width)), (1, 3, height, width))
    assert np.array_equal(found, expected)


def test_resize_is_bilinear_to_height_and_width() -> None:
    ramp = np.tile(np.arange(0, 250, 10, dtype=np.uint8), (5, 1))
    contract = Preprocess(resize=(10, 50)).resolved((1, 1, 10, 50))
    found = contract.of_picture(Image.fromarray(ramp), 1)
    centres = np.clip((np.arange(50) + 0.5) / 2 - 0.5, 0, 24) * 10
    assert found.shape == (1, 10, 50)
    assert np.abs(found - centres).max() <= 1


def test_one_number_resizes_the_shorter_side() -> None:
    contract = Preprocess(resize=(18,), crop=(18, 28)).resolved((1, 3, 18, 28))
    expected = np.asarray(PICTURE.resize((28, 18), Image.Resampling.BILINEAR))
    found = contract.of_picture(PICTURE, 3)
    assert np.array_equal(found, expected[:, :, ::-1].transpose(2, 0, 1))


def test_planes_go_the_same_way_as_pictures_and_keep_their_order() -> None:
    contract = Preprocess(
        resize=(18, 28), crop=(8, 8), color="rgb", mean=(9, 8, 7), scale=(0.5,)
    ).resolved((1, 3, 8, 8))
    planes = RGB.transpose(2, 0, 1).astype(np.float32)
    found = contract.of_planes(planes, 3)
    assert np.abs(found - contract.of_picture(PICTURE, 3)).max() <= 0.5


def test_one_plane_becomes_three_equal_ones() -> None:
    plane = RGB[None, :, :, 0].astype(np.float32)
    found = Preprocess(mean=(1, 2, 3)).resolved(LARGE).of_planes(plane, 3)
    assert np.array_equal(found, np.concatenate([plane - 1, plane - 2, plane - 3]))


@given(st.lists(st.floats(-300, 300, width=32), min_size=3, max_size=3))
def test_before_undoes_mean_and_scale(values: list[float]) -> None:
    contract = Preprocess(mean=(104, 117, 123), scale=(0.5, 2, -1)).resolved(LARGE)
    after = (np.array(values) - contract.mean) * contract.scale
    assert np.allclose(contract.before(after), values, atol=1e-3)


def test_fields_that_are_given_go_before_others() -> None:
    found = Preprocess(mean=(1,), color="rgb").over(Preprocess(mean=(2,), scale=(3,)))
    assert found == Preprocess(mean=(1,), color="rgb", scale=(3,))


def test_the_line_gives_every_step() -> None:
    contract = Preprocess((256,), (224, 224), "rgb", (104, 117, 123.68), (0.017,))
    assert contract.resolved((1, 3, 224, 224)).line() == (
        "preprocess: resize 256, crop 224x224, color rgb, mean 104,117,123.68, scale 0.017"
    )


FAULTY = {
    "size": (Preprocess(resize=(20, 20)), "resize 20x20 does not make the input's 9x14: add"),
    "side": (Preprocess(resize=(9,)), "resize 9 does not make"),
    "crop": (Preprocess(crop=(3, 3)), "crop 3x3 does not make the input's 9x14"),
    "no size": (Preprocess(resize=(0, 9), crop=(9, 14)), "resize 0x9 is no size"),
    "sizes": (Preprocess(resize=(9, 9, 9), crop=(9, 14)), "resize 9x9x9 is no size"),
    "mean": (Preprocess(mean=(1, 2)), "mean has 2 values, 1 or 3 are expected"),
    "scale": (Preprocess(scale=(1,) * 4), "scale has 4 values"),
    "zero": (Preprocess(scale=(0,)), "scale is 0"),
    "infinite": (Preprocess(mean=(1e300,)), "mean has a value that is no float32 number"),
    "color": (Preprocess(color="hsv"), "color hsv does not fit an input of 3 channel"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_a_contract_that_does_not_fit_says_why(name: str) -> None:
    contract, sentence = FAULTY[name]
    with pytest.raises(MisfitError, match=sentence):
        contract.resolved(LARGE)


@pytest.mark.parametrize(
    ("contract", "sentence"),
    [
        (Preprocess(crop=(20, 20)), "is 9x14, smaller than the crop 20x20"),
        (Preprocess((15,), (20, 20)), "is 15x23 after the resize, smaller than the crop"),
        (Preprocess((16384, 16384), (20, 20)), "its resize would make 16384x16384"),
        (Preprocess(resize=(20, 20), scale=(3e38,)), "beyond float32"),
    ],
)
def test_a_sample_that_does_not_fit_says_why(contract: Preprocess, sentence: str) -> None:
    with pytest.raises(MisfitError, match=sentence):
        made(contract, (1, 3, 20, 20))
