"""BN in its spellings: which blobs each has, and what they make of x."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bmnetu.errors import UnsupportedError
from bmnetu.frontend.weights.blobs import float_blob
from dialects.execute import execute
from dialects.ufw.reference import evaluate
from tests.frontend.samples import data, layer, loaded, main_of
from tests.networks import random_weights

Array = NDArray[np.float32]
TEXTS = {
    "pspnet": ("BN", "bn_param { frozen: true momentum: 0.95 }", 4),
    "segnet": ("BN", "bn_param { bn_mode: INFERENCE }", 2),
    "folded": ("BN", "bn_param { frozen: true }", 2),
    "eps": ("BN", "bn_param { eps: 0.25 }", 4),
    "var_eps": ("BN", "bn_param { var_eps: 0.25 }", 4),
    "cudnn": ("CuDNNBatchNorm", "", 4),
    "cudnn, counted": ("CuDNNBatchNorm", "", 5),
    "nvidia": ("BatchNorm", "batch_norm_param { scale_bias: true }", 5),
    "one blob": ("BN", "bn_param { bn_mode: INFERENCE }", 1),
}


@pytest.mark.parametrize("name", TEXTS)
def test_meaning(tmp_path: Path, name: str) -> None:
    kind, rest, count = TEXTS[name]
    text = data(2, 3, 2, 2) + layer(kind, rest)
    rng = np.random.default_rng(0)
    numbers = [rng.uniform(0.5, 2, 3).astype(np.float32) for _ in range(4)]
    factor, addend, mean, variance = numbers
    blobs: list[Array] = numbers
    if name == "nvidia":
        blobs = [mean * 2, variance * 2, np.full(1, 2, np.float32), factor, addend]
    elif count == 5:
        blobs = [*numbers, np.full(1, 7, np.float32)]
    net = random_weights(text, 0)
    del net.layer[-1].blobs[:]
    net.layer[-1].blobs.extend(float_blob(each) for each in blobs[:count])
    x = rng.normal(size=(2, 3, 2, 2)).astype(np.float32)
    (y,) = execute(main_of(loaded(tmp_path, text, net)), [x], evaluate)
    f, a, m, v = (each.reshape(3, 1, 1) for each in numbers)
    eps = 0.25 if "eps" in name else 1e-5
    wanted = x * f + (a if count > 1 else 0)
    if count > 2:
        wanted = (x - m) / np.sqrt(v + eps) * f + a
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)


def test_statistics_of_the_batch(tmp_path: Path) -> None:
    off = "use_global_stats: false"
    text = data(2, 3, 2, 4) + layer("BatchNorm", f"batch_norm_param {{ {off} }}")
    x = np.random.default_rng(0).normal(2, 3, (2, 3, 2, 4)).astype(np.float32)
    (y,) = execute(main_of(loaded(tmp_path, text)), [x], evaluate)
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.std((0, 2, 3)), 1, rtol=1e-4)
    for kind, rest in (
        ("BatchNorm", f"batch_norm_param {{ {off} scale_bias: true }}"),
        ("CuDNNBatchNorm", f"cudnn_batch_norm_param {{ {off} }}"),
    ):
        with pytest.raises(UnsupportedError, match="use_global_stats: false beside factors"):
            loaded(tmp_path, data(2, 3, 2, 4) + layer(kind, rest))
