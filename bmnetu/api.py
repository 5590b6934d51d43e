"""The Python functions behind ``import bmnetu``: the command lines' work, with typed results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from bmnetu.driver import compile_network
from bmnetu.emit.verify import verify
from bmnetu.errors import UsageError
from bmnetu.frontend import generate_umodel
from bmnetu.frontend.cut import Cut
from bmnetu.options import calibrate_options, compile_options, evaluate_options, what_if_options
from bmnetu.report.result import CompileResult
from bmnetu.supported.check import Check, check_network

if TYPE_CHECKING:
    from bmnetu.calibration.calibrate import CalibrationResult
    from bmnetu.calibration.evaluate import Evaluation
    from bmnetu.calibration.what_if import WhatIf

__all__ = ["calibrate", "check", "compile", "evaluate", "generate_umodel", "verify", "what_if"]

PathLike = str | Path


def _silent(line: str) -> None:
    """Drops a line."""


def _called(report: Callable[[str], None]) -> Callable[[str], None]:
    """The function that gets lines; a path in its place is a UsageError."""
    if not callable(report):
        raise UsageError("report: a function of a line is expected; a page is report_file=PATH")
    return report


def compile(
    model: PathLike,
    weight: PathLike | None,
    outdir: PathLike,
    prec: str | None = None,
    shapes: Sequence[Sequence[int]] | Sequence[Sequence[Sequence[int]]] | None = None,
    net_name: str | None = None,
    opt: int = 2,
    dyn: bool = False,
    cmp: bool = True,
    *,
    cmp_data: Mapping[str, Any] | NDArray[Any] | PathLike | None = None,
    report_file: PathLike | None = None,
    report: Callable[[str], None] = _silent,
    **flags: Any,
) -> CompileResult:
    """Compiles a UFW network into ``outdir/compilation.bmodel``; the result prints as five lines.

    model, weight: prototxt and umodel (or caffemodel); or an .onnx and None. prec: "FP32" or "INT8"
    (None: what the umodel holds). shapes: one list a network input, reshapes the whole network;
    several of these in a list: a stage for each in one bmodel, as max_n=[1, 4] makes.
    opt: 0, 1, 2 (the command line takes 1 unless it is told). cmp: compare every layer's NPU result
    with the CPU's. cmp_data: the input of that compare, real numbers: an image, npy or npz, or
    arrays of the inputs' shapes by name, or the array of a single input; None: made up.
    report_file: an .html to write, the flag -report. ``flags``: all other flags of the command line
    by name.
    ``report`` gets the lines that the command line prints. Raises UsageError, InputFileError,
    UnsupportedError, CompareError.
    """
    options = compile_options(
        model=model,
        weight=weight,
        outdir=outdir,
        prec=prec,
        shapes=shapes,
        net_name=net_name,
        opt=opt,
        dyn=dyn,
        cmp=cmp,
        cmp_data=cmp_data,
        report=report_file,
        **flags,
    )
    return compile_network(options, _called(report))


def calibrate(
    model: PathLike,
    weight: PathLike | None,
    data: PathLike,
    outdir: PathLike,
    *,
    report_file: PathLike | None = None,
    report: Callable[[str], None] = _silent,
    **flags: Any,
) -> CalibrationResult:
    """Chooses thresholds over calibration data and writes an int8umodel and its prototxt into
    outdir.

    data: a folder of images, an LMDB, an .npy or an .npz. report_file: an .html to write, the flag
    -report. ``flags``: all other flags of bmnetu-calibrate by name. Returns what was written and
    chosen.
    """
    from bmnetu.calibration import calibrate_network  # Pillow is needed here only

    options = calibrate_options(model=model, weight=weight, data=data, outdir=outdir,
                                report=report_file, **flags)
    return calibrate_network(options, _called(report))


def evaluate(
    model: PathLike,
    weight: PathLike | None,
    int8_model: PathLike,
    int8_weight: PathLike,
    data: PathLike,
    *,
    report: Callable[[str], None] = _silent,
    **flags: Any,
) -> Evaluation:
    """Runs a float net, and its INT8 form on the CPU reference, over data.

    data: a folder of images, an LMDB, an .npy or an .npz, with labels or without. ``flags``: the
    flags of bmnetu-calibrate eval by name. Returns the scores of every output. Raises AccuracyError
    when max_drop, min_cosine or min_iou is missed.
    """
    from bmnetu.calibration import evaluate_network  # Pillow is needed here only

    options = evaluate_options(
        model=model,
        weight=weight,
        int8_model=int8_model,
        int8_weight=int8_weight,
        data=data,
        **flags,
    )
    return evaluate_network(options, _called(report))


def what_if(
    model: PathLike,
    weight: PathLike | None,
    data: PathLike,
    layer: str | Sequence[str],
    *,
    int8_model: PathLike | None = None,
    int8_weight: PathLike | None = None,
    threshold: float | Sequence[float] = (),
    report: Callable[[str], None] = _silent,
    **flags: Any,
) -> tuple[WhatIf, ...]:
    """The error of one layer or several in 8 bits, and with other settings, each layer alone.

    data: as in :func:`calibrate`. layer: names, or one text with commas between them; one that is
    named twice counts once. int8_model, int8_weight: the files of a calibration, which is then
    looked at; without them one is made. threshold: real numbers above 0 to try; keep_bn,
    keep_float: what else to try; without these three all that apply are tried. ``flags``: the other
    flags of bmnetu-calibrate what_if by name. Returns what was found of each layer, in their order;
    its first trial is as it is. Nothing is written. Raises UsageError, InputFileError,
    UnsupportedError.
    """
    from bmnetu.calibration import what_if as tried  # Pillow is needed here only

    options = what_if_options(
        model=model,
        weight=weight,
        data=data,
        layer=layer,
        int8_model=int8_model,
        int8_weight=int8_weight,
        threshold=[threshold] if isinstance(threshold, (int, float)) else threshold or None,
        **flags,
    )
    return tried(options, _called(report))


def check(
    model: PathLike,
    shapes: Sequence[Sequence[int]] | None = None,
    max_n: int | None = None,
    output_whitelist: Sequence[str] = (),
    host: bool = True,
) -> Check:
    """Which layers of a prototxt or an .onnx can be compiled, and how; no weights are read.

    shapes: one list a network input; max_n: the batch of every input. output_whitelist,
    host: where the network ends, as in :func:`compile`. The result has ``layers``,
    ``ok``, ``text()`` and ``json()``. Raises UsageError, InputFileError.
    """
    return check_network(Path(model), shapes, max_n, Cut(tuple(output_whitelist), host))
