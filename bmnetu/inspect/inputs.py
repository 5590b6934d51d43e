"""``--input``: from files to the inputs of a stage, in its data types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel import DataType, Stage, Tensor
from bmnetu.calibration.data.arrays import ArrayFile, StoredArray, described, members_of
from bmnetu.calibration.data.dataset import holds_arrays, open_data
from bmnetu.calibration.data.faults import MisfitError, reading
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.errors import InputFileError, UsageError
from bmnetu.inspect.chosen import Chosen
from bmnetu.nearest import nearest
from bmnetu.note import Note
from dialects.names import quoted
from dialects.ufw.shapes import show
from passes.verification.inputs import random_inputs

Array = NDArray[Any]
Shape = tuple[int, ...]
Tell = Callable[[Note], None]
FLOATS = (DataType.FLOAT32, DataType.FLOAT16)
MUCH_SATURATED = 0.5
"""The part of an input's numbers beyond its range that is told."""


@dataclass
class Given:
    """What the user gives for the inputs of a net: arrays that lie in files, read later, and images
    (or arrays with a contract), which are fitted to an input; and the shapes that --shapes asks
    for, none without."""

    contract: Preprocess
    arrays: dict[str, StoredArray] = field(default_factory=dict[str, StoredArray])
    pictures: dict[str, Path] = field(default_factory=dict[str, Path])
    shapes: tuple[Shape, ...] = ()


def given_inputs(
    words: Sequence[str],
    names: Sequence[str],
    contract: Preprocess,
    shapes: tuple[Shape, ...] | None = None,
) -> Given:
    """The files of --input, NAME=FILE or FILE, by the names of the net's inputs, and --shapes.
    Raises UsageError, InputFileError."""
    found = Given(contract, shapes=shapes or ())
    for word in words:
        name, path = _split(word, names)
        if path.suffix == ".npz" and path.is_file():
            _add_npz(found, name, path, names)
            continue
        if name is None and len(names) != 1:
            raise UsageError(f"--input={word}: the net has the inputs {_listed(names)}: write"
                             " NAME=FILE, or give an .npz")
        own = name or names[0]
        if holds_arrays(path) and not contract.given():
            found.arrays[own] = _numbers(ArrayFile(path), str(path))
        else:
            found.pictures[own] = path
    missing = [name for name in names if name not in found.arrays | found.pictures]
    if words and missing:
        raise UsageError(f"--input gives nothing for {_listed(missing)}")
    return found


def _split(word: str, names: Sequence[str]) -> tuple[str | None, Path]:
    """The name before the file, if there is one."""
    for name in sorted(names, key=len, reverse=True):
        if word.startswith(f"{name}="):
            return name, Path(word.removeprefix(f"{name}="))
    before, equals, _ = word.partition("=")
    if equals and not Path(word).exists():
        near = nearest(before, names)
        hint = f"did you mean {quoted(near)}?" if near else f"it has {_listed(names)}"
        raise UsageError(f"--input={word}: the net has no input {quoted(before)}: {hint}")
    return None, Path(word)


def _add_npz(found: Given, name: str | None, path: Path, names: Sequence[str]) -> None:
    """An .npz has an array an input; one array alone fits a single input."""
    members = members_of(path)
    expected = [name] if name is not None else list(names)
    if len(members) == 1 and len(expected) == 1:
        found.arrays[expected[0]] = _numbers(ArrayFile(path, members[0]), str(path))
        return
    for own in expected:
        member = f"{own}.npy"
        if member not in members:
            listed = ", ".join(each.removesuffix(".npy") for each in members[:8]) or "none"
            raise InputFileError(f"{path}: has no array {quoted(own)}; it has {listed}")
        found.arrays[own] = _numbers(ArrayFile(path, member), f"{path}: array {quoted(own)}")


def _numbers(file: ArrayFile, what: str) -> StoredArray:
    if not file.path.exists():
        raise InputFileError(f"{file.path}: no such file; an .npy is expected")
    return described(file, what)


def fitting(given: Given, stages: Sequence[Chosen]) -> Chosen:
    """The stage that the runtime would choose for these shapes: all inputs equal; a single stage,
    as many numbers. A dynamic one takes smaller shapes, too, and is returned at these. Where
    nothing says the shape, the largest stage. Raises UsageError."""
    _check_count(given, stages)
    loose = len(stages) == 1 and not given.shapes
    largest_first = sorted(stages, key=lambda found: -_numbers_of(found.stage))
    for size, each in product(dict.fromkeys([_size(given), ()]), largest_first):
        wanted = [_wanted(given, size, *place) for place in enumerate(each.stage.inputs)]
        if all(_fits(shape, t, each.stage, loose) and _has(given, t, shape)
               for shape, t in zip(wanted, each.stage.inputs, strict=True)):  # fmt: skip
            return at_shapes(each, wanted)
    raise _no_stage(given, stages)


def _check_count(given: Given, stages: Sequence[Chosen]) -> None:
    """Raises UsageError where --shapes gives more or fewer shapes than any stage has inputs."""
    counts = {len(each.stage.inputs) for each in stages}
    if given.shapes and len(given.shapes) not in counts:
        raise UsageError(f"--shapes: {len(given.shapes)} are given, {_owner(stages[0], stages)} has"
                         f" {len(stages[0].stage.inputs)} inputs:"
                         f" {_listed([t.name for t in stages[0].stage.inputs])}")


def _owner(found: Chosen, stages: Sequence[Chosen]) -> str:
    """The net of a stage, by its name where there are several."""
    return f"net {quoted(found.net)}" if len({each.net for each in stages}) > 1 else "the net"


def _no_stage(given: Given, stages: Sequence[Chosen]) -> UsageError:
    shapes = ", ".join(f"{quoted(n)} {show(a.shape)}" for n, a in given.arrays.items())
    if given.shapes:
        shapes = ", ".join(map(show, given.shapes)) + (f" with {shapes}" if shapes else "")
    nets = {each.net: _owner(each, stages) for each in stages[:8]}
    taken = ", and ".join(
        f"{owner} takes " + "; ".join(_taken(each) for each in stages[:8] if each.net == net)
        for net, owner in nets.items()
    )
    flag = "--shapes" if given.shapes else "--input"
    return UsageError(f"{flag}: no stage takes {shapes}; {taken}")


def _taken(found: Chosen) -> str:
    """What a stage takes; a dynamic one less, too."""
    most = "up to " if found.stage.is_dynamic else ""
    shapes = (f"{quoted(t.name)} {most}{show(t.shape)}" for t in found.stage.inputs)
    return f"stage {found.number}: {', '.join(shapes)}"


def at_shapes(found: Chosen, shapes: Sequence[Shape]) -> Chosen:
    """A dynamic stage with inputs of these shapes, which it takes; a static one as it is."""
    if not found.stage.is_dynamic:
        return found
    stage = found.stage
    inputs = tuple(replace(t, shape=s) for t, s in zip(stage.inputs, shapes, strict=True))
    if inputs == stage.inputs:
        return found
    return replace(found, stage=replace(stage, inputs=inputs), largest=stage)


def shaped(stages: Sequence[Chosen], shapes: Sequence[Shape] | None) -> list[Chosen]:
    """The stages that take these shapes, at these; all as they are without. Raises UsageError."""
    if not shapes:
        return [*stages]
    found = [each for each in stages if len(shapes) == len(each.stage.inputs) and all(
        _fits(s, t, each.stage, False) for s, t in zip(shapes, each.stage.inputs, strict=True))]
    if not found:
        given = Given(Preprocess(), shapes=tuple(shapes))
        _check_count(given, stages)
        raise _no_stage(given, stages)
    return [at_shapes(each, shapes) for each in found]


def _numbers_of(stage: Stage) -> int:
    return sum(prod(t.shape) for t in stage.inputs)


def _size(given: Given) -> Shape:
    """The height and width that the contract makes of an image; () where it does not say them."""
    made = given.contract.crop or given.contract.resize or ()
    return tuple(made) if len(made) == 2 else ()


def _wanted(given: Given, size: Shape, place: int, tensor: Tensor) -> Shape:
    """The shape that an input shall have; its own where nothing says it."""
    if given.shapes:
        return given.shapes[place]
    if tensor.name in given.arrays:
        return given.arrays[tensor.name].shape
    is_image = tensor.name in given.pictures and len(tensor.shape) == 4
    return (*tensor.shape[:2], *size) if size and is_image else tensor.shape


def _has(given: Given, tensor: Tensor, shape: Shape) -> bool:
    """Whether the array of an input, if there is one, has the numbers of a shape."""
    array = given.arrays.get(tensor.name)
    return array is None or prod(array.shape) == prod(shape)


def _fits(shape: Shape, tensor: Tensor, stage: Stage, is_loose: bool) -> bool:
    if stage.is_dynamic:
        limits = zip(shape, tensor.shape, strict=False)
        return len(shape) == len(tensor.shape) and all(0 < a <= b for a, b in limits)
    return shape == tensor.shape or (is_loose and prod(shape) == prod(tensor.shape))


def read_inputs(given: Given, stage: Stage, seed: int, tell: Tell) -> dict[str, Array]:
    """The inputs of a stage that :func:`fitting` chose; made-up ones where nothing is given. Real
    numbers become ``round(real * scale)`` for an input of integers; integers are taken as they are.
    Raises UsageError, InputFileError."""
    if not given.arrays and not given.pictures:
        if stage.inputs:
            tell(Note("made-up-input", f"no --input: made-up numbers, seed {seed}"))
        kinds = [(t.shape, t.data_type.numpy) for t in stage.inputs]
        made = random_inputs(kinds, seed)
        return {t.name: array for t, array in zip(stage.inputs, made, strict=True)}
    return {t.name: _read(given, t, tell) for t in stage.inputs}


def _read(given: Given, tensor: Tensor, tell: Tell) -> Array:
    values, what = _values(given, tensor)
    beyond = saturated(values, tensor)
    if beyond >= MUCH_SATURATED:
        limit = np.iinfo(tensor.data_type.numpy).max / tensor.scale
        tell(Note("input-saturated", f"{what}: {beyond:.0%} of the numbers lie beyond what input"
                  f" {quoted(tensor.name)} holds, up to {limit:.4g}, and saturate: give integers as"
                  " they are, or the mean and scale of the calibration"))  # fmt: skip
    return as_stored(values, tensor, what)


def _values(given: Given, tensor: Tensor) -> tuple[Array, str]:
    """The numbers that are given, and where they are from."""
    if tensor.name in given.pictures:
        path = given.pictures[tensor.name]
        return _picture(given, tensor, path), str(path)
    source = given.arrays[tensor.name]
    if source.shape == ():
        raise InputFileError(f"{source.what} is a single number")
    values = source.numbers(0, source.shape[0])
    return values.reshape(tensor.shape), source.what


def saturated(values: Array, tensor: Tensor) -> float:
    """The part of real numbers that an input of integers does not hold: further than half a step
    from its range."""
    if values.dtype.kind != "f" or not values.size or tensor.data_type in FLOATS:
        return 0.0
    info = np.iinfo(tensor.data_type.numpy)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values.astype(np.float64) * tensor.scale
        beyond = (scaled < info.min - 0.5) | (scaled > info.max + 0.5)
    return float(beyond.mean())


def _picture(given: Given, tensor: Tensor, path: Path) -> Array:
    """An image that becomes an input as in a calibration."""
    contract = given.contract
    try:
        if contract.given():
            contract = contract.resolved(tensor.shape)
        data = open_data(path, {tensor.name: tensor.shape}, 1,
                         contract if contract.given() else None)  # fmt: skip
    except MisfitError as error:
        flags = ", ".join(f"--{name}" for name in given.contract.given())
        raise UsageError(f"{flags}: {error}") from error
    with reading(path, "an image"):
        return data.batch(0)[tensor.name]


def as_stored(values: Array, tensor: Tensor, what: str) -> Array:
    """Numbers in the type of an input. Raises InputFileError for integers that it cannot hold."""
    kind = tensor.data_type.numpy
    if tensor.data_type in FLOATS:
        with np.errstate(over="ignore"):
            return values.astype(kind)
    info = np.iinfo(kind)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise InputFileError(f"{what} has numbers that are not finite, and"
                                 f" {quoted(tensor.name)} holds {kind}")
        with np.errstate(over="ignore"):
            scaled = np.rint(values.astype(np.float64) * tensor.scale)
        return np.clip(scaled, info.min, info.max).astype(kind)
    if values.size and not info.min <= int(values.min()) <= int(values.max()) <= info.max:
        raise InputFileError(f"{what} holds integers from {values.min()} to {values.max()}, and"
                             f" {quoted(tensor.name)} holds {kind}: give real numbers, which are"
                             " scaled")  # fmt: skip
    return values.astype(kind)


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(map(quoted, list(names)[:8]))
