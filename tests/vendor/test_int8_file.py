"""The public INT8 deploy prototxt, whose BatchNorm and Scale layers are not merged into the
convolutions: it compiles with an int8umodel that keeps them, and so does the folded form.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import bmnetu
from bmnetu.frontend import write_umodel
from bmnetu.frontend.ufw_pb2 import NetParameter
from tests.bench.accuracy import fitted_weights
from tests.vendor.networks import models, on_vendor

INT8_SCALE = 46.774544
"""What the prototxt says of its input."""
SAMPLES = 4
SOFTMAX_TOLERANCE = 1e-6
"""Less than what one step of an integer score changes in any of the probabilities."""


@dataclass(frozen=True)
class Int8Files:
    """A prototxt and its int8umodel."""

    prototxt: Path
    umodel: Path


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Int8Files]:
    """Random weights whose BatchNorm statistics fit their data, calibrated in both ways."""
    folder = tmp_path_factory.mktemp("int8")
    deploy = models() / "prototxt" / "mobilenet_deploy_int8_unique_top.prototxt"
    images = np.random.default_rng(0).standard_normal((SAMPLES, 3, 224, 224), np.float32)
    images = np.clip(images, -127 / INT8_SCALE, 127 / INT8_SCALE)
    write_umodel(folder / "net.fp32umodel", fitted_weights(deploy, images))
    np.save(folder / "data.npy", images)
    found: dict[str, Int8Files] = {}
    for form, keep_bn in (("unmerged", True), ("folded", False)):
        made = bmnetu.calibrate(deploy, folder / "net.fp32umodel", folder / "data.npy",
                                folder / form, th_method="MAX", keep_bn=keep_bn,
                                equalize=False, adaptive_rounding=False)  # fmt: skip
        found[form] = Int8Files(deploy if keep_bn else made.prototxt, made.umodel)
    return found


@pytest.mark.parametrize(("form", "norms"), [("unmerged", 27), ("folded", 0)])
def test_the_umodel_keeps_the_layers_or_not(
    form: str, norms: int, forms: dict[str, Int8Files]
) -> None:
    net = NetParameter.FromString(forms[form].umodel.read_bytes())
    for kind, count in (("BatchNorm", norms), ("Scale", norms), ("Convolution", 28)):
        blobs = [layer.blobs[0] for layer in net.layer if layer.type == kind]
        assert len(blobs) == count
        assert all(len(blob.int32_data) and not blob.data for blob in blobs)


@pytest.mark.parametrize("opt", [0, 2])
@pytest.mark.parametrize("form", ["unmerged", "folded"])
def test_it_compiles_and_the_runtime_agrees(
    form: str, opt: int, forms: dict[str, Int8Files], tmp_path: Path
) -> None:
    """The compare ends the compilation when the NPU model differs from the CPU reference."""
    files = forms[form]
    result = bmnetu.compile(files.prototxt, files.umodel, tmp_path, prec="INT8", opt=opt)
    assert result.notes == ()  # of another int8_scale, for one
    assert result.layers
    real, replayed = on_vendor(result, seed=opt)
    assert real <= SOFTMAX_TOLERANCE
    assert replayed <= SOFTMAX_TOLERANCE
