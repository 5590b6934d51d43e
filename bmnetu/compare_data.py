"""``-cmp_data``: the user's own input for the compare, the reference files and winograd's guard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from xdsl.dialects.func import FuncOp

from bmnetu.errors import UsageError
from bmnetu.frontend import Network
from bmnetu.options import CompileOptions, DataOptions
from dialects.constant import Array
from dialects.ufw.layer import shape_of
from dialects.ufw.shapes import Shape, show
from passes.module.functions import main_function, names
from passes.verification.inputs import InputData

Given = Path | Mapping[str, Any] | Array
"""An image, .npy, .npz, LMDB or folder; or arrays by input name; or the array of a single input."""
CONTRACT = ("resize", "crop", "color", "mean", "scale")
"""The flags that say how an image becomes an input."""


def compare_data(
    options: CompileOptions, network: Network, report: Callable[[str], None]
) -> InputData:
    """The numbers that -cmp_data gives, empty without it.

    An image becomes an input as in a calibration: by the flags, what the umodel records, or the
    prototxt's transform_param. The first batch is taken, and repeated where it is not whole.
    Raises :class:`InputFileError` for a file, :class:`UsageError` for arrays that do not fit.
    """
    given: Given | None = options.cmp_data
    if given is None:
        alone = [f"-{name}" for name in CONTRACT if getattr(options, name) is not None]
        if alone:
            raise UsageError(f"{', '.join(alone)}: only with -cmp_data")
        return InputData()
    shapes = input_shapes(main_function(network.module))
    if not isinstance(given, Path):
        return InputData(_checked(given, shapes))
    from bmnetu.calibration.data.checked import open_checked  # Pillow is needed here only
    from bmnetu.calibration.data.transform import from_record
    from bmnetu.calibration.from_options import data_source

    recorded = from_record(network.preprocess) if network.preprocess is not None else None
    contract = {name: getattr(options, name) for name in CONTRACT}
    requested = DataOptions(
        model=options.model, weight=options.weight, data=given, iterations=1, **contract
    )
    data = open_checked(data_source(requested), network.net, shapes, report, recorded)
    return InputData(data.batch(0))


def input_shapes(function: FuncOp) -> dict[str, Shape]:
    """The shape of every input of a network by name."""
    args = zip(names(function, "input_names"), function.body.block.args, strict=True)
    return {name: shape_of(value) for name, value in args}


def given_data(given: Given | None, shapes: Mapping[str, Shape]) -> InputData:
    """As :func:`compare_data`, for inputs of these shapes and nothing said about images."""
    if given is None:
        return InputData()
    if not isinstance(given, Path):
        return InputData(_checked(given, shapes))
    from bmnetu.calibration.data.dataset import open_data

    return InputData(open_data(given, shapes, 1).batch(0))


def _checked(given: Mapping[str, Any] | Array, shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Arrays given from Python, one an input; others are not looked at, as in an .npz: they may be
    of inputs that the network leaves out. Raises :class:`UsageError`."""
    if not isinstance(given, Mapping):
        if len(shapes) != 1:
            raise UsageError(f"cmp_data: the net has the inputs {', '.join(shapes)}: give a dict")
        given = dict.fromkeys(shapes, given)
    if not {*given} >= {*shapes}:
        wrong = [f'"{name}"' for name in {*given} ^ {*shapes}]
        raise UsageError(
            f"cmp_data: {', '.join(sorted(wrong))} does not fit the inputs {', '.join(shapes)}"
        )
    return {name: _numbers(name, given[name], shape) for name, shape in shapes.items()}


def _numbers(name: str, value: object, shape: Shape) -> Array:
    array = np.asarray(cast(Any, value))
    if array.dtype.kind not in "biuf":
        raise UsageError(f'cmp_data: "{name}" is {array.dtype}; real numbers are expected')
    if array.shape[1:] != shape[1:] or not array.size or array.ndim != len(shape):
        raise UsageError(
            f'cmp_data: "{name}" is {show(array.shape)}, the net\'s input is {show(shape)}'
        )
    with np.errstate(over="ignore"):
        found = np.resize(array[: shape[0]].astype(np.float32), shape)
    if not np.isfinite(found).all():
        raise UsageError(f'cmp_data: "{name}" has numbers that are not finite')
    return found
