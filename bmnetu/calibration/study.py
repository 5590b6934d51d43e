"""A calibration whose layers are tried with other settings, and what each trial gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from bmnetu.calibration.accuracy.auto import best_recipe
from bmnetu.calibration.accuracy.closeness import Closeness, decibels
from bmnetu.calibration.accuracy.layer_table import Row, layer_table
from bmnetu.calibration.accuracy.losses import Loss, losses
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
from bmnetu.calibration.int8.quantized_net import QuantizedNet, layer_name
from bmnetu.calibration.int8.recipe import AUTO, Recipe
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.run.portable import PortableFunction
from bmnetu.calibration.trials.settled import Settled
from bmnetu.calibration.trials.stored import float_twin, stored_settings
from bmnetu.errors import UnsupportedError, UsageError
from bmnetu.frontend import Network, Precision, load_network
from bmnetu.frontend.cut import Cut
from bmnetu.note import Note
from bmnetu.options import WhatIfOptions
from bmnetu.report.numbers import digits
from dialects.names import quoted
from dialects.ufw.layer import LayerOp

Report = Callable[[str], None]
LOOKED_AT = 32
"""So many samples are run for the errors."""


class WorstOutput(NamedTuple):
    """The name of an output, and the worst figures of all: the relative error, the SQNR in dB, and
    the cosine, which is that of the named one."""

    name: str
    error: float
    sqnr_db: float
    cosine: float


@dataclass(frozen=True)
class Trial:
    """A layer with some settings. ``row`` tells how its blob is held and its errors; ``outputs``
    how close each output of the net is; ``cosine`` is the worst of them, that of ``worst``;
    ``sqnr`` the worst in dB. ``notes`` say what the calibration decided of the layer. What the
    JSON has of it are properties, too."""

    name: str
    row: Row
    cosine: float
    sqnr: float
    worst: str
    outputs: Mapping[str, Closeness]
    notes: tuple[Note, ...] = ()
    is_vain: bool = False
    """Whether it is a threshold that leaves the layer float."""

    @property
    def error(self) -> float:
        """The largest relative error of an output: the length of its error over its own."""
        return max((each.error for each in self.outputs.values() if each.signal), default=0.0)

    @property
    def layer(self) -> str:
        """The layer that makes the blob."""
        return self.row.layer

    @property
    def blob(self) -> str:
        """The blob that is told of."""
        return self.row.blob

    @property
    def held(self) -> str:
        """How the blob is held: signed, unsigned or float."""
        return self.row.held

    @property
    def threshold(self) -> float | None:
        """The real number that 127 or 255 stands for; None for a float blob."""
        return self.row.threshold

    @property
    def used(self) -> float | None:
        """The largest integer over the threshold's; None for a float blob."""
        return self.row.used

    @property
    def saturated(self) -> float | None:
        """The share of numbers at the end of the range; None for a float blob."""
        return self.row.saturated

    @property
    def isolated(self) -> Closeness:
        """The layer's error where it reads the float net's blobs, rounded."""
        return self.row.isolated

    @property
    def accumulated(self) -> Closeness:
        """The layer's error where it reads what the layers before it computed."""
        return self.row.accumulated

    @property
    def worst_output(self) -> WorstOutput:
        """The error at the output that is worst."""
        return WorstOutput(self.worst, self.error, self.sqnr, self.cosine)

    def line(self, wide: int) -> str:
        """Its line in the table."""
        row, ranges = self.row, f"{'float':>10}  {'-':>6}  {'-':>9}"
        if row.threshold is not None:
            ranges = f"{row.threshold:10.4g}  {row.used:6.1%}  {row.saturated:9.3%}"
        both = ((each.error, each.cosine) for each in (row.isolated, row.accumulated))
        errors = "".join(f"  {percent(error):>7}  {cosine:8.6f}"
                         for error, cosine in (*both, (self.error, self.cosine)))  # fmt: skip
        return f"{self.name:{wide}}  {ranges}{errors}"


def percent(error: float) -> str:
    """A relative error, with three digits."""
    return f"{digits(100 * error)}%"


@dataclass(frozen=True)
class Judged:
    """An integer net beside its float net, on the samples that are looked at."""

    rows: Mapping[str, Row]
    outputs: OutputErrors
    notes: Sequence[Note]
    int8: Int8Net

    def trial(
        self, name: str, op: LayerOp, blobs: Sequence[str], *, in_bytes: bool = False
    ) -> Trial:
        """What it says of a layer; of ``blobs`` the first that the integer net has is told of. With
        ``in_bytes`` the layer should be in 8 bits; the name says where it is not."""
        layer = layer_name(op)
        row = next((self.rows[blob] for blob in blobs if blob in self.rows), None)
        if row is None:
            raise UsageError(f"-layer={layer}: it makes no blob that is compared: it is a layer of"
                             " the host, or computes nothing in 8 bits")
        found = self.outputs
        own = tuple(note for note in self.notes if quoted(layer) in note)
        is_vain = in_bytes and row.threshold is None
        return Trial(f"{name}, float" if is_vain else name, row, found.cosine,
                     decibels(found.worst_noise), found.worst, found.outputs, own,
                     is_vain)  # fmt: skip


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
        net = float_twin(stored, lambda keep_bn: FloatNet(float_network(options), keep_bn), model)
        data = _data(options, net, stored, report)
        channels = ranges(net, data, report)
        settled = stored_settings(net, stored, channels, data, _plain(_recipe(options)))
        return Study(options, data, settled)

    @property
    def few(self) -> CalibrationData:
        """The samples that are looked at."""
        return self.data.limited(LOOKED_AT)

    @cached_property
    def as_it_is(self) -> Judged:
        """The calibration itself."""
        return self.judged(self.settled.quantized)

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """What looks lost in it."""
        rows = tuple(self.as_it_is.rows.values())
        return losses(self.settled.quantizer, self.settled.quantized, rows)

    def judged(self, quantized: QuantizedNet, settled: Settled | None = None) -> Judged:
        """The errors of an integer net."""
        net = (settled or self.settled).net
        int8, function = judged_net(net, quantized), net.judged_function()
        rows = {row.blob: row for row in layer_table(net, int8, self.few)}
        job = Outputs(PortableFunction(function), int8, self.few, OutputErrors,
                      joined_regions(function))  # fmt: skip
        return Judged(rows, merged(job, job.data, OutputErrors(), "measuring"), quantized.notes,
                       int8)  # fmt: skip

    def with_bn(self) -> Judged:
        """The net with BatchNorm kept, calibrated anew in the same way."""
        net = FloatNet(float_network(self.options), True)
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


def float_network(options: WhatIfOptions) -> Network:
    cut = _cut(options)
    network = load_network(options.model, options.weight, shapes=options.shapes, cut=cut)
    if network.precision is not Precision.FP32:
        weights = options.weight or options.model
        raise UsageError(f"{weights}: is an int8umodel already; float weights are expected")
    return network
