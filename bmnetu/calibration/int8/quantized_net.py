"""The quantised net: how every blob is held, and every layer's integer coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from xdsl.dialects.builtin import NameLoc
from xdsl.ir import SSAValue

from bmnetu.calibration.thresholds.coefficients import IntegerCoefficients, RealCoefficients
from bmnetu.calibration.thresholds.measured import Measured
from bmnetu.calibration.thresholds.thresholds import Numbers, Thresholds
from bmnetu.note import Note
from dialects.ufw.facts import PassesOn
from dialects.ufw.layer import LayerOp


@dataclass(frozen=True)
class QuantizedNet:
    """``numbers`` of every value; ``coefficients`` of the layers that have integer ones.

    ``floats`` are the layers that compute in float, ``notes`` say why where the data decided.
    """

    numbers: dict[SSAValue, Numbers] = field(default_factory=dict[SSAValue, Numbers])
    coefficients: dict[LayerOp, IntegerCoefficients] = field(
        default_factory=dict[LayerOp, IntegerCoefficients]
    )
    floats: list[LayerOp] = field(default_factory=list[LayerOp])
    notes: list[Note] = field(default_factory=list[Note])


def layer_name(op: LayerOp) -> str:
    """The prototxt's name of a layer."""
    return op.location.desc.data if isinstance(op.location, NameLoc) else op.name


def quantize_net(
    inputs: Sequence[SSAValue], layers: Sequence[LayerOp], thresholds: Thresholds, data: Measured
) -> QuantizedNet:
    """Settles every layer in turn: integer coefficients, or float where there are none that fit."""
    floats = thresholds.plan.floats
    net = QuantizedNet(
        {value: replace(thresholds.numbers(value), is_float=value in floats) for value in inputs}
    )
    for op in layers:
        results = [thresholds.numbers(result) for result in op.results]
        is_float = op in floats
        if not is_float and not _settle(net, op, results, data.coefficients(op)):
            is_float = True
            sentence = f'layer "{layer_name(op)}" stays float: its weights exceed 8 bits'
            net.notes.append(Note("stays-float", sentence))
        if is_float:
            net.floats.append(op)
        passed_on = op.has_trait(PassesOn)
        if is_float or (passed_on and any(net.numbers[x].is_float for x in op.operands)):
            results = [replace(result, is_float=True) for result in results]
        net.numbers.update(zip(op.results, results, strict=True))
    return net


def _settle(
    net: QuantizedNet, op: LayerOp, results: Sequence[Numbers], found: RealCoefficients | None
) -> bool:
    """Adds the layer's integer coefficients, if it has any; False when they do not fit."""
    if found is None:
        return True
    y = results[0].scale
    integers = found.integers(net.numbers[op.operands[0]].scale / y, y)
    if integers is not None:
        net.coefficients[op] = integers
    return integers is not None
