"""Texts of modules: types of the tile level have aliases."""

from __future__ import annotations

import re
from statistics import mean

import pytest

from bmnetu.files.dump import module_text
from bmnetu.files.module_text import parse_module
from bmnetu.pipeline import new_context, run_pipeline
from tests.pipelines import static_passes
from tests.random_nets import random_module

ALIAS = re.compile(r"^(!\w+) = (memref<.*>)$", re.MULTILINE)
FITS = 120
"""Characters of a line that fits a screen."""


@pytest.fixture(scope="module")
def text() -> str:
    """A network of many layers at the tile level."""
    module = random_module(5, True)
    run_pipeline(module, static_passes(2, "INT8", stop_after="tile"))
    return module_text(module)


def test_a_line_of_the_tile_level_fits_a_screen(text: str) -> None:
    lines = [line.partition(" loc(")[0] for line in text.splitlines() if " tile." in line]
    assert len(lines) > 100
    fitting = [len(line) <= FITS for line in lines]
    assert mean(fitting) > 0.95
    assert max(map(len, lines)) < 2 * FITS
    assert "memref" not in "".join(lines)


def test_every_alias_is_used_and_says_what_it_is(text: str) -> None:
    aliases = ALIAS.findall(text)
    assert len({name for name, _ in aliases}) == len({kind for _, kind in aliases}) == len(aliases)
    for name, kind in aliases:
        assert len(re.findall(rf"{name}\b", text)) > 1
        shape, place = re.fullmatch(r"memref<(\w+), .*, #tile\.place<(.*)>>", kind).groups()  # pyright: ignore
        words = place.removesuffix(" 0").replace(" ", "")
        assert re.fullmatch(rf"!{words}_{shape}(_\d+)?", name)


def test_types_read_back(text: str) -> None:
    module = parse_module(new_context(), text.encode(), "it.mlir")
    module.verify()
    assert module_text(module) == text


LAYOUTS = """
  %a = tile.alloc bytes 256 : memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 6, 1]>, #tile.place<lmem 0>>
  %b = tile.alloc bytes 512 : memref<1x8x6x6xf32, #tile.layout<tensor unit 4 pack 1 strides [64, 64, 8, 1]>, #tile.place<lmem 0>>
"""  # noqa: E501


def test_two_layouts_of_one_tensor_have_two_aliases() -> None:
    text = module_text(parse_module(new_context(), LAYOUTS.encode(), "it.mlir"))
    assert "%a = tile.alloc bytes 256 : !lmem_1x8x6x6xf32 loc" in text
    assert "%b = tile.alloc bytes 512 : !lmem_1x8x6x6xf32_2 loc" in text


def test_the_other_levels_have_none() -> None:
    assert "!" not in module_text(random_module(5, True)).partition("builtin.module")[0]
