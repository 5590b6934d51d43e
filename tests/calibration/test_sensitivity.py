"""What a layer alone costs, and the layers that stay float for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bmnetu.calibration.accuracy import float_choice
from bmnetu.calibration.accuracy.sensitivity import Cost
from bmnetu.calibration.int8.quantized_net import layer_name
from bmnetu.errors import AccuracyError
from dialects.blob import Array
from tests.calibration.harness import Calibrated, Files, batch, cosine, data_layer, layer
from tests.networks import random_weights

CONV = "convolution_param { num_output: 8 kernel_size: 3 pad: 1 }"
DATA = data_layer(1, 8, 10, 10)
BOUNDED = "".join(
    [
        DATA,
        layer("Convolution", "data", "a", CONV),
        layer("ReLU", "a", "ar"),
        layer("Convolution", "ar", "b", CONV),
        layer("TanH", "b", "t"),
        layer("Eltwise", "ar t", "e"),
        layer("Convolution", "e", "c", CONV),
        layer("ReLU", "c", "cr"),
        layer("InnerProduct", "cr", "f", "inner_product_param { num_output: 10 }"),
    ]
)
"""What Convolution_b makes is bounded by the TanH behind it; no channels can be equalised."""
CHAIN = "".join(
    [
        DATA,
        layer("Convolution", "data", "a", CONV),
        layer("ReLU", "a", "ar"),
        layer("Convolution", "ar", "b", CONV),
        layer("ReLU", "b", "br"),
        layer("Concat", "br ar", "j"),
        layer("Convolution", "j", "c", CONV),
        layer("ReLU", "c", "cr"),
        layer("InnerProduct", "cr", "f", "inner_product_param { num_output: 10 }"),
    ]
)
BAD, FACTOR = "Convolution_b", 100


def planted(folder: Path, text: str) -> Files:
    """A net whose layer BAD has one output channel 100 times larger."""
    weights = random_weights(text, seed=1)
    for each in weights.layer:
        if each.name == BAD:
            array = np.array(each.blobs[0].data).reshape(8, -1)
            array[3] *= FACTOR
            each.blobs[0].data[:] = array.ravel()
    return Files.of(folder, text, weights)


def unseen(found: Calibrated) -> float:
    """The cosine of the output on data that the calibration has not seen."""
    data = found.files.samples(12, seed=7)
    pairs = [(found.float_outputs(b)["f"], found.int8_outputs(b)["f"])
             for b in (batch(data, i) for i in range(12))]  # fmt: skip
    return cosine(*(np.concatenate(each) for each in zip(*pairs, strict=True)))


def test_a_planted_layer_is_named_first_and_one_float_layer_repairs_it(tmp_path: Path) -> None:
    files = planted(tmp_path, BOUNDED)
    data = files.samples()
    before = files.calibrate(data, sensitivity=True)
    assert before.result.float_layers == ()
    costs = before.result.costs
    assert costs[0].part.name == BAD
    assert costs[0].sqnr < costs[1].sqnr - 10
    assert [layer_name(op) for op in costs[0].part.layers] == [BAD, "TanH_t"]
    ranking = [line.split() for line in before.lines if line.split()[0].isdigit()]
    assert [row[1] for row in ranking] == [cost.part.name for cost in costs]
    after = files.calibrate(data, float_budget=1, outdir=tmp_path / "mixed")
    assert after.result.float_layers == (BAD, "TanH_t")
    marked = [name for name, each in after.layers().items() if each.forward_with_float]
    assert marked == [BAD, "TanH_t"]
    assert after.result.prototxt.read_text().count("forward_with_float: true") == 2
    assert f"float layers: {BAD}, TanH_t" in after.lines
    assert unseen(before) < 0.9
    assert unseen(after) > 0.997


def test_without_a_bad_layer_the_ranking_has_no_outlier(tmp_path: Path) -> None:
    files = Files.of(tmp_path, BOUNDED)
    costs = files.calibrate(files.samples(8), sensitivity=True).result.costs
    assert min(cost.sqnr for cost in costs) > 25


def test_a_layer_whose_readers_round_it_again_takes_them_along(tmp_path: Path) -> None:
    files = planted(tmp_path, CHAIN)
    found = files.calibrate(files.samples(8), float_budget=2, equalize=False)
    assert found.result.costs[0].part.name == BAD
    assert f"{BAD} and Convolution_c in float" in "".join(found.lines)
    assert found.result.float_layers == (BAD, "ReLU_br", "Convolution_c", "ReLU_cr")
    assert unseen(found) > 0.998


def test_an_input_is_float_together_with_its_readers(tmp_path: Path) -> None:
    """One pixel of a thousand is a hundred times the others: eight bits hold either."""
    files = Files.of(tmp_path, CHAIN)
    data = files.samples(8)
    data["data"].reshape(-1)[::997] *= 100
    found = files.calibrate(data, float_budget=1, th_method="MAX")
    assert found.result.costs[0].part.name == "data"
    assert "data and Convolution_a in float" in "".join(found.lines)
    assert "float layers: data, Convolution_a, ReLU_ar" in found.lines
    assert found.records()["data"].is_float
    assert found.layers()["data"].forward_with_float
    assert found.result.float_layers == ("Convolution_a", "ReLU_ar")


def test_a_target_that_is_reached_needs_no_float_layer(tmp_path: Path) -> None:
    files = Files.of(tmp_path, BOUNDED)
    found = files.calibrate(files.samples(4), target_cosine=0.99)
    assert found.result.float_layers == ()
    assert "float layers: none" in found.lines


def test_where_single_layers_do_not_help_the_worst_are_float_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(float_choice, "LEAST_GAIN", 1.0)
    files = planted(tmp_path, CHAIN)
    data = files.samples(8)
    costs = files.calibrate(data, sensitivity=True).result.costs
    found = files.calibrate(data, target_cosine=0.9999)
    chosen = found.result.float_layers
    count = next(n for n in range(1, len(costs)) if floats_of(costs[:n]) == set(chosen))
    assert 1 < count < len(costs)
    assert any(line.startswith(f"the {count} worst in float") for line in found.lines)
    assert unseen(found) > 0.998
    layers = sum(1 for cost in costs[:count] if cost.part.layers)
    with pytest.raises(AccuracyError, match=f"at most {layers - 1} layers"):
        files.calibrate(data, target_cosine=0.9999, float_budget=layers - 1)


def floats_of(costs: Sequence[Cost]) -> set[str]:
    return {layer_name(op) for cost in costs for op in cost.part.layers}


def test_a_target_out_of_reach_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    files = planted(tmp_path, BOUNDED)
    with pytest.raises(AccuracyError, match=f"is the best, with 1 of at most 1 .*{BAD}") as caught:
        files.calibrate(files.samples(4), target_cosine=0.99999, float_budget=1)
    assert caught.value.exit_code == 5
    assert not (tmp_path / "out").exists()


def rounded(x: Array, threshold: float) -> Array:
    return np.clip(np.rint(x * np.float32(127 / threshold)), -128, 127)


def test_the_cost_of_one_layer_is_its_own_error(tmp_path: Path) -> None:
    """Only weights, bias and result are rounded; the error of the rounded input is the input's."""
    text = data_layer(1, 6) + layer(
        "InnerProduct", "data", "f", "inner_product_param { num_output: 4 }"
    )
    files = Files.of(tmp_path, text)
    data = files.samples(20)
    found = files.calibrate(data, sensitivity=True, th_method="MAX")
    blobs = found.layers()["InnerProduct_f"].blobs
    weights = np.array(blobs[0].int32_data or list(blobs[0].data)).reshape(4, 6)
    bias, shift = np.array(blobs[1].int32_data), blobs[0].right_shift_num
    floats = random_weights(files.model, seed=1).layer[-1].blobs
    real, offset = np.array(floats[0].data).reshape(4, 6), np.array(floats[1].data)
    thresholds = found.result.thresholds
    x = data["data"][:20]  # as many samples as the calibration looks at
    q = rounded(x, thresholds["data"])
    sums = q @ weights.T + bias
    y = np.clip(np.floor(sums / 2.0**shift + 0.5), -128, 127) * (thresholds["f"] / 127)
    back = q * (thresholds["data"] / 127)
    expected = x @ real.T + offset
    noise = {"InnerProduct_f": y - (back @ real.T + offset), "data": (back - x) @ real.T}
    for cost in found.result.costs:
        sqnr = 10 * np.log10(np.sum(expected**2) / np.sum(noise[cost.part.name] ** 2))
        assert cost.sqnr == pytest.approx(sqnr, abs=0.02)


def test_the_result_does_not_depend_on_the_workers(tmp_path: Path) -> None:
    files = planted(tmp_path, BOUNDED)
    data = files.samples(4)
    flags = {"layer_table": True, "sensitivity": True}
    one = files.calibrate(data, outdir=tmp_path / "a", **flags)
    two = files.calibrate(data, outdir=tmp_path / "b", workers=2, **flags)
    assert one.lines == two.lines
    assert one.result.table is not None
    for path in (one.result.umodel, one.result.prototxt, one.result.table):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
