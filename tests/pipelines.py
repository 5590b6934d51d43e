"""The passes of the static way for a few settings, as tests use them."""

from __future__ import annotations

from typing import Any

from xdsl.passes import ModulePass

from bmnetu.options import PassOptions
from bmnetu.pipeline import pipeline_text
from bmnetu.ways.static import STATIC


def static_passes(
    opt: int, prec: str, *, verify: bool = False, **options: Any
) -> tuple[ModulePass, ...]:
    """New passes; ``options`` are other fields of PassOptions."""
    return STATIC.passes(PassOptions(opt=opt, prec=prec, cmp=verify, **options))


def static_text(opt: int, prec: str, *, verify: bool = False, **options: Any) -> str:
    """The same as text."""
    return pipeline_text(static_passes(opt, prec, verify=verify, **options))
