"""The parts of a report: places of the graph, bars of the timeline, local memory, colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bmnetu
from bmnetu.report.html.layout import COLUMN, ROW, layout
from bmnetu.report.html.memory import local_memory
from bmnetu.report.html.timeline import RESOLUTION, Timed, timeline
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles import Span
from dialects.bm1684.isa import ARITH, Eu, Instruction, Precision

STYLE = Path(bmnetu.__file__).parent / "report" / "html" / "assets" / "style.css"
READABLE = 4.5
"""The least contrast of text (WCAG 2, level AA)."""
TEXTS = ("text", "dim", "accent", "bad")
GROUNDS = ("bg", "card", "head", "hover", "sel", "okbg", "badbg")


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """What each node reads: earlier ones."""
    count = draw(st.integers(0, 25))
    return [
        draw(st.lists(st.integers(0, node - 1), unique=True, max_size=3)) if node else []
        for node in range(count)
    ]


@given(graphs())
def test_nodes_stand_below_what_they_read_and_apart(before: list[list[int]]) -> None:
    found = layout(before)
    assert len(found.places) == len(before)
    for node, sources in enumerate(before):
        for source in sources:
            assert found.places[source][1] + ROW <= found.places[node][1]
    for i, (x, y) in enumerate(found.places):
        assert 0 <= x <= found.width
        assert 0 <= y <= found.height
        assert all(abs(x - u) >= COLUMN - 1 for u, v in found.places[:i] if v == y)
    edges = [(source, node) for node, sources in enumerate(before) for source in sources]
    assert sorted((a, b) for a, b, _ in found.edges) == sorted(edges)
    for a, b, points in found.edges:
        rows = [found.places[a][1], *points[1::2], found.places[b][1]]
        assert rows == sorted(rows)


def test_a_chain_is_straight_and_a_branch_is_beside_it() -> None:
    chain = layout([[], [0], [1], [2]])
    assert len({x for x, _ in chain.places}) == 1
    diamond = layout([[], [0], [0], [1, 2]])
    assert diamond.places[1][1] == diamond.places[2][1]
    middle = (diamond.places[1][0] + diamond.places[2][0]) / 2
    assert diamond.places[0][0] == pytest.approx(middle, abs=1)
    assert diamond.places[3][0] == pytest.approx(middle, abs=1)


def copy(src: int, dst: int) -> Instruction:
    """A copy of 128 bytes in each lane."""
    return ARITH.build(
        tsk_eu_typ=Eu.COPY, tsk_opd_num=1, opt_res0_prec=Precision.FP32,
        opt_opd0_prec=Precision.FP32, opt_opd1_prec=Precision.FP32, res0_n=1, res0_c=64,
        res0_h=4, res0_w=8, res0_addr=BM1684.local_address(0, dst),
        opd0_addr=BM1684.local_address(0, src),
    )  # fmt: skip


def timed(*copies: tuple[int, int, int]) -> list[Timed]:
    """Copies (from, to, layer), ten cycles each, one after the other."""
    return [
        Timed(copy(src, dst), Span(10 * i, 10 * i + 10), layer)
        for i, (src, dst, layer) in enumerate(copies)
    ]


def test_local_memory_is_in_use_from_the_first_write_to_the_last_read() -> None:
    found = local_memory(timed((4096, 0, 0), (0, 256, 1), (0, 512, 2), (256, 1024, 3)))
    assert found["curve"] == [[0, 128], [10, 256], [20, 384], [30, 256], [40, 0]]
    assert (found["peak"], found["peak_at"], found["peak_layer"]) == (384, 20, 2)
    assert sorted(found["holders"]) == [[0, 128], [1, 128], [2, 128]]
    assert sorted(found["blocks"]) == [
        [0, 30, 0, 128, 0], [10, 30, 256, 128, 1], [20, 10, 512, 128, 2], [30, 10, 1024, 128, 3],
    ]  # fmt: skip
    assert found["left_out"] == 0


def test_memory_that_is_written_again_held_something_else_before() -> None:
    found = local_memory(timed((4096, 0, 0), (0, 256, 1), (4096, 512, 2), (4096, 0, 3)))
    assert sorted(found["blocks"]) == [
        [0, 20, 0, 128, 0], [10, 10, 256, 128, 1], [20, 10, 512, 128, 2], [30, 10, 0, 128, 3],
    ]  # fmt: skip
    assert local_memory([])["curve"] == []


def test_bars_are_the_layers_commands() -> None:
    commands = timed((0, 256, 0), (0, 256, 0), (0, 256, 1), (0, 256, 0))
    found = timeline(commands, 40)
    (bars,) = [each for each in found.values() if each]
    assert bars == [[0, 20, 0, 20, 2], [20, 10, 1, 10, 1], [30, 10, 0, 10, 1]]


def test_many_commands_become_few_bars() -> None:
    commands = timed(*((0, 256, i % 7) for i in range(20_000)))
    found = timeline(commands, 200_000)
    (bars,) = [each for each in found.values() if each]
    assert len(bars) <= 2 * RESOLUTION
    assert sum(bar[3] for bar in bars) == 200_000
    assert sum(bar[4] for bar in bars) == 20_000


def luminance(colour: str) -> float:
    """The relative luminance of #rgb or #rrggbb, as WCAG 2 defines it."""
    digits = colour.lstrip("#")
    digits = "".join(2 * c for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(pair: Sequence[str]) -> float:
    """Of two colours, 1 to 21."""
    low, high = sorted(map(luminance, pair))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_is_readable(theme: int) -> None:
    roots = re.findall(r":root\{([^}]*)\}", STYLE.read_text())
    colours = dict(re.findall(r"--(\w+):(#\w+)", roots[theme]))
    for text in TEXTS:
        for ground in GROUNDS:
            pair = colours[text], colours[ground]
            assert contrast(pair) >= READABLE, f"{text} on {ground}: {pair}"
    assert contrast((colours["card"], colours["accent"])) >= READABLE
