"""Windows of a pooling are counted as the network counts them, at every size of the map."""

from __future__ import annotations

from pathlib import Path

import pytest

import bmnetu
from tests.calibration.harness import data_layer, layer
from tests.networks import random_weights


@pytest.mark.parametrize("kind", ["MAX", "AVE", "AVE_EXC_PAD"])
@pytest.mark.parametrize("rounding", ["CEIL", "FLOOR"])
@pytest.mark.parametrize("window", [(3, 2, 0), (3, 2, 1), (2, 2, 1), (5, 3, 2), (2, 1, 1)])
def test_height_and_width_stay_free(
    window: tuple[int, int, int], rounding: str, kind: str, tmp_path: Path
) -> None:
    kernel, stride, pad = window
    settings = f"pool: {kind} kernel_size: {kernel} stride: {stride} pad: {pad}"
    text = data_layer(1, 2, 21, 18) + layer(
        "Pooling", "data", "pool", f"pooling_param {{ {settings} round_mode: {rounding} }}"
    )
    model, weight = tmp_path / "net.prototxt", tmp_path / "net.fp32umodel"
    model.write_text(text)
    weight.write_bytes(random_weights(model, 1).SerializeToString())
    result = bmnetu.compile(model, weight, tmp_path / "out", dyn=True)
    assert result.free == {"height": 21, "width": 18}
    assert result.steps == {"height": 1, "width": 1}
    assert result.findings is not None
    assert len(result.findings.smaller) >= 4
