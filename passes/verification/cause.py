"""Why a layer differs: a table of rules, each a pattern that a kind of fault leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dialects.bm1684.chip import BM1684
from passes.verification.explanation import UNWRITTEN, Cause, shared_memory
from passes.verification.pattern import Pattern, listed


@dataclass(frozen=True)
class Facts:
    """What is known beside the two tensors. ``weights``, ``bias``: whether the layer has
    such. ``varies``: whether the tensor changes with the noise in unwritten memory. ``overlap``: a
    sentence about memory that another tensor overwrote, "" where there is none."""

    weights: bool = False
    bias: bool = False
    varies: bool = False
    overlap: str = ""


@dataclass(frozen=True)
class Rule:
    """A cause, when it is likely, and its phrase."""

    name: str
    holds: Callable[[Pattern, Facts], bool]
    phrase: Callable[[Pattern, Facts], str]


def _channels(pattern: Pattern) -> str:
    return listed("channel", pattern.channels) if pattern.few_channels else "all channels"


def _band(pattern: Pattern) -> str:
    """The images or rows that alone are wrong, or ""."""
    for axis, name in ((0, "image"), (2, "row")):
        found = pattern.touched(axis)
        if found and 2 * len(found) <= pattern.wrong.shape[axis]:
            return listed(name, found)
    return ""


RULES = (
    Rule(
        "shared memory",
        lambda p, f: bool(f.overlap),
        lambda p, f: shared_memory(f.overlap).phrase,
    ),
    Rule(
        UNWRITTEN.cause.name,
        lambda p, f: f.varies,
        lambda p, f: UNWRITTEN.cause.phrase,
    ),
    Rule(
        "bias",
        lambda p, f: f.bias and p.offset is not None,
        lambda p, f: f"the bias of {_channels(p)}: the error is the same everywhere in a channel,"
        f" {p.offset:g} in channel {p.worst_channel}",
    ),
    Rule(
        "shift",
        lambda p, f: not p.is_float and p.factor is not None,
        lambda p, f: f"the shift of {_channels(p)}: the NPU has 2^{p.factor} times the CPU's"
        f" numbers, so it shifts by {abs(p.factor or 0)} too"
        f" {'few' if (p.factor or 0) > 0 else 'many'}",
    ),
    Rule(
        "coefficient",
        lambda p, f: p.is_float and p.factor is not None,
        lambda p, f: f"a coefficient that multiplies {_channels(p)}: the NPU has 2^{p.factor} times"
        " the CPU's numbers",
    ),
    Rule(
        "offset",
        lambda p, f: p.offset is not None,
        lambda p, f: "an added constant: the error is the same everywhere in a channel,"
        f" {p.offset:g} in channel {p.worst_channel}",
    ),
    Rule(
        "saturation",
        lambda p, f: p.saturated >= 0.5,
        lambda p, f: f"saturation: {p.saturated:.0%} of the wrong elements are at the limit of"
        f" {p.npu.dtype} on the NPU and not on the CPU, as where a shift or a multiplier is too"
        " large",
    ),
    Rule(
        "weights",
        lambda p, f: f.weights and p.few_channels,
        lambda p, f: f"the weights {'or the bias ' if f.bias else ''}of {_channels(p)}: all other"
        " channels are right",
    ),
    Rule(
        "part",
        lambda p, f: bool(_band(p)),
        lambda p, f: f"how the layer is cut into parts: only {_band(p)} of it are wrong",
    ),
    Rule(
        "lanes",
        lambda p, f: bool(p.channels) and 4 * len(p.lanes) <= min(p.wrong.shape[1], BM1684.lanes),
        lambda p, f: f"how channels lie in local memory: only {listed('lane', p.lanes)} have wrong"
        " elements",
    ),
    Rule(
        "memory",
        lambda p, f: p.garbage,
        lambda p, f: "the wrong operand, or memory that something else overwrote: the wrong"
        " elements have nothing to do with the right ones",
    ),
    Rule(
        "weights",
        lambda p, f: f.weights,
        lambda p, f: "the weights, or the arithmetic of the whole layer: the wrong elements"
        " follow no simple pattern",
    ),
    Rule(
        "arithmetic",
        lambda p, f: True,
        lambda p, f: "the layer's arithmetic: the wrong elements follow no simple pattern",
    ),
)
"""In the order in which they are asked; the last one always holds."""


def cause_of(pattern: Pattern, facts: Facts) -> Cause:
    """The first cause that fits."""
    rule = next(rule for rule in RULES if rule.holds(pattern, facts))
    return Cause(rule.name, rule.phrase(pattern, facts))
