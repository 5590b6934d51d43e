"""The blocks of transfers: sizes as in the vendor's files and headers."""

from __future__ import annotations

from dialects.bm1684.record.transfers import KINDS

SIZES = (28, 28, 40, 40, 40, 48, 40, 40, 32, 48, 40, 32, 36, 48)


def test_blocks_have_their_sizes() -> None:
    assert [kind.number for kind in KINDS] == [*range(len(SIZES))]
    assert tuple(kind.struct.size for kind in KINDS) == SIZES
    assert all(kind.id in ("", *kind.struct.types) for kind in KINDS)
