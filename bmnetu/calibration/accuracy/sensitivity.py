"""What each layer alone costs at the outputs of the net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue

from bmnetu.calibration.accuracy.closeness import decibels
from bmnetu.calibration.accuracy.isolated import float_blobs, own_errors
from bmnetu.calibration.accuracy.outputs import OutputErrors
from bmnetu.calibration.accuracy.regions import Regions, joined_regions, with_regions
from bmnetu.calibration.data.accumulate import merged
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.int8.islands import blocks
from bmnetu.calibration.int8.quantized_net import layer_name
from bmnetu.calibration.run.net import FloatNet, Node
from bmnetu.calibration.run.portable import PortableFunction
from dialects.constant import Array
from dialects.execute import names_of
from dialects.meaning import evaluate_whole
from dialects.ufw.layer import LayerOp


@dataclass(frozen=True)
class FloatPart:
    """What is float or 8 bit together: a layer that computes and those that follow it up to the
    next one, or an input of the net. ``blobs`` are what it makes."""

    name: str
    nodes: tuple[Node, ...]
    blobs: frozenset[str]

    @property
    def layers(self) -> tuple[LayerOp, ...]:
        """None for an input."""
        return tuple(node for node in self.nodes if isinstance(node, LayerOp))


@dataclass(frozen=True)
class Cost:
    """What a part alone costs at the net's outputs.

    ``sqnr`` in dB is of the noise relative to the signal, the mean over all outputs and all
    operands that one is joined of; ``cosine`` is the worst of these.
    """

    part: FloatPart
    sqnr: float
    cosine: float


@dataclass
class Found:
    """How close the outputs are when one part alone makes its error, by part."""

    parts: dict[str, OutputErrors] = field(default_factory=dict[str, OutputErrors])

    def merge(self, other: Found) -> None:
        for part, errors in other.parts.items():
            self.parts.setdefault(part, OutputErrors()).merge(errors)


@dataclass(frozen=True)
class _Propagation:
    """The errors of every part of a batch, each carried through the float net to its outputs."""

    net: PortableFunction
    int8: Int8Net
    data: CalibrationData
    parts: Mapping[str, frozenset[str]]
    regions: Regions

    def run(self, index: int) -> Found:
        function = self.net.function
        real = float_blobs(function, self.data.batch(index))
        errors = own_errors(function, self.int8, real)
        names = names_of(function, "output_names")
        outputs = with_regions({name: real[name] for name in names}, self.regions)
        found: dict[str, OutputErrors] = {}
        for part, blobs in self.parts.items():
            mine = {name: errors[name] for name in blobs & errors.keys()}
            changed = _changed(function, real, mine)
            found[part] = OutputErrors()
            with_error = {name: changed.get(name, real[name]) for name in names}
            found[part].watch(0, outputs, with_regions(with_error, self.regions))
        return Found(found)


def _changed(
    function: FuncOp, real: Mapping[str, Array], errors: Mapping[str, Array]
) -> dict[str, Array]:
    """The blobs that change when these errors are added, each where its blob is made."""
    block = function.body.block
    inputs = names_of(function, "input_names")
    names: dict[SSAValue, str] = dict(zip(block.args, inputs, strict=True))
    changed = {name: real[name] + errors[name] for name in names.values() if name in errors}
    for op in block.ops:
        tops = names_of(op, "tops")
        names |= dict(zip(op.results, tops, strict=True))
        operands = [names[value] for value in op.operands]
        touched = any(name in changed for name in operands) or any(top in errors for top in tops)
        if isinstance(op, ReturnOp) or not touched:
            continue
        arrays = [changed.get(name, real[name]) for name in operands]
        for top, array in zip(tops, evaluate_whole(op, arrays), strict=True):
            changed[top] = array + errors[top] if top in errors else array
    return changed


def parts_of(net: FloatNet) -> list[FloatPart]:
    """The inputs of the net and its blocks of layers, without those that are float."""
    inputs = [
        FloatPart(name, (value,), frozenset([name]))
        for name, value in net.inputs.items()
        if value not in net.floats
    ]
    return inputs + [
        FloatPart(
            layer_name(block[0]), tuple(block), frozenset(t for op in block for t in op.top_names)
        )
        for block in blocks(net.layers)
        if block[0] not in net.floats
    ]


def sensitivity(net: FloatNet, int8: Int8Net, data: CalibrationData) -> tuple[Cost, ...]:
    """What every part alone costs, the worst first, over all batches of the data.

    ``int8`` is what the net is judged by, see :func:`judged_net`.
    """
    parts = parts_of(net)
    blobs = {str(i): part.blobs for i, part in enumerate(parts)}
    function = net.judged_function()
    regions = joined_regions(function)
    job = _Propagation(PortableFunction(function), int8, data, blobs, regions)
    found = merged(job, data, Found(), "sensitivity")
    costs = [
        Cost(part, decibels(found.parts[key].noise), found.parts[key].cosine)
        for key, part in zip(blobs, parts, strict=True)
    ]
    return tuple(sorted(costs, key=lambda cost: cost.sqnr))


def sensitivity_lines(costs: Sequence[Cost]) -> list[str]:
    """The ranking as text, the worst first."""
    wide = max(len("layer"), *(len(cost.part.name) for cost in costs))
    lines = [f"{'rank':>4}  {'layer':{wide}}  {'SQNR dB':>7}  {'cosine':>8}  and with it"]
    for rank, cost in enumerate(costs, 1):
        layers = cost.part.layers
        others = ", ".join(layer_name(op) for op in layers[1:]) if layers else "an input of the net"
        line = f"{rank:4}  {cost.part.name:{wide}}  {cost.sqnr:7.1f}  {cost.cosine:8.6f}  {others}"
        lines.append(line.rstrip())
    return lines
