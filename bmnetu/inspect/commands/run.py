"""``bmnetu-model run``: executes a bmodel on the model of the NPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel import Tensor
from bmnetu.calibration.from_options import contract_from
from bmnetu.command_line.flags import CONTRACT_FLAGS, Flag
from bmnetu.command_line.kinds import NAMES, PATH, SEED, ValueKind
from bmnetu.errors import InputFileError, UsageError
from bmnetu.files.arrays import npz_bytes
from bmnetu.files.outputs import OutputFolder
from bmnetu.files.reading import read_bytes
from bmnetu.inspect.chosen import Chosen, one_net, read_file
from bmnetu.inspect.execution import Outcome, inner_names, run_stage
from bmnetu.inspect.inputs import fitting, given_inputs, read_inputs
from bmnetu.inspect.subcommand import JSON, ONE_NET, ONE_STAGE, SHAPES_FLAG, Request, Subcommand
from bmnetu.nearest import nearest
from dialects.names import quoted
from dialects.ufw.shapes import show

Array = NDArray[Any]
Record = dict[str, Any]
TOP = 5
INPUT = ValueKind("[NAME=]FILE", str)
MOST_NAMES = 20
MOST_LABELS = 1 << 24
"""Bytes of a file of labels."""


def run(request: Request) -> None:
    values = request.values
    out: Path | None = values["out"]
    labels = _labels(values["labels"])
    if out is not None:
        files = [Path(word.rpartition("=")[2]) for word in values["input"]]
        _check_out(out, [*request.files, *files])
        OutputFolder(out.parent, "--out").check(out.name)
    stages = one_net(request, read_file(request))
    names = [tensor.name for tensor in stages[0].stage.inputs]
    contract = contract_from(*(values[flag.name] for flag in CONTRACT_FLAGS))
    given = given_inputs(values["input"], names, contract, values["shapes"])
    found = fitting(given, stages)
    _check_dump(found, values["dump"])
    inputs = read_inputs(given, found.stage, values["seed"], request.note)
    request.terminal.progress(f"running {found}")
    outcome = run_stage(found, inputs, values["dump"])
    inner = _dumped(values["dump"], inputs, outcome)
    records = _records(found, outcome, inner, labels)
    if out is not None:
        OutputFolder(out.parent, "--out").store({out.name: npz_bytes(inner | outcome.outputs)})
    request.show(lambda: "\n".join(_text(records)), lambda: records)


def _check_out(path: Path, inputs: Sequence[Path]) -> None:
    """Raises UsageError where --out is no .npz, or a file that is read."""
    if path.suffix.lower() != ".npz":
        raise UsageError(f"--out={path}: a name that ends in .npz is expected")
    for given in inputs:
        if given.exists() and path.exists() and given.samefile(path):
            raise UsageError(f"--out={path}: this file is read; give another name")


def _labels(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = read_bytes(path, "a file of labels", MOST_LABELS).decode().splitlines()
    except UnicodeDecodeError:
        raise InputFileError(f"{path}: is not UTF-8 text; a label a line is expected") from None
    return [line.strip() for line in lines if line.strip()]


def _check_dump(found: Chosen, names: Sequence[str]) -> None:
    stage = found.stage
    known = [*(t.name for t in (*stage.inputs, *stage.outputs)), *inner_names(found)]
    for name in names:
        if name not in known:
            near = nearest(name, known)
            listed = ", ".join(map(quoted, list(dict.fromkeys(known))[:MOST_NAMES]))
            hint = f"did you mean {quoted(near)}?" if near else f"it says it of {listed}"
            raise UsageError(f"--dump={name}: the file does not say where this tensor is: {hint}")


def _dumped(
    names: Sequence[str], inputs: Mapping[str, Array], outcome: Outcome
) -> dict[str, Array]:
    """What --dump asks for and no output is."""
    found = {**inputs, **outcome.inner}
    return {name: found[name] for name in names if name in found and name not in outcome.outputs}


def _records(
    found: Chosen, outcome: Outcome, inner: Mapping[str, Array], labels: list[str]
) -> Record:
    """What there is to say of the outputs; of one with a number a label, or without labels a small
    one of two dimensions, the largest numbers of each image."""
    outputs = [_output(t, outcome.outputs[t.name], labels) for t in found.stage.outputs]
    if labels and not any("top" in each for each in outputs):
        shapes = ", ".join(show(each.shape) for each in outcome.outputs.values())
        raise UsageError(f"--labels: there are {len(labels)} labels, and no output has so many"
                         f" numbers an image: {shapes}")
    return {
        "net": found.net,
        "stage": found.number,
        "outputs": outputs,
        "dumped": [{"name": n, **_numbers(a)} for n, a in inner.items()],
    }


def _numbers(array: Array) -> Record:
    values = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    largest = {"min": values.min().item(), "max": values.max().item()} if values.size else {}
    return {"dtype": array.dtype.name, "shape": list(array.shape), **largest}


def _output(tensor: Tensor, array: Array, labels: list[str]) -> Record:
    found: Record = {"name": tensor.name, "scale": tensor.scale, **_numbers(array)}
    if labels and array.ndim and array.size == len(array) * len(labels):
        found["top"] = [_top(each * tensor.scale, labels)
                        for each in array.reshape(len(array), -1).astype(np.float64)]  # fmt: skip
    return found


def _top(values: Array, labels: list[str]) -> list[Record]:
    order = np.argsort(-values, kind="stable")[:TOP]
    return [{"label": labels[i], "index": int(i), "value": float(values[i])} for i in order]


def _text(records: Record) -> Iterator[str]:
    yield f"net {quoted(records['net'])}, stage {records['stage']}"
    for what, some in (("output", records["outputs"]), ("dumped", records["dumped"])):
        for each in some:
            scale = f", scale {each['scale']:g}" if each.get("scale", 1.0) != 1.0 else ""
            range_ = f", from {each['min']:g} to {each['max']:g}" if "min" in each else ""
            shape = show(each["shape"])
            yield f"{what} {quoted(each['name'])} {each['dtype']} {shape}{scale}{range_}"
            for image, top in enumerate(each.get("top", ())):
                yield f"  image {image}"
                yield from (f"    {t['value']:10.4f}  {t['label']}" for t in top)


COMMAND = Subcommand(
    "Executes the bytes of a bmodel's commands on the model of the NPU, layers on the host with"
    " them; of a dynamic net its records, at the shapes that are given. Inputs come from an .npy,"
    " an .npz with one array an input, or an image, which becomes an input as in bmnetu"
    " -cmp_data. For an input of integers real numbers become round(real * scale), integers are"
    " taken as they are. One stage of one net runs: the one whose shapes are those of the inputs or"
    " of --shapes, for images and made-up numbers else the largest. Outputs are stored as the"
    " runtime gives them: integers are not scaled.",
    (
        Flag("input", INPUT, "An input's file: NAME=FILE, or FILE for a net of one input or an"
             " .npz; may be given several times.", (), "made-up numbers", repeated=True),
        Flag("out", PATH, "Store the outputs, and what --dump names, in this .npz.",
             default_text="they are not stored"),
        Flag("labels", PATH, "A label a line: print the five largest numbers of each image.",
             default_text="none"),
        Flag("dump", NAMES, "Inner tensors: print their range, and store them with --out. The file"
             " must say where they are: ours does for those that lie in DDR as a whole (with -opt=0"
             " all), any file for those between its subnets.", (), "none"),
        SHAPES_FLAG, JSON, ONE_NET, ONE_STAGE, *CONTRACT_FLAGS,
        Flag("seed", SEED, "Seed of made-up numbers.", 0),
    ),
    (
        ("compilation.bmodel --input=data.npy --out=out.npz", "One input, and the outputs kept."),
        ("compilation.bmodel --input=a=a.npy --input=b=b.npy", "Two inputs by name."),
        ("compilation.bmodel --input=cat.jpg --mean=104,117,123 --labels=labels.txt",
         "An image, and what it is."),
    ),
    run,
    codes=((5, "The commands or records are wrong: a race, a deadlock, a bad address or field."),),
)  # fmt: skip
