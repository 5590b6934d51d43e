"""The page: template, style, scripts and data in one file that loads nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from math import isfinite
from string import Template
from typing import Any, cast

SCRIPTS = ("core.js", "graph.js", "table.js", "time.js", "calibration.js", "main.js")
STATES = {True: ("passed", "✓"), False: ("failed", "✕"), None: ("unknown", "!")}
DIGITS = 6
"""Significant digits of the numbers in the data."""


Figure = tuple[str, str, str]
"""A name, a value with its unit, a remark."""


@dataclass(frozen=True)
class Verdict:
    """What the page says first: whether all is well (None: that
    is not known, or not quite), a headline, sentences, and figures."""

    ok: bool | None
    headline: str
    sentences: Sequence[str]
    figures: Sequence[Figure] = ()


def page(title: str, verdict: Verdict, data: Mapping[str, Any]) -> bytes:
    """The file. ``data`` are plain values for the scripts. Names in both may be any strings."""
    style, script = _asset("style.css"), "".join(map(_asset, SCRIPTS))
    text = Template(_asset("template.html")).substitute(
        title=escape(title),
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)};"
        f" script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        verdict=_verdict(verdict),
        data=_embedded(data),
    )
    return text.encode("utf-8", "backslashreplace")


def _asset(name: str) -> str:
    return (files("bmnetu.report.html") / "assets" / name).read_text("utf-8")


def _hash(text: str) -> str:
    """As a content security policy names a script: no other one runs."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(data: Mapping[str, Any]) -> str:
    """JSON that ends no element and opens none, whatever strings it holds."""
    text = json.dumps(_plain(data), separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value: object) -> object:
    """Values that JSON has: floats with few digits, null for those that are not finite."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if isfinite(value) else None
    if isinstance(value, Mapping):
        items = cast(Mapping[object, object], value).items()
        return {str(key): _plain(each) for key, each in items}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast(Sequence[object], value)]
    return value


def _verdict(verdict: Verdict) -> str:
    """The first section; it is there without scripts, too."""
    state, mark = STATES[verdict.ok]
    figures = "".join(
        f"<div><dt>{escape(name)}</dt><dd><b>{escape(value)}</b>"
        f"<small>{escape(remark)}</small></dd></div>"
        for name, value, remark in verdict.figures
    )
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict.sentences)
    return (
        f'<div class="verdict {state}"><h2><span class="mark" aria-hidden="true">{mark}</span>'
        f'{escape(verdict.headline)}</h2>{sentences}</div><dl class="figures">{figures}</dl>'
    )
