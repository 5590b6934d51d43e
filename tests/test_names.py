"""Names are free: no name that a file can hold changes what is compiled, and dumps parse again."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from google.protobuf.text_format import MessageToString
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bmnetu
from bmnetu.bmodel import read
from bmnetu.files.dump import module_text
from bmnetu.files.module_text import parse_module
from bmnetu.frontend.prototxt.topology import read_topology
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.frontend.weights.blobs import float_blob, integer_blob
from bmnetu.pipeline import new_context

NAMES = st.text(max_size=12)
PLAIN = ("data", "conv", "relu", "pool", "second")


def network(names: tuple[str, ...], integer: bool, folder: Path) -> tuple[Path, Path]:
    """Convolution, ReLU in place, a pooling and a second output; layers are named as blobs are."""
    data, conv, relu, pool, second = names
    net = NetParameter(name=second)
    net.input.append(data)
    net.input_shape.add(dim=[1, 2, 5, 4])
    first = net.layer.add(name=conv, type="Convolution", bottom=[data], top=[conv])
    first.convolution_param.num_output = 3
    first.convolution_param.kernel_size.append(1)
    net.layer.add(name=relu, type="ReLU", bottom=[conv], top=[conv])
    last = net.layer.add(name=pool, type="Pooling", bottom=[conv], top=[pool])
    last.pooling_param.kernel_size = 2
    net.layer.add(name=second, type="TanH", bottom=[conv], top=[second])
    model, weight = folder / "net.prototxt", folder / "net.umodel"
    model.write_text(MessageToString(net), encoding="utf-8")
    weights = NetParameter()
    kernel, bias = np.arange(-3, 3).reshape(3, 2, 1, 1), np.array([10, 0, -10])
    layer = weights.layer.add(name=conv)
    if integer:
        integers = (integer_blob(kernel.astype(np.int8), 1), integer_blob(bias.astype(np.int16)))
        layer.blobs.extend(integers)
        topology = read_topology(model)
        tops = [top for each in topology.layers for top in each.tops]
        for blob in (topology.inputs[0].name, *tops):
            weights.activation.add(blob=blob, threshold=2)
    else:
        layer.blobs.extend(float_blob(array.astype(np.float32)) for array in (kernel, bias))
    weight.write_bytes(weights.SerializeToString())
    return model, weight


def compiled(names: tuple[str, ...], integer: bool, opt: int) -> tuple[list[bytes], list[str]]:
    """The commands and weights, and the names at the border; every dump must parse again."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        model, weight = network(names, integer, folder)
        result = bmnetu.compile(model, weight, folder / "out", opt=opt)
        assert all(layer.ok for layer in result.layers)
        assert result.bmodel is not None
        stage = read(result.bmodel.read_bytes(), "bmodel").nets[0].stages[0]
    text = module_text(result.module)
    again = parse_module(new_context(), text.encode(), "dump")
    assert module_text(again) == text
    parts = [stage.coeff, *(part for group in stage.groups for part in (group.tiu, group.gdma))]
    return parts, [tensor.name for tensor in (*stage.inputs, *stage.outputs)]


@pytest.fixture(scope="module")
def plain() -> dict[tuple[bool, int], list[bytes]]:
    kinds = product((False, True), (0, 1, 2))
    return {kind: compiled(PLAIN, *kind)[0] for kind in kinds}


@given(
    names=st.lists(NAMES, min_size=5, max_size=5, unique=True).map(tuple),
    integer=st.booleans(),
    opt=st.sampled_from([0, 1, 2]),
)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@example(names=("62", "245", "246", "0", "1_2"), integer=False, opt=2)
@example(names=("62", "245", "246", "0", "1_2"), integer=True, opt=1)
@example(names=("%0", "%1", "%", "%%", "% "), integer=True, opt=2)
@example(names=("a b", "a_b", "a\nb", "a\tb", 'a"b'), integer=False, opt=1)
@example(names=("中 \"x\"", "\\E4", "é\\", "\U0001f600", "\x7f"), integer=True, opt=0)
@example(names=("x", "", "x_1", "x_2", "unnamed"), integer=True, opt=2)
@example(names=("x", "y\0a", "y\0b", "y\\0a", "y"), integer=False, opt=2)
def test_names_change_nothing(
    plain: dict[tuple[bool, int], list[bytes]], names: tuple[str, ...], integer: bool, opt: int
) -> None:
    parts, border = compiled(names, integer, opt)
    assert parts == plain[integer, opt]
    if all(names) and not any("\0" in name for name in names):
        assert border == [names[0], names[3], names[4]]


@pytest.mark.parametrize("integer", [False, True])
def test_names_of_any_length(plain: dict[tuple[bool, int], list[bytes]], integer: bool) -> None:
    names = ("d" * 100_000, "c", "r", "p" * 5_000_000, "s")
    assert compiled(names, integer, 1)[0] == plain[integer, 1]
