"""The preprocess contract of a calibration: from the flags and the prototxt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bmnetu.calibration.data.dataset import holds_arrays
from bmnetu.calibration.data.faults import MisfitError
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.calibration.data.transform import from_transform
from bmnetu.calibration.run.crew import ALONE, Crew
from bmnetu.errors import InputFileError, UsageError
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.note import Note
from dialects.ufw.shapes import Shape


@dataclass(frozen=True)
class DataSource:
    """Where the data lie, and what the flags ask for: at most ``limit`` batches, ``flags`` of the
    preprocess contract. ``model`` is the net that error messages name."""

    path: Path
    model: Path
    limit: int
    flags: Preprocess = field(default_factory=Preprocess)
    crew: Crew = ALONE


def contract_of(
    source: DataSource,
    net: NetParameter,
    shapes: Mapping[str, Shape],
    note: Callable[[Note], None],
    recorded: Preprocess | None = None,
) -> Preprocess | None:
    """The contract for the net's input; None when nobody gives one.

    Each flag goes before the prototxt, with a note. The prototxt's transform_param does not count
    for arrays, which may be the inputs already, nor where a contract is ``recorded``, which stands
    in for it. Raises :class:`UsageError` for flags and :class:`InputFileError` for a
    transform_param that do not fit the net.
    """
    flags = source.flags
    transforms = [layer for layer in net.layer if layer.HasField("transform_param")]
    if len(shapes) != 1:
        if flags.given():
            raise UsageError(f"{_names(flags)}: the net has {len(shapes)} inputs, one is expected")
        if transforms:
            note(Note("unused-transform",
                      "transform_param has no effect: the net has several inputs"))  # fmt: skip
        return None
    if recorded is not None:
        transforms = []
    if transforms and holds_arrays(source.path):
        if not flags.given():
            note(Note(
                "unused-transform",
                f"{source.path}: arrays are fed as they are, transform_param has no effect; the "
                "flags -resize, -crop, -color, -mean and -scale have",
            ))  # fmt: skip
        transforms = []
    if not flags.given() and not transforms and recorded is None:
        return None
    found = recorded or Preprocess()
    where = "".join(f'{source.model}: layer "{layer.name}"' for layer in transforms)
    try:
        for layer in transforms:
            found = from_transform(layer.transform_param)
    except MisfitError as error:
        raise InputFileError(f"{where}: {error}") from error
    for name, value in flags.given().items():
        if found.given().get(name, value) != value:
            note(Note("flag-before-transform",
                      f"-{name} goes before what transform_param says ({where})"))  # fmt: skip
    try:
        return flags.over(found).resolved(next(iter(shapes.values())))
    except MisfitError as error:
        if flags.given():
            raise UsageError(f"{_names(flags)}: {error}") from error
        raise InputFileError(f"{where}: {error}") from error


def _names(flags: Preprocess) -> str:
    return ", ".join(f"-{name}" for name in flags.given())
