"""Calibration: a float net and data in, an int8umodel and its prototxt out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bmnetu.calibration.accuracy.auto import best_recipe
from bmnetu.calibration.accuracy.float_choice import FloatChoice
from bmnetu.calibration.accuracy.layer_table import Row, layer_table, table_json, table_lines
from bmnetu.calibration.accuracy.losses import Loss, loss_lines, losses
from bmnetu.calibration.accuracy.sensitivity import Cost, sensitivity, sensitivity_lines
from bmnetu.calibration.data.checked import open_checked
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.data.transform import to_record
from bmnetu.calibration.from_options import data_source, recipe_of
from bmnetu.calibration.int8.gathered import gathered, ranges
from bmnetu.calibration.int8.int8_module import judged_net
from bmnetu.calibration.int8.islands import keep_float
from bmnetu.calibration.int8.quantized_net import QuantizedNet, layer_name
from bmnetu.calibration.int8.recipe import AUTO
from bmnetu.calibration.int8.umodel import int8_message
from bmnetu.calibration.report import Found, report_page
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.thresholds.thresholds import Numbers
from bmnetu.errors import UnsupportedError, UsageError
from bmnetu.files.outputs import OutputFolder
from bmnetu.files.reading import file_stem, write_atomically
from bmnetu.frontend import Precision, load_network
from bmnetu.frontend.cut import Cut
from bmnetu.frontend.umodel import prototxt_bytes, umodel_bytes
from bmnetu.note import Note
from bmnetu.options import CalibrateOptions

Report = Callable[[str], None]
LOOKED_AT = 32
"""At most so many samples are run for the table, the ranking and the choice of float layers."""
GLANCED_AT = 8
"""The same, for the losses that are reported without a flag."""


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration wrote and chose.

    ``thresholds`` maps every blob to its threshold, ``float_layers`` names the layers that compute
    in float. ``layers`` is what -layer_table prints, and writes to the file ``table``; ``costs``
    what -sensitivity prints, the worst first. ``losses`` are what looks lost in 8 bits.
    """

    umodel: Path
    prototxt: Path
    thresholds: dict[str, float] = field(repr=False)
    float_layers: tuple[str, ...] = field(repr=False)
    table: Path | None = None
    layers: tuple[Row, ...] = field(default=(), repr=False)
    costs: tuple[Cost, ...] = field(default=(), repr=False)
    losses: tuple[Loss, ...] = field(default=(), repr=False)


def calibrate_network(options: CalibrateOptions, report: Report) -> CalibrationResult:
    """Chooses the thresholds of a float net and writes it with integer weights.

    Writes NET.int8umodel and NET_deploy_int8_unique_top.prototxt into outdir, NET_layers.json if
    asked for, and the page of the flag -report. ``report`` gets lines for the user. Raises the
    exceptions of :mod:`bmnetu.errors`; then outdir holds nothing new.
    """
    _folder(options).check()
    network = load_network(
        options.model,
        options.weight,
        shapes=options.shapes,
        net_name=options.net_name,
        cut=Cut(options.output_whitelist, options.host),
    )
    _folder(options).check(*_file_names(network.net.name, options.layer_table))
    if options.report is not None:
        OutputFolder(options.report.parent, "-report").check(options.report.name)
    if network.precision is not Precision.FP32:
        weights = options.weight or options.model
        raise UsageError(f"{weights}: is an int8umodel already; float weights are expected")
    for note in network.notes:
        report(note.line)
    keep_float(network, options.fpfwd_inputs, options.fpfwd_outputs, options.fpfwd_blocks)
    net = FloatNet(network, options.keep_bn)
    if not net.shapes:
        raise UnsupportedError(f"{options.model}: the net has no inputs that data could go through")
    data = open_checked(data_source(options), net.message, net.shapes, report)
    searches = _searches(options)
    channels, recipe = ranges(net, data, report), recipe_of(options)
    if recipe.method == AUTO:
        recipe = best_recipe(net, data, recipe, report)
    quantizer = gathered(net, channels, data, recipe, searches)
    quantized = quantizer.quantized(net.floats)
    few = data.limited(LOOKED_AT)
    costs: tuple[Cost, ...] = ()
    if options.sensitivity or searches:
        costs = sensitivity(net, judged_net(net, quantized), few)
    if searches:
        search = FloatChoice(quantizer, few, report)
        mixed = search.choose(quantized, costs, options.float_budget, options.target_cosine)
        net.keep_float(node for part in mixed.parts for node in part.nodes)
        quantized = mixed.quantized
    for note in quantized.notes:
        report(note.line)
    _tell(net, quantized, report)
    seen = few if options.layer_table else data.limited(GLANCED_AT)
    rows = layer_table(net, judged_net(net, quantized), seen)
    lost = losses(quantizer, quantized, rows)
    for line in loss_lines(lost):
        report(Note("int8-loss", f"INT8 loss: {line}").line)
    shown = rows if options.layer_table else ()
    for line in (table_lines(shown) if shown else []) + (sensitivity_lines(costs) if costs else []):
        report(line)
    if searches:
        chosen = [name for name, value in net.inputs.items() if value in net.floats]
        chosen += [layer_name(op) for op in net.layers if op in net.floats]
        report(f"float layers: {', '.join(chosen) or 'none'}")
    result = _store(net, quantized, data, options, shown, costs, lost)
    if options.report is not None:
        measured = Found(quantizer, quantized, rows, costs, lost, seen.samples, data.samples)
        files = (result.umodel, result.prototxt)
        write_atomically(options.report, report_page(measured, options, network.notes, files))
    return result


def _searches(options: CalibrateOptions) -> bool:
    return options.float_budget is not None or options.target_cosine is not None


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
    net: FloatNet,
    quantized: QuantizedNet,
    data: CalibrationData,
    options: CalibrateOptions,
    rows: tuple[Row, ...],
    costs: tuple[Cost, ...],
    lost: tuple[Loss, ...],
) -> CalibrationResult:
    message = int8_message(net, quantized)
    if data.contract is not None:
        message.preprocess.CopyFrom(to_record(data.contract))
    names = _file_names(message.name, bool(rows))
    files = {names[-2]: prototxt_bytes(message), names[-1]: umodel_bytes(message)}
    if rows:
        samples = data.limited(LOOKED_AT).samples
        records = [loss.record() for loss in lost]
        files = {names[0]: table_json(message.name, samples, rows, records)} | files
    _folder(options).store(files)
    *table, prototxt, umodel = (options.outdir / name for name in names)
    thresholds = {name: quantized.numbers[value].threshold for value, name in net.names.items()}
    floats = tuple(layer_name(op) for op in quantized.floats)
    found = table[0] if table else None
    return CalibrationResult(umodel, prototxt, thresholds, floats, found, rows, costs, lost)


def _folder(options: CalibrateOptions) -> OutputFolder:
    return OutputFolder(options.outdir, "-outdir")


def _file_names(net: str, table: bool) -> list[str]:
    """The files that are stored, the umodel last."""
    endings = (["_layers.json"] if table else []) + [
        "_deploy_int8_unique_top.prototxt", ".int8umodel"
    ]  # fmt: skip
    return [file_stem(net) + ending for ending in endings]
