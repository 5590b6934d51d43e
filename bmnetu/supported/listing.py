"""``bmnetu -list_ops`` and docs/layers.md: every layer type and ONNX operator, from their tables.

``python -m bmnetu.supported.listing > docs/layers.md`` makes the page again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from bmnetu.frontend.layers.advice import REFUSED
from bmnetu.frontend.layers.importers import ANY, IMPORTERS, Importer, messages_of
from bmnetu.frontend.prototxt.custom import CUSTOM_MESSAGES
from bmnetu.frontend.prototxt.inputs import INPUT_TYPES
from bmnetu.frontend.prototxt.unknown import SILENT
from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.functions import FUNCTIONS
from dialects.host.ops import ALL_OPS as HOST_OPS
from dialects.host.ops import HostOp
from dialects.ufw.facts import LayerFacts

REPLACED = "replaced by"
"""How the limits of a layer begin that stands for others."""


@dataclass(frozen=True)
class LayerType:
    """One layer type: ``how`` it is computed in an INT8 net ("INT8", "FP32", "host" or
    "refused")."""

    name: str
    how: str
    computes: str
    bottoms: str
    tops: str
    parameters: tuple[str, ...]
    limits: str


def layer_types() -> list[LayerType]:
    """All layer types by name, those of plug-ins and the refused ones too."""
    found = [_of(name, importer) for name, importer in IMPORTERS.items()]
    found += [LayerType(name, "refused", what, "", "", (), "") for name, what in REFUSED.items()]
    return sorted(found, key=lambda each: each.name.lower())


def _of(name: str, importer: Importer) -> LayerType:
    op = importer.op
    integers = op is not None and op.has_integers is not LayerFacts.has_integers
    parameters = [text for message in messages_of(name) for text in _fields(message)]
    on_host = op is not None and issubclass(op, HostOp)
    return LayerType(
        name,
        "host" if on_host else "INT8" if integers else "FP32",
        _computes(name, importer),
        _count(importer.bottoms),
        _count(importer.tops),
        tuple(parameters),
        importer.limits,
    )


def _computes(name: str, importer: Importer) -> str:
    """A function's formula, or the first sentence on the op; nothing where a layer is replaced by
    others, as its limits say so."""
    for row in FUNCTIONS.values():
        if name in (row.layer, *row.aliases):
            return f"`{row.formula}`"
    if importer.limits.startswith(REPLACED):
        return ""
    text = " ".join(((importer.op and importer.op.__doc__) or "").split())
    text = re.sub(r":\w+:`[\w.]*?(\w+)`", r"`\1`", text)
    return re.split(r"\.(?= [A-Z`]|$)", text)[0].rstrip(".:").replace("``", "`")


def _count(allowed: tuple[int, int]) -> str:
    least, most = allowed
    if most == ANY:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _fields(message: str) -> list[str]:
    """``message: field = default`` for every field that has an effect."""
    if message in CUSTOM_MESSAGES:
        given = CUSTOM_MESSAGES[message].items()
        return [f"{message}: {name} = {value}" for name, value in given]
    kind = LayerParameter.DESCRIPTOR.fields_by_name[message].message_type
    fields = cast(list[FieldDescriptor], list(kind.fields) if kind else [])
    fields = [each for each in fields if each.name not in SILENT]
    return [f"{message}: {_field(each)}" for each in fields]


def _field(field: FieldDescriptor) -> str:
    """A field with its default, or with [] where it can be given several times."""
    if field.is_repeated:
        return f"{field.name}[]"
    if field.enum_type is not None:
        words = [value.name for value in field.enum_type.values]
        default = field.enum_type.values_by_number[field.default_value].name
        words.remove(default)
        return f"{field.name} = {'|'.join([default, *words])}"
    if not field.has_default_value:
        return field.name
    value = field.default_value
    if isinstance(value, float):
        value = float(str(np.float32(value)))  # the digits of a float32
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{field.name} = {text.lower() if isinstance(value, bool) else text}"


def operators() -> list[str]:
    """The ONNX operators by name; raises ImportError without the onnx package."""
    from bmnetu.frontend.onnx.operators.table import all_operators

    return sorted(all_operators())


def text() -> str:
    """A line a layer type, then the ONNX operators."""
    rows = [(each.name, each.how, "; ".join(_grouped(each.parameters))) for each in layer_types()]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:{width}}  {how:7}  {fields}".rstrip() for name, how, fields in rows]
    return "\n".join([*lines, f"inputs: {', '.join(INPUT_TYPES)}", _operator_line()])


def _operator_line() -> str:
    try:
        return f"ONNX: {', '.join(operators())}"
    except ImportError:
        return "ONNX: pip install 'bmnetu[onnx]' lists the operators"


def as_json() -> str:
    """The same as JSON: layers, inputs, onnx."""
    try:
        known = operators()
    except ImportError:
        known = []
    layers = [asdict(each) for each in layer_types()]
    return json.dumps({"layers": layers, "inputs": INPUT_TYPES, "onnx": known}, indent=2)


def _grouped(parameters: Iterable[str]) -> list[str]:
    """``message { field, field }``."""
    groups: dict[str, list[str]] = {}
    for each in parameters:
        message, _, field = each.partition(": ")
        groups.setdefault(message, []).append(field)
    return [f"{message} {{ {', '.join(fields)} }}" for message, fields in groups.items()]


HEAD = """\
# Layers

Every layer type that a prototxt can have, and every ONNX operator. `bmnetu -list_ops` prints the
same, and `bmnetu -check -model=NET` says of a network which of its layers can be compiled. This
page is made by `python -m bmnetu.supported.listing > docs/layers.md`.

In an INT8 net a layer computes in 8 bits ("INT8"), or in float ("FP32"): then converters stand
around it. In a float net all layers compute in float. A layer "on the host" is computed by the
runtime on the host's processor, in float: it is part of the bmodel, and the network may go on
behind it on the NPU.
Every layer can also have `forward_with_float`, `th_strategy`, `th_scale` and `threshold`, see
[calibration.md](calibration.md), and fields that have no effect, see [prototxt.md](prototxt.md).
A field with `[]` can be given several times; behind `=` stands its default, of several words the
first.

| layer | in an INT8 net | computes | bottoms | tops | parameters | limits |
|---|---|---|---|---|---|---|
"""


HOW = {"host": "on the host"}


def page() -> str:
    """docs/layers.md."""
    rows = [_row(each) for each in layer_types() if each.how != "refused"]
    refused = [f"| {name} | {what} |" for name, what in REFUSED.items()]
    return "\n".join([
        HEAD + "\n".join(rows),
        "",
        "## Inputs",
        "",
        f"{', '.join(INPUT_TYPES)}: see [prototxt.md](prototxt.md).",
        "",
        "## Known, and not compiled",
        "",
        "| layer | what it does |",
        "|---|---|",
        *refused,
        "",
        "## Operations on the host",
        "",
        HOST_HEAD + "\n".join(map(_host_row, HOST_OPS)),
        "",
        "## ONNX operators",
        "",
        f"{', '.join(operators())}. See [onnx.md](onnx.md).",
        "",
    ])


HOST_HEAD = """\
What the runtime's host library computes, by the operation's number in the bmodel: layers above are
made of some of these. Inputs in brackets can be left out. The struct: offset, type and name of each
parameter.

| operation | number | inputs | outputs | struct |
|---|---|---|---|---|
"""


def _host_row(op: type[HostOp]) -> str:
    """A host op as it is declared."""
    layer = op.LAYER
    inputs, outputs = (
        ", ".join(f"({name})" if i >= len(names) - optional else name
                  for i, name in enumerate(names))
        for names, optional in (
            (layer.inputs, layer.optional), (layer.outputs, layer.optional_outputs)
        )
    )  # fmt: skip
    struct = layer.struct.text() or "none"
    return f"| {op.name} | {layer.number} | {inputs} | {outputs} | {struct} |"


def _row(each: LayerType) -> str:
    parameters = "; ".join(f"`{group}`" for group in _grouped(each.parameters))
    cells: Sequence[str] = (
        each.name, HOW.get(each.how, each.how), each.computes, each.bottoms, each.tops, parameters,
        each.limits,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(page(), end="")
