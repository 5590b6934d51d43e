"""What if: a layer's error as it is calibrated, and with other settings, before compiling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from xdsl.ir import SSAValue

from bmnetu.calibration.accuracy.auto import best_recipe
from bmnetu.calibration.accuracy.closeness import Closeness, decibels
from bmnetu.calibration.accuracy.layer_channels import worst_channel
from bmnetu.calibration.accuracy.layer_table import Row, layer_table
from bmnetu.calibration.accuracy.losses import Loss, loss_lines, losses
from bmnetu.calibration.accuracy.outputs import OutputErrors, Outputs
from bmnetu.calibration.accuracy.regions import joined_regions
from bmnetu.calibration.data.accumulate import merged
from bmnetu.calibration.data.checked import open_checked
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.data.transform import from_record
from bmnetu.calibration.from_options import data_source
from bmnetu.calibration.int8.gathered import ranges
from bmnetu.calibration.int8.int8_module import judged_net
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.int8.islands import block_of
from bmnetu.calibration.int8.quantized_net import QuantizedNet, layer_name
from bmnetu.calibration.int8.recipe import AUTO, Recipe
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.run.portable import PortableFunction
from bmnetu.calibration.trials.settled import Settled
from bmnetu.calibration.trials.stored import float_twin, stored_settings
from bmnetu.errors import UnsupportedError, UsageError
from bmnetu.frontend import Network, Precision, load_network
from bmnetu.frontend.cut import Cut
from bmnetu.nearest import nearest
from bmnetu.options import WhatIfOptions
from dialects.names import quoted
from dialects.ufw.layer import LayerOp

Report = Callable[[str], None]
LOOKED_AT = 32
"""So many samples are run for the errors."""
FOLDED = ("BatchNorm", "Scale", "Bias")
"""What -keep_bn keeps."""
AS_IT_IS = "as it is"
KEPT = "BatchNorm kept"
EQUAL = 1e-3
"""Thresholds that differ by a smaller part are one."""


@dataclass(frozen=True)
class Trial:
    """A layer with some settings. ``row`` tells how its blob is held and its errors; ``outputs``
    how close each output of the net is; ``cosine`` is the worst of them, that of ``worst``;
    ``sqnr`` the worst in dB. ``notes`` say what the calibration decided of the layer."""

    name: str
    row: Row
    cosine: float
    sqnr: float
    worst: str
    outputs: Mapping[str, Closeness]
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """The largest relative error of an output: the length of its error over its own."""
        return max((each.relative_noise for each in self.outputs.values() if each.signal),
                   default=0.0) ** 0.5  # fmt: skip

    def line(self, wide: int) -> str:
        """Its line in the table."""
        row, ranges = self.row, f"{'float':>10}  {'-':>6}  {'-':>9}"
        if row.threshold is not None:
            ranges = f"{row.threshold:10.4g}  {row.used:6.1%}  {row.saturated:9.3%}"
        both = ((each.relative_noise**0.5, each.cosine) for each in (row.isolated, row.accumulated))
        errors = "".join(f"  {_percent(error):>7}  {cosine:8.6f}"
                         for error, cosine in (*both, (self.error, self.cosine)))  # fmt: skip
        return f"{self.name:{wide}}  {ranges}{errors}"


@dataclass(frozen=True)
class WhatIf:
    """What was found of a layer: the trials, the first one as it is; the largest number that its
    blob reaches in the data, in the first trial's units, which equalizing may change; the channel
    with the most noise, its SQNR in dB and its part of the noise; and what looks lost in it."""

    layer: str
    trials: tuple[Trial, ...]
    largest: float
    worst_channel: tuple[int, float, float] | None
    losses: tuple[Loss, ...]


def what_if(options: WhatIfOptions, report: Report) -> tuple[WhatIf, ...]:
    """Tells the errors of layers as they are calibrated, and with one layer changed at a time.

    The calibration is that of -int8_model and -int8_weight, else one is made as bmnetu-calibrate
    makes it. Without -threshold, -keep_bn and -keep_float all that apply are tried, the thresholds
    by several methods. Writes nothing. Raises the exceptions of :mod:`bmnetu.errors`.
    """
    if (options.int8_model is None) != (options.int8_weight is None):
        raise UsageError("-int8_model and -int8_weight belong together: give both, or none")
    network = _loaded(options)
    for note in network.notes:
        report(f"note: {note}")
    has_bn = any(layer.type in FOLDED for layer in network.net.layer)
    if options.keep_bn and not has_bn:
        raise UsageError(f"-keep_bn: {options.model} has no BatchNorm, Scale or Bias layer")
    study = Study.of(options, network, report)
    net = study.settled.net
    every = not options.threshold and not (options.keep_bn or options.keep_float)
    kept = study.with_bn() if options.keep_bn or (every and has_bn) else None
    ops = [_found(net, network, name) for name in options.layer]
    found = tuple(_of_layer(study, op, kept, every) for op in ops)
    for each, op in zip(found, ops, strict=True):
        for line in _lines(each, op):
            report(line)
    return found


def _of_layer(study: Study, op: LayerOp, kept: _Judged | None, every: bool) -> WhatIf:
    options, settled = study.options, study.settled
    value = op.results[0]
    blobs = [settled.net.names[each] for each in (*op.results, *settled.sharing(value))]
    first = study.as_it_is.trial(AS_IT_IS, op, blobs)
    trials = [first]
    in_bytes = first.row.threshold is not None
    thresholds = [(f"threshold {number:.4g}", number) for number in options.threshold]
    if every and in_bytes:
        thresholds = list(_scanned(settled.scan(value), first.row.threshold or 0.0))
    for name, number in thresholds:
        trials.append(study.judged(settled.changed({value: number})).trial(name, op, blobs))
    if kept is not None:
        trials.append(kept.trial(KEPT, op, blobs))
    if options.keep_float or (every and in_bytes):
        floats = [node for node in block_of(op) if node in settled.net.layers]
        trials.append(study.judged(settled.changed(floats=floats)).trial("float", op, blobs))
    blob = first.row.blob
    judged = study.as_it_is
    channel = worst_channel(settled.net, judged.int8, study.few, blob)
    mine = {layer_name(op), first.row.layer, *map(_maker, settled.sharing(value))}
    lost = {loss.kind: loss for loss in reversed(study.losses) if loss.layer in mine}
    largest = settled.quantizer.channels.largest(blob)
    return WhatIf(layer_name(op), tuple(trials), largest, channel, tuple(lost.values()))


def _scanned(found: Mapping[str, float], now: float) -> Iterator[tuple[str, float]]:
    """The thresholds of a scan that differ from each other and from what is, with the methods that
    give them."""
    groups: list[tuple[float, list[str]]] = [(now, [])]
    for name, number in found.items():
        near = next((names for each, names in groups if abs(number - each) <= EQUAL * each), None)
        if near is None:
            groups.append((number, [name]))
        else:
            near.append(name)
    for number, names in groups[1:]:
        yield f"threshold {number:.4g} ({', '.join(names)})", number


def _maker(value: SSAValue) -> str:
    return layer_name(value.owner) if isinstance(value.owner, LayerOp) else ""


def _loaded(options: WhatIfOptions) -> Network:
    cut = _cut(options)
    network = load_network(options.model, options.weight, shapes=options.shapes, cut=cut)
    if network.precision is not Precision.FP32:
        weights = options.weight or options.model
        raise UsageError(f"{weights}: is an int8umodel already; float weights are expected")
    return network


def _found(net: FloatNet, network: Network, name: str) -> LayerOp:
    """The layer of a name. Raises UsageError."""
    known = {layer_name(op): op for op in net.layers}
    if name in known:
        return known[name]
    if any(layer.name == name for layer in network.net.layer):
        raise UsageError(f"-layer={name}: this layer is part of the one before it in 8 bits, or an"
                         " input: name a layer that computes")
    near = nearest(name, known)
    few = list(known)[:8]
    hint = f"did you mean {near}?" if near else f"its layers are {', '.join(map(quoted, few))}" + (
        " and more" if len(known) > len(few) else ""
    )
    raise UsageError(f"-layer={name}: the net has no such layer: {hint}")


@dataclass(frozen=True)
class _Judged:
    """An integer net beside its float net, on the samples that are looked at."""

    rows: Mapping[str, Row]
    outputs: OutputErrors
    notes: Sequence[str]
    int8: Int8Net

    def trial(self, name: str, op: LayerOp, blobs: Sequence[str]) -> Trial:
        """What it says of a layer; of ``blobs`` the first that the integer net has is told of."""
        layer = layer_name(op)
        row = next((self.rows[blob] for blob in blobs if blob in self.rows), None)
        if row is None:
            raise UsageError(f"-layer={layer}: it makes no blob that is compared: it is a layer of"
                             " the host, or computes nothing in 8 bits")
        found = self.outputs
        own = tuple(note for note in self.notes if quoted(layer) in note)
        return Trial(name, row, found.cosine, decibels(found.worst_noise), found.worst,
                     found.outputs, own)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A calibration, and the data that its changes are judged on."""

    options: WhatIfOptions
    data: CalibrationData
    settled: Settled

    @staticmethod
    def of(options: WhatIfOptions, network: Network, report: Report) -> Study:
        """The calibration of the files, or a new one."""
        model, weight = options.int8_model, options.int8_weight
        if model is None or weight is None:
            net = FloatNet(network, False)
            data = _data(options, net, None, report)
            channels, recipe = ranges(net, data, report), _recipe(options)
            if recipe.method == AUTO:
                recipe = best_recipe(net, data, recipe, report)
            return Study(options, data, Settled.by_data(net, channels, data, recipe))
        stored = load_network(model, weight, shapes=options.shapes, cut=_cut(options))
        if stored.precision is not Precision.INT8:
            raise UsageError(f"{weight}: holds float weights; an int8umodel is expected")
        net = float_twin(stored, lambda keep_bn: FloatNet(_loaded(options), keep_bn), model)
        data = _data(options, net, stored, report)
        channels = ranges(net, data, report)
        settled = stored_settings(net, stored, channels, data, _plain(_recipe(options)))
        return Study(options, data, settled)

    @property
    def few(self) -> CalibrationData:
        """The samples that are looked at."""
        return self.data.limited(LOOKED_AT)

    @cached_property
    def as_it_is(self) -> _Judged:
        """The calibration itself."""
        return self.judged(self.settled.quantized)

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """What looks lost in it."""
        rows = tuple(self.as_it_is.rows.values())
        return losses(self.settled.quantizer, self.settled.quantized, rows)

    def judged(self, quantized: QuantizedNet, settled: Settled | None = None) -> _Judged:
        """The errors of an integer net."""
        net = (settled or self.settled).net
        int8, function = judged_net(net, quantized), net.judged_function()
        rows = {row.blob: row for row in layer_table(net, int8, self.few)}
        job = Outputs(PortableFunction(function), int8, self.few, OutputErrors,
                      joined_regions(function))  # fmt: skip
        return _Judged(rows, merged(job, job.data, OutputErrors(), "measuring"), quantized.notes,
                       int8)  # fmt: skip

    def with_bn(self) -> _Judged:
        """The net with BatchNorm kept, calibrated anew in the same way."""
        net = FloatNet(_loaded(self.options), True)
        recipe = self.settled.quantizer.recipe
        if self.options.int8_model is not None:
            recipe = _plain(_recipe(self.options))
        channels = ranges(net, self.data, lambda line: None)
        settled = Settled.by_data(net, channels, self.data, recipe)
        return self.judged(settled.quantized, settled)


def _data(
    options: WhatIfOptions, net: FloatNet, stored: Network | None, report: Report
) -> CalibrationData:
    """The data, by the contract of the stored calibration where the flags give none."""
    if not net.shapes:
        raise UnsupportedError(f"{options.model}: the net has no inputs that data could go through")
    record = None if stored is None else stored.preprocess
    recorded = None if record is None else from_record(record)
    return open_checked(data_source(options), net.message, net.shapes, report, recorded)


def _cut(options: WhatIfOptions) -> Cut:
    return Cut(options.output_whitelist, options.host)


def _recipe(options: WhatIfOptions) -> Recipe:
    return Recipe(options.th_method, options.equalize, options.adaptive_rounding,
                  options.bias_correction)  # fmt: skip


def _plain(recipe: Recipe) -> Recipe:
    """With a method of its own: AUTO has none."""
    method = "KL" if recipe.method == AUTO else recipe.method
    return Recipe(method, recipe.equalize, recipe.rounding, recipe.correction)


# -- text ------------------------------------------------------------------------------------------


def _percent(error: float) -> str:
    """A part, with three digits."""
    return "0%" if not error else f"{100 * error:#.3g}".rstrip(".") + "%"


def _lines(found: WhatIf, op: LayerOp) -> list[str]:
    first = found.trials[0]
    wide = max(len(trial.name) for trial in found.trials)
    head = f"{'':{wide}}  {'threshold':>10}  {'used':>6}  {'saturated':>9}"
    errors = f"  {'error':>7}  {'cosine':>8}"
    over = f"{'':{len(head)}}  {'isolated':>17}  {'accumulated':>17}  {'worst output':>17}"
    lines = [f'layer "{found.layer}" ({op.name.split(".")[-1]}), blob "{first.row.blob}"', over,
             head + errors * 3]  # fmt: skip
    lines += [trial.line(wide) for trial in found.trials]
    if len(first.outputs) > 1:
        lines += [f"{trial.name}: {_outputs(trial)}" for trial in found.trials]
    lines += [f"{trial.name}: {note}" for trial in found.trials for note in trial.notes]
    row = first.row
    if row.threshold is not None and row.saturated is not None:
        lines.append(
            f"range: the threshold is {row.threshold:.4g}, the data reach {found.largest:.4g};"
            f" {row.saturated:.3%} of the numbers are at the end of the range"
        )
    if found.worst_channel is not None:
        channel, sqnr, part = found.worst_channel
        lines.append(f"worst channel: {channel}, SQNR {sqnr:.1f} dB, {part:.0%} of the noise")
    lines += [f"INT8 loss: {line}" for line in loss_lines(found.losses)]
    best = min(found.trials, key=lambda trial: trial.error)
    if best is first or best.error >= first.error:
        lines.append("none of these makes the worst output better")
    else:
        lines.append(f"best for the worst output: {best.name}, error {_percent(first.error)} ->"
                     f" {_percent(best.error)}")
    return lines


def _outputs(trial: Trial) -> str:
    return "; ".join(
        f'output "{name}" error {_percent(each.relative_noise**0.5)}, cosine {each.cosine:.6f}'
        for name, each in trial.outputs.items()
    )
