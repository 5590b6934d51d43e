"""Calibration: a float net and data in, an int8umodel and its prototxt out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from bmnetu.calibration.data import Data, open_data
from bmnetu.calibration.plan import Plan, make_plan
from bmnetu.calibration.quantized import QuantizedNet, layer_name, quantize_net
from bmnetu.calibration.scales import Thresholds
from bmnetu.calibration.statistics import Histograms, Ranges, run
from bmnetu.calibration.thresholds import kl_threshold
from bmnetu.calibration.umodel import int8_net
from bmnetu.errors import InputFileError, UsageError
from bmnetu.files import file_stem
from bmnetu.frontend import Network, Precision, load_network, write_prototxt, write_umodel
from bmnetu.frontend.scales import FULL_SCALE_SIGNED, FULL_SCALE_UNSIGNED
from bmnetu.frontend.topology import INPUT_TYPES
from bmnetu.frontend.ufw_pb2 import LayerParameter
from bmnetu.options import CalibrateOptions
from dialects.ufw import ops
from dialects.ufw.layer import LayerOp, shape_of
from passes.support.program import main_function, names
from passes.ufw.ufw_fold_batch_norm import UfwFoldBatchNormPass

Report = Callable[[str], None]

DEAD_BELOW = 1e-12
"""A blob that stays below this is dead: its threshold is 1."""
LARGEST_THRESHOLD = 1e30


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration wrote and chose.

    ``thresholds`` maps every blob to its threshold, ``float_layers`` names the layers that compute
    in float.
    """

    umodel: Path
    prototxt: Path
    thresholds: dict[str, float]
    float_layers: tuple[str, ...]


def calibrate_network(options: CalibrateOptions, report: Report) -> CalibrationResult:
    """Chooses the thresholds of a float net and writes it with integer weights.

    Writes NET.int8umodel and NET_deploy_int8_unique_top.prototxt into outdir. ``report`` gets
    lines for the user. Raises the exceptions of :mod:`bmnetu.errors`; then outdir holds nothing
    new.
    """
    network = load_network(options.model, options.weight, net_name=options.net_name)
    if network.precision is not Precision.FP32:
        raise UsageError(f"{options.weight}: is an int8umodel already; float weights are wanted")
    for note in network.notes:
        report(f"note: {note}")
    net = _Net(network, options.keep_bn)
    data = open_data(options.data, net.shapes, options.iterations)
    plan = make_plan(list(net.inputs.values()), list(net.layers), net.floats)
    choose = _chooser(net, plan, data, options.th_method, report)
    thresholds = Thresholds(plan, list(net.layers), choose)
    quantized = quantize_net(list(net.inputs.values()), list(net.layers), thresholds)
    for note in quantized.notes:
        report(f"note: {note}")
    _tell(net, quantized, report)
    return _store(net, quantized, options)


class _Net:
    """A loaded net, folded, with the message of every layer that stays."""

    def __init__(self, network: Network, keep_bn: bool) -> None:
        self.network = network
        self.function: FuncOp = main_function(network.module)
        block = self.function.body.block
        layers = [op for op in block.ops if isinstance(op, LayerOp)]
        params = [layer for layer in network.net.layer if layer.type not in INPUT_TYPES]
        messages = dict(zip(layers, params, strict=True))
        if not keep_bn:
            UfwFoldBatchNormPass().apply(Context(), network.module)
        kept = [op for op in block.ops if isinstance(op, LayerOp)]
        self.layers: dict[LayerOp, LayerParameter] = {op: messages[op] for op in kept}
        self.inputs: dict[str, SSAValue] = dict(
            zip(names(self.function, "input_names"), block.args, strict=True)
        )
        self.shapes = {name: shape_of(value) for name, value in self.inputs.items()}
        self.floats: set[Operation] = {
            op for op, param in self.layers.items() if _stays_float(op, param)
        }

    def blobs(self) -> dict[str, SSAValue]:
        """All blobs by name, inputs first."""
        made = {
            name: value
            for op in self.layers
            for name, value in zip(op.top_names, op.results, strict=True)
        }
        return self.inputs | made


def _stays_float(op: LayerOp, param: LayerParameter) -> bool:
    """Softmax, a two-input Scale with a bias, and what the prototxt wants in float."""
    two_inputs = isinstance(op, ops.ScaleOp) and op.operand is not None and op.bias is not None
    return isinstance(op, ops.SoftmaxOp) or two_inputs or param.forward_with_float


def _chooser(
    net: _Net, plan: Plan, data: Data, method: str, report: Report
) -> Callable[[SSAValue], float]:
    """Runs the net over the data; the threshold of a measured value."""
    ranges = Ranges()
    run(net.function, data.batches(), ranges.watch)
    for name in sorted(ranges.faulty):
        report(f'note: blob "{name}" has numbers that are not finite; they do not count')
    blob_of = {value: name for name, value in net.blobs().items()}
    wanted = {blob_of[value]: ranges.largest[blob_of[value]] for value in plan.measured}
    for name, largest in wanted.items():
        if largest > LARGEST_THRESHOLD:
            raise InputFileError(f'blob "{name}" reaches {largest:g} on the calibration data')
    alive = {name: value for name, value in wanted.items() if value > DEAD_BELOW}
    histograms = Histograms(alive)
    if method == "KL":
        run(net.function, data.batches(), histograms.watch)

    def choose(value: SSAValue) -> float:
        name = blob_of[value]
        if name not in alive:
            return 1.0
        if method == "MAX":
            return alive[name]
        levels = FULL_SCALE_UNSIGNED if value in plan.unsigned else FULL_SCALE_SIGNED
        return kl_threshold(histograms.counts[name], alive[name], levels + 1)

    return choose


def _tell(net: _Net, quantized: QuantizedNet, report: Report) -> None:
    """One line a blob, with the shift of the layer that makes it."""
    for name in net.inputs:
        numbers = quantized.numbers[net.inputs[name]]
        report(f"input {name}: threshold {numbers.threshold:g}, signed")
    for op in net.layers:
        found = quantized.coefficients.get(op)
        for name, value in zip(op.top_names, op.results, strict=True):
            numbers = quantized.numbers[value]
            kind = "float" if numbers.is_float else "unsigned" if numbers.unsigned else "signed"
            shift = "" if found is None else f", shift {found.shift}"
            report(f"{layer_name(op)} -> {name}: threshold {numbers.threshold:g}, {kind}{shift}")


def _store(net: _Net, quantized: QuantizedNet, options: CalibrateOptions) -> CalibrationResult:
    message = int8_net(net.network.net, net.inputs, net.layers, quantized)
    stem = file_stem(message.name)
    umodel = options.outdir / f"{stem}.int8umodel"
    prototxt = options.outdir / f"{stem}_deploy_int8_unique_top.prototxt"
    write_umodel(umodel, message)
    write_prototxt(prototxt, message)
    found = {name: quantized.numbers[value].threshold for name, value in net.blobs().items()}
    floats = tuple(layer_name(op) for op in quantized.floats)
    return CalibrationResult(umodel, prototxt, found, floats)
