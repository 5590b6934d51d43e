"""``bmnetu-model diff``: how two bmodels differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bmnetu.command_line.flags import Flag
from bmnetu.command_line.kinds import BOOLEAN, SEED
from bmnetu.inspect.chosen import Chosen, chosen_stages, read_path
from bmnetu.inspect.differences import (
    NOT_COUNTED,
    Pair,
    pairs,
    run_difference,
    stage_difference,
)
from bmnetu.inspect.subcommand import JSON, NET, STAGE, Request, Subcommand
from dialects.names import quoted, shown
from dialects.ufw.shapes import show

Record = dict[str, Any]
DIFFERENT = 1
"""The exit code, as that of diff."""
MOST = 20
"""Rows of cycles in text, and names in a line."""
LINES = {
    "name": "net", "dynamic": "dynamic", "weights": "weights, bytes", "neurons": "neurons, bytes",
    "groups": "groups", "tiu": "TIU commands", "gdma": "GDMA commands", "records": "records, bytes",
    "host": "layers on the host",
}  # fmt: skip
OTHERS = {
    "other_weights": "weights of other contents or at another place",
    "other_places": "another place of neurons, inputs or outputs",
    "other_commands": "other commands",
    "other_subnets": "other subnets",
}  # fmt: skip
NAMED = {
    "new": "new layers", "gone": "layers that are gone", "moved": "layers at another place in time",
    "fused": "layers that others have taken in", "split": "layers that others no longer take in",
}  # fmt: skip


def run(request: Request) -> int:
    found = [_stages(request, path) for path in request.files]
    records = [_record(request, pair) for pair in pairs(*found)]
    equal = not any(record["differs"] for record in records)
    request.show(
        lambda: "\n".join(_text(records)), lambda: {"equal": equal, "stages": records}
    )
    if equal and not request.values["json"]:
        a, b = request.files
        request.terminal.praise(f"{a} and {b}: no difference in what runs")
    return 0 if equal else DIFFERENT


def _stages(request: Request, path: Path) -> list[Chosen]:
    """The stages of a file; of one with a single stage that one, whatever --net and --stage say:
    an extract of a stage counts anew."""
    bmodel = read_path(path)
    if [len(net.stages) for net in bmodel.nets] == [1]:
        return [Chosen(bmodel.nets[0].name, 0, bmodel.nets[0].stages[0])]
    return chosen_stages(replace(request, files=(path,)), bmodel)


def _record(request: Request, pair: Pair) -> Record:
    place = pair.a or pair.b
    assert place is not None
    head: Record = {"net": place.net, "stage": place.number}
    if pair.a is None or pair.b is None:
        return head | {"differs": True, "only_in": str(request.files[pair.a is None])}
    request.terminal.progress(f"comparing {pair}")
    found = stage_difference(pair.a, pair.b)
    head |= {"differs": bool(found.keys() - NOT_COUNTED)}
    if request.values["run"]:
        request.terminal.progress(f"running {pair}")
        found["run"] = run_difference(pair.a, pair.b, request.values["seed"])
    return head | found


# -- text ------------------------------------------------------------------------------------------


def _text(records: list[Record]) -> Iterator[str]:
    for record in records:
        yield f"net {quoted(record['net'])}, stage {record['stage']}"
        yield from (f"  {line}" for line in _lines(record))


def _lines(record: Record) -> Iterator[str]:
    if "only_in" in record:
        yield f"only in {record['only_in']}"
        return
    for what in ("inputs", "outputs"):
        for each in record.get(what, ()):
            yield f"{what[:-1]} {_tensor(each['a'])} -> {_tensor(each['b'])}"
    for key, words in LINES.items():
        if key in record:
            yield f"{words}: {_value(record[key][0])} -> {_value(record[key][1])}"
    yield from (words for key, words in OTHERS.items() if key in record)
    for key, (a, b) in record.get("made", {}).items():
        yield f"made with {shown(key)}: {_value(a)} -> {_value(b)}"
    for key, words in NAMED.items():
        if key in record:
            names = record[key]
            listed = ", ".join(map(quoted, names[:MOST]))
            yield f"{words}: {listed}" + (f", and {len(names) - MOST} more"
                                          if len(names) > MOST else "")  # fmt: skip
    for name, (a, b) in record.get("engines", {}).items():
        yield f"layer {quoted(name)}: {_value(a)} -> {_value(b)}"
    yield from _cycles(record.get("cycles"))
    if not record["differs"]:
        if "placed" in record:
            a, b = record["placed"]
            yield (f"weights, bytes: {a} -> {b}: those that are read are equal, and stand elsewhere"
                   if a == b else f"weights, bytes: {a} -> {b}: those that are read are equal")
        yield "same commands: what runs is equal"
    for each in record.get("run", ()):
        yield f"output {quoted(each['output'])}: {_apart(each)}"


def _tensor(record: Record | None) -> str:
    if record is None:
        return "none"
    scale = "" if record["scale"] == 1.0 else f" scale {record['scale']:g}"
    return (f"{quoted(record['name'])} {record['dtype']} {record['layout']} {show(record['shape'])}"
            f"{scale}")  # fmt: skip


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(shown(str(each)) for each in value) or "none"  # pyright: ignore
    return "none" if value is None else shown(str(value))


def _cycles(found: Record | None) -> Iterator[str]:
    if found is None:
        return
    a, b = found["total"]
    yield f"cycles: {a} -> {b}, {_change(a, b)}"
    rows = found["layers"]
    width = max((len(quoted(row["layer"])) for row in rows[:MOST]), default=0)
    for row in rows[:MOST]:
        numbers = f"{row['a']:10} -> {row['b']:10}  {row['b'] - row['a']:+10}"
        yield f"  {quoted(row['layer']):{width}} {numbers}"
    if len(rows) > MOST:
        yield f"  and {len(rows) - MOST} with smaller changes"


def _change(a: int, b: int) -> str:
    return f"{100 * (b - a) / a:+.1f} %" if a else f"{b - a:+}"


def _apart(each: Record) -> str:
    if "shapes" in each:
        a, b = map(show, each["shapes"])
        return f"shape {a} -> {b}"
    at = ", ".join(map(str, each["at"]))
    return (f"largest difference {each['difference']:g} at [{at}], largest number"
            f" {each['largest']:g}")  # fmt: skip


COMMAND = Subcommand(
    "Compares two bmodels stage by stage: shapes, types and scales of inputs and outputs, memory of"
    " weights and neurons, the number of commands, layers that are new, gone, taken in by others,"
    " on another engine or at another place in time (where both files name layers), and cycles by"
    " layer, the largest changes first. With --run both are executed on the model of the NPU with"
    " the same made-up input. Stages belong together that have the net's name and number; where"
    " both files have one net, it may have another name; a single stage of each belong together."
    " Names of nets, options, hashes, versions"
    " and times do not count as a difference, nor do other places of the same weights, or weights"
    " that nothing reads, as extract leaves them out.",
    (
        JSON,
        Flag("run", BOOLEAN, "Execute both with the same input, and print the largest difference of"
             " each output, as real numbers.", False),
        NET, STAGE,
        Flag("seed", SEED, "Seed of the made-up numbers of --run.", 0),
    ),
    (
        ("old.bmodel new.bmodel", "What another build has changed."),
        ("fp32.bmodel int8.bmodel --run", "And how far the outputs are apart."),
        ("old.bmodel new.bmodel --json", "All of it, for machines."),
    ),
    run,
    operands=("A", "B"),
    codes=((1, "The files differ."), (5, "Commands of a file are wrong.")),
)  # fmt: skip
