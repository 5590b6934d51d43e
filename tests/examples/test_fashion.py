"""The Fashion-MNIST example on made-up images: its files, its nets, its INT8."""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from bmnetu.frontend import write_umodel
from examples.fashion import data, run, train
from examples.layers import BatchNorm, Scale
from examples.measure import Array, FloatNet
from examples.training import forward, umodel
from tests.examples.synthetic import images, write_idx, write_part


@pytest.mark.parametrize("name", run.NETS)
def test_the_main_job(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The labels are what the float net sees; the program ends when the NPU model differs."""
    test = images(50, seed=2)
    labels = run.float_net(name).scores(test.astype(np.float32), batch=50).argmax(axis=1)
    assert len(np.unique(labels)) > 2
    write_part(tmp_path, "train", images(32, seed=1), np.zeros(32))
    write_part(tmp_path, "t10k", test, labels)
    words = ["run.py", "--data", str(tmp_path), "--outdir", str(tmp_path), "--images", "40"]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(run, "NETS", (name,))
    monkeypatch.setattr(run, "BATCH", 25)
    run.main()
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(f"{name}: accuracy on 40 test images: FP32 100.00%, INT8 ")
    in_int8, on_the_npu = re.findall(r"([\d.]+)% \(.* ([\d.]+)%", line)[0]
    assert float(in_int8) >= 90
    assert on_the_npu == in_int8


@pytest.mark.parametrize("name", train.NETS)
def test_the_prototxt_is_the_net_that_is_trained(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    network = train.NETS[name](random)
    for layer in network.values():
        if isinstance(layer, BatchNorm):
            layer.mean += random.normal(0, 0.1, layer.mean.shape)
            layer.variance *= random.uniform(0.5, 2, layer.variance.shape)
        elif isinstance(layer, Scale):
            layer.factor.value *= random.uniform(0.5, 2, layer.factor.value.shape)
            layer.addend.value += random.normal(0, 0.1, layer.addend.value.shape)
    weight = tmp_path / "net.fp32umodel"
    write_umodel(weight, umodel(name, network))
    pixels = images(8, seed=4)
    got = FloatNet(run.float_net(name).model, weight).scores(pixels.astype(np.float32), batch=8)
    expected = forward(network, pixels / np.float32(255), training=False)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", run.NETS)
def test_the_committed_weights_are_small(name: str) -> None:
    assert run.float_net(name).weight.stat().st_size < 500_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five training and four test images."""
    for part, count in (("train", 5), ("t10k", 4)):
        write_part(tmp_path, part, images(count, seed=count), np.arange(count))
    return tmp_path


def test_idx_files_are_read(folder: Path) -> None:
    pixels, labels = data.load(folder, "t10k")
    np.testing.assert_array_equal(pixels, images(4, seed=4))
    np.testing.assert_array_equal(labels, np.arange(4))


IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
HEADER = np.array([0x803, 4, 28, 28], ">u4")


@pytest.mark.parametrize(
    ("header", "size", "says"),
    [
        (HEADER, 4 * 784 - 1, "holds not the 3136 bytes"),
        (HEADER, 4 * 784 + 1, "holds not the 3136 bytes"),
        (HEADER[:3], 0, "is not an idx file"),
        (HEADER[:0], 0, "is not an idx file"),
        (HEADER + np.array([0x100, 0, 0, 0], ">u4"), 4 * 784, "is not an idx file"),
        (HEADER + np.array([0, 10_000, 0, 0], ">u4"), 0, "is not an idx file"),
        (HEADER + np.array([0, 0, 1, 0], ">u4"), 4 * 28 * 29, "is not an idx file"),
        (HEADER - np.array([0, 4, 0, 0], ">u4"), 0, "0 images of t10k have 4 labels"),
        (HEADER - np.array([0, 1, 0, 0], ">u4"), 3 * 784, "3 images of t10k have 4 labels"),
    ],
)
def test_wrong_sizes_are_refused(header: Array, size: int, says: str, folder: Path) -> None:
    (folder / IMAGES).write_bytes(gzip.compress(header.astype(">u4").tobytes() + bytes(size)))
    with pytest.raises(data.DataError, match=says) as caught:
        data.load(folder, "t10k")
    assert str(folder) in str(caught.value)


def test_damaged_files_are_refused(folder: Path) -> None:
    good = (folder / IMAGES).read_bytes()
    turned = good[:200] + bytes([good[200] ^ 0xFF]) + good[201:]
    for bad in (good[:-20], good[:7], b"no gzip", turned):
        (folder / IMAGES).write_bytes(bad)
        with pytest.raises(data.DataError, match=IMAGES):
            data.load(folder, "t10k")


def test_wrong_labels_are_refused(folder: Path) -> None:
    write_idx(folder / LABELS, np.array([0, 1, 2, 10], np.uint8))
    with pytest.raises(data.DataError, match="labels of t10k are not 0 to 9"):
        data.load(folder, "t10k")


def test_an_endless_file_is_not_read_to_its_end(folder: Path) -> None:
    (folder / IMAGES).write_bytes(gzip.compress(HEADER.tobytes() + bytes(1 << 25)))
    with gzip.open(folder / IMAGES) as file:
        assert len(file.read(1 << 24)) == 1 << 24
    with pytest.raises(data.DataError, match="holds not"):
        data.load(folder, "t10k")


@pytest.mark.parametrize("main", [run.main, train.main])
def test_missing_data_end_in_one_sentence(
    main: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(main)
    monkeypatch.setattr(sys, "argv", ["main", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"install Debian's package dataset-fashion-mnist"):
        main()
