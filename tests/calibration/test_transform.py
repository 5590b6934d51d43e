"""transform_param as a contract, and contracts in a umodel."""

from __future__ import annotations

import re

import pytest
from google.protobuf.text_format import Parse

from bmnetu.calibration.data.faults import MisfitError
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.calibration.data.transform import from_record, from_transform, to_record
from bmnetu.frontend.ufw_pb2 import TransformationParameter


def read(text: str) -> Preprocess:
    param = TransformationParameter()
    Parse(text, param)
    return from_transform(param)


READ = {
    "": Preprocess(),
    "scale: 0.5 mean_value: 104 mean_value: 117 mean_value: 123 mirror: true": Preprocess(
        mean=(104, 117, 123), scale=(0.5,)
    ),
    "crop_size: 224": Preprocess(crop=(224, 224)),
    "crop_h: 20 crop_w: 30 resize: 40 resize: 50": Preprocess((40, 50), (20, 30)),
    "resize: 256 force_gray: true": Preprocess((256,), color="gray"),
    "force_color: true": Preprocess(color="bgr"),
    "resize_param { height: 30 width: 40 interp_mode: LINEAR }": Preprocess((30, 40)),
    "transform_op { op: RESIZE resize_side: 256 } transform_op { op: CROP crop_h: 3 crop_w: 4 }"
    "transform_op { op: STAND mean_value: 1 scale: 2 scale: 3 scale: 4 bgr2rgb: true }": Preprocess(
        (256,), (3, 4), "rgb", (1,), (2, 3, 4)
    ),
    "transform_op { op: NONE } transform_op { op: RESIZE resize_h: 3 resize_w: 4 }": Preprocess(
        (3, 4)
    ),
}


@pytest.mark.parametrize("text", READ)
def test_what_is_read(text: str) -> None:
    assert read(text) == READ[text]


REFUSED = {
    'mean_file: "mean.binaryproto"': "mean_file of transform_param is not supported: give mean",
    "crop_fraction: 0.5": "crop_fraction of transform_param is not supported",
    "standardization: true": "standardization of transform_param",
    "noise_param { }": "noise_param of transform_param",
    "resize_param { resize_mode: FIT_SMALL_SIZE }": "resize_mode FIT_SMALL_SIZE",
    "resize_param { interp_mode: CUBIC }": "interp_mode of resize_param",
    "resize: [1, 2, 3]": "more than 2 numbers",
    "scale: 2 transform_op { op: NONE }": "has transform_op and scale; one can be",
    "transform_op { op: CROP } transform_op { op: RESIZE }": "once each, in this order",
    "transform_op { op: STAND } transform_op { op: STAND }": "once each, in this order",
    "transform_op { op: CROP crop_fraction: 0.9 }": "crop_fraction of transform_op",
    "transform_op { op: CROP padding: 9 }": "padding of transform_op",
    'transform_op { op: STAND mean_file: "x" }': "mean_file of transform_op",
    "transform_op { op: STAND div: 128 }": "div of transform_op is not supported: give scale",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_is_named(text: str) -> None:
    with pytest.raises(MisfitError, match=re.escape(REFUSED[text])):
        read(text)


@pytest.mark.parametrize(
    "contract",
    [
        Preprocess(),
        Preprocess((256,), (224, 224), "rgb", (104, 117, 123.68), (0.017,)),
        Preprocess(mean=(127.5,), scale=(1 / 3, -2, 1e-20)),
    ],
)
def test_a_record_gives_the_contract_back(contract: Preprocess) -> None:
    resolved = contract.resolved((1, 3, 224, 224))
    assert from_record(to_record(resolved)) == resolved
