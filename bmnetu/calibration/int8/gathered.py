"""What the data say of a float net, and the quantizer that they make."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bmnetu.calibration.data.accumulate import accumulate
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.int8.equalize import equalize
from bmnetu.calibration.int8.quantizer import Quantizer, measured
from bmnetu.calibration.int8.recipe import Recipe
from bmnetu.calibration.run.net import FloatNet
from bmnetu.calibration.thresholds.channels import Channels
from bmnetu.calibration.thresholds.histograms import Histograms
from bmnetu.calibration.thresholds.measured import DEAD_BELOW
from bmnetu.note import Note

Report = Callable[[str], None]


def ranges(net: FloatNet, data: CalibrationData, report: Report) -> Channels:
    """The channels of all blobs, over all batches."""
    channels = accumulate(net.function, data, Channels, "ranges")
    for name in sorted(channels.faulty):
        sentence = f'blob "{name}" has numbers that are not finite; they do not count'
        report(Note("not-finite", sentence).line)
    return channels


def gathered(
    net: FloatNet, channels: Channels, data: CalibrationData, recipe: Recipe, every_blob: bool
) -> Quantizer:
    """The quantizer of a recipe. The net is equalised in place if the recipe says so.

    ``channels`` are of the same data, and follow. ``every_blob``: other layers may become float.
    """
    if recipe.equalize:
        equalize(net, channels)
    counted = net.names if every_blob else measured(net, net.floats)
    largest = {net.names[value]: channels.largest(net.names[value]) for value in counted}
    gather = partial(Histograms, {name: top for name, top in largest.items() if top > DEAD_BELOW})
    histograms = accumulate(net.function, data, gather, "histograms")
    found = Quantizer(net, channels, histograms, (), recipe)
    return found.with_sample(data) if recipe.refines else found
