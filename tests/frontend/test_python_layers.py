"""Python layers whose code is known."""

from __future__ import annotations

import pytest

from bmnetu.frontend.prototxt.rewrite.python_layers import as_known
from bmnetu.frontend.ufw_pb2 import BinaryParameter, LayerParameter, PadParameter


def python(name: str, settings: str, bottoms: int = 1) -> LayerParameter:
    layer = LayerParameter(name="l", type="Python", bottom=["x", "y"][:bottoms], top=["t"])
    layer.python_param.module = "any"
    layer.python_param.layer = name
    layer.python_param.param_str = settings
    return layer


def test_pad() -> None:
    text = '{"pad_t": 3, "pad_b": 2, "pad_l": 1, "pad_r": 0, "pad_mode": "reflect"}'
    found = as_known(python("PadTensor", text))
    assert (found.type, found.name, list(found.bottom), list(found.top)) == (
        "Pad", "l", ["x"], ["t"]
    )  # fmt: skip
    pad = found.pad_param
    assert (pad.pad_t, pad.pad_b, pad.pad_l, pad.pad_r) == (3, 2, 1, 0)
    assert pad.mode == PadParameter.REFLECT


@pytest.mark.parametrize(
    ("number", "operation"),
    [(0, BinaryParameter.MUL), (1, BinaryParameter.ADD), (2, BinaryParameter.MAX)],
)
def test_eltwise(number: int, operation: BinaryParameter.Operation) -> None:
    found = as_known(python("Eltwise", f"{{'operation': {number}, 'coeff': [1, 1]}}", 2))
    assert found.type == "BroadcastBinary"
    assert found.broadcast_binary_param.operation == operation


def test_reorg() -> None:
    assert as_known(python("darknet_reorg", "")).reorg_param.stride == 2
    assert as_known(python("darknet_reorg", "{'stride': 4}")).reorg_param.stride == 4


@pytest.mark.parametrize(
    ("name", "settings", "bottoms"),
    [
        ("ProposalLayer", "{'feat_stride': 16}", 1),
        ("PadTensor", "{'pad_t': 'a'}", 1),
        ("PadTensor", "{'pad_t': 1, 'other': 2}", 1),
        ("PadTensor", "{'pad_mode': 'mirror'}", 1),
        ("PadTensor", "__import__('os')", 1),
        ("PadTensor", "(" * 5000, 1),
        ("PadTensor", "[1]", 1),
        ("Eltwise", "{'operation': 1, 'coeff': [1, 2]}", 2),
        ("Eltwise", "{'operation': 7}", 2),
    ],
)
def test_what_is_not_known_stays(name: str, settings: str, bottoms: int) -> None:
    layer = python(name, settings, bottoms)
    assert as_known(layer) is layer
