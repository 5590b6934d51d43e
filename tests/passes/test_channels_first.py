"""Layers of rows as layers of images: the same numbers, compared under the same names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from onnx import NodeProto
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

import bmnetu
from bmnetu.frontend import load_network
from bmnetu.inspect.debugger import open_stage
from bmnetu.pipeline import parse_pipeline, run_pipeline
from bmnetu.report.profile import profile
from dialects.quant import types
from dialects.quant.base import CHANNELS_LAST
from dialects.quant.movement import TransposeOp
from passes.channels.rows import Regions, image_axis, image_shape
from passes.module.functions import main_function
from passes.quant import quant_channels_first
from tests.frontend.onnx.graphs import Array, Net, node, numbers
from tests.pipelines import static_text
from tests.quant_runs import evaluated

FIRST = "quant-channels-first"
Shape = tuple[int, ...]


class Builder:
    """A network of layers on rows, [n, rows..., features]."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        self.shapes = {"x": shape}
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Array] = {}
        self.seed = seed

    def constant(self, array: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def random(self, *shape: int) -> str:
        return self.constant(numbers(*shape, seed=self.seed + len(self.constants)))

    def add(self, op: str, inputs: str, shape: Sequence[int], **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(node(op, inputs, name, **attributes))
        self.shapes[name] = tuple(shape)
        return name

    def product(self, x: str, outputs: int) -> str:
        *rows, terms = self.shapes[x]
        y = self.add("MatMul", f"{x} {self.random(terms, outputs)}", (*rows, outputs))
        return self.add("Add", f"{y} {self.random(outputs)}", (*rows, outputs))

    def norm(self, x: str) -> str:
        shape = self.shapes[x]
        blobs = f"{self.random(shape[-1])} {self.random(shape[-1])}"
        return self.add("LayerNormalization", f"{x} {blobs}", shape, axis=-1)

    def with_numbers(self, x: str, kind: str, *shape: int) -> str:
        return self.add(kind, f"{x} {self.random(*shape)}", self.shapes[x])

    def net(self, *outputs: str) -> Net:
        return Net(self.nodes, self.constants, {"x": self.shapes["x"]}, outputs)


def block(b: Builder, x: str, wide: int) -> str:
    """A perceptron of a transformer."""
    features = b.shapes[x][-1]
    y = b.product(b.norm(x), wide)
    y = b.add("Tanh", y, b.shapes[y])
    return b.add("Add", f"{x} {b.product(y, features)}", b.shapes[x])


def random_net(seed: int) -> Net:
    """Layers of all kinds that work on images as well, some that do not, several outputs."""
    random = Random(seed)
    shape = random.choice([(1, 20, 33), (1, 5, 7, 18), (3, 17, 8), (2, 3, 4, 5, 6), (1, 1, 40)])
    b = Builder(shape, seed)
    x = "x"
    if random.random() < 0.5:
        order = (0, len(shape) - 1, *range(1, len(shape) - 1))
        y = b.add("Transpose", x, [shape[i] for i in order], perm=order)
        y = b.add("Relu", y, b.shapes[y])
        back = (0, *range(2, len(shape)), 1)
        x = b.add("Transpose", y, shape, perm=back)
    made = [x]
    ones = (1,) * (len(shape) - 1)
    for _ in range(random.randrange(2, 7)):
        x = random.choice(made)
        features = b.shapes[x][-1]
        choices: list[Callable[[str], str]] = [
            lambda x, f=features: block(b, x, f + 3),
            lambda x: b.product(x, 9),
            b.norm,
            lambda x, f=features: b.with_numbers(x, random.choice(["Mul", "Add", "Sub"]), f),
            lambda x, f=features: b.with_numbers(x, "Add", *ones, f),
            lambda x: b.with_numbers(x, "Max", *b.shapes[x]),
            lambda x: b.with_numbers(x, "Mul", *b.shapes[x][:-1], 1),
            lambda x: b.add("Sigmoid", x, b.shapes[x]),
            lambda x: b.add("Softmax", x, b.shapes[x], axis=-1),
            lambda x: b.add("Concat", f"{x} {x}", _doubled(b.shapes[x], -1), axis=-1),
            lambda x: b.add("Concat", f"{x} {x}", _doubled(b.shapes[x], 1), axis=1),
            lambda x: _flat(b, x),
            lambda x: b.add(
                "Transpose", x, [b.shapes[x][i] for i in _turn(b, x)], perm=_turn(b, x)
            ),
        ]
        made.append(random.choice(choices)(x))
    return b.net(*dict.fromkeys((made[-1], random.choice(made[1:]))))


def _doubled(shape: Shape, axis: int) -> list[int]:
    sizes = list(shape)
    sizes[axis] *= 2
    return sizes


def _turn(b: Builder, x: str) -> tuple[int, ...]:
    rank = len(b.shapes[x])
    return (0, rank - 1, *range(1, rank - 1))


def _flat(b: Builder, x: str) -> str:
    n, *rows, features = b.shapes[x]
    shape = (n, int(np.prod(rows)), features)
    return b.add("Reshape", f"{x} {b.constant(np.array(shape))}", shape)


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tensors that can be images become images."""

    def price(region: Sequence[SSAValue], regions: Regions) -> float:
        return 1.0

    monkeypatch.setattr(quant_channels_first, "saved", price)


def before(path: Path, prec: str = "FP32") -> ModuleOp:
    """A network just before the pass."""
    module = load_network(path, None).module
    text, _, _ = static_text(2, prec).partition(f",{FIRST}")
    run_pipeline(module, parse_pipeline(text))
    return module


def turned(module: ModuleOp) -> int:
    return sum(CHANNELS_LAST in op.attributes for op in module.walk())


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("seed", range(60))
def test_the_numbers_stay(tmp_path: Path, seed: int) -> None:
    module = before(random_net(seed).write(tmp_path))
    expected = evaluated(module)
    run_pipeline(module, parse_pipeline(f"{FIRST},quant-merge-transposes"))
    module.verify()
    for a, b in zip(evaluated(module), expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("seed", range(0, 60, 5))
def test_the_chip_computes_them(tmp_path: Path, seed: int) -> None:
    path = random_net(seed).write(tmp_path)
    result = bmnetu.compile(path, None, tmp_path / "out", opt=2, opt_budget=1)
    assert result.findings is not None
    assert result.findings.ok


def test_tensors_are_compared_under_their_names(tmp_path: Path) -> None:
    b = Builder((1, 50, 40))
    path = b.net(block(b, block(b, "x", 90), 90)).write(tmp_path)
    found = [
        bmnetu.compile(path, None, tmp_path / str(opt), opt=opt).findings for opt in (1, 2)
    ]
    names: list[set[str]] = []
    for findings in found:
        assert findings is not None
        names.append({each.top for each in findings.tensors})
    assert names[0] - names[1] == {"t5", "t12"}  # these became part of the sums behind them


def test_a_perceptron_needs_no_transposition_inside(tmp_path: Path) -> None:
    b = Builder((1, 200, 96))
    x = "x"
    for _ in range(3):
        x = block(b, x, 384)
    module = before(b.net(x).write(tmp_path))
    run_pipeline(module, parse_pipeline(f"{FIRST},quant-merge-transposes"))
    assert turned(module) > 20
    ops = list(main_function(module).body.block.ops)
    assert sum(isinstance(op, TransposeOp) for op in ops) == 2  # of the input and of the output


def test_what_would_not_pay_stays(tmp_path: Path) -> None:
    b = Builder((1, 50, 40))
    x = b.add("Softmax", "x", b.shapes["x"], axis=-1)
    x = b.add("Softmax", b.norm(x), b.shapes[x], axis=-1)
    module = before(b.net(x).write(tmp_path))
    run_pipeline(module, parse_pipeline(FIRST))
    assert not turned(module)


def test_channels_last_between_convolutions_costs_nothing(tmp_path: Path) -> None:
    """As ConvNeXt is written: a convolution, then a perceptron on channels last."""
    b = Builder((1, 24, 14, 14))
    x = b.add("Conv", f"x {b.random(24, 1, 3, 3)}", (1, 24, 14, 14), group=24, pads=[1] * 4)
    y = b.add("Transpose", x, (1, 14, 14, 24), perm=[0, 2, 3, 1])
    y = b.add("Transpose", block(b, y, 96), (1, 24, 14, 14), perm=[0, 3, 1, 2])
    y = b.add("Add", f"x {y}", (1, 24, 14, 14))
    path = b.net(y).write(tmp_path)
    module = before(path)
    run_pipeline(module, parse_pipeline(f"{FIRST},quant-merge-transposes"))
    assert not any(isinstance(op, TransposeOp) for op in main_function(module).walk())
    cycles = [
        profile(bmnetu.compile(path, None, tmp_path / str(opt), opt=opt).module).total.cycles
        for opt in (1, 2)
    ]
    assert 2 * cycles[1] < cycles[0]


@pytest.mark.parametrize(
    ("shape", "image"),
    [((2, 7, 5), (2, 5, 7, 1)), ((1, 3, 4, 5), (1, 5, 3, 4)), ((1, 2, 3, 4, 5), (1, 5, 24, 1))],
)
def test_shapes_of_images(shape: Shape, image: Shape) -> None:
    assert image_shape(shape) == image
    whole = [image_axis(axis, len(shape)) for axis in range(1, len(shape))]
    assert whole[-1] == 1
    for axis, at in enumerate(whole, 1):
        assert at is None or image[at] == shape[axis]


def test_rank_one_has_no_rows(tmp_path: Path) -> None:
    b = Builder((40,))
    module = before(b.net(b.norm("x")).write(tmp_path))
    run_pipeline(module, parse_pipeline(FIRST))
    assert types.shape_of(main_function(module).body.block.args[0]) == (40,)


def test_the_file_names_no_tensor_that_lies_otherwise(tmp_path: Path) -> None:
    """Here one that is an image in DDR, for the softmax, is none in the network."""
    b = Builder((1, 60, 40))
    x = block(b, "x", 90)
    soft = b.add("Softmax", x, b.shapes[x], axis=-1)
    y = b.add("Add", f"{block(b, x, 90)} {soft}", b.shapes[x])
    bmnetu.compile(b.net(y).write(tmp_path), None, tmp_path / "out", opt=2)
    named = open_stage(tmp_path / "out" / "compilation.bmodel").notes.tensors
    shapes = {each.name: each.shape for each in named if each.name in b.shapes}
    assert shapes
    assert shapes.items() <= b.shapes.items()


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize(("outputs", "group"), [(4, 1), (3, 3)])
def test_windows_that_cover_their_map(tmp_path: Path, outputs: int, group: int) -> None:
    """Its stride means nothing: that of the convolution of images is 1."""
    b = Builder((1, 20, 27))
    x = b.add("Sigmoid", "x", b.shapes["x"])
    x = b.add("Reshape", f"{x} {b.constant(np.array((20, 3, 3, 3)))}", (20, 3, 3, 3))
    weight = b.random(outputs, 3 // group, 3, 3)
    x = b.add("Conv", f"{x} {weight}", (20, outputs, 1, 1), group=group, strides=[2, 2])
    x = b.add("Reshape", f"{x} {b.constant(np.array((1, 20, outputs)))}", (1, 20, outputs))
    module = before(b.net(b.add("Sigmoid", x, b.shapes[x])).write(tmp_path))
    expected = evaluated(module)
    run_pipeline(module, parse_pipeline(f"{FIRST},quant-merge-transposes"))
    module.verify()
    np.testing.assert_allclose(evaluated(module)[0], expected[0], rtol=1e-4, atol=1e-4)
