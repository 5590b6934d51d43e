"""DenseBlock, against SciPy's true convolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal  # pyright: ignore[reportMissingTypeStubs]

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend import load_network
from bmnetu.frontend.ufw_pb2 import LayerParameter, NetParameter
from bmnetu.frontend.weights.blobs import float_blob
from dialects.execute import execute
from dialects.ufw.reference import evaluate
from passes.module.functions import main_function

Array = NDArray[Any]
CHANNELS, GROWTH, COUNT = 5, 3, 2


def prototxt(extra: str = "", count: int = COUNT) -> str:
    return (
        f'input: "x" input_shape {{ dim: 2 dim: {CHANNELS} dim: 6 dim: 7 }}\n'
        'layer { name: "d" type: "DenseBlock" bottom: "x" top: "y" denseblock_param {'
        f" numTransition: {count} initChannel: 64 growthRate: {GROWTH} {extra} }} }}"
    )


def convolved(x: Array, kernels: Array) -> Array:
    """Zero padded true convolution of all channels."""
    images = [
        [
            sum(
                cast(Any, signal).convolve2d(plane, kernel, "same")
                for plane, kernel in zip(image, one, strict=True)
            )
            for one in kernels
        ]
        for image in x
    ]
    return np.array(images)


def normalised(x: Array, factor: Array, addend: Array, mean: Array, variance: Array) -> Array:
    return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * factor + addend, 0)


def made(random: np.random.Generator, bottleneck: bool) -> tuple[list[Array], Any]:
    """Blobs in the order of the file, and the block as a function."""
    inner = 4 * GROWTH if bottleneck else 0

    def norm(channels: int) -> list[Array]:
        shape = (1, channels, 1, 1)
        return [random.normal(size=shape), random.normal(size=shape), random.normal(size=shape),
                random.uniform(0.5, 2, shape)]

    sizes = [CHANNELS + i * GROWTH for i in range(COUNT)]
    kernels = [random.normal(size=(GROWTH, inner or size, 3, 3)) for size in sizes]
    norms = [norm(size) for size in sizes]
    blobs = [*kernels, *(norms[i][k] for k in range(4) for i in range(COUNT))]
    small, inner_norms = [], []
    if bottleneck:
        small = [random.normal(size=(inner, size, 1, 1)) for size in sizes]
        inner_norms = [norm(inner) for _ in sizes]
        blobs += [*small, *(inner_norms[i][k] for k in range(4) for i in range(COUNT))]
    blobs.append(np.array([7.0]))

    def block(x: Array) -> Array:
        for i in range(COUNT):
            y = normalised(x, *norms[i])
            if bottleneck:
                y = normalised(convolved(y, small[i]), *inner_norms[i])
            x = np.concatenate([x, convolved(y, kernels[i])], axis=1)
        return x

    return [blob.astype(np.float32) for blob in blobs], block


def written(folder: Path, text: str, blobs: list[Array]) -> tuple[Path, Path]:
    model, weight = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(text)
    layer = LayerParameter(name="d", type="DenseBlock", blobs=[float_blob(blob) for blob in blobs])
    weight.write_bytes(NetParameter(layer=[layer]).SerializeToString())
    return model, weight


@pytest.mark.parametrize("bottleneck", [False, True])
def test_meaning(tmp_path: Path, bottleneck: bool) -> None:
    random = np.random.default_rng(3)
    blobs, block = made(random, bottleneck)
    text = prototxt("use_BC: true" if bottleneck else "")
    network = load_network(*written(tmp_path, text, blobs))
    x = random.normal(size=(2, CHANNELS, 6, 7)).astype(np.float32)
    found = execute(main_function(network.module), [x], evaluate)[0]
    expected = block(x.astype(np.float64))
    assert found.shape == (2, CHANNELS + COUNT * GROWTH, 6, 7)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_wrong_blobs(tmp_path: Path) -> None:
    blobs, _ = made(np.random.default_rng(0), False)
    with pytest.raises(InputFileError, match=r'layer "d" \(DenseBlock\): has 10 blobs, required'):
        load_network(*written(tmp_path, prototxt(), blobs[:-1]))


@pytest.mark.parametrize("count", [0, -1, 2**31 - 1])
def test_counts_that_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(UnsupportedError, match="numTransition"):
        load_network(*written(tmp_path, prototxt(count=count), []))
