"""Messages of plug-ins: the types of their fields, and how often each can be given."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdsl.utils.exceptions import VerifyException

from bmnetu.errors import InputFileError
from bmnetu.frontend.prototxt.custom import (
    CUSTOM_MESSAGES,
    Setting,
    custom_message,
    settings_of,
)
from bmnetu.frontend.prototxt.text import read_text
from bmnetu.frontend.ufw_pb2 import LayerParameter, NetParameter

FIELDS: dict[str, Setting] = {"on": False, "k": 3, "alpha": 0.5, "word": "a", "cuts": (1, 2)}


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CUSTOM_MESSAGES, "own_param", FIELDS)


def read(folder: Path, fields: str) -> dict[str, Setting]:
    path = folder / "net.prototxt"
    path.write_text(f'layer {{ name: "l" type: "Own"\nown_param {{ {fields} }} }}')
    net = NetParameter()
    assert not read_text(path, net).unknown
    again = NetParameter.FromString(net.SerializeToString())
    return settings_of(again.layer[0], "own_param")


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ("", {}),
        ("on: true", {"on": True}),
        ("k: -4", {"k": -4}),
        ("alpha: 2", {"alpha": 2.0}),
        ('word: "b"', {"word": "b"}),
        ("cuts: 5", {"cuts": (5,)}),
        ("cuts: 5 k: 1 cuts: 6", {"cuts": (5, 6), "k": 1}),
        ("cuts: [5, 6, 7]", {"cuts": (5, 6, 7)}),
    ],
)
def test_fields_have_the_type_of_their_default(
    tmp_path: Path, fields: str, given: dict[str, Setting]
) -> None:
    found = read(tmp_path, fields)
    assert found == FIELDS | given
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in FIELDS.items()
    }


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ("k: 2.5", "Couldn't parse integer: 2.5"),
        ("k: true", "Couldn't parse integer: true"),
        ("on: 7", 'Expected "true" or "false"'),
        ("alpha: x", "Couldn't parse float: x"),
        ("word: b", "Expected string"),
        ("k: 1 k: 2", "k is given twice"),
    ],
)
def test_other_values_are_errors(tmp_path: Path, fields: str, sentence: str) -> None:
    with pytest.raises(InputFileError, match=rf"net\.prototxt:2: .*{sentence}"):
        read(tmp_path, fields)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"other": 1}, "own_param has no field other"),
        ({"k": 2.5}, "own_param has another value for k than one int"),
        ({"k": (1, 2)}, "own_param has another value for k than one int"),
        ({"k": "a"}, "own_param has another value for k than one int"),
        ({"on": 2}, "own_param has another value for on than one bool"),
        ({"word": 3}, "own_param has another value for word than one str"),
        ({"cuts": (0.5,)}, "own_param has another value for cuts than one or more int"),
    ],
)
def test_a_layer_that_holds_other_values_is_refused(
    fields: dict[str, Setting], sentence: str
) -> None:
    param = LayerParameter(custom_param=[custom_message("own_param", fields)])
    with pytest.raises(VerifyException, match=sentence):
        settings_of(param, "own_param")
