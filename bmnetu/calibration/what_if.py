"""What if: a layer's error as it is calibrated, and with other settings, before compiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bmnetu.calibration.accuracy.closeness import decibels
from bmnetu.calibration.accuracy.layer_channels import worst_channel
from bmnetu.calibration.accuracy.layer_table import Row, layer_table
from bmnetu.calibration.accuracy.losses import Loss, loss_lines, losses
from bmnetu.calibration.accuracy.outputs import OutputErrors, Outputs
from bmnetu.calibration.accuracy.regions import joined_regions
from bmnetu.calibration.data.accumulate import merged
from bmnetu.calibration.data.checked import open_checked
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.from_options import data_source
from bmnetu.calibration.int8.gathered import gathered, ranges
from bmnetu.calibration.int8.int8_module import judged_net
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.int8.islands import keep_float
from bmnetu.calibration.int8.quantized_net import layer_name
from bmnetu.calibration.int8.recipe import Recipe
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.run.portable import PortableFunction
from bmnetu.calibration.thresholds.scale_plan import plan_scales
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


@dataclass(frozen=True)
class Trial:
    """A layer with some settings. ``row`` tells how its blob is held and its errors; ``cosine`` is
    the worst of all outputs, that of ``worst``; ``sqnr`` the worst in dB. ``notes`` say what the
    calibration decided of the layer."""

    name: str
    row: Row
    cosine: float
    sqnr: float
    worst: str
    notes: tuple[str, ...] = ()

    def line(self, wide: int) -> str:
        """Its line in the table."""
        row, ranges = self.row, f"{'float':>10}  {'-':>6}  {'-':>9}"
        if row.threshold is not None:
            ranges = f"{row.threshold:10.4g}  {row.used:6.1%}  {row.saturated:9.3%}"
        both = (row.isolated, row.accumulated)
        errors = "".join(f"  {each.sqnr:7.1f}  {each.cosine:8.6f}" for each in both)
        return f"{self.name:{wide}}  {ranges}{errors}  {self.sqnr:7.1f}  {self.cosine:8.6f}"


@dataclass(frozen=True)
class WhatIf:
    """What was found: the trials, the first one as it is; the largest number that the layer's blob
    reaches in the data, in the first trial's units, which equalizing may change; the channel with
    the most noise, its SQNR in dB and its part of the noise; and what looks lost in the layer."""

    layer: str
    trials: tuple[Trial, ...]
    largest: float
    worst_channel: tuple[int, float, float] | None
    losses: tuple[Loss, ...]


def what_if(options: WhatIfOptions, report: Report) -> WhatIf:
    """Calibrates a float net several times with one layer changed, and tells its error each time.

    Without -threshold, -keep_bn and -keep_float all that apply are tried, the threshold being the
    largest number of the data. Writes nothing. Raises the exceptions of :mod:`bmnetu.errors`.
    """
    network = _loaded(options)
    for note in network.notes:
        report(note.line)
    has_bn = any(layer.type in FOLDED for layer in network.net.layer)
    base = FloatNet(network, False)
    op = _found(base, network, options.layer)
    if not base.shapes:
        raise UnsupportedError(f"{options.model}: the net has no inputs that data could go through")
    data = open_checked(data_source(options), base.message, base.shapes, report)
    blobs, sharing = _sharing(base, op)
    study = _Study(options, data, blobs)
    first, largest, (reached, channel, lost) = study.first(base, sharing)
    trials = [first]
    every = options.threshold is None and not (options.keep_bn or options.keep_float)
    threshold = options.threshold or (largest if every and op not in base.floats else None)
    if threshold:
        trials.append(study.trial(f"threshold {threshold:.4g}", sharing, threshold=threshold))
    if options.keep_bn and not has_bn:
        raise UsageError(f"-keep_bn: {options.model} has no BatchNorm, Scale or Bias layer")
    if options.keep_bn or (every and has_bn):
        trials.append(study.trial("BatchNorm kept", sharing, keep_bn=True))
    if options.keep_float or (every and op not in base.floats):
        trials.append(study.trial("float", sharing, floats=(options.layer,)))
    found = WhatIf(options.layer, tuple(trials), reached, channel, lost)
    for line in _lines(found, op):
        report(line)
    return found


def _loaded(options: WhatIfOptions) -> Network:
    cut = Cut(options.output_whitelist, options.host)
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


def _sharing(net: FloatNet, op: LayerOp) -> tuple[list[str], list[str]]:
    """The blobs that have the scale of the layer's first result, its own first; and the layers
    whose thresholds decide it."""
    plan = plan_scales(list(net.inputs.values()), list(net.layers), net.floats)
    root = plan.root(op.results[0])
    alike = [value for value in net.names if plan.root(value) == root]
    own = [net.names[value] for value in op.results]
    blobs = [*own, *(net.names[value] for value in alike if net.names[value] not in own)]
    measured = set(plan.measured)
    owners = [value.owner for value in alike if value in measured]
    return blobs, [layer_name(x) for x in owners if isinstance(x, LayerOp)]


@dataclass(frozen=True)
class _Study:
    """Calibrations of one net on the same data; ``blobs`` are what is looked at, the first that the
    integer net has."""

    options: WhatIfOptions
    data: CalibrationData
    blobs: Sequence[str]

    @property
    def recipe(self) -> Recipe:
        each = self.options
        return Recipe(each.th_method, each.equalize, each.adaptive_rounding, each.bias_correction)

    def first(
        self, net: FloatNet, sharing: Sequence[str]
    ) -> tuple[Trial, float, tuple[float, tuple[int, float, float] | None, tuple[Loss, ...]]]:
        """The layer as it is, the largest number of its blob in the float net's own units, and what
        is told of it alone."""
        channels = ranges(net, self.data, lambda line: None)
        before = {name: channels.largest(name) for name in self.blobs}
        quantizer = gathered(net, channels, self.data, self.recipe, False)
        quantized = quantizer.quantized(net.floats)
        int8, few = judged_net(net, quantized), self.data.limited(LOOKED_AT)
        rows = layer_table(net, int8, few)
        trial = self._judged(AS_IT_IS, net, int8, rows, quantized.notes)
        channel = worst_channel(net, int8, few, trial.row.blob)
        lost = losses(quantizer, quantized, rows)
        own = {self.options.layer, trial.row.layer, *sharing}
        mine = tuple(loss for loss in lost if loss.layer in own)
        blob = trial.row.blob
        return trial, before[blob], (channels.largest(blob), channel, mine)

    def trial(
        self,
        name: str,
        sharing: Sequence[str],
        *,
        threshold: float | None = None,
        keep_bn: bool = False,
        floats: tuple[str, ...] = (),
    ) -> Trial:
        """The layer with other settings, the net calibrated anew."""
        network = _loaded(self.options)
        for layer in network.net.layer:
            if threshold is not None and layer.name in sharing:
                layer.threshold = threshold
        keep_float(network, (), (), floats)
        net = FloatNet(network, keep_bn)
        channels = ranges(net, self.data, lambda line: None)
        quantizer = gathered(net, channels, self.data, self.recipe, False)
        quantized = quantizer.quantized(net.floats)
        int8 = judged_net(net, quantized)
        rows = layer_table(net, int8, self.data.limited(LOOKED_AT))
        return self._judged(name, net, int8, rows, quantized.notes)

    def _judged(
        self, name: str, net: FloatNet, int8: Int8Net, rows: Sequence[Row], notes: Sequence[str]
    ) -> Trial:
        held = {row.blob: row for row in rows}
        row = next((held[blob] for blob in self.blobs if blob in held), None)
        if row is None:
            raise UsageError(f"-layer={self.options.layer}: it makes no blob that is compared: it"
                             " is a layer of the host, or computes nothing in 8 bits")
        function = net.judged_function()
        job = Outputs(PortableFunction(function), int8, self.data.limited(LOOKED_AT), OutputErrors,
                      joined_regions(function))  # fmt: skip
        found = merged(job, job.data, OutputErrors(), "measuring")
        own = tuple(note for note in notes if f'"{self.options.layer}"' in note)
        return Trial(name, row, found.cosine, decibels(found.worst_noise), found.worst, own)


def _lines(found: WhatIf, op: LayerOp) -> list[str]:
    first = found.trials[0]
    wide = max(len(trial.name) for trial in found.trials)
    head = f"{'':{wide}}  {'threshold':>10}  {'used':>6}  {'saturated':>9}"
    errors = f"  {'SQNR dB':>7}  {'cosine':>8}"
    over = f"{'':{len(head)}}  {'isolated':>17}  {'accumulated':>17}  {'worst output':>17}"
    lines = [f'layer "{found.layer}" ({op.name.split(".")[-1]}), blob "{first.row.blob}"', over,
             head + errors * 3]  # fmt: skip
    lines += [trial.line(wide) for trial in found.trials]
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
    best = max(found.trials, key=lambda trial: trial.sqnr)
    if best is first or best.sqnr <= first.sqnr:
        lines.append("none of these makes the worst output better")
    else:
        gain = best.sqnr - first.sqnr
        lines.append(f"best for the worst output: {best.name}, {gain:+.1f} dB")
    return lines
