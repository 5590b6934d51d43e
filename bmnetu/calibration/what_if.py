"""What if: a layer's error as it is calibrated, and with other settings, before compiling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from xdsl.ir import SSAValue

from bmnetu.calibration.accuracy.layer_channels import worst_channel
from bmnetu.calibration.accuracy.losses import Loss, loss_lines
from bmnetu.calibration.from_options import check_int8_model
from bmnetu.calibration.int8.islands import block_of
from bmnetu.calibration.int8.quantized_net import layer_name
from bmnetu.calibration.int8.recipe import AUTO
from bmnetu.calibration.run.net import FloatNet, is_computed_before
from bmnetu.calibration.study import Judged, Study, Trial, float_network, percent
from bmnetu.errors import UsageError
from bmnetu.frontend import Network
from bmnetu.nearest import nearest
from bmnetu.options import WhatIfOptions
from dialects.names import quoted
from dialects.ufw.layer import LayerOp

Report = Callable[[str], None]
FOLDED = ("BatchNorm", "Scale", "Bias")
"""What -keep_bn keeps."""
AS_IT_IS = "as it is"
KEPT = "BatchNorm kept"
EQUAL = 1e-3
"""Thresholds that differ by a smaller part are one."""


@dataclass(frozen=True, repr=False)
class WhatIf:
    """What was found of a layer: the trials, the first one as it is; the largest number that its
    blob reaches in the data, in the first trial's units, which equalizing may change; the channel
    with the most noise, its SQNR in dB and its part of the noise; and what looks lost in it."""

    layer: str
    trials: tuple[Trial, ...]
    largest: float
    worst_channel: tuple[int, float, float] | None
    losses: tuple[Loss, ...]

    @property
    def best(self) -> Trial | None:
        """The trial with the smallest error at the worst output; None where it is the first. A
        threshold that leaves the layer float is none."""
        tried = (trial for trial in self.trials if not trial.is_vain)
        found = min(tried, key=lambda trial: trial.error)
        return None if found is self.trials[0] else found

    def __repr__(self) -> str:
        best = "none" if self.best is None else repr(self.best.name)
        error = percent(self.trials[0].error)
        return f"<WhatIf {self.layer!r}: error {error}, {len(self.trials)} trials, best: {best}>"


def what_if(options: WhatIfOptions, report: Report) -> tuple[WhatIf, ...]:
    """Tells the errors of layers as they are calibrated, and with one layer changed at a time.

    The calibration is that of -int8_model and -int8_weight, else one is made as bmnetu-calibrate
    makes it. Without -threshold, -keep_bn and -keep_float all that apply are tried, the thresholds
    by several methods. Writes nothing. Raises the exceptions of :mod:`bmnetu.errors`.
    """
    if (options.int8_model is None) != (options.int8_weight is None):
        raise UsageError("-int8_model and -int8_weight belong together: give both, or none")
    if options.int8_model is not None:
        check_int8_model(options.int8_model)
    network = float_network(options)
    for note in network.notes:
        report(note.line)
    has_bn = any(layer.type in FOLDED for layer in network.net.layer)
    if options.keep_bn and not has_bn:
        raise UsageError(f"-keep_bn: {options.model} has no BatchNorm, Scale or Bias layer")
    for name in options.layer:
        _check_named(network, name)
    every = not options.threshold and not (options.keep_bn or options.keep_float)
    keeps_bn = options.keep_bn or (every and has_bn)
    if options.int8_model is not None and not keeps_bn:
        _check_used(options)
    study = Study.of(options, network, report)
    ops = [_found(study.settled.net, name) for name in dict.fromkeys(options.layer)]
    kept = study.with_bn() if keeps_bn else None
    found = tuple(_of_layer(study, op, kept, every) for op in ops)
    for each, op in zip(found, ops, strict=True):
        for line in _lines(each, op):
            report(line)
    return found


def _of_layer(study: Study, op: LayerOp, kept: Judged | None, every: bool) -> WhatIf:
    options, settled = study.options, study.settled
    value = op.results[0]
    blobs = [settled.net.names[each] for each in (*op.results, *settled.sharing(value))]
    first = study.as_it_is.trial(AS_IT_IS, op, blobs)
    trials = [first]
    in_bytes = first.row.threshold is not None
    asked = dict.fromkeys(options.threshold)
    thresholds = [(f"threshold {number:.4g}", number) for number in asked]
    if every and in_bytes:
        thresholds = list(_scanned(settled.scan(value), first.row.threshold or 0.0))
    for name, number in thresholds:
        judged = study.judged(settled.changed({value: number}))
        trials.append(judged.trial(name, op, blobs, in_bytes=True))
    if kept is not None:
        trials.append(kept.trial(KEPT, op, blobs))
    if options.keep_float or (every and in_bytes):
        start = op.operands[0].owner if is_computed_before(op) else op
        assert isinstance(start, LayerOp)
        floats = [node for node in block_of(start) if node in settled.net.layers]
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


def _check_named(network: Network, name: str) -> None:
    """Raises UsageError where the prototxt has no layer of a name."""
    names = [layer.name for layer in network.net.layer]
    if name in names:
        return
    near, few = nearest(name, names), names[:8]
    hint = f"did you mean {near}?" if near else f"its layers are {', '.join(map(quoted, few))}" + (
        " and more" if len(names) > len(few) else ""
    )
    raise UsageError(f"-layer={name}: the net has no such layer: {hint}")


def _check_used(options: WhatIfOptions) -> None:
    """Raises UsageError for flags of a calibration where none is made."""
    for flag, is_given in (("th_method", options.th_method != AUTO),
                           ("equalize", not options.equalize)):  # fmt: skip
        if is_given:
            raise UsageError(f"-{flag}: has no effect: no calibration is made, as -int8_model gives"
                             " one, and no trial keeps a BatchNorm; leave it out")


def _found(net: FloatNet, name: str) -> LayerOp:
    """The layer of a name. Raises UsageError for one that is not there any more."""
    op = next((op for op in net.layers if layer_name(op) == name), None)
    if op is None and name in net.parts:
        raise UsageError(f"-layer={name}: this layer is part of layer {quoted(net.parts[name])} in"
                         " 8 bits: name that one")
    if op is None:
        raise UsageError(f"-layer={name}: this is an input of the net: name a layer that computes")
    return op


# -- text ------------------------------------------------------------------------------------------


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
    lines += [f"{trial.name}: {note.coded}" for trial in found.trials for note in trial.notes]
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
    if found.best is None:
        lines.append("none of these makes the worst output better")
    else:
        lines.append(f"best for the worst output: {found.best.name}, error {percent(first.error)}"
                     f" -> {percent(found.best.error)}")
    return lines


def _outputs(trial: Trial) -> str:
    return "; ".join(
        f'output "{name}" error {percent(each.error)}, cosine {each.cosine:.6f}'
        for name, each in trial.outputs.items()
    )
