"""Which dimensions of a network are free at run time, in which steps, and what fixes the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdsl.dialects.builtin import ModuleOp

from bmnetu.errors import UnsupportedError
from bmnetu.frontend.network import Network, loader
from bmnetu.frontend.samples import Sampler, Shape
from dialects.execute import names_of
from dialects.quant.types import shape_of
from passes.module.functions import FREE, SAMPLE, functions, main_function, samples
from tests.calibration.harness import data_layer, layer
from tests.networks import random_weights


def conv(bottom: str, top: str, channels: int, settings: str = "kernel_size: 3 pad: 1") -> str:
    return layer("Convolution", bottom, top,
                 f"convolution_param {{ num_output: {channels} {settings} }}")  # fmt: skip


def product(bottom: str, top: str) -> str:
    return layer("InnerProduct", bottom, top, "inner_product_param { num_output: 5 }")


def pool(bottom: str, top: str, settings: str) -> str:
    return layer("Pooling", bottom, top, f"pooling_param {{ {settings} }}")


def sampled(
    folder: Path, text: str, fixed: dict[str, str] | None = None, seed: int = 0
) -> tuple[Sampler, Network]:
    """The net with its samples; ``fixed`` dimensions have one size."""
    model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text(text)
    weight.write_bytes(random_weights(model, 1).SerializeToString())
    load = loader(model, weight)
    network = load(None)
    sampler = Sampler(load, list(network.input_shapes), seed, dict(fixed or {}))
    sampler.sampled(network)
    return sampler, network


def shapes_in(module: ModuleOp) -> list[list[Shape]]:
    """The shapes of the inputs of each function, the largest first."""
    return [[shape_of(x) for x in f.body.block.args] for f in functions(module)]


def varied(network: Network) -> list[list[str]]:
    """What each sample is smaller in."""
    return [names_of(function, SAMPLE) for function in samples(network.module)]


def test_a_convolutional_net_is_free_in_all(tmp_path: Path) -> None:
    sampler, network = sampled(tmp_path, data_layer(3, 2, 9, 8) + conv("data", "c", 4))
    assert sampler.free == {"batch": 3, "height": 9, "width": 8}
    assert sampler.steps == {"batch": 1, "height": 1, "width": 1}
    assert sampler.fixed == {}
    (largest, *smaller) = shapes_in(network.module)
    assert largest == [(3, 2, 9, 8)]
    assert len({tuple(each) for each in smaller}) == len(smaller)
    for ((n, c, h, w),) in smaller:
        assert n <= 3
        assert (c, h <= 9, w <= 8) == (2, True, True)
        assert (n, h, w) != (3, 9, 8)
    assert any(n < 3 and h < 9 and w < 8 for ((n, _, h, w),) in smaller)
    assert names_of(main_function(network.module), FREE) == ["batch", "height", "width"]
    assert {len(each) for each in varied(network)} == {1, 3}
    assert [f.sym_name.data for f in samples(network.module)] == [
        f"sample_{i + 1}" for i in range(len(smaller))
    ]


def test_odd_and_even_sizes_are_among_the_samples(tmp_path: Path) -> None:
    _, network = sampled(tmp_path, data_layer(4, 2, 16, 16) + conv("data", "c", 4))
    _, *smaller = shapes_in(network.module)
    for axis in (2, 3):
        assert {shape[axis] % 2 for (shape,) in smaller} == {0, 1}


def test_an_inner_product_fixes_height_and_width(tmp_path: Path) -> None:
    text = data_layer(3, 2, 9, 8) + conv("data", "c", 4) + product("c", "fc")
    sampler, network = sampled(tmp_path, text)
    assert sampler.free == {"batch": 3}
    assert set(sampler.fixed) == {"height", "width"}
    for reason in sampler.fixed.values():
        assert 'layer "InnerProduct_fc" (InnerProduct)' in reason
        assert "\n" not in reason
    assert {tuple(each) for each in varied(network)} == {("batch",)}


def test_a_global_pooling_before_it_frees_them(tmp_path: Path) -> None:
    text = data_layer(3, 2, 9, 8) + conv("data", "c", 4)
    text += pool("c", "p", "pool: AVE global_pooling: true") + product("p", "fc")
    sampler, _ = sampled(tmp_path, text)
    assert sampler.free == {"batch": 3, "height": 9, "width": 8}
    assert sampler.fixed == {}


def u_net(levels: int, size: int) -> str:
    """Halves the map so often, doubles it again, and adds what it was before."""
    text = data_layer(2, 2, size, size) + conv("data", "d0", 4)
    for i in range(levels):
        text += conv(f"d{i}", f"d{i + 1}", 4, "kernel_size: 3 stride: 2 pad: 1")
    top = f"d{levels}"
    for i in reversed(range(levels)):
        text += layer("Deconvolution", top, f"u{i}",
                      "convolution_param { num_output: 4 kernel_size: 2 stride: 2 }")  # fmt: skip
        text += layer("Eltwise", f"u{i} d{i}", f"s{i}")
        top = f"s{i}"
    return text


@pytest.mark.parametrize(("levels", "size"), [(1, 16), (2, 16), (2, 24), (3, 32), (3, 48)])
def test_a_u_net_takes_multiples(levels: int, size: int, tmp_path: Path) -> None:
    step = 2**levels
    sampler, network = sampled(tmp_path, u_net(levels, size))
    assert sampler.free == {"batch": 2, "height": size, "width": size}
    assert sampler.steps == {"batch": 1, "height": step, "width": step}
    for ((_, _, h, w),) in shapes_in(network.module):
        assert h % step == w % step == 0


def test_sizes_that_are_odd_have_a_step_too(tmp_path: Path) -> None:
    """Windows of 3 with stride 2 and no pad, and the way back: 2 k + 1."""
    text = data_layer(1, 2, 9, 13) + conv("data", "c", 2, "kernel_size: 3 stride: 2")
    text += layer("Deconvolution", "c", "u", "convolution_param { num_output: 2 kernel_size: 3"
                  " stride: 2 }") + layer("Eltwise", "data u", "sum")  # fmt: skip
    sampler, network = sampled(tmp_path, text)
    assert sampler.steps == {"height": 2, "width": 2}
    assert all(h % 2 == w % 2 == 1 for ((_, _, h, w),) in shapes_in(network.module))


def two_inputs(second: str) -> str:
    other = f'layer {{ name: "o" type: "Input" top: "o" input_param {{ shape {{ {second} }} }} }}'
    return data_layer(4, 3, 8, 8) + other


def test_inputs_of_one_size_are_smaller_together(tmp_path: Path) -> None:
    text = two_inputs("dim: 4 dim: 3 dim: 8 dim: 8") + layer("Eltwise", "data o", "sum")
    sampler, network = sampled(tmp_path, text)
    assert sampler.free == {"batch": 4, "height": 8, "width": 8}
    assert all(one == two for one, two in shapes_in(network.module))


def test_an_input_of_another_size_stays(tmp_path: Path) -> None:
    text = two_inputs("dim: 4 dim: 3 dim: 5 dim: 6")
    text += conv("data", "c", 2) + conv("o", "e", 2)
    sampler, network = sampled(tmp_path, text)
    assert sampler.free == {"batch": 4, "height": 8, "width": 8}
    for one, two in shapes_in(network.module):
        assert one[0] == two[0]
        assert two[1:] == (3, 5, 6)


def test_an_input_of_rank_2_has_a_batch_only(tmp_path: Path) -> None:
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 6 } } }'
    sampler, network = sampled(tmp_path, text + product("x", "fc"))
    assert sampler.free == {"batch": 4}
    assert sampler.fixed == {}
    assert {len(shape) for each in shapes_in(network.module) for shape in each} == {2}


def test_inputs_of_both_ranks(tmp_path: Path) -> None:
    text = two_inputs("dim: 4 dim: 6") + conv("data", "c", 2) + product("o", "fc")
    sampler, network = sampled(tmp_path, text)
    assert sampler.free == {"batch": 4, "height": 8, "width": 8}
    for one, two in shapes_in(network.module):
        assert one[0] == two[0]
        assert two[1:] == (6,)


def test_an_input_that_no_layer_reads(tmp_path: Path) -> None:
    text = two_inputs("dim: 4 dim: 3 dim: 8 dim: 8") + conv("data", "c", 2)
    sampler, network = sampled(tmp_path, text)
    assert sampler.free == {"batch": 4, "height": 8, "width": 8}
    assert len(sampler.largest) == 2
    assert {len(each) for each in shapes_in(network.module)} == {1}


def test_a_dimension_of_1_is_fixed(tmp_path: Path) -> None:
    sampler, network = sampled(tmp_path, data_layer(1, 2, 1, 8) + conv("data", "c", 4))
    assert sampler.free == {"width": 8}
    assert sampler.fixed == {"batch": "the largest is 1", "height": "the largest is 1"}
    assert {tuple(each) for each in varied(network)} == {("width",)}


def test_what_is_fixed_before_has_no_samples(tmp_path: Path) -> None:
    text = data_layer(3, 2, 9, 8) + conv("data", "c", 4)
    sampler, network = sampled(tmp_path, text, {"height": "so it is"})
    assert sampler.free == {"batch": 3, "width": 8}
    assert sampler.fixed == {"height": "so it is"}
    assert {each[2] for (each,) in shapes_in(network.module)} == {9}


def test_the_seed_chooses_the_samples(tmp_path: Path) -> None:
    text = data_layer(8, 2, 64, 64) + conv("data", "c", 4)
    found = [shapes_in(sampled(tmp_path, text, seed=seed)[1].module) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_dimensions_that_are_free_only_one_at_a_time(tmp_path: Path) -> None:
    text = data_layer(1, 2, 12, 10) + conv("data", "c", 4)
    model, weight = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(text)
    weight.write_bytes(random_weights(model, 1).SerializeToString())
    load = loader(model, weight)

    def refusing(shapes: list[Shape]) -> Network:
        if shapes[0][2] < 12 and shapes[0][3] < 10:
            raise UnsupportedError("net.prototxt:9: not both")
        return load(shapes)

    network = load(None)
    sampler = Sampler(refusing, list(network.input_shapes))
    sampler.sampled(network)
    assert sampler.free == {"height": 12}
    assert sampler.fixed["width"] == "net.prototxt:9: not both"
    assert {tuple(names) for names in varied(network)} == {("height",)}
