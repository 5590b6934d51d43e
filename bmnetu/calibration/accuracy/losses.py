"""What looks lost in 8 bits, found without being asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from statistics import median

import numpy as np
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Operation, SSAValue

from bmnetu.calibration.accuracy.layer_table import Row
from bmnetu.calibration.int8.equalize import columns_of
from bmnetu.calibration.int8.quantized_net import QuantizedNet, layer_name
from bmnetu.calibration.int8.quantizer import Quantizer
from bmnetu.calibration.thresholds.thresholds import Numbers
from dialects.constant import Array
from dialects.host.base import HostOp
from dialects.ufw.convolution import WeightedLayerOp
from dialects.ufw.facts import FollowsOperand, JoinsOperands, PassesOn
from dialects.ufw.layer import LayerOp, shape_of

FEW_LEVELS = 8
"""So many of 255 levels are few: about 20 dB are left."""
MUCH_SATURATED = 0.01
"""What saturation takes away of a blob's energy to be reported: it alone leaves 20 dB."""
MUCH_CLIPPED = 2.0
"""How many of 255 levels clipped biases are off to be reported."""
LEAST_PART = 0.05
"""A channel inside the net is reported when at least this part of what its readers compute comes
from it."""
FAR_BELOW, LOW = 15.0, 20.0
"""A layer with this SQNR in dB or less, and so far below the median of all, is reported."""
POOR_OUTPUT = 20.0
"""An output with this SQNR in dB or less is reported."""
MOST_LINES, MOST_NAMES = 8, 3


@dataclass(frozen=True)
class Loss:
    """Something that looks lost: ``kind`` of loss, the ``layer`` that can be kept float, ``said``
    with its number, ``help`` with the flag. ``left`` is about how much is left, from 0 on."""

    kind: str
    layer: str
    said: str
    help: str
    left: float

    def record(self) -> dict[str, str]:
        """As NET_layers.json has it."""
        return {"kind": self.kind, "layer": self.layer, "said": self.said, "help": self.help}


def losses(made: Quantizer, found: QuantizedNet, rows: Sequence[Row]) -> tuple[Loss, ...]:
    """All losses, the worst first. ``rows`` are measured on some of the data."""
    joined = list(_joined(made, found))
    reported = {loss.layer for loss in joined}
    all_found = [
        *joined,
        *(loss for loss in _channels(made, found) if loss.layer not in reported),
        *_saturated(made, found),
        *_biases(found),
        *_poor(made, rows),
    ]
    return tuple(sorted(all_found, key=lambda loss: loss.left))


def loss_lines(found: Sequence[Loss]) -> list[str]:
    """A line a kind of loss and help, the worst first; nothing when nothing is lost."""
    folded: dict[tuple[str, str], list[Loss]] = {}
    for loss in found:
        folded.setdefault((loss.kind, loss.help.replace(loss.layer, "NAME")), []).append(loss)
    lines: list[str] = []
    for alike in folded.values():
        names = ", ".join(f'"{loss.layer}"' for loss in alike[1 : 1 + MOST_NAMES])
        others = f" (and {len(alike) - 1} more like it: {names}" if names else ""
        dots = ", ..." if len(alike) > 1 + MOST_NAMES else ""
        lines.append(f"{alike[0].said}{others}{dots}{')' if names else ''}; {alike[0].help}")
    more = [f"{len(lines) - MOST_LINES} more kinds; -layer_table lists all blobs"]
    return lines[:MOST_LINES] + (more if len(lines) > MOST_LINES else [])


def _block(layer: str) -> str:
    return f"-fpfwd_blocks={layer} keeps it float"


def _levels(peaks: Array, numbers: Numbers) -> Array:
    """How many of 255 levels reach up to each peak."""
    steps = np.rint(peaks / numbers.scale).clip(0, numbers.full_scale)
    return (steps if numbers.unsigned else 2 * steps).astype(int) + 1


def _joined(made: Quantizer, found: QuantizedNet) -> Iterator[Loss]:
    """Operands of a concatenation in a scale that is too coarse for them."""
    for op in made.net.layers:
        if not op.has_trait(JoinsOperands) or found.numbers[op.results[0]].is_float:
            continue
        top = found.numbers[op.results[0]]
        for x in dict.fromkeys(op.operands):
            name, peak = made.net.names[x], made.channels.largest(made.net.names[x])
            signed = Numbers(top.threshold, found.numbers[x].unsigned and top.unsigned)
            levels = int(_levels(np.array(peak), signed))
            if 0 < peak and levels <= FEW_LEVELS:
                yield Loss(
                    "joined",
                    layer_name(op),
                    f'operand "{name}" of Concat "{layer_name(op)}" keeps {_of_255(levels)}: it '
                    f"reaches {peak:.3g}, the threshold is {top.threshold:.3g}",
                    f"{_block(layer_name(op))}, without it the operands are outputs of their own"
                    if _reaches_output(op, found)
                    else _block(layer_name(op)),
                    levels / 255,
                )


def _of_255(levels: int) -> str:
    return f"{levels} of 255 levels" if levels > 1 else "none of 255 levels but 0"


def _reaches_output(op: Operation, found: QuantizedNet) -> bool:
    """Whether an output, or what a host layer reads, is made of the results by moving data, or by
    joining them in float."""
    readers = [use.operation for value in op.results for use in value.uses]
    return any(
        isinstance(reader, ReturnOp | HostOp)
        or (_follows(reader, found) and _reaches_output(reader, found))
        for reader in readers
    )


def _follows(op: Operation, found: QuantizedNet) -> bool:
    if op.has_trait(JoinsOperands):
        return found.numbers[op.results[0]].is_float
    return op.has_trait(FollowsOperand)


def _channels(made: Quantizer, found: QuantizedNet) -> Iterator[Loss]:
    """Channels with few levels: of outputs, and of what counts for the layers that read it."""
    if _one_sample(made):
        return
    for value in (result for op in made.net.layers for result in op.results[:1]):
        op = value.owner
        assert isinstance(op, LayerOp)
        numbers = found.numbers[value]
        if numbers.is_float or op.has_trait(PassesOn) or len(shape_of(value)) < 2:
            continue
        peaks = made.channels.peaks[made.net.names[value]]
        levels = _levels(peaks, numbers)
        matters = np.full(len(peaks), _reaches_output(op, found)) | _heard(made, value)
        few = np.flatnonzero((levels <= FEW_LEVELS) & (peaks > 0) & matters)
        if len(few) and len(few) < len(peaks):
            worst = int(levels[few].min())
            yield Loss(
                "channels",
                layer_name(op),
                f'channel{"s" * (len(few) > 1)} {_ranges(few.tolist())} of "{layer_name(op)}" '
                f"keep{'s' * (len(few) == 1)} {_of_255(worst)}: the threshold of the blob is "
                f"{numbers.threshold:.3g}",
                _block(layer_name(op)),
                worst / 255,
            )


def _one_sample(made: Quantizer) -> bool:
    """Whether the data are a single sample, whose small channels may be large in another one."""
    counts, peaks = made.channels.counts, made.channels.peaks
    shapes = {name: shape_of(value) for name, value in made.net.inputs.items()}
    return all(
        shape[0] == 1 and counts[name] * len(peaks[name]) == prod(shape)
        for name, shape in shapes.items()
    )


def _heard(made: Quantizer, value: SSAValue) -> Array:
    """Which channels make a part worth reporting of what the readers of a value compute."""
    power = made.channels.mean_square(made.net.names[value])
    noticed = np.zeros(len(power), bool)
    for use in value.uses:
        op = use.operation
        if not isinstance(op, WeightedLayerOp) or not op.is_along_channels:
            continue
        if shape_of(value)[1] == len(power):
            parts = np.square(columns_of(op, len(power))).sum(axis=1) * power
            noticed |= parts >= LEAST_PART * max(float(parts.sum()), np.finfo(np.float64).tiny)
    return noticed


def _ranges(numbers: Iterable[int]) -> str:
    """``0, 4..7``, at most MOST_NAMES of them."""
    runs = [
        [n for _, n in group]
        for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ]
    said = [str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs]
    return ", ".join(said[:MOST_NAMES]) + (", ..." if len(said) > MOST_NAMES else "")


def _saturated(made: Quantizer, found: QuantizedNet) -> Iterator[Loss]:
    """Blobs with many numbers beyond their threshold."""
    for value, name in made.net.names.items():
        counts, numbers = made.histograms.counts.get(name), found.numbers[value]
        if counts is None or numbers.is_float:
            continue
        largest = made.histograms.largest[name]
        x = (np.arange(len(counts)) + 0.5) * (largest / len(counts))
        beyond = np.maximum(x - numbers.threshold, 0)
        if counts @ beyond**2 < MUCH_SATURATED * (counts @ x**2):
            continue
        count = made.channels.counts[name] * len(made.channels.peaks[name])
        share = float(counts[beyond > 0].sum()) / count
        owner = value.owner
        layer = layer_name(owner) if isinstance(owner, LayerOp) else name
        given = value in made.net.makers and made.net.makers[value].HasField("threshold")
        yield Loss(
            "saturated",
            layer,
            f'{share:.2%} of blob "{name}" saturates: it reaches {largest:.3g}, the threshold is '
            f"{numbers.threshold:.3g}",
            "the prototxt gives that threshold" if given else "-th_method=MAX clips less",
            1 - share,
        )


def _biases(found: QuantizedNet) -> Iterator[Loss]:
    for op, integers in found.coefficients.items():
        if integers.clipped_by >= MUCH_CLIPPED and integers.bias is not None:
            yield Loss(
                "biases",
                layer_name(op),
                f'{integers.clipped} of {integers.bias.size} biases of "{layer_name(op)}" exceed 16'
                f" bits and are clipped, by up to {integers.clipped_by:.0f} of 255 levels of the"
                " result",
                _block(layer_name(op)),
                1 / integers.clipped_by,
            )


def _poor(made: Quantizer, rows: Sequence[Row]) -> Iterator[Loss]:
    """Layers whose own error is far above that of the others, and outputs with little left."""
    usual = [row.isolated.sqnr for row in rows if row.isolated.signal]
    middle = median(usual) if usual else 0.0
    outputs = set(made.net.judged)
    for row in rows:
        own, all_before = row.isolated, row.accumulated
        if own.signal and row.held != "float" and own.sqnr <= min(LOW, middle - FAR_BELOW):
            yield Loss(
                "layer",
                row.layer,
                f'"{row.layer}" alone has SQNR {own.sqnr:.1f} dB, the median of the layers is '
                f"{middle:.1f} dB",
                _block(row.layer),
                10 ** (own.sqnr / 20) / 255,
            )
        elif row.blob in outputs and all_before.signal and all_before.sqnr <= POOR_OUTPUT:
            yield Loss(
                "output",
                row.layer,
                f'output "{row.blob}" has SQNR {all_before.sqnr:.1f} dB and cosine '
                f"{all_before.cosine:.4f} to FP32",
                "-float_budget=N keeps up to N of the worst layers float, -sensitivity ranks them",
                10 ** (all_before.sqnr / 20) / 255,
            )
