"""Evaluation: a float net and its INT8 form over data, and what is lost between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from bmnetu.calibration.accumulate import merged
from bmnetu.calibration.checked_data import open_checked
from bmnetu.calibration.closeness import Closeness
from bmnetu.calibration.integer_net import IntegerNet
from bmnetu.calibration.outputs import OutputErrors, Outputs
from bmnetu.calibration.plan import MOVING
from bmnetu.calibration.portable import PortableFunction
from bmnetu.calibration.transform import from_record
from bmnetu.errors import AccuracyError, InputFileError, UsageError
from bmnetu.frontend import Network, Precision, load_network
from bmnetu.options import EvaluateOptions
from dialects.blob import Array
from dialects.ufw import ops
from dialects.ufw.layer import LayerOp, shape_of
from passes.support.program import main_function, names

RANKS = (1, 5)
"""The label has to be among so many best classes; RANKS that are no fewer than the classes do not
count."""


@dataclass
class Hits:
    """Counts over the samples of an output: of all, of those where both nets choose one class, and
    by rank of those whose label FP32 and INT8 find."""

    samples: int = 0
    same: int = 0
    fp32: dict[int, int] = field(default_factory=dict[int, int])
    int8: dict[int, int] = field(default_factory=dict[int, int])

    def merge(self, other: Hits) -> None:
        self.samples += other.samples
        self.same += other.same
        for mine, more in ((self.fp32, other.fp32), (self.int8, other.int8)):
            for rank, count in more.items():
                mine[rank] = mine.get(rank, 0) + count


@dataclass
class Scores(OutputErrors):
    """What is counted: ``classes`` are the outputs that choose one, ``labels`` those of all
    samples."""

    classes: Sequence[str] = ()
    labels: Array | None = None
    hits: dict[str, Hits] = field(default_factory=dict[str, Hits])

    def watch(self, first: int, wanted: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        super().watch(first, wanted, found)
        for name in self.classes:
            fp32, int8 = (each[name].reshape(len(each[name]), -1) for each in (wanted, found))
            labels = None if self.labels is None else self.labels[first : first + len(fp32)]
            self.hits[name] = _hits(fp32, int8, labels)

    def merge(self, other: OutputErrors) -> None:
        super().merge(other)
        if isinstance(other, Scores):
            for name, hits in other.hits.items():
                self.hits.setdefault(name, Hits()).merge(hits)


def _hits(fp32: Array, int8: Array, labels: Array | None) -> Hits:
    """Counts of one batch: N x classes, and N labels. Of equal numbers the first class counts."""
    orders = [np.argsort(-scores, axis=1, kind="stable") for scores in (fp32, int8)]
    hits = Hits(len(fp32), int(np.sum(orders[0][:, 0] == orders[1][:, 0])))
    if labels is not None:
        for rank in (rank for rank in RANKS if rank < fp32.shape[1]):
            found = [np.any(order[:, :rank] == labels[:, None], axis=1) for order in orders]
            hits.fp32[rank], hits.int8[rank] = (int(each.sum()) for each in found)
    return hits


@dataclass(frozen=True)
class Accuracy:
    """The percentage of samples whose label FP32 and INT8 find."""

    fp32: float
    int8: float

    @property
    def drop(self) -> float:
        """What INT8 loses, in percentage points."""
        return self.fp32 - self.int8


@dataclass(frozen=True)
class OutputScore:
    """An output: ``agreement`` is the percentage of samples where both nets choose one class, None
    where it does not choose classes; ``top`` the accuracy by rank, 1 and 5, empty without labels.
    """

    name: str
    closeness: Closeness
    agreement: float | None
    top: dict[int, Accuracy]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found over ``samples`` samples."""

    samples: int
    outputs: tuple[OutputScore, ...]


def evaluate_network(options: EvaluateOptions, report: Callable[[str], None]) -> Evaluation:
    """Runs a float net, and its INT8 form on the CPU reference, over data.

    The contract that the int8umodel records is that of the data, unless flags say otherwise.
    ``report`` gets lines for the user. Raises the exceptions of :mod:`bmnetu.errors`,
    :class:`AccuracyError` for a threshold that is missed.
    """
    real = _loaded(options.model, options.weight, Precision.FP32, report)
    int8 = _loaded(options.int8_model, options.int8_weight, Precision.INT8, report)
    function = main_function(real.module)
    shapes = _shapes(function)
    _check_twins(options, function, main_function(int8.module))
    record = int8.preprocess
    recorded = None if record is None else from_record(record)
    data = open_checked(options, real.net, shapes, report, recorded)
    labels = data.labels()
    classes = _class_outputs(function)
    if labels is not None:
        _check_labels(options, labels, function, classes)
    elif options.max_drop is not None:
        raise UsageError(f"-max_drop: {options.data} has no labels; -min_cosine needs none")
    make = partial(Scores, classes=classes, labels=labels if classes else None)
    job = Outputs(PortableFunction(function), IntegerNet(int8.module), data, make)
    found = merged(job, data, make(), "evaluating")
    scores = tuple(_score(name, found) for name in found.outputs)
    evaluation = Evaluation(data.samples, scores)
    for line in evaluation_lines(evaluation):
        report(line)
    _judge(evaluation, options)
    return evaluation


def _loaded(
    model: Path, weight: Path, wanted: Precision, report: Callable[[str], None]
) -> Network:
    network = load_network(model, weight)
    if network.precision is not wanted:
        raise UsageError(f"{weight}: is {network.precision}, {wanted} weights are wanted here")
    for note in network.notes:
        report(f"note: {note}")
    return network


def _shapes(function: FuncOp) -> dict[str, tuple[int, ...]]:
    args = zip(names(function, "input_names"), function.body.block.args, strict=True)
    return {name: shape_of(value) for name, value in args}


def _results(function: FuncOp) -> dict[str, SSAValue]:
    last = function.body.block.last_op
    assert last is not None
    return dict(zip(names(function, "output_names"), last.operands, strict=True))


def _check_twins(options: EvaluateOptions, real: FuncOp, int8: FuncOp) -> None:
    """Raises InputFileError unless both nets have the same inputs and outputs."""
    for what, of in (("inputs", _shapes), ("outputs", _described_outputs)):
        if of(real) != of(int8):
            raise InputFileError(
                f"{options.int8_model}: has the {what} {_listed(of(int8))}, {options.model} has "
                f"{_listed(of(real))}; both have to be forms of one net"
            )


def _described_outputs(function: FuncOp) -> dict[str, tuple[int, ...]]:
    return {name: shape_of(value) for name, value in _results(function).items()}


def _listed(shapes: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f'"{name}" {"x".join(map(str, each))}' for name, each in shapes.items())


def _class_outputs(function: FuncOp) -> tuple[str, ...]:
    """The outputs that choose a class: N x C with C at least 2, and of these only the softmaxes
    where there are some."""
    batch = next(iter(_shapes(function).values()))[0]
    found: dict[str, bool] = {}
    for name, value in _results(function).items():
        shape = shape_of(value)
        if len(shape) > 1 and shape[0] == batch and shape[1] == prod(shape[1:]) > 1:
            found[name] = _is_softmax(value)
    some = any(found.values())
    return tuple(name for name, softmax in found.items() if softmax or not some)


def _is_softmax(value: SSAValue) -> bool:
    owner = value.owner
    while isinstance(owner, LayerOp) and isinstance(owner, MOVING):
        owner = owner.operands[0].owner
    return isinstance(owner, ops.SoftmaxOp)


def _check_labels(
    options: EvaluateOptions, labels: Array, function: FuncOp, classes: Sequence[str]
) -> None:
    """Raises unless every output that chooses a class knows all labels."""
    results = _results(function)
    if not classes and options.max_drop is not None:
        raise UsageError("-max_drop: no output of the net is N x classes; -min_cosine needs none")
    for name in classes:
        count = shape_of(results[name])[1]
        wrong = [label for label in labels if not 0 <= label < count]
        if wrong:
            raise InputFileError(
                f'{options.data}: has label {wrong[0]}, output "{name}" of {options.model} has '
                f"the classes 0 to {count - 1}"
            )


def _score(name: str, found: Scores) -> OutputScore:
    hits = found.hits.get(name)
    if hits is None:
        return OutputScore(name, found.outputs[name], None, {})
    percent = 100 / hits.samples
    top = {
        rank: Accuracy(count * percent, hits.int8[rank] * percent)
        for rank, count in hits.fp32.items()
    }
    return OutputScore(name, found.outputs[name], hits.same * percent, top)


def evaluation_lines(found: Evaluation) -> list[str]:
    """What was found as text: a line an output, and one a rank of its classes."""
    lines = [f"{found.samples} samples, INT8 beside FP32"]
    for output in found.outputs:
        line = f'output "{output.name}": SQNR {output.closeness.sqnr:.1f} dB'
        line += f", cosine {output.closeness.cosine:.6f}"
        if output.agreement is not None:
            line += f", the same class {output.agreement:.2f} %"
        lines.append(line)
        for rank, accuracy in output.top.items():
            lines.append(
                f'output "{output.name}": top-{rank} FP32 {accuracy.fp32:.2f} %, '
                f"INT8 {accuracy.int8:.2f} %, drop {accuracy.drop:.2f} points"
            )
    return lines


def _judge(found: Evaluation, options: EvaluateOptions) -> None:
    """Raises AccuracyError for the first threshold that an output misses."""
    for output in found.outputs:
        cosine = output.closeness.cosine
        if options.min_cosine is not None and cosine < options.min_cosine:
            raise AccuracyError(
                f'output "{output.name}" has cosine {cosine:.6f} to FP32, '
                f"-min_cosine={options.min_cosine:g} is wanted"
            )
        drop = output.top[1].drop if output.top else 0.0
        if options.max_drop is not None and drop > options.max_drop:
            raise AccuracyError(
                f'output "{output.name}" loses {drop:.2f} points of top-1 accuracy, '
                f"-max_drop={options.max_drop:g} is allowed"
            )
