"""The binary files of the lit tests are what their script makes."""

from __future__ import annotations

import numpy as np

from bmnetu.frontend import Precision, load_network
from dialects.blob import Blob
from tests.broken import FILES
from tests.lit_inputs import BLOBS, PIPELINE, WEIGHTS
from tests.networks import random_weights


def test_the_constants() -> None:
    expected = {Blob.of(array).digest: array for array in BLOBS.values()}
    with np.load(WEIGHTS, allow_pickle=False) as archive:
        assert set(archive.files) == set(expected)
        assert all(Blob.of(archive[digest]).digest == digest for digest in expected)


def test_the_umodels() -> None:
    inputs = PIPELINE / "Inputs"
    made = random_weights(PIPELINE / "fp32.prototxt", 1).SerializeToString()
    assert (inputs / "fp32.fp32umodel").read_bytes() == made
    assert {path.name for path in inputs.iterdir()} == {weight for _, weight in FILES.values()}
    assert all(path.stat().st_size < 5000 for path in inputs.iterdir())
    for precision, (model, weight) in FILES.items():
        assert load_network(PIPELINE / model, inputs / weight).precision == Precision(precision)
