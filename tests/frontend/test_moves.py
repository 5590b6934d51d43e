"""Layers that cut, pad, repeat, resize, rearrange and unpool mean what others make of them."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from xdsl.ir import Operation

from bmnetu.errors import UnsupportedError
from dialects.execute import execute
from dialects.ufw.layer import shape_of
from dialects.ufw.ops import DeconvolutionOp
from dialects.ufw.reference import evaluate
from tests.frontend.samples import data, layer, layers_of, loaded, main_of
from tests.opencv import both

Array = np.ndarray[Any, Any]
FEW = settings(max_examples=12, deadline=None)


def noise(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def computed(kind: str, rest: str, *xs: Array) -> Array:
    """The first result of a layer on these inputs."""
    names = [f"x{i}" for i in range(len(xs))]
    text = "".join(
        data(*x.shape).replace('"data"', f'"{name}"') for name, x in zip(names, xs, strict=True)
    )
    more = " ".join(f'bottom: "{name}"' for name in names[1:])
    text += layer(kind, f"{more} {rest}", bottom="x0")
    with TemporaryDirectory() as folder:
        return execute(main_of(loaded(Path(folder), text)), list(xs), evaluate)[0]


def onnx(kind: str, x: Array, *inputs: Array | None, **attributes: Any) -> Array:
    """An ONNX operator by onnxruntime; the other inputs are constants."""
    names = [f"c{i}" if value is not None else "" for i, value in enumerate(inputs)]
    node = helper.make_node(kind, ["x", *names], ["y"], **attributes)
    constants = [
        helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape, v.ravel())
        for name, v in zip(names, inputs, strict=True) if v is not None
    ]  # fmt: skip
    values = [helper.make_tensor_value_info("x", 1, x.shape)]
    results = [helper.make_tensor_value_info("y", 1, None)]
    graph = helper.make_graph([node], "g", values, results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    session: Any = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"x": x})[0])


@given(
    groups=st.sampled_from([1, 2, 4]), kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)), pad=st.integers(0, 1),
    dilation=st.integers(1, 2),
)  # fmt: skip
@FEW
def test_deconvolution(
    groups: int, kernel: tuple[int, int], stride: tuple[int, int], pad: int, dilation: int
) -> None:
    if any(s * 4 + dilation * (k - 1) < 2 * pad for s, k in zip(stride, kernel, strict=True)):
        return
    rest = (
        f"convolution_param {{ num_output: 8 group: {groups} kernel_h: {kernel[0]} kernel_w: "
        f"{kernel[1]} stride_h: {stride[0]} stride_w: {stride[1]} pad_h: {pad} pad_w: {pad} "
        f"dilation: {dilation} }}"
    )
    x = noise(2, 4, 5, 6)
    text = data(*x.shape) + layer("Deconvolution", rest)
    with TemporaryDirectory() as folder:
        network = loaded(Path(folder), text)
        (op,) = layers_of(network)
        (ours,) = execute(main_of(network), [x], evaluate)
    assert isinstance(op, DeconvolutionOp)
    weight, bias = op.stored_blobs()
    theirs = onnx(
        "ConvTranspose", x, weight, bias, group=groups, strides=stride, pads=[pad] * 4,
        dilations=[dilation] * 2,
    )  # fmt: skip
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "rest"),
    [
        ("Deconvolution", "convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 }"),
        ("Crop", 'bottom: "data" crop_param { offset: 0 }'),
        ("Permute", "permute_param { order: [0, 2, 3, 1] }"),
        ("ShuffleChannel", "shuffle_channel_param { group: 2 }"),
        ("Interp", "interp_param { height: 7 width: 20 }"),
        ("Interp", "interp_param { zoom_factor: 3 }"),
    ],
)
def test_what_opencv_reads(kind: str, rest: str) -> None:
    ours, theirs = both(kind, rest, noise(2, 4, 5, 6))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


POSITIONS = {"align_corners": "align_corners", "half_pixel_centers": "half_pixel", "": "asymmetric"}


@given(
    flag=st.sampled_from(list(POSITIONS)), linear=st.booleans(),
    size=st.tuples(st.integers(1, 19), st.integers(1, 19)),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_resizing(flag: str, linear: bool, size: tuple[int, int]) -> None:
    x = noise(1, 2, 5, 6)
    kind, field = "ResizeBilinear", "resize_bilinear_param"
    if not linear:
        kind, field = "ResizeNearestNeighbor", "resize_nearest_neighbor_param"
    given_flag = f"{flag}: true" if flag else ""
    rest = f"{field} {{ {given_flag} output_height: {size[0]} output_width: {size[1]} }}"
    sizes = np.array([1, 2, *size], np.int64)
    if flag == "align_corners" and 1 in size:
        return  # ONNX puts the only result elsewhere
    attributes: dict[str, Any] = {"coordinate_transformation_mode": POSITIONS[flag]}
    if linear:
        attributes["mode"] = "linear"
    else:
        # TensorFlow's half pixels are where ONNX's are half a pixel earlier, rounded up
        rounding = "round_prefer_ceil" if flag else "floor"
        attributes |= {"mode": "nearest", "nearest_mode": rounding}
    theirs = onnx("Resize", x, None, None, sizes, **attributes)
    np.testing.assert_allclose(computed(kind, rest, x), theirs, atol=2e-5)


@given(
    mode=st.sampled_from(["constant", "reflect", "edge"]),
    pads=st.lists(st.integers(0, 3), min_size=4, max_size=4),
)  # fmt: skip
@FEW
def test_pads(mode: str, pads: list[int]) -> None:
    x = noise(2, 3, 4, 5)
    rest = f"pad_param {{ pad: {pads} mode: {mode.upper()} value: 0.5 }}"
    before, after = [0, 0, *pads[::2]], [0, 0, *pads[1::2]]
    value = None if mode != "constant" else np.array(0.5, np.float32)
    theirs = onnx("Pad", x, np.array(before + after, np.int64), value, mode=mode)
    np.testing.assert_array_equal(computed("Pad", rest, x), theirs)


def test_symmetric_and_negative_pads() -> None:
    x = noise(2, 3, 4, 5)
    mirrored = computed("Pad", "pad_param { pad: [2, 4, 1, 0] mode: SYMMETRIC }", x)
    wide = ((0, 0), (0, 0), (2, 4), (1, 0))
    np.testing.assert_array_equal(mirrored, np.pad(x, wide, "symmetric"))
    cut = computed("PADDING", "padding_param { pad_beg: -2 pad_end: 1 }", x)
    grown = np.pad(x[:, :, 2:, 2:], ((0, 0), (0, 0), (0, 1), (0, 1)))
    np.testing.assert_array_equal(cut, grown)


@pytest.mark.parametrize("mode", ["CRD", "DCR"])
def test_depth_to_space_and_back(mode: str) -> None:
    x = noise(2, 12, 3, 4)
    theirs = onnx("DepthToSpace", x, blocksize=2, mode=mode)
    ours = computed("DepthToSpace", f"depth_to_space_param {{ block_size: 2 mode: {mode} }}", x)
    np.testing.assert_array_equal(ours, theirs)
    back = f"space_to_depth_param {{ block_size: 2 mode: {mode} }}"
    np.testing.assert_array_equal(computed("SpaceToDepth", back, ours), x)
    if mode == "DCR":
        split = onnx("SpaceToDepth", ours, blocksize=2)
        plain = computed("Space2Depth", "space2depth_param { block_size: 2 }", ours)
        np.testing.assert_array_equal(plain, split)
    else:
        for kind, rest in (
            ("PixelShuffle", "pixelshuffle_param { upscale_factor: 2 }"),
            ("Reshape", "reshape_param { pixelshuffler: 2 }"),
        ):
            np.testing.assert_array_equal(computed(kind, rest, x), theirs)


def reorganised(x: Array, stride: int, reverse: bool) -> Array:
    """Darknet's reorg_cpu, loop by loop."""
    batch, c, h, w = x.shape
    out, flat = np.zeros(x.size, np.float32), x.ravel()
    out_c = c // stride**2
    for b, k, j, i in product(range(batch), range(c), range(h), range(w)):
        in_index = i + w * (j + h * (k + c * b))
        c2, offset = k % out_c, k // out_c
        w2, h2 = i * stride + offset % stride, j * stride + offset // stride
        out_index = w2 + w * stride * (h2 + h * stride * (c2 + out_c * b))
        if reverse:
            out[out_index] = flat[in_index]
        else:
            out[in_index] = flat[out_index]
    return out


@pytest.mark.parametrize("reverse", [False, True])
def test_reorg(reverse: bool) -> None:
    x = noise(2, 8, 4, 6)
    ours = computed("Reorg", f"reorg_param {{ stride: 2 reverse: {str(reverse).lower()} }}", x)
    assert ours.shape == ((2, 2, 8, 12) if reverse else (2, 32, 2, 3))
    np.testing.assert_array_equal(ours.ravel(), reorganised(x, 2, reverse))


def test_batches_and_space() -> None:
    """As TensorFlow documents them."""
    x = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    apart = computed("SpaceToBatch", "space_to_batch_param { block_shape: 2 }", x)
    expected = [[[1, 3], [9, 11]], [[2, 4], [10, 12]], [[5, 7], [13, 15]], [[6, 8], [14, 16]]]
    np.testing.assert_array_equal(apart[:, 0], expected)
    back = computed("BatchToSpace", "batch_to_space_param { block_shape: 2 }", apart)
    np.testing.assert_array_equal(back, x)


def test_slices() -> None:
    x, like = noise(2, 6, 7, 8), noise(2, 6, 3, 4)
    np.testing.assert_array_equal(computed("Crop", "", x, like), x[:, :, :3, :4])
    shifted = computed("Crop", "crop_param { offset: [2, 4] }", x, like)
    np.testing.assert_array_equal(shifted, x[:, :, 2:5, 4:8])
    np.testing.assert_array_equal(
        computed("SliceLike", "slice_like_param { axis: -1 }", x, like), x[..., :4]
    )
    center = computed("CropCenter", "crop_center_param { crop_size: [0, 1, 2, 3] }", x)
    np.testing.assert_array_equal(center, x[:, 1:-1, 2:-2, 3:-3])
    steps = "begin: [0, 1, -1, -3] end: [2, 9, 0, -1] stride: [1, 2, -2, 1]"
    strided = computed("StrideSlice", f"stride_slice_param {{ {steps} }}", x)
    np.testing.assert_array_equal(strided, x[0:2, 1:9:2, -1:0:-2, -3:-1])
    one = "stride_slice_param { begin: [0, 2] end: [0, 0] shrink_axis_mask: 2 end_mask: 1 }"
    np.testing.assert_array_equal(computed("StrideSlice", one, x), x[:, 2])
    np.testing.assert_array_equal(computed("Reverse", "reverse_param { axis: 1 }", x), x[:, ::-1])


def test_repeated_and_upsampled() -> None:
    x = noise(2, 3, 4, 5)
    np.testing.assert_array_equal(
        computed("Tile", "tile_param { axis: 2 tiles: 3 }", x), np.tile(x, (1, 1, 3, 1))
    )
    twice = computed("Upsample", "upsample_param { scale_h: 2 scale_w: 3 }", x)
    np.testing.assert_array_equal(twice, x.repeat(2, 2).repeat(3, 3))


@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)), stride=st.integers(1, 2),
    pad=st.integers(0, 1), dilation=st.integers(1, 2),
)  # fmt: skip
@FEW
def test_im2col(kernel: tuple[int, int], stride: int, pad: int, dilation: int) -> None:
    """A convolution is a product with it."""
    if pad >= min(kernel):
        return
    x, weight = noise(2, 3, 6, 7), noise(5, 3, *kernel)
    rest = (
        f"convolution_param {{ kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride: {stride} "
        f"pad: {pad} dilation: {dilation} }}"
    )
    columns = computed("Im2col", rest, x)
    theirs = onnx(
        "Conv", x, weight, strides=[stride] * 2, pads=[pad] * 4, dilations=[dilation] * 2
    )
    ours = np.einsum("ok,nkhw->nohw", weight.reshape(5, -1), columns)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


MASKED = 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" top: "m" %s }\n'


@pytest.mark.parametrize(
    "window", ["kernel_size: 2 stride: 2", "kernel_size: 3 stride: 2 pad: 1", "kernel_size: 3"]
)
def test_masks_and_unpooling(tmp_path: Path, window: str) -> None:
    """The mask finds the maxima; an Upsample of them puts each back where it was."""
    x = np.random.default_rng(0).permutation(2 * 3 * 6 * 9).reshape(2, 3, 6, 9).astype(np.float32)
    text = data(*x.shape) + MASKED % f"pooling_param {{ {window} }}"
    text += layer("Split", 'top: "k"', name="s", bottom="m", top="j")
    unpool = 'bottom: "j" unpooling_param { unpool_h: 6 unpool_w: 9 }'
    text += layer("Unpooling", unpool, bottom="p")
    text += layer("Eltwise", 'bottom: "k"', name="e", bottom="k", top="e")
    network = loaded(tmp_path, text)
    results = dict(zip(("l", "e"), execute(main_of(network), [x], evaluate), strict=True))
    mask = (results["e"] / 2).astype(np.int64).reshape(6, -1)
    maxima = np.take_along_axis(x.reshape(6, -1), mask, 1)
    expected = np.zeros((6, 54), np.float32)
    np.put_along_axis(expected, mask, maxima, 1)
    np.testing.assert_array_equal(results["l"].reshape(6, -1), expected)


NET = data(1, 4, 6, 8)
REFUSED = [
    ("Interp", "interp_param { pad_beg: 1 }", "a positive pad_beg or pad_end"),
    ("ResizeBilinear", "resize_bilinear_param { data_format: 'NHWC' }", "data_format NHWC"),
    ("ResizeBilinear", "resize_bilinear_param { }", "output_width, or the scales"),
    ("Upsample", "upsample_param { mode: BILINEAR scale: 2 }", "mode BILINEAR"),
    ("Upsample", "", "has no scale and no size"),
    ("Upsample", 'bottom: "data" upsample_param { scale: 2 }', "a mask that is not the second top"),
    ("Unpooling", 'bottom: "data" unpooling_param { unpool: AVE }', "unpool other than MAX"),
    ("Crop", 'bottom: "data" crop_param { offset: 1 }', "elements 1 to 6 are outside axis 2"),
    ("CropCenter", "crop_center_param { crop_size: [0, 0, 3, 0] }", "the slice of axis 2"),
    ("StrideSlice", "stride_slice_param { begin: [0, 9] }", "the slice of axis 1 is empty"),
    ("Pad", "pad_param { pad: [6, 0, 0, 0] mode: REFLECT }", "a reflect pad is larger"),
    ("Pad", "pad_param { pad: [1, 2, 3] }", "two an axis are required"),
    ("ShuffleChannel", "shuffle_channel_param { group: 3 }", "group 3 does not divide 4 channels"),
    ("PixelShuffle", "pixel_shuffle_param { }", "has no upscale_factor or block_size"),
    ("PixelShuffle", "pixel_shuffle_param { upscale_factor: 3 }", "4 channels do not make 3 x 3"),
    ("Reorg", "reorg_param { stride: 4 }", "stride 4 does not divide 1x4x6x8"),
    ("BatchToSpace", "batch_to_space_param { block_shape: 2 }", "1 images do not make 2 x 2"),
    ("SpaceToBatch", "space_to_batch_param { block_shape: 4 }", "cannot be cut into blocks of 4"),
    ("Squeeze", "squeeze_param { axis: 1 }", "axis 1 of 1x4x6x8 is not 1"),
    ("ExpandDims", "expand_dims_param { axis: 6 }", "are not those of a tensor of 5 dimensions"),
    ("Transpose", "transpose_param { dim: [0, 1] }", "is no order of the 4 dimensions"),
    ("Tile", "tile_param { tiles: 0 }", "0 tiles are not at least 1"),
    ("Deconvolution", "convolution_param { num_output: 4 kernel_size: 1 pad: 3 }", "leave nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rest", "message"), REFUSED)
def test_what_is_refused(tmp_path: Path, kind: str, rest: str, message: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        loaded(tmp_path, NET + layer(kind, rest))
    assert message in str(caught.value)


def sizes(op: Operation) -> tuple[int, ...]:
    return shape_of(op.results[0])


def test_the_net_decides_what_a_zoom_factor_means(tmp_path: Path) -> None:
    """DeepLab's where it fits, Intel's where only that does."""
    zoom = layer("Interp", "interp_param { zoom_factor: 2 }", name="z", top="z")
    network = loaded(tmp_path, NET + zoom)
    assert sizes(layers_of(network)[0]) == (1, 4, 11, 15)
    assert not network.notes
    up = layer(
        "Deconvolution", "convolution_param { num_output: 4 kernel_size: 2 stride: 2 }",
        name="d", top="d",
    )  # fmt: skip
    text = NET + zoom + up + layer("Eltwise", 'bottom: "d"', bottom="z")
    network = loaded(tmp_path, text)
    assert sizes(layers_of(network)[0]) == (1, 4, 12, 16)
    (note,) = network.notes
    assert "zoom_factor of Interp multiplies the size" in note
    wrong = layer("Eltwise", 'bottom: "data"', bottom="z")
    with pytest.raises(UnsupportedError, match="1x4x11x15"):
        loaded(tmp_path, NET + zoom + wrong)
