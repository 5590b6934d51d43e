"""The oldest prototxts and their weights, upgraded by Caffe's rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend import load_network
from bmnetu.frontend.prototxt.topology import read_topology
from bmnetu.frontend.ufw_pb2 import WeightFile
from bmnetu.frontend.weights.blobs import float_blob
from dialects.ufw import ops
from tests.frontend.samples import layers_of

HEAD = 'name: "old" input: "data" input_dim: [1, 3, 9, 9]\n'


def old(kind: str, rest: str, bottom: str, top: str) -> str:
    return (
        f'layers {{ layer {{ name: "{top}" type: "{kind}" {rest} }} '
        f'bottom: "{bottom}" top: "{top}" }}\n'
    )


NET = (
    HEAD
    + old("padding", "pad: 2", "data", "pad")
    + old("conv", "num_output: 4 kernelsize: 3 stride: 2 group: 1 biasterm: true "
          "weight_filler { type: 'gaussian' } blobs_lr: 1 weight_decay: 0", "pad", "conv")
    + 'layers { layer { name: "r" type: "relu" } bottom: "conv" top: "conv" }\n'
    + old("pool", "pool: AVE kernelsize: 3 stride: 2 pad: 1", "conv", "pool")
    + old("dropout", "dropout_ratio: 0.5", "pool", "drop")
    + old("innerproduct", "num_output: 5 biasterm: false", "drop", "fc")
    + old("softmax", "", "fc", "prob")
)  # fmt: skip


def weights(folder: Path) -> Path:
    file = WeightFile()
    for name, shapes in (("conv", [(4, 3, 3, 3), (4,)]), ("fc", [(5, 64)])):
        inner = file.layers.add().layer
        inner.name = name
        inner.blobs.extend(float_blob(np.full(shape, 0.25, np.float32)) for shape in shapes)
    path = folder / "old.caffemodel"
    path.write_bytes(file.SerializeToString())
    return path


def test_a_network(tmp_path: Path) -> None:
    model = tmp_path / "old.prototxt"
    model.write_text(NET)
    conv, relu, pool, drop, fc, softmax = layers_of(load_network(model, weights(tmp_path)))
    assert isinstance(conv, ops.ConvolutionOp)
    assert conv.pad.get_values() == (2, 2, 2, 2)
    assert conv.stride.get_values() == (2, 2)
    assert conv.bias is not None
    assert (conv.weight.array == 0.25).all()
    assert isinstance(relu, ops.ReLUOp)
    assert isinstance(pool, ops.PoolingOp)
    assert pool.kind.data == "average"
    assert pool.pad.get_values() == (1, 1, 1, 1)
    assert isinstance(drop, ops.DropoutOp)
    assert isinstance(fc, ops.InnerProductOp)
    assert fc.bias is None
    assert isinstance(softmax, ops.SoftmaxOp)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (old("padding", "pad: 2", "data", "p") + old("relu", "", "p", "r"),
         'layer "p" (padding) can stand before a conv or pool layer only, not before "r" (ReLU)'),
        (old("relu", "num_output: 3", "data", "r"),
         ':2: layer "r" has num_output, which a V0 layer of type relu does not take'),
        (old("relu", "", "data", "r") + 'layers { name: "s" type: RELU bottom: "r" top: "s" }',
         ":3: a V1 layer among V0 layers"),
    ],
)  # fmt: skip
def test_what_cannot_be_upgraded(tmp_path: Path, text: str, sentence: str) -> None:
    model = tmp_path / "old.prototxt"
    model.write_text(HEAD + text)
    with pytest.raises(InputFileError) as caught:
        read_topology(model)
    assert sentence in str(caught.value)


def test_types_that_cannot_be_compiled(tmp_path: Path) -> None:
    model = tmp_path / "old.prototxt"
    model.write_text(
        HEAD + old("even", "", "data", "n") + old("odd", "k: 1", "n", "o")
    )
    with pytest.raises(UnsupportedError, match=r'(?s)layer "n" \(even\).*layer "o" \(odd\)'):
        load_network(model, weights(tmp_path))


def test_a_padding_that_two_layers_read(tmp_path: Path) -> None:
    model = tmp_path / "old.prototxt"
    conv = "num_output: 4 kernelsize: 3"
    model.write_text(
        HEAD
        + old("padding", "pad: 1", "data", "pad")
        + old("conv", conv, "pad", "a")
        + old("conv", conv, "data", "b")
        + old("pool", "pool: MAX kernelsize: 3", "pad", "c")
    )
    a, b, c = (each.param for each in read_topology(model).layers)
    assert list(a.convolution_param.pad) == [1]
    assert not b.convolution_param.pad
    assert c.pooling_param.pad == 1
    assert [list(each.bottom) for each in (a, b, c)] == [["data"]] * 3
