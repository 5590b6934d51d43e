"""Prior boxes: against OpenCV's, and against boxes computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from bmnetu.errors import InputFileError, UnsupportedError
from dialects.execute import execute
from dialects.ufw.ops import PriorBoxOp, Top
from dialects.ufw.reference import evaluate
from tests.frontend.samples import data, loaded, main_of
from tests.one_layer import check

Array = NDArray[np.float32]


def net(
    param: str, size: tuple[int, int] = (40, 60), stride: int = 20, kind: str = "PriorBox"
) -> str:
    """A map of size / stride, and its prior boxes."""
    return (
        data(1, 1, *size)
        + 'layer { name: "map" type: "Pooling" bottom: "data" top: "map" pooling_param {'
        f" pool: AVE kernel_size: {stride} stride: {stride} }} }}\n"
        + f'layer {{ name: "l" type: "{kind}" bottom: "map" bottom: "data" top: "l"'
        f" prior_box_param {{ {param} }} }}\n"
    )


def ours(folder: Path, param: str, **how: Any) -> Array:
    text = net(param, **how)
    x = np.zeros((1, 1, *how.get("size", (40, 60))), np.float32)
    (found,) = execute(main_of(loaded(folder, text)), [x], evaluate)
    return np.asarray(found)


def opencvs(folder: Path, param: str, **how: Any) -> Array:
    path = folder / "cv.prototxt"
    path.write_text(net(param, **how))
    theirs = cast(Any, cv2).dnn.readNetFromCaffe(str(path))
    theirs.setInput(np.zeros((1, 1, *how.get("size", (40, 60))), np.float32), "data")
    return np.asarray(theirs.forward("l"), np.float32)


SIZES = st.lists(st.floats(1, 90, width=32), min_size=1, max_size=3)
RATIOS = st.lists(st.sampled_from([0.5, 1, 2, 3, 3.5, 10]), max_size=3)


@settings(max_examples=25, deadline=None)
@given(
    SIZES, st.booleans(), RATIOS, st.booleans(), st.booleans(),
    st.sampled_from(["", "step: 15.5", "step_h: 16 step_w: 24"]),
    st.sampled_from(["", "offset: 0", "offset: 0.25"]),
    st.sampled_from(["variance: 0.3", "variance: 0.1 variance: 0.2 variance: 0.3 variance: 1"]),
)  # fmt: skip
def test_as_opencv(
    tmp_path_factory: pytest.TempPathFactory,
    least: list[float],
    most: bool,
    ratios: list[float],
    flip: bool,
    clip: bool,
    step: str,
    offset: str,
    variance: str,
) -> None:
    words = [f"min_size: {x!r}" for x in least]
    words += [f"max_size: {x * 1.5!r}" for x in least if most]
    words += [f"aspect_ratio: {x}" for x in ratios]
    words += [f"flip: {str(flip).lower()} clip: {str(clip).lower()}", step, offset, variance]
    folder = tmp_path_factory.mktemp("net")
    found, expected = ours(folder, " ".join(words)), opencvs(folder, " ".join(words))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_order_in_a_cell(tmp_path: Path) -> None:
    """By hand: one cell of an image of 20 x 20; the square, that of the mean, 2:1 and 1:2."""
    param = "min_size: 4 max_size: 9 aspect_ratio: 4 flip: true variance: 0.1"
    found = ours(tmp_path, param, size=(20, 20))
    boxes, variances = found[0].reshape(2, -1, 4)
    assert found.shape == (1, 2, 16)
    expected = [[8, 8, 12, 12], [7, 7, 13, 13], [6, 9, 14, 11], [9, 6, 11, 14]]
    np.testing.assert_allclose(boxes * 20, expected, atol=1e-5)
    np.testing.assert_allclose(variances, 0.1)


def test_several_sizes_stand_size_by_size(tmp_path: Path) -> None:
    param = "min_size: 4 min_size: 8 max_size: 16 max_size: 32 aspect_ratio: 4 flip: false"
    boxes = ours(tmp_path, param, size=(20, 20))[0, 0].reshape(-1, 4) * 20
    sizes = (boxes[:, 2:] - boxes[:, :2]).tolist()
    expected = [[4, 4], [8, 8], [8, 2], [8, 8], [16, 16], [16, 4]]
    np.testing.assert_allclose(sizes, expected, atol=1e-5)


def test_tensorflow_s_order(tmp_path: Path) -> None:
    """``tf`` puts the mean last and makes the boxes of 60 pixels a tenth of the image smaller;
    ``yx_order`` gives top, left, bottom, right."""
    param = "tf: true yx_order: true min_size: 60 max_size: 240 aspect_ratio: 4 flip: true"
    boxes = ours(tmp_path, param, size=(100, 200), stride=100)[0, 0].reshape(-1, 4)
    in_pixels = boxes * [100, 200, 100, 200]
    expected = [
        [50 - 25, 50 - 20, 50 + 25, 50 + 20],
        [50 - 15, 50 - 60, 50 + 15, 50 + 60],
        [50 - 60, 50 - 15, 50 + 60, 50 + 15],
        [50 - 60, 50 - 60, 50 + 60, 50 + 60],
    ]
    np.testing.assert_allclose(in_pixels[:4], expected, atol=1e-4)
    assert len(in_pixels) == 8


def test_clustered(tmp_path: Path) -> None:
    """Intel's: the sizes are given; cell by cell, the list in each."""
    param = (
        "width: 4 height: 8 width: 10 height: 2 step: 10 offset: 0.5 clip: false"
        " variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"
    )
    found = ours(tmp_path, param, size=(20, 40), stride=10, kind="PriorBoxClustered")
    boxes, variances = found[0].reshape(2, -1, 4)
    assert found.shape == (1, 2, 2 * 4 * 2 * 4)
    in_pixels = boxes * [40, 20, 40, 20]
    np.testing.assert_allclose(in_pixels[:3], [[3, 1, 7, 9], [0, 4, 10, 6], [13, 1, 17, 9]],
                               atol=1e-5)
    np.testing.assert_allclose(in_pixels[8], [3, 11, 7, 19], atol=1e-5)
    np.testing.assert_allclose(variances, [[0.1, 0.1, 0.2, 0.2]] * 16)


def test_denser_boxes(tmp_path: Path) -> None:
    """TextBoxes++: behind each box the same one on the lower edge of the cell."""
    param = "min_size: 4 aspect_ratio: 4 flip: false denser_prior_boxes: true"
    boxes = ours(tmp_path, param, size=(40, 20), stride=20)[0, 0].reshape(-1, 4) * [20, 40, 20, 40]
    expected = [[8, 8, 12, 12], [8, 18, 12, 22], [6, 9, 14, 11], [6, 19, 14, 21]]
    np.testing.assert_allclose(boxes[:4], expected, atol=1e-5)
    np.testing.assert_allclose(boxes[4:], np.add(expected, [0, 20, 0, 20]), atol=1e-5)


def test_the_image_s_size_can_be_given(tmp_path: Path) -> None:
    """And where none is given, a variance is 0.1."""
    found = ours(tmp_path, "min_size: 10 img_h: 100 img_w: 200", size=(20, 20))
    boxes = found[0, 0] * [200, 100, 200, 100]
    np.testing.assert_allclose(found[0, 1], 0.1)
    np.testing.assert_allclose(boxes, [95, 45, 105, 55], atol=1e-4)


@pytest.mark.parametrize(
    ("param", "sentence"),
    [
        ("max_size: 4", "min_size is required"),
        ("min_size: 4 max_size: 4", "max_size 4 is not above min_size 4"),
        ("min_size: 4 max_size: 5 max_size: 6", "2 max_size for 1 min_size"),
        ("min_size: -4", "must be positive"),
        ("min_size: 4 variance: 1 variance: 2", "2 variances"),
        ("min_size: 4 variance: 0", "a variance is not positive"),
        ("min_size: 4 aspect_ratio: 0", "aspect_ratio 0"),
        ("min_size: 4 step: 2 step_h: 2", "both step"),
        ("min_size: 4 step_h: 2", "required together"),
        ("min_size: 4 step: -2", "both positive"),
        ("min_size: 4 img_h: 2", "required together"),
        ("min_size: 4 img_h: 2 img_size: 2", "both img_size"),
        ("width: 4", "1 width and 0 height"),
        ("min_size: 4 density: 2", "density, whose boxes"),
        ("fixed_size: 4", "fixed_size, whose boxes"),
        ("tf: true min_size: 60", "too large"),
    ],
)
def test_refused(tmp_path: Path, param: str, sentence: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        ours(tmp_path, param, size=(700, 700), stride=100)
    message = str(caught.value)
    assert sentence in message
    assert 'net.prototxt:3: layer "l" (PriorBox)' in message


def test_one_bottom_needs_the_image_s_size(tmp_path: Path) -> None:
    text = net("min_size: 4").replace('bottom: "map" bottom: "data"', 'bottom: "map"')
    with pytest.raises((UnsupportedError, InputFileError), match="second bottom is missing"):
        loaded(tmp_path, text)


def test_compiled() -> None:
    """The NPU's side has the constant."""

    def build(x: SSAValue, y: SSAValue) -> PriorBoxOp:
        return PriorBoxOp([x, y], Top("t"), [5, 6], [7, 8], [0.1, 0.1, 0.2, 0.2])

    assert check(build, (1, 4, 3, 5), (1, 3, 30, 40)) == 0
