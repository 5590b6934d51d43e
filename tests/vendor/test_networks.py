"""Trained and deployed networks: what we emit, on the real BMRuntime and in the replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vendor.networks import FLOAT_TOLERANCE, Job, compiled, on_vendor

BOTH = ("FP32", "INT8")
TRAINED = {
    **dict.fromkeys(("caffe/pnet", "caffe/rnet", "caffe/onet"), BOTH),
    **dict.fromkeys(("caffe/mtcnn_det2", "caffe/tpuperf_pnet"), ("INT8",)),
}
JOBS = [
    *(
        Job(network, prec, opt, batch)
        for network, precisions in TRAINED.items()
        for prec in precisions
        for opt, batch in ((0, 1), (1, 4))
    ),
    *(Job(network, "INT8", 2, batch) for network in list(TRAINED)[:3] for batch in (1, 4)),
    Job("caffe/onet", "INT8", 2, 21),
    Job("prototxt/mobilenet_v2_deploy", "INT8", 2, 1),
    Job("prototxt/squeezenet_v1.1_deploy", "INT8", 1, 4),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_the_vendor_computes_what_the_reference_computes(job: Job, work: Path) -> None:
    real, replayed = on_vendor(compiled(job, work), seed=job.batch)
    assert real <= FLOAT_TOLERANCE
    assert replayed <= FLOAT_TOLERANCE
