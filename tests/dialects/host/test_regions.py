"""Host layers that read parts of images, on maps whose values can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from dialects.host import ops
from tests.dialects.host.host_layers import (
    DEFORM,
    PADDLE,
    POOLED,
    PSROI,
    RESIZE,
    computed,
    floats,
    integers,
)

RAMP = np.arange(36, dtype=np.float32).reshape(1, 1, 6, 6)
"""Row y, column x holds 6 * y + x."""


def roi(*values: float) -> np.ndarray:
    """One region of image 0, four-dimensional."""
    return floats(0, *values).reshape(1, 5, 1, 1)


def test_roi_pooling() -> None:
    p = {**POOLED, "pooled_w": 2}
    (found,) = computed(ops.RoiPoolingOp, p, RAMP, roi(1, 1, 7, 7))
    # 0.5 is rounded to 1, 3.5 to 4: rows 1 to 4, the bins have two rows each
    assert found.tolist() == [[[[14, 16], [26, 28]]]]
    (found,) = computed(ops.RoiPoolingOp, p, -RAMP, roi(2, 2, 6, 6))
    # 1 to 3: both bins have the row in the middle
    assert found.tolist() == [[[[-7, -8], [-13, -14]]]]
    (found,) = computed(ops.RoiPoolingOp, p, RAMP, roi(2, 2, 6, 6))
    assert found.tolist() == [[[[14, 15], [20, 21]]]]
    (found,) = computed(ops.RoiPoolingOp, p, RAMP, roi(8, 0, 14, 2))
    assert found[0, 0, :, 1].tolist() == [np.finfo(np.float32).min] * 2


def test_regions_that_nothing_has_written_are_undefined() -> None:
    rois = np.concatenate([roi(1, 1, 7, 7), np.full((2, 5, 1, 1), np.nan, np.float32)])
    for layer, p in (
        (ops.RoiPoolingOp, POOLED),
        (ops.RoiAlignMxnetOp, {**POOLED, "sampling_ratio": 2, "position_sensitive": 0}),
        (ops.RoiAlignOp, {**POOLED, "sampling_ratio": 2, "aligned": False}),
    ):
        (found,) = computed(layer, p, RAMP, rois)
        assert np.isnan(found[1:]).all()
        assert not np.isnan(found[0]).any()


def test_a_region_of_no_image() -> None:
    with pytest.raises(ValueError, match="a region of image 1, the batch has 1"):
        computed(ops.RoiPoolingOp, POOLED, RAMP, floats(1, 0, 0, 3, 3).reshape(1, 5, 1, 1))


@pytest.mark.parametrize(("aligned", "first"), [(False, 6 * 1.5 + 1.5), (True, 6 * 1.0 + 1.0)])
def test_roi_align(aligned: bool, first: float) -> None:
    p = {"pooled_h": 2, "pooled_w": 2, "spatial_scale": 1.0, "sampling_ratio": 1,
         "aligned": aligned}
    (found,) = computed(ops.RoiAlignOp, p, RAMP, roi(1, 1, 3, 3))
    assert found.tolist() == [[[[first, first + 1], [first + 6, first + 7]]]]


def test_roi_align_outside() -> None:
    p = {"pooled_h": 1, "pooled_w": 1, "spatial_scale": 1.0, "sampling_ratio": 2,
         "aligned": False}
    # samples at -1.5 (nothing) and -0.5 (as the border): rows 1.5 and 2.5 of column 0
    (found,) = computed(ops.RoiAlignOp, p, RAMP, roi(-2, 1, 0, 3))
    assert found.item() == 6 * 2 / 2


def test_roi_align_of_each_bin_its_own_channel() -> None:
    maps = np.broadcast_to(floats(0, 1, 2, 3, 4, 5)[None, :, None, None], (1, 6, 4, 4))
    p = {"pooled_h": 1, "pooled_w": 3, "spatial_scale": 1.0, "sampling_ratio": 0,
         "position_sensitive": 1}
    (found,) = computed(ops.RoiAlignMxnetOp, p, maps, floats([0, 0, 3, 3]))
    assert found.tolist() == [[[[0, 1, 2]], [[3, 4, 5]]]]


def test_psroi_pooling_of_each_bin_its_own_channel() -> None:
    maps = np.broadcast_to(np.arange(18, dtype=np.float32)[None, :, None, None], (1, 18, 4, 4))
    (found,) = computed(ops.PsRoiPoolingOp, PSROI, maps, floats([0, 0, 0, 48, 48]))
    assert found.reshape(-1).tolist() == list(range(18))


def test_psroi_pooling_is_moved() -> None:
    p = {"spatial_scale": 1.0, "output_dim": 1, "group_size": 1, "pooled_size": 1,
         "part_size": 1, "sample_per_part": 1, "trans_std": 0.5, "no_trans": False}
    trans = floats([1, 0.5]).reshape(1, 2, 1, 1)
    (found,) = computed(ops.PsRoiPoolingOp, p, RAMP, roi(1, 1, 2, 2), trans)
    # the corner is at 0.5, the region 2 wide: x 0.5 + 1, y 0.5 + 0.5
    assert found.item() == 6 * 1.0 + 1.5


# -- sampling --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "point", "value"), [
    ({}, (0, 0), 17.5), ({}, (-1, -1), 0), ({}, (-1, 1), 30 / 4),
    ({"align_corners": True}, (-1, 1), 30), ({"align_corners": True}, (0.2, -1), 3),
    ({"padding": 1}, (-3, 1), 30), ({"padding": 2}, (-1 - 2 / 6, 1), 30.5),
    ({"mode": 1}, (0, 0), 21), ({"mode": 1}, (1.2, 0), 0),
    ({"mode": 1, "padding": 1}, (1.2, 0), 23),
])  # fmt: skip
def test_grid_sampler(change: dict[str, int], point: tuple[float, float], value: float) -> None:
    p = {"mode": 0, "padding": 0, "align_corners": False, **change}
    (found,) = computed(ops.GridSamplerOp, p, RAMP, floats(*point).reshape(1, 1, 1, 2))
    assert found.item() == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(("change", "columns"), [
    ({"half_pixel_centers": 1}, [0.5, 2.5, 4.5]), ({}, [0, 2, 4]),
    ({"align_corners": 1}, [0, 2.5, 5]), ({"method": 1}, [0, 2, 4]),
    ({"method": 1, "half_pixel_centers": 1}, [1, 3, 5]), ({"method": 2}, [0.5, 2.5, 4.5]),
    ({"method": 2, "align_corners": 1}, [0, 2.5, 5]), ({"method": 3}, [0, 2, 4]),
    ({"method": 1, "align_corners": 1}, [0, 3, 5]),
])
def test_resize(change: dict[str, int], columns: list[float]) -> None:
    p = {**RESIZE, "half_pixel_centers": 0, "oh": 6, "ow": 3, **change}
    (found,) = computed(ops.ResizeOp, p, RAMP, integers(6, 3))
    assert found[0, 0, 0].tolist() == columns
    assert (found[0, 0, 1] - found[0, 0, 0] == 6).all()


def test_resize_moves_the_channels() -> None:
    image = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    for ofmt in (0, 1):
        p = {**RESIZE, "ifmt": 1, "ofmt": ofmt, "oh": 2, "ow": 3}
        (found,) = computed(ops.ResizeOp, p, image, integers(2, 3))
        assert np.array_equal(found, image if ofmt else np.moveaxis(image, 3, 1))
    with pytest.raises(ValueError, match="oh and ow are 2x3"):
        computed(ops.ResizeOp, p, image, integers(4, 4))


def test_a_deformable_convolution_without_offsets_reads_its_window() -> None:
    offsets, mask = np.zeros((1, 18, 6, 6), np.float32), np.full((1, 9, 6, 6), 0.5, np.float32)
    gather = {**DEFORM, "deform_groups": 1}
    for layer, p in ((ops.DeformGatherOp, gather), (ops.DeformConvOp, PADDLE)):
        (found,) = computed(layer, p, RAMP, offsets, mask)
        padded = np.pad(RAMP[0, 0], 1)
        for i, j in np.ndindex(3, 3):
            assert np.array_equal(found[0, 3 * i + j], padded[i : i + 6, j : j + 6] / 2)


@pytest.mark.parametrize(("mode", "values"), [(0, [2.5, 17.5]), (1, [0, 35]), (2, [2.5, 17.5])])
def test_the_border_of_a_deformable_convolution(mode: int, values: list[float]) -> None:
    p = {"modulated": False, "deform_groups": 1, "kh": 1, "kw": 1, "pad": (0, 0, 0, 0),
         "stride": (1, 1), "dilation": (1, 1), "mode": mode}
    offsets = np.zeros((1, 2, 6, 6), np.float32)
    offsets[0, 0, 0, 5], offsets[0, 0, 5, 5] = -0.5, 0.5  # y, half outside
    (found,) = computed(ops.DeformGatherOp, p, RAMP, offsets)
    assert found[0, 0, [0, 5], 5].tolist() == values
    assert np.array_equal(found[0, 0, :, :5], RAMP[0, 0, :, :5])
