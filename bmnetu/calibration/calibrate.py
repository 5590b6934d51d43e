"""Calibration: a float net and data in, an int8umodel and its prototxt out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from bmnetu.calibration.accumulate import accumulate
from bmnetu.calibration.channels import Channels
from bmnetu.calibration.choice import DEAD_BELOW, Choice
from bmnetu.calibration.contract import contract_of
from bmnetu.calibration.crew import Crew
from bmnetu.calibration.data import CalibrationData, open_data
from bmnetu.calibration.equalize import equalize
from bmnetu.calibration.islands import keep_float
from bmnetu.calibration.look import Look, oddities
from bmnetu.calibration.net import FloatNet
from bmnetu.calibration.plan import make_plan
from bmnetu.calibration.quantized import QuantizedNet, layer_name, quantize_net
from bmnetu.calibration.refine import refine, sample_batches
from bmnetu.calibration.scales import Numbers, Thresholds
from bmnetu.calibration.statistics import Histograms
from bmnetu.calibration.store import write_together
from bmnetu.calibration.transform import to_record
from bmnetu.calibration.umodel import int8_net, prototxt_bytes, umodel_bytes
from bmnetu.errors import UsageError
from bmnetu.files import file_stem
from bmnetu.frontend import Precision, load_network
from bmnetu.options import CalibrateOptions

Report = Callable[[str], None]


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
    keep_float(network, options)
    net = FloatNet(network, options.keep_bn)
    data = _data(net, options, report)
    inputs, layers = list(net.inputs.values()), list(net.layers)
    plan = make_plan(inputs, layers, net.floats)
    channels = accumulate(net.function, data, Channels, "ranges")
    for name in sorted(channels.faulty):
        report(f'note: blob "{name}" has numbers that are not finite; they do not count')
    if options.equalize:
        equalize(net, channels)
    largest = {net.names[value]: channels.largest(net.names[value]) for value in plan.measured}
    gather = partial(Histograms, {name: top for name, top in largest.items() if top > DEAD_BELOW})
    histograms = accumulate(net.function, data, gather, "histograms")
    choice = Choice(net, plan, channels, histograms, options.th_method)
    quantized = quantize_net(inputs, layers, Thresholds(plan, list(net.names), choice), choice)
    steps = {"rounding": options.adaptive_rounding, "correction": options.bias_correction}
    if any(steps.values()):
        sample = list(islice(data.batches(), sample_batches(net.function)))
        refine(net, quantized, sample, **steps)
    for note in quantized.notes:
        report(f"note: {note}")
    _tell(net, quantized, report)
    return _store(net, quantized, data, options)


def _data(net: FloatNet, options: CalibrateOptions, report: Report) -> CalibrationData:
    """The data, looked at."""

    def note(sentence: str) -> None:
        report(f"note: {sentence}")

    contract = contract_of(options, net.message, net.shapes, note)
    crew = Crew(options.workers, options.dask)
    path = options.data.absolute() if options.dask else options.data  # workers are elsewhere
    data = open_data(path, net.shapes, options.iterations, contract, crew)
    what = data.contract.line() if data.contract else "preprocess: none, the arrays are the inputs"
    report(what)
    for oddity in oddities(accumulate(None, data, Look, "reading"), data):
        note(oddity)
    return data


def _tell(net: FloatNet, quantized: QuantizedNet, report: Report) -> None:
    """One line a blob, with the shift of the layer that makes it."""
    wide = max(map(len, net.names.values()))
    report(f"{'blob':{wide}}  {'threshold':>12}  held as   layer")
    for name, value in net.inputs.items():
        report(_line(f"{name:{wide}}", quantized.numbers[value], "input of the net"))
    for op in net.layers:
        found = quantized.coefficients.get(op)
        made = layer_name(op) + ("" if found is None else f", right shift {found.shift}")
        for name, value in zip(op.top_names, op.results, strict=True):
            report(_line(f"{name:{wide}}", quantized.numbers[value], made))


def _line(name: str, numbers: Numbers, made: str) -> str:
    kind = "float" if numbers.is_float else "unsigned" if numbers.unsigned else "signed"
    return f"{name}  {numbers.threshold:12.6g}  {kind:8}  {made}"


def _store(
    net: FloatNet, quantized: QuantizedNet, data: CalibrationData, options: CalibrateOptions
) -> CalibrationResult:
    message = int8_net(net, quantized)
    if data.contract is not None:
        message.preprocess.CopyFrom(to_record(data.contract))
    stem = file_stem(message.name)
    umodel = options.outdir / f"{stem}.int8umodel"
    prototxt = options.outdir / f"{stem}_deploy_int8_unique_top.prototxt"
    write_together({umodel: umodel_bytes(message), prototxt: prototxt_bytes(message)})
    thresholds = {name: quantized.numbers[value].threshold for value, name in net.names.items()}
    floats = tuple(layer_name(op) for op in quantized.floats)
    return CalibrationResult(umodel, prototxt, thresholds, floats)
