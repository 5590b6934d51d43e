"""The plain bytes of an image come four pixels a word, and are made words of strips on the chip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects.bm1684.isa import MOVE, Direction, Format, Instruction
from dialects.bm1684.npu import CommandOp
from passes.kernels.convolution import conv, packing
from passes.kernels.convolution.choice import PACKED, choose_fold
from passes.kernels.convolution.fold import AxisFold, Fold
from passes.kernels.convolution.packing import Packing
from passes.kernels.tiling import Axis
from tests.compiled import compiled
from tests.one_layer import one_layer
from tests.passes.kernels.test_strip_input import convolution

FORMS = [
    (1, 1, 1, 1),
    (1, 3, 1, 1),
    (2, 2, 1, 1),
    (2, 5, 1, 1),
    (1, 1, 2, 4),
    (2, 2, 2, 2),
    (2, 5, 1, 5),
]
"""Step and taps down, step and taps across."""
SHAPES = [((1, 3, 78, 64), 0), ((1, 1, 75, 61), 2), ((1, 4, 61, 70), 1)]
"""Images and padding: rows that are whole words, rows that are not, strips of fewer rows."""


def folded(
    form: tuple[int, ...], shape: tuple[int, ...], pad: int, monkeypatch: pytest.MonkeyPatch
) -> ModuleOp:
    """A convolution whose input is folded that way, for whatever it costs."""

    def forced(axes: tuple[Axis, Axis], weight: np.ndarray, *given: Any, **_: Any) -> Any:
        down, across = AxisFold(axes[0], *form[:2]), AxisFold(axes[1], *form[2:])
        return (Fold(weight.shape[1], down, across), -1) if given[-1] is PACKED else (None, 0)

    monkeypatch.setattr(conv, "choose_fold", forced)
    return one_layer(convolution(shape[1], (5, 5), 2, (pad,) * 4), shape, integer=True)


def loads(module: ModuleOp) -> list[Instruction]:
    """Those of bytes."""
    found = [op.instruction for op in module.walk() if isinstance(op, CommandOp)]
    moves = [i for i in found if i.kind is MOVE and i["direction"] == Direction.SYSTEM_TO_LOCAL]
    return [i for i in moves if i["src_data_format"] == Format.INT8]


@pytest.mark.parametrize(("shape", "pad"), SHAPES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form(
    form: tuple[int, ...], shape: tuple[int, ...], pad: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = folded(form, shape, pad, monkeypatch)
    findings = compiled(module, 2, "INT8")
    assert findings.ok, findings.verdict()
    found = loads(module)
    assert found
    assert all(i["dst_wstride"] == 1 for i in found)  # none goes to every fourth byte


@pytest.mark.parametrize("dilation", [(2, 2), (1, 2), (3, 1)])
@pytest.mark.parametrize("stride", [1, 3])
def test_dilated_windows_come_otherwise(
    stride: int, dilation: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though this form would cost nothing."""

    def free(*given: Any, **_: Any) -> tuple[None, int]:
        return None, -1 if given[-1] is PACKED else 0

    monkeypatch.setattr(conv, "choose_fold", free)
    build = convolution(3, (3, 3), stride, (0, 0, 0, 0), dilation)
    module = one_layer(build, (1, 3, 112, 112), integer=True)
    findings = compiled(module, 2, "INT8")
    assert findings.ok, findings.verdict()


@pytest.mark.parametrize("form", FORMS)
def test_bands_and_tiles(form: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Little space, so that there are many bands, in tiles of some rows and columns."""
    monkeypatch.setattr(packing, "SPACE", 1 << 14)
    module = folded(form, (1, 3, 90, 3000), 1, monkeypatch)
    findings = compiled(module, 2, "INT8")
    assert findings.ok, findings.verdict()


def test_what_does_not_fit_comes_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though this form would cost nothing: a row takes more than there is."""
    module = folded((1, 5, 1, 1), (1, 3, 24, 9000), 0, monkeypatch)
    assert compiled(module, 2, "INT8").ok
    assert all(i["dst_wstride"] > 1 for i in loads(module))


def test_rows_are_loaded_without_gaps_where_that_pays() -> None:
    """An image of three channels: three taps of rows, or two rows and no more, by what the network
    waits for."""
    axes = Axis(57, 28, 3, 2), Axis(224, 112, 3, 2, 1, 1)
    weight = np.zeros((32, 3, 3, 3), np.int8)
    both, _ = choose_fold(axes, weight, True, 1, False, PACKED)
    lean, _ = choose_fold(axes, weight, True, 1, False, PACKED, lean=True)
    assert both is not None
    assert lean is not None
    assert (both.folded_channels, lean.folded_channels) == (9, 6)
    (tiu, gdma), (more, less) = Packing.of(both).cycles, Packing.of(lean).cycles
    assert less < gdma
    assert more > 0 < tiu


@pytest.mark.parametrize(("width", "fits"), [(16, True), (900, True), (9000, False)])
@pytest.mark.parametrize("form", FORMS)
def test_bands_fit(form: tuple[int, ...], width: int, fits: bool) -> None:
    """In lanes and in memory, as far as one row does."""
    down, across = Axis(157, 77, 5, 2), Axis(width, (width - 5) // 2 + 1, 5, 2)
    fold = Fold(3, AxisFold(down, *form[:2]), AxisFold(across, *form[2:]))
    found = Packing.of(fold)
    assert found.fits == fits
    assert found.group * fold.folded_channels <= 64 or found.group == 1
    assert not found.moves or found.source_rows <= 64
