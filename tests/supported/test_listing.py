"""``bmnetu -list_ops`` and docs/layers.md."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bmnetu.cli import main
from bmnetu.frontend.layers.advice import REFUSED
from bmnetu.frontend.layers.importers import IMPORTERS, PARAMETERS, messages_of
from bmnetu.supported import listing

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"
MAKE = "run python -m bmnetu.supported.listing > docs/layers.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == listing.page(), MAKE


def test_every_row_states_its_op_and_known_messages() -> None:
    for name, importer in IMPORTERS.items():
        assert importer.op is not None, name
        assert set(messages_of(name)) <= set(PARAMETERS), name


def test_no_layer_is_both_compiled_and_refused() -> None:
    assert REFUSED.keys().isdisjoint(IMPORTERS)


def test_all_layers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-list_ops"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines[:-2]} == IMPORTERS.keys() | REFUSED.keys()
    assert main(["-list_ops", "-json"]) == 0
    found = json.loads(capsys.readouterr().out)
    convolution = next(each for each in found["layers"] if each["name"] == "Convolution")
    assert convolution["how"] == "INT8"
    assert "convolution_param: group = 1" in convolution["parameters"]
    assert "Conv" in found["onnx"]
