"""Builds the ufw module of a net: one function, one op a layer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from typing import cast

from google.protobuf.message import Message
from xdsl.dialects.builtin import (
    ArrayAttr,
    FileLineColLoc,
    IntAttr,
    ModuleOp,
    NameLoc,
    StringAttr,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.utils.exceptions import VerifyException

from bmnetu.errors import InputFileError, UnsupportedError
from bmnetu.frontend.layers.advice import advice_lines, code_of
from bmnetu.frontend.layers.importers import ANY, IMPORTERS, PARAMETERS, messages_of
from bmnetu.frontend.layers.site import LayerSite, UnsupportedSetting
from bmnetu.frontend.prototxt.inputs import INPUT_TYPES, Input
from bmnetu.frontend.prototxt.layer import Layer
from bmnetu.frontend.prototxt.readings import readings
from bmnetu.frontend.prototxt.topology import Topology
from bmnetu.frontend.prototxt.unknown import OF_DATA, notes_of_unknown
from bmnetu.frontend.weights.blobs import BlobSource
from bmnetu.nearest import nearest
from bmnetu.note import Note
from dialects.names import quoted, shown
from dialects.ufw.ops import LayerOp, Top
from dialects.ufw.shapes import checked, require

NET_NAME = "bmnetu.net_name"
"""The module's attribute that holds the net's name."""
HINT_LENGTH = 40
"""Characters of a blob's name that the name of its value shows."""


def build_module(
    topology: Topology,
    inputs: Sequence[Input],
    source: BlobSource,
    kinds: Callable[[str], Top],
    net_name: str,
) -> ModuleOp:
    """The net as ufw ops; ``kinds`` gives the kind of numbers of each blob by its unique name.

    Where it fits together with another reading of some settings alone, the layers' messages get
    that. Raises :class:`UnsupportedError` that lists every layer whose type is not
    supported, or for the first layer whose shapes do not fit, and :class:`InputFileError` for a
    faulty file.
    """
    check_known(topology)
    try:
        return _build(topology, inputs, source, kinds, net_name)
    except UnsupportedError:
        for reading in readings(topology.layers):
            reading.take(second=True)
            try:
                return _build(topology, inputs, source, kinds, net_name)
            except UnsupportedError:
                reading.take(second=False)
        raise


def _build(
    topology: Topology,
    inputs: Sequence[Input],
    source: BlobSource,
    kinds: Callable[[str], Top],
    net_name: str,
) -> ModuleOp:
    block = Block(arg_types=[kinds(blob.name).type(input_shape(blob)) for blob in inputs])
    values: dict[str, SSAValue] = {}
    for blob, arg in zip(inputs, block.args, strict=True):
        arg.name_hint = _hint(blob.name)
        values[blob.name] = arg
    for layer in topology.layers:
        bottoms = [values[bottom] for bottom in layer.bottoms]
        op = import_layer(LayerSite(layer, bottoms, [kinds(t) for t in layer.tops], source))
        block.add_op(op)
        for top, result in zip(layer.tops, op.results, strict=True):
            result.name_hint = _hint(top)
            values[top] = result
    results = [values[output] for output in topology.outputs]
    block.add_op(ReturnOp(*results))
    types = ([arg.type for arg in block.args], [result.type for result in results])
    func = FuncOp("main", types, Region(block))
    func.attributes["input_names"] = _names(blob.name for blob in inputs)
    func.attributes["output_names"] = _names(topology.outputs)
    return ModuleOp([func], {NET_NAME: StringAttr(net_name)})


def check_known(topology: Topology) -> list[Note]:
    """Notes about unknown fields that have no effect.

    Raises one :class:`UnsupportedError` that lists every layer of an unknown type, and with them
    the unknown settings of the others; see :func:`notes_of_unknown` for those alone.
    """
    strangers = [layer for layer in topology.layers if layer.param.type not in IMPORTERS]
    types = IMPORTERS.keys() | set(INPUT_TYPES)
    if not strangers:
        return notes_of_unknown(topology.unknown, types) + foreign_notes(topology.layers)
    near = {kind: nearest(kind, types) for kind in {each.param.type for each in strangers}}
    hints = {kind: f", did you mean {found}?" if found else "" for kind, found in near.items()}
    lines = [
        f"{each.where}: layer {quoted(each.name)} ({shown(each.param.type)}{code_of(each.param)})"
        + hints[each.param.type]
        for each in strangers
    ]
    lines += [str(each) for each in topology.unknown if each.kind in types and each.is_error]
    counts = Counter(shown(each.param.type) for each in strangers)
    total = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    message = f"{len(strangers)} layer(s) have a type that cannot be compiled:"
    advice = advice_lines(each.param.type for each in strangers)
    raise UnsupportedError("\n  ".join([message, *lines, f"in all: {total}", *advice]))


def foreign_notes(layers: Sequence[Layer]) -> list[Note]:
    """A note for each known parameter that is of another layer type, and has no effect."""
    own = {kind: set(messages_of(kind)) for kind in {layer.param.type for layer in layers}}
    return [
        Note("foreign-parameter",
             layer.fault(f"{field.name} is of another layer type, and has no effect"))
        for layer in layers
        for field, _ in layer.param.ListFields()
        if field.name in PARAMETERS and field.name not in own[layer.param.type] | OF_DATA
    ]


def import_layer(site: LayerSite) -> LayerOp:
    """One layer as its op, verified and with its location."""
    layer = site.layer
    importer = IMPORTERS[layer.param.type]
    _check_count(layer, "bottom", len(layer.bottoms), importer.bottoms)
    _check_count(layer, "top", len(layer.tops), importer.tops)
    for field in not_finite(layer.param):
        raise InputFileError(layer.fault(f"{field} is not a finite number"))
    try:
        op = importer.build(site)
        if not isinstance(cast(object, op), LayerOp):  # of a plug-in
            raise VerifyException("its import function returns no op")
        _check_values(op, site)
        op.verify_()
    except VerifyException as error:
        raise UnsupportedError(layer.fault(str(error))) from error
    except UnsupportedSetting as error:
        raise UnsupportedError(layer.fault(f"{error} cannot be compiled")) from error
    path = layer.where.rpartition(":")[0]
    place = FileLineColLoc(StringAttr(path), IntAttr(layer.line), IntAttr(0))
    op.location = NameLoc(StringAttr(layer.name), place)
    return op


def _check_values(op: LayerOp, site: LayerSite) -> None:
    """Weights files, calibration and the compare take an op's operands for the layer's bottoms, and
    its results for the tops, and compute its meaning. Raises :class:`VerifyException` where they
    cannot."""
    require(
        list(op.operands) == list(site.bottoms),
        f"{op.name} must have all bottoms of the layer as operands, in their order",
    )
    require(op.states_meaning(), f"{op.name} states no meaning, so nothing can be compared with it")
    require(
        op.top_names == [top.name for top in site.tops],
        f"{op.name} must have the tops of the layer as results, in their order",
    )


def not_finite(message: Message) -> Iterator[str]:
    """The names of fields, at any depth, that hold an infinity or no number."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if isinstance(each, Message):
                yield from not_finite(each)
            elif isinstance(each, float) and not isfinite(each):
                yield field.name


def _check_count(layer: Layer, what: str, count: int, allowed: tuple[int, int]) -> None:
    least, most = allowed
    if least <= count <= most:
        return
    required = f"{least} to {most}"
    if most == ANY:
        required = f"at least {least}"
    elif most - least < 2:
        required = f"{least}" if least == most else f"{least} or {most}"
    raise InputFileError(layer.fault(f"has {count} {what}(s), {required} is required"))


def input_shape(blob: Input) -> tuple[int, ...]:
    """The shape of an input. Raises :class:`UnsupportedError` for one that no tensor can have."""
    try:
        return checked(blob.shape)
    except VerifyException as error:
        raise UnsupportedError(f"{blob.where}: input {quoted(blob.name)}: {error}") from error


def _names(names: Iterable[str]) -> ArrayAttr[StringAttr]:
    return ArrayAttr([StringAttr(name) for name in names])


def _hint(name: str) -> str:
    """A value's name in dumps: like the blob's, but such as MLIR text allows, and short.

    It is for readers only. xDSL drops a number after the last underscore and makes hints unique.
    """
    word = re.sub(r"\W", "_", name[:HINT_LENGTH], flags=re.ASCII)
    return word if word[:1].isalpha() else f"t{word}"
