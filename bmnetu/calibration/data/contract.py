"""The preprocess contract of a calibration: what the flags and the prototxt wish, made one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bmnetu.calibration.data.dataset import holds_arrays
from bmnetu.calibration.data.faults import MisfitError
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.calibration.data.transform import from_transform
from bmnetu.errors import InputFileError, UsageError
from bmnetu.frontend.ufw_pb2 import NetParameter
from bmnetu.options import DataOptions
from dialects.ufw.shapes import Shape


def contract_of(
    options: DataOptions,
    net: NetParameter,
    shapes: Mapping[str, Shape],
    note: Callable[[str], None],
    recorded: Preprocess | None = None,
) -> Preprocess | None:
    """The contract for the net's input; None when nobody gives one.

    Each flag goes before the prototxt, with a note. The prototxt's transform_param does not count
    for arrays, which may be the inputs already, nor where a contract is ``recorded``, which stands
    in for it. Raises :class:`UsageError` for flags and :class:`InputFileError` for a
    transform_param that do not fit the net.
    """
    flags = _flags(options)
    transforms = [layer for layer in net.layer if layer.HasField("transform_param")]
    if len(shapes) != 1:
        if flags.given():
            raise UsageError(f"{_names(flags)}: the net has {len(shapes)} inputs, one is wanted")
        if transforms:
            note("transform_param has no effect: the net has several inputs")
        return None
    if recorded is not None:
        transforms = []
    if transforms and holds_arrays(options.data):
        if not flags.given():
            note(
                f"{options.data}: arrays are fed as they are, transform_param has no effect; the "
                "flags -resize, -crop, -color, -mean and -scale have"
            )
        transforms = []
    if not flags.given() and not transforms and recorded is None:
        return None
    wished = recorded or Preprocess()
    where = "".join(f'{options.model}: layer "{layer.name}"' for layer in transforms)
    try:
        for layer in transforms:
            wished = from_transform(layer.transform_param)
    except MisfitError as error:
        raise InputFileError(f"{where}: {error}") from error
    for name, value in flags.given().items():
        if wished.given().get(name, value) != value:
            note(f"-{name} goes before what transform_param says ({where})")
    try:
        return flags.over(wished).resolved(next(iter(shapes.values())))
    except MisfitError as error:
        if flags.given():
            raise UsageError(f"{_names(flags)}: {error}") from error
        raise InputFileError(f"{where}: {error}") from error


def _flags(options: DataOptions) -> Preprocess:
    crop = options.crop or ()
    return Preprocess(
        options.resize or (),
        crop * 2 if len(crop) == 1 else crop,
        options.color or "",
        options.mean or (),
        options.scale or (),
    )


def _names(flags: Preprocess) -> str:
    return ", ".join(f"-{name}" for name in flags.given())
