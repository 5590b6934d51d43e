"""-mode=GenUmodel: what is written means what was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bmnetu.errors import UsageError
from bmnetu.frontend import generate_umodel, load_network, write_prototxt
from bmnetu.frontend.blobs import integer_blob
from bmnetu.frontend.ufw_pb2 import NetParameter
from tests.frontend.samples import CONV, SMALL, data, layer, names, run, written
from tests.networks import random_weights


def test_generated_files_mean_the_same(tmp_path: Path) -> None:
    text = SMALL.replace("small", "a net/1") + layer(
        "SoftmaxWithLoss", name="loss", bottom="fc", top="loss"
    )
    model, weight = written(tmp_path, text)
    umodel, prototxt = generate_umodel(model, weight, tmp_path / "out")
    assert umodel == tmp_path / "out" / "a_net_1.fp32umodel"
    assert prototxt == tmp_path / "out" / "a_net_1_test_fp32.prototxt"
    first, second = load_network(model, weight), load_network(prototxt, umodel)
    assert second.notes == ()
    assert names(first) == names(second)
    for one, two in zip(run(first).values(), run(second).values(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_generated_files_bear_the_net_name(tmp_path: Path) -> None:
    model, weight = written(tmp_path, SMALL)
    umodel, prototxt = generate_umodel(model, weight, tmp_path / "out", "abc")
    assert umodel == tmp_path / "out" / "abc.fp32umodel"
    assert prototxt == tmp_path / "out" / "abc_test_fp32.prototxt"
    assert load_network(prototxt, umodel).net.name == "abc"


def test_words_of_ufw_survive(tmp_path: Path) -> None:
    text = (
        'model_type: BMNETC2UModel\noutput_whitelist: "x"\n'
        + data(1, 3, 8, 8)
        + layer("Convolution", f"forward_with_float: true th_strategy: USE_MAX {CONV}", top="x")
        + layer("ReLU", name="r", bottom="x", top="x")
    )
    network = load_network(*written(tmp_path, text))
    again = tmp_path / "again.prototxt"
    write_prototxt(again, network.net)
    reread = load_network(again, tmp_path / "net.fp32umodel")
    assert reread.net == network.net
    assert reread.net.layer[1].forward_with_float
    assert names(reread)[1] == ["x_1"]
    assert reread.net.output_whitelist == ["x_1"]


def test_an_int8umodel_is_refused(tmp_path: Path) -> None:
    text = data(1, 3, 8, 8) + layer("PReLU", "prelu_param { channel_shared: true }")
    net = NetParameter()
    net.layer.add(name="l").blobs.append(integer_blob(np.ones(1, np.int8), 1))
    net.activation.add(blob="data", threshold=1)
    net.activation.add(blob="l", threshold=1)
    with pytest.raises(UsageError, match="is an int8umodel already"):
        generate_umodel(*written(tmp_path, text, net), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_random_weights_fit_what_was_asked() -> None:
    net = random_weights(SMALL, 1, shapes=[[1, 3, 10, 10]])
    assert list(net.layer[3].blobs[0].shape.dim) == [5, 256]
