"""What the options of a calibration mean for its parts: none of them sees the options."""

from __future__ import annotations

from pathlib import Path

from bmnetu.calibration.data.contract import DataSource
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.calibration.int8.recipe import Recipe
from bmnetu.calibration.run.crew import Crew
from bmnetu.errors import UsageError
from bmnetu.frontend.network import ONNX
from bmnetu.options import CalibrateOptions, DataOptions


def data_source(options: DataOptions) -> DataSource:
    """The data that the flags name. Raises :class:`UsageError` for both -workers and -dask."""
    flags = contract_from(
        options.resize, options.crop, options.color, options.mean, options.scale
    )
    crew = Crew(options.workers, options.dask)
    return DataSource(options.data, options.model, options.iterations, flags, crew)


def contract_from(
    resize: tuple[int, ...] | None = None,
    crop: tuple[int, ...] | None = None,
    color: str | None = None,
    mean: tuple[float, ...] | None = None,
    scale: tuple[float, ...] | None = None,
) -> Preprocess:
    """The contract that the flags of these names give; None: not given."""
    crop = crop or ()
    return Preprocess(
        resize or (), crop * 2 if len(crop) == 1 else crop, color or "", mean or (), scale or ()
    )


def check_int8_model(model: Path) -> None:
    """Raises :class:`UsageError` for an -int8_model that is an .onnx."""
    if model.suffix.lower() == ONNX:
        raise UsageError(f"-int8_model={model}: must be the INT8 prototxt that bmnetu-calibrate"
                         " wrote, as NET_deploy_int8_unique_top.prototxt")


def recipe_of(options: CalibrateOptions) -> Recipe:
    """The recipe that the flags name."""
    return Recipe(
        options.th_method, options.equalize, options.adaptive_rounding, options.bias_correction
    )
