"""What a run is asked to do, typed: the command lines and the Python functions both make these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from bmnetu.command_line.calibrate_flags import CALIBRATE_FLAGS, EVALUATE_FLAGS, WHAT_IF_FLAGS
from bmnetu.command_line.compile_flags import COMPILE_FLAGS
from bmnetu.command_line.flags import check_values, require_necessary
from bmnetu.command_line.kinds import MAX_COUNT
from bmnetu.errors import UnsupportedError, UsageError
from bmnetu.ways.levels import levels_of

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class PassOptions:
    """What the passes of a compilation depend on, by the names of the flags.

    ``prec`` is "FP32" or "INT8" once the network is loaded.
    """

    opt: int = 1
    prec: str | None = None
    cmp: bool = True
    use_wino: bool | None = None
    fast_functions: bool = False
    seed: int = 0
    input_as_fp32: tuple[str, ...] = ()
    output_as_fp32: tuple[str, ...] = ()
    stop_after: str | None = None
    dyn: bool = False


@dataclass(frozen=True)
class CompileOptions(PassOptions):
    """A compilation. The names and meanings are those of the flags (``bmnetu -help``).

    None means: as the prototxt or the umodel says.
    """

    model: Path
    weight: Path | None
    outdir: Path
    shapes: tuple[Shapes, ...] = ()
    output_whitelist: tuple[str, ...] = ()
    host: bool = True
    net_name: str | None = None
    opt_budget: int = 3
    cmp_data: Any = None
    resize: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None
    color: str | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    mode: str = "compile"
    target: str = "BM1684"
    max_n: tuple[int, ...] = ()
    v: int = 0
    enable_profile: bool = False
    report: Path | None = None
    print_pipeline: bool = False
    dump_ir: Path | None = None
    extract_layer: str | None = None

    @property
    def input_sets(self) -> list[tuple[Shapes | None, int | None]]:
        """The shapes of all inputs and the batch of each stage; None: as the model says."""
        return list(product(self.shapes or (None,), self.max_n or (None,)))


DECIDING = (
    "opt", "prec", "dyn", "opt_budget", "use_wino", "fast_functions", "shapes", "max_n", "net_name",
    "output_whitelist", "host", "input_as_fp32", "output_as_fp32",
)  # fmt: skip
ALWAYS = ("opt", "prec")


def deciding_options(options: CompileOptions) -> dict[str, Any]:
    """The options that decide what a bmodel holds, as far as they are not the defaults; without
    paths."""
    defaults = {field.name: field.default for field in fields(CompileOptions)}
    values = {name: getattr(options, name) for name in DECIDING}
    return {name: value for name, value in values.items()
            if name in ALWAYS or value != defaults[name]}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """A float net and the data that it is run over, by whom."""

    model: Path
    weight: Path | None
    data: Path
    shapes: Shapes | None = None
    output_whitelist: tuple[str, ...] = ()
    host: bool = True
    iterations: int = 200
    resize: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None
    color: str | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    workers: int = 1
    dask: str | None = None
    v: int = 0


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(DataOptions):
    """A calibration. The names and meanings are those of the flags (``bmnetu-calibrate -help``)."""

    outdir: Path
    th_method: str = "AUTO"
    keep_bn: bool = False
    equalize: bool = True
    adaptive_rounding: bool = True
    bias_correction: bool = False
    fpfwd_inputs: tuple[str, ...] = ()
    fpfwd_outputs: tuple[str, ...] = ()
    fpfwd_blocks: tuple[str, ...] = ()
    layer_table: bool = False
    sensitivity: bool = False
    report: Path | None = None
    float_budget: int | None = None
    target_cosine: float | None = None
    net_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(DataOptions):
    """An evaluation. The names and meanings are those of the flags (``bmnetu-calibrate eval
    -help``)."""

    int8_model: Path
    int8_weight: Path
    fast_functions: bool = False
    iterations: int = MAX_COUNT
    annotations: Path | None = None
    label_map: Path | None = None
    max_drop: float | None = None
    min_cosine: float | None = None
    min_iou: float | None = None


@dataclass(frozen=True, kw_only=True)
class WhatIfOptions(DataOptions):
    """Layers with other settings. The names and meanings are those of the flags
    (``bmnetu-calibrate what_if -help``)."""

    layer: tuple[str, ...]
    int8_model: Path | None = None
    int8_weight: Path | None = None
    threshold: tuple[float, ...] = ()
    keep_bn: bool = False
    keep_float: bool = False
    th_method: str = "AUTO"
    equalize: bool = True
    adaptive_rounding: bool = True
    bias_correction: bool = False


OptionsT = TypeVar(
    "OptionsT", PassOptions, CompileOptions, CalibrateOptions, EvaluateOptions, WhatIfOptions
)


def options_from(options: type[OptionsT], values: Mapping[str, Any]) -> OptionsT:
    """Options out of the values of all flags."""
    return options(**{field.name: values[field.name] for field in fields(options)})


def compile_options(**values: Any) -> CompileOptions:
    """Options given from Python: same names, checks and defaults as the flags; None: the default.

    Raises UsageError.
    """
    found = check_values(COMPILE_FLAGS, values)
    require_necessary(COMPILE_FLAGS, found)
    return options_from(CompileOptions, found)


def calibrate_options(**values: Any) -> CalibrateOptions:
    """As :func:`compile_options`, for a calibration."""
    found = check_values(CALIBRATE_FLAGS, values)
    require_necessary(CALIBRATE_FLAGS, found)
    return options_from(CalibrateOptions, found)


def evaluate_options(**values: Any) -> EvaluateOptions:
    """As :func:`compile_options`, for an evaluation."""
    found = check_values(EVALUATE_FLAGS, values)
    require_necessary(EVALUATE_FLAGS, found)
    return options_from(EvaluateOptions, found)


def what_if_options(**values: Any) -> WhatIfOptions:
    """As :func:`compile_options`, for layers with other settings."""
    found = check_values(WHAT_IF_FLAGS, values)
    require_necessary(WHAT_IF_FLAGS, found)
    return options_from(WhatIfOptions, found)


def refuse_report(report: Path | None, flag: str) -> None:
    """Raise UsageError where -report is given with a flag that makes no bmodel."""
    if report is not None:
        raise UsageError(f"-report: there is nothing to report with {flag}, which makes no bmodel")


def check_supported(options: CompileOptions) -> None:
    """Raise UnsupportedError for options that bmnetu knows and cannot serve."""
    if options.target.upper() != "BM1684":
        raise UnsupportedError(f"-target={options.target}: bmnetu compiles for BM1684 only")
    levels = levels_of(options.dyn)
    if options.stop_after not in (None, *levels):
        raise UsageError(
            f"-stop_after={options.stop_after}: {'with' if options.dyn else 'without'} -dyn the"
            f" levels are {', '.join(levels)}"
        )
    if len(options.input_sets) > 1:
        alone = ("dyn", options.dyn), ("stop_after", options.stop_after), (
            "dump_ir", options.dump_ir), ("mode", options.mode != "compile")
        for name, given in alone:
            if given:
                raise UsageError(f"-{name}: with one set of shapes only, {len(options.input_sets)}"
                                 " are given by -shapes and -max_n")
    no_bmodel = {
        "-print_pipeline": options.print_pipeline,
        f"-extract_layer={options.extract_layer}": options.extract_layer is not None,
        f"-stop_after={options.stop_after}": options.stop_after not in (None, levels[-1]),
        f"-mode={options.mode}": options.mode == "GenUmodel",
    }
    for flag in (flag for flag, given in no_bmodel.items() if given):
        refuse_report(options.report, flag)
    if options.dyn and options.fast_functions:
        raise UsageError("-fast_functions: the firmware computes functions of a dynamic network"
                         " by tables, which it takes no longer for")
    if options.dyn and options.enable_profile:
        raise UsageError("-enable_profile: with -dyn there are no commands whose cycles could be"
                         " estimated; the chip makes them at every launch")
