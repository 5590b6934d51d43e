"""What to do about a known layer type that cannot be compiled: one table."""

from __future__ import annotations

from collections.abc import Iterable

from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.names import shown

_UNKNOWN = "is in no public Caffe that is known, so what its parameters mean is not known either"
_PICKS = "DetectionOutput and Proposal pick boxes that do not overlap"

REFUSED: dict[str, str] = {
    "RefineDetDetectionOutput": f"{_UNKNOWN}; that of RefineDet itself is a DetectionOutput with"
    " five bottoms, which can be compiled",
    "NMS": f"{_UNKNOWN}; {_PICKS}",
    "Sort": f"{_UNKNOWN}; a TopK of all numbers sorts them, the largest first",
    "Python": "is code in Python (PadTensor, Eltwise, darknet_reorg and the ProposalLayer of"
    " rpn.proposal_layer are known, see prototxt.md)",
    "CTCGreedyDecoder": "picks the largest class of every step and drops repeated ones; at the end"
    " of a net it is left out, with a note",
    "CTCDecoder": "picks the best sequence of classes",
}
"""Layers whose work depends on their data, and which cannot be compiled, with the reason."""

_BEFORE = (
    "remove these layers and all behind them (-output_whitelist names the blobs to end with), and"
    " compute them in your program"
)


def advice_on(kind: str) -> str:
    """What to do about an unknown layer type."""
    if kind in REFUSED:
        return f"{REFUSED[kind]}: {_BEFORE}"
    return (
        "no such layer is known (bmnetu -list_ops lists all): write it with others, or bring it as"
        " a plug-in"
    )


def code_of(param: LayerParameter) -> str:
    """`` of MODULE.CLASS`` of a Python layer, else nothing."""
    python = param.python_param
    if param.type != "Python" or not (python.module or python.layer):
        return ""
    return f" of {shown(f'{python.module}.{python.layer}')}"


def advice_lines(kinds: Iterable[str]) -> list[str]:
    """A line for each text of advice, with the types that it is for."""
    groups: dict[str, list[str]] = {}
    for kind in dict.fromkeys(kinds):
        groups.setdefault(advice_on(kind), []).append(kind or '""')
    return [f"{', '.join(names)}: {text}" for text, names in groups.items()]
