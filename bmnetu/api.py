"""The Python functions behind ``import bmnetu``: the command lines' work, with typed results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bmnetu.driver import compile_network
from bmnetu.emit import verify
from bmnetu.frontend import generate_umodel
from bmnetu.options import calibrate_options, compile_options, evaluate_options
from bmnetu.result import CompileResult

__all__ = ["calibrate", "compile", "evaluate", "generate_umodel", "verify"]

PathLike = str | Path


def _silent(line: str) -> None:
    """Drops a line."""


def compile(
    model: PathLike,
    weight: PathLike | None,
    outdir: PathLike,
    prec: str | None = None,
    shapes: Sequence[Sequence[int]] | None = None,
    net_name: str | None = None,
    opt: int = 2,
    dyn: bool = False,
    cmp: bool = True,
    *,
    report: Callable[[str], None] = _silent,
    **flags: Any,
) -> CompileResult:
    """Compiles a UFW network into ``outdir/compilation.bmodel``.

    model, weight: prototxt and umodel (or caffemodel); or an .onnx and None. prec: "FP32" or "INT8"
    (None: what the umodel holds). shapes: one list a network input, reshapes the whole network.
    opt: 0, 1, 2. cmp: compare every layer's NPU result with the CPU's. ``flags``: the command
    line's other flags by name. ``report`` gets the lines that the command line prints. Raises
    UsageError, InputFileError, UnsupportedError, CompareError.
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
        **flags,
    )
    return compile_network(options, report)


def calibrate(
    model: PathLike,
    weight: PathLike | None,
    data: PathLike,
    outdir: PathLike,
    *,
    report: Callable[[str], None] = _silent,
    **flags: Any,
) -> Any:
    """Chooses thresholds over calibration data and writes an int8umodel and its prototxt into
    outdir.

    data: a folder of images, an LMDB, an .npy or an .npz. ``flags``: the flags of bmnetu-calibrate
    by name. Returns the paths of what was written.
    """
    from bmnetu.calibration import calibrate_network  # Pillow is needed here only

    options = calibrate_options(model=model, weight=weight, data=data, outdir=outdir, **flags)
    return calibrate_network(options, report)


def evaluate(
    model: PathLike,
    weight: PathLike | None,
    int8_model: PathLike,
    int8_weight: PathLike,
    data: PathLike,
    *,
    report: Callable[[str], None] = _silent,
    **flags: Any,
) -> Any:
    """Runs a float net, and its INT8 form on the CPU reference, over data.

    data: a folder of images, an LMDB, an .npy or an .npz, with labels or without. ``flags``: the
    flags of bmnetu-calibrate eval by name. Returns the scores of every output. Raises AccuracyError
    when max_drop or min_cosine is missed.
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
    return evaluate_network(options, report)
