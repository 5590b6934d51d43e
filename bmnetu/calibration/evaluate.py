"""Evaluation: a float net and its INT8 form over data, and what is lost between them."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path

from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from bmnetu.calibration.accuracy.outputs import Outputs
from bmnetu.calibration.accuracy.scores import OutputScore, score_of
from bmnetu.calibration.annotations.truth import Truth
from bmnetu.calibration.annotations.truths import AnnotationSource, truths_of
from bmnetu.calibration.data.accumulate import merged
from bmnetu.calibration.data.checked import open_checked
from bmnetu.calibration.data.dataset import CalibrationData
from bmnetu.calibration.data.images import Images
from bmnetu.calibration.data.transform import from_record
from bmnetu.calibration.detection.outputs import DetectionOutput, detection_outputs
from bmnetu.calibration.detection.scores import (
    DetectionScore,
    detection_lines,
    detection_score,
    judge_detections,
)
from bmnetu.calibration.detection.watched import Watched
from bmnetu.calibration.from_options import check_int8_model, data_source
from bmnetu.calibration.int8.int8_net import Int8Net
from bmnetu.calibration.run.portable import PortableFunction
from bmnetu.errors import AccuracyError, InputFileError, UsageError
from bmnetu.frontend import Network, Precision, load_network
from bmnetu.frontend.cut import Cut
from bmnetu.options import EvaluateOptions, Shapes
from dialects.constant import Array
from dialects.ufw.facts import FollowsOperand, GivesProbabilities
from dialects.ufw.layer import LayerOp, shape_of
from passes.module.functions import main_function, names


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found over ``samples`` samples; ``detections`` are the outputs of boxes,
    ``outputs`` all others."""

    samples: int
    outputs: tuple[OutputScore, ...]
    detections: tuple[DetectionScore, ...] = ()


def _nobody(found: Evaluation) -> None:
    pass


def evaluate_network(
    options: EvaluateOptions,
    report: Callable[[str], None],
    tell: Callable[[Evaluation], None] = _nobody,
) -> Evaluation:
    """Runs a float net, and its INT8 form on the CPU reference, over data.

    The contract that the int8umodel records is that of the data, unless flags say otherwise.
    ``report`` gets lines for the user, ``tell`` what was found, also where it misses a threshold.
    Raises the exceptions of :mod:`bmnetu.errors`,
    :class:`AccuracyError` for a threshold that is missed.
    """
    check_int8_model(options.int8_model)
    requested = options.shapes
    cut = Cut(options.output_whitelist, options.host)
    real = _loaded(options.model, options.weight, requested, Precision.FP32, report, cut)
    files = options.int8_model, options.int8_weight
    int8 = _loaded(*files, requested, Precision.INT8, report, cut)
    function = main_function(real.module)
    shapes = _shapes(function)
    _check_twins(options, function, main_function(int8.module))
    detections = detection_outputs(function)
    _check_flags(options, detections, _results(function))
    recorded = from_record(int8.preprocess) if int8.preprocess is not None else None
    data = open_checked(data_source(options), real.net, shapes, report, recorded)
    labels = data.labels()
    classes = _class_outputs(function, detections)
    if options.max_drop is not None and options.annotations is None:
        _check_drop(options, labels, classes, detections)
    if labels is not None:
        _check_labels(options, labels, function, classes)
    truths = _truths(options, data, detections, report)
    size = next(iter(shapes.values()))[0]
    labels = labels if classes else None
    make = partial(Watched, classes, labels, detections, data.samples, size, truths)
    net = Int8Net(int8.module, options.fast_functions)
    job = Outputs(PortableFunction(function), net, data, make)
    found = merged(job, data, make(), "evaluating")
    evaluation = Evaluation(
        data.samples,
        tuple(score_of(name, found.scores) for name in found.scores.outputs),
        tuple(
            detection_score(name, each, truths is not None) for name, each in found.found.items()
        ),
    )
    for line in evaluation_lines(evaluation):
        report(line)
    tell(evaluation)
    _judge(evaluation, options)
    return evaluation


def _loaded(
    model: Path,
    weight: Path | None,
    shapes: Shapes | None,
    expected: Precision,
    report: Callable[[str], None],
    cut: Cut,
) -> Network:
    network = load_network(model, weight, shapes=shapes, cut=cut)
    if network.precision is not expected:
        found = f"{weight or model}: is {network.precision}"
        raise UsageError(f"{found}, {expected} weights are expected here")
    for note in network.notes:
        report(note.line)
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


def _class_outputs(function: FuncOp, detections: Container[str]) -> tuple[str, ...]:
    """The outputs that choose a class: N x C with C at least 2, and of these only the softmaxes
    where there are some; no detections."""
    batch = next(iter(_shapes(function).values()))[0]
    found: dict[str, bool] = {}
    for name, value in _results(function).items():
        shape = () if name in detections else shape_of(value)
        if len(shape) > 1 and shape[0] == batch and shape[1] == prod(shape[1:]) > 1:
            found[name] = _is_softmax(value)
    some = any(found.values())
    return tuple(name for name, softmax in found.items() if softmax or not some)


def _is_softmax(value: SSAValue) -> bool:
    owner = value.owner
    while isinstance(owner, LayerOp) and owner.has_trait(FollowsOperand):
        owner = owner.operands[0].owner
    return isinstance(owner, LayerOp) and owner.has_trait(GivesProbabilities)


def _check_flags(
    options: EvaluateOptions, detections: Container[str], outputs: Mapping[str, SSAValue]
) -> None:
    """Raises UsageError for flags that do not fit the outputs."""
    found = [name for name in outputs if name in detections]
    if options.min_cosine is not None and len(found) == len(outputs):
        raise UsageError("-min_cosine: all outputs are detections, which have none; see -min_iou")
    if options.label_map is not None and options.annotations is None:
        raise UsageError("-label_map: names the classes of -annotations, which are not given")
    for flag in ("annotations", "min_iou"):
        if not found and getattr(options, flag) is not None:
            raise UsageError(f"-{flag}: no output of the net is detections")


def _check_drop(
    options: EvaluateOptions,
    labels: Array | None,
    classes: Sequence[str],
    detections: Mapping[str, DetectionOutput],
) -> None:
    """Raises UsageError where -max_drop has nothing to judge by: no annotations are given."""
    if labels is not None and classes:
        return
    if detections:
        raise UsageError(
            f'-max_drop: output "{next(iter(detections))}" is detections: -annotations has to say '
            "what is to be detected; -min_iou needs none"
        )
    if labels is None:
        raise UsageError(f"-max_drop: {options.data} has no labels; -min_cosine needs none")
    raise UsageError("-max_drop: no output of the net is N x classes; -min_cosine needs none")


def _truths(
    options: EvaluateOptions,
    data: CalibrationData,
    detections: Mapping[str, DetectionOutput],
    report: Callable[[str], None],
) -> tuple[Truth, ...] | None:
    """What is to be detected in every sample; None without annotations."""
    if options.annotations is None:
        return None
    images = next(iter(data.sources.values()))
    if not isinstance(images, Images):
        raise UsageError(
            f"-annotations: {options.data} has no pictures with names; a folder of images is "
            "expected"
        )
    classes = {output.classes for output in detections.values()}
    if len(classes) > 1:
        raise UsageError("-annotations: the detections of the outputs have different classes")
    return truths_of(
        AnnotationSource(options.annotations, options.label_map),
        replace(images, paths=images.paths[: data.samples]),
        classes.pop(),
        lambda note: report(note.line),
    )


def _check_labels(
    options: EvaluateOptions, labels: Array, function: FuncOp, classes: Sequence[str]
) -> None:
    """Raises unless every output that chooses a class knows all labels."""
    results = _results(function)
    for name in classes:
        count = shape_of(results[name])[1]
        wrong = [label for label in labels if not 0 <= label < count]
        if wrong:
            raise InputFileError(
                f'{options.data}: has label {wrong[0]}, output "{name}" of {options.model} has '
                f"the classes 0 to {count - 1}"
            )


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
    for output in found.detections:
        lines += detection_lines(output)
    return lines


def _judge(found: Evaluation, options: EvaluateOptions) -> None:
    """Raises AccuracyError for the first threshold that an output misses."""
    for output in found.outputs:
        cosine = output.closeness.cosine
        if options.min_cosine is not None and cosine < options.min_cosine:
            raise AccuracyError(
                f'output "{output.name}" has cosine {cosine:.8g} to FP32, '
                f"-min_cosine={options.min_cosine} is expected"
            )
        drop = output.top[1].drop if output.top else 0.0
        if options.max_drop is not None and drop > options.max_drop:
            raise AccuracyError(
                f'output "{output.name}" loses {drop:.2f} points of top-1 accuracy, '
                f"-max_drop={options.max_drop:g} is allowed"
            )
    for output in found.detections:
        judge_detections(output, options.max_drop, options.min_iou)
