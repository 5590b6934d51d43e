"""Plug-ins: packages that bring layers or passes of their own.

A package names its :class:`Plugin` as an entry point of the group ``bmnetu.plugins``:

    [project.entry-points."bmnetu.plugins"]
    light-cnn = "light_cnn:PLUGIN"

``examples/plugin`` is one, and ``docs/developing.md`` goes through it step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from xdsl.ir import Dialect, Operation
from xdsl.passes import ModulePass

from bmnetu.command_line.installed import GROUP
from bmnetu.errors import UsageError
from bmnetu.frontend.layers.importers import IMPORTERS, Importer, add_function
from bmnetu.frontend.prototxt.custom import CUSTOM_MESSAGES, Setting
from bmnetu.frontend.ufw_pb2 import LayerParameter
from dialects.functions import FUNCTIONS, Function
from dialects.quant.base import QuantOp
from dialects.ufw.facts import LayerFacts
from passes import PASS_NAMES
from passes.kernels import KERNELS, Kernel
from passes.layers import LAYERS, Lowering

if TYPE_CHECKING:
    from bmnetu.frontend.onnx.operators.table import Operator



@dataclass(frozen=True)
class Plugin:
    """What a package brings; each of it can be left out.

    ``functions`` are pointwise functions, each a whole layer by itself. Other layers have an op in
    one of the ``dialects``, a LayerOp with its facts and meaning; their type in ``importers``; and
    a way to quant ops in ``lowerings``. A quant op of its own has its way to tile ops in
    ``kernels``. ``parameters`` are the messages that a prototxt can give to the layers: their
    fields with defaults, see :mod:`bmnetu.frontend.prototxt.custom`. ``operators`` makes the table
    of ONNX operators; it is called when an .onnx is read. ``passes`` are for ``bmnetu-opt -p``.
    """

    dialects: tuple[Dialect, ...] = ()
    functions: tuple[Function, ...] = ()
    importers: Mapping[str, Importer] = field(default_factory=dict[str, Importer])
    parameters: Mapping[str, Mapping[str, Setting]] = field(
        default_factory=dict[str, Mapping[str, Setting]]
    )
    lowerings: Mapping[type[Operation], Lowering[Any]] = field(
        default_factory=dict[type[Operation], Lowering[Any]]
    )
    kernels: Mapping[type[QuantOp], Kernel[Any]] = field(
        default_factory=dict[type[QuantOp], Kernel[Any]]
    )
    operators: Callable[[], Mapping[str, Operator]] = dict
    passes: tuple[type[ModulePass], ...] = ()


@cache
def plugins() -> dict[str, Plugin]:
    """The installed plug-ins by name, all added to bmnetu's tables when this is first called.

    Raises UsageError with one sentence that names a plug-in that cannot be used; then none is
    added.
    """
    from importlib.metadata import entry_points

    found: dict[str, Plugin] = {}
    known = {what: dict.fromkeys(names, "bmnetu") for what, names in _known().items()}
    for entry in sorted(entry_points(group=GROUP)):
        package = f" of package {entry.dist.name} {entry.dist.version}" if entry.dist else ""
        try:
            if entry.name in found:
                raise ValueError("another package has a plug-in of the same name")
            found[entry.name] = _checked(entry.load(), entry.name, known)
        except (Exception, SystemExit) as error:
            sentence = str(error).splitlines()[0] if str(error) else "no reason is given"
            raise UsageError(
                f"plug-in {entry.name}{package} cannot be used: {type(error).__name__}:"
                f" {sentence}; mend or uninstall it"
            ) from error
    for plugin in found.values():
        _add(plugin)
    return found


def _known() -> dict[str, set[object]]:
    """What there is without plug-ins, by its kind."""
    return {
        "dialect": {"builtin", "func", "constant", "ufw", "quant", "tile", "npu"},
        "function": {*FUNCTIONS},
        "layer type": {*IMPORTERS},
        "message": {*LayerParameter.DESCRIPTOR.fields_by_name},
        "lowering": {*LAYERS},
        "kernel": {*KERNELS},
        "pass": {*PASS_NAMES},
    }


def _checked(found: object, plugin: str, known: dict[str, dict[object, str]]) -> Plugin:
    """The plug-in, if it is one and brings nothing that is known; what it brings then is."""
    if not isinstance(found, Plugin):
        kind = type(found).__name__
        raise TypeError(f"its entry point is {kind}, which must be bmnetu.plugins.Plugin")
    functions = found.functions
    messages = [each.message for each in functions if each.message]
    layers = [layer for each in functions for layer in (each.layer, *each.aliases)]
    for what, brought in (
        ("dialect", [each.name for each in found.dialects]),
        ("function", [each.name for each in functions]),
        ("layer type", [*found.importers, *layers]),
        ("message", [*found.parameters, *messages]),
        ("lowering", list(found.lowerings)),
        ("kernel", list(found.kernels)),
        ("pass", [item.name for item in found.passes]),
    ):
        for name in brought:
            shown = getattr(name, "name", name)
            if name in known[what]:
                owner = known[what][name]
                raise ValueError(f"the {what} {shown} exists already, in {owner}")
            known[what][name] = plugin
    declared = {op: dialect.name for dialect in found.dialects for op in dialect.operations}
    for op in (*declared, *found.lowerings, *found.kernels):
        if op not in declared or op.name.partition(".")[0] != declared[op]:
            raise ValueError(f"the op {op.name} is in none of its dialects by that name")
        if issubclass(op, LayerFacts | QuantOp) and not op.states_meaning():
            raise ValueError(f"the op {op.name} states no meaning")
    return found


def _add(plugin: Plugin) -> None:
    CUSTOM_MESSAGES.update(plugin.parameters)
    for function in plugin.functions:
        FUNCTIONS[function.name] = function
        add_function(function)
        if function.message:
            CUSTOM_MESSAGES[function.message] = function.defaults
    IMPORTERS.update(plugin.importers)
    LAYERS.update(plugin.lowerings)
    KERNELS.update(plugin.kernels)


def dialects() -> tuple[Dialect, ...]:
    """The dialects that plug-ins bring."""
    return tuple(dialect for plugin in plugins().values() for dialect in plugin.dialects)


def passes() -> tuple[type[ModulePass], ...]:
    """The passes that plug-ins bring."""
    return tuple(item for plugin in plugins().values() for item in plugin.passes)
