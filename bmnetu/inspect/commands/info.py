"""``bmnetu-model info``: what is in a bmodel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from bmnetu.bmodel import COMMAND_BYTES, Bmodel, CommandGroup, HostCall, Notes, Stage, Tensor
from bmnetu.inspect.chosen import Chosen, chosen_stages, read_file
from bmnetu.inspect.subcommand import JSON, NET, STAGE, Request, Subcommand
from dialects.names import quoted, shown

Record = dict[str, Any]


def run(request: Request) -> None:
    bmodel = read_file(request)
    stages = chosen_stages(request, bmodel)
    found = _record(request, bmodel, stages)
    request.show(lambda: "\n".join(_text(found)), lambda: found)


def _record(request: Request, bmodel: Bmodel, stages: list[Chosen]) -> Record:
    nets: dict[str, list[Record]] = {}
    for each in stages:
        record = {"number": each.number} | stage_record(each.stage) | {"notes": _notes(each.notes)}
        nets.setdefault(each.net, []).append(record)
    return {
        "file": str(request.file),
        "bytes": request.file.stat().st_size,
        "chip": bmodel.chip,
        "version": bmodel.version,
        "time": bmodel.time.strip(),
        "nets": [{"name": name, "stages": found} for name, found in nets.items()],
    }


def _notes(notes: Notes) -> Record | None:
    """Where a stage comes from, and its layers, as our compiler says it."""
    if not notes.version:
        return None
    return {
        "compiler": f"bmnetu-{notes.version}",
        "options": notes.options,
        "sha256": notes.sha256,
        "layers": [{"name": name, "line": line} for name, line in notes.layers],
        "tensors": list(dict.fromkeys(t.name for t in notes.tensors)),
    }


def stage_record(stage: Stage) -> Record:
    """All of a stage but its weights and commands themselves. Sizes are in bytes."""
    coeff = stage.coeff
    return {
        "dynamic": stage.is_dynamic,
        "free": [name for name, free in (("batch", stage.batch_is_free),
                                         ("size", stage.size_is_free)) if free],
        "inputs": [tensor_record(t) for t in stage.inputs],
        "outputs": [tensor_record(t) for t in stage.outputs],
        "weights": {
            "address": stage.coeff_address,
            "bytes": len(coeff),
            "sha256": hashlib.sha256(coeff).hexdigest() if coeff else None,
            "named": [{"name": w.name, "offset": w.offset, "bytes": w.size} for w in stage.weights],
        },
        "memory": {"address": stage.context_address, "bytes": stage.context_size},
        "commands": _commands(stage.groups),
        "records": {"bytes": len(stage.records)} if stage.is_dynamic else None,
        "subnets": list(_subnets(stage)),
    }  # fmt: skip


def tensor_record(tensor: Tensor) -> Record:
    """An input or an output. ``scale``: of an input the integer for 1.0, of an output the real
    value of 1."""
    return {
        "name": tensor.name,
        "dtype": tensor.data_type.numpy.name,
        "layout": _layout(tensor),
        "shape": list(tensor.shape),
        "scale": tensor.scale,
        "address": tensor.address,
        "bytes": tensor.size,
    }


def _layout(tensor: Tensor) -> str:
    return {"N1": "1N", "N4": "4N"}[tensor.store_mode.name]


def _commands(groups: tuple[CommandGroup, ...]) -> Record:
    tiu, gdma = sum(g.tiu_count for g in groups), sum(g.gdma_count for g in groups)
    return {"groups": [{"tiu": g.tiu_count, "gdma": g.gdma_count} for g in groups],
            "tiu": tiu, "gdma": gdma, "bytes": (tiu + gdma) * COMMAND_BYTES}  # fmt: skip


def _subnets(stage: Stage) -> Iterator[Record]:
    """The steps of a stage, in the order in which they run; none where all is one on the NPU."""
    groups = iter(stage.groups)
    for subnet in stage.subnets:
        own = tuple(islice(groups, subnet.group_count))
        yield {
            "runs_on": "NPU" if subnet.host is None else "host",
            "layer": None if subnet.host is None else host_record(subnet.host),
            "commands": _commands(own) if subnet.host is None else None,
            "inputs": [tensor_record(t) for t in subnet.inputs],
            "outputs": [tensor_record(t) for t in subnet.outputs],
        }


def host_record(host: HostCall) -> Record:
    """A layer on the host: its number, and its name and parameters where they are known."""
    from dialects.host.ops import BY_NUMBER  # which loads xDSL

    op = BY_NUMBER.get(host.number)
    try:
        values = None if op is None else op.LAYER.struct.unpack(host.params)
    except ValueError:
        values = None
    name = None if op is None else op.name.removeprefix("host.")
    return {"number": host.number, "name": name, "parameters": values}


# -- text ------------------------------------------------------------------------------------------


def _text(found: Record) -> Iterator[str]:
    yield (f"{found['file']}: {found['bytes']} bytes, for {found['chip']}, version"
           f" {quoted(found['version'])}, {found['time']}")  # fmt: skip
    for net in found["nets"]:
        yield f"net {quoted(net['name'])}"
        for stage in net["stages"]:
            yield from (f"  {line}" for line in _stage_text(stage))


def _stage_text(stage: Record) -> Iterator[str]:
    free = f", free: {', '.join(stage['free'])}" if stage["free"] else ""
    yield f"stage {stage['number']}, {'dynamic' + free if stage['dynamic'] else 'static'}"
    rows = [("input", t) for t in stage["inputs"]] + [("output", t) for t in stage["outputs"]]
    yield from (f"  {line}" for line in _table([_row(what, t) for what, t in rows]))
    weights, memory = stage["weights"], stage["memory"]
    named = f", {len(weights['named'])} named" if weights["named"] else ""
    shown = f", SHA-256 {weights['sha256']}" if weights["bytes"] else ""
    yield f"  weights   {weights['bytes']} bytes at {weights['address']:#x}{shown}{named}"
    yield f"  neurons   {memory['bytes']} bytes at {memory['address']:#x}"
    if stage["records"]:
        yield f"  records   {stage['records']['bytes']} bytes"
    else:
        yield f"  commands  {_commands_text(stage['commands'])}"
    if stage["notes"]:
        yield from (f"  {line}" for line in _notes_text(stage["notes"]))
    for number, subnet in enumerate(stage["subnets"]):
        names = [", ".join(quoted(t["name"]) for t in subnet[side])
                 for side in ("inputs", "outputs")]  # fmt: skip
        yield f"  subnet {number} on the {_work(subnet)}: {names[0]} -> {names[1]}"


def _notes_text(notes: Record) -> Iterator[str]:
    options = " ".join(f"{name}={json.dumps(value)}" for name, value in notes["options"].items())
    yield f"compiled  by {notes['compiler']}, {options.replace(chr(34), '')}"
    yield from (f"{name:8}  SHA-256 {value}" for name, value in notes["sha256"].items())
    yield f"layers    {len(notes['layers'])}, from {shown(notes['layers'][0]['name'])}" \
          f" to {shown(notes['layers'][-1]['name'])}" if notes["layers"] else "layers    not named"


def _work(subnet: Record) -> str:
    layer = subnet["layer"]
    if layer is None:
        return f"NPU, {_commands_text(subnet['commands'])}"
    return f"host, {layer['name'] or 'a layer that is not known here'} (number {layer['number']})"


def _commands_text(commands: Record) -> str:
    groups = len(commands["groups"])
    return (f"{commands['tiu']} TIU, {commands['gdma']} GDMA in {groups}"
            f" group{'s' * (groups != 1)}, {commands['bytes']} bytes")  # fmt: skip


def _row(what: str, tensor: Record) -> tuple[str, ...]:
    shape = "x".join(map(str, tensor["shape"]))
    scale = "" if tensor["dtype"] == "float32" else f"scale {tensor['scale']:g}"
    place = f"{tensor['bytes']} bytes at {tensor['address']:#x}"
    return what, quoted(tensor["name"]), tensor["dtype"], tensor["layout"], shape, scale, place


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


COMMAND = Subcommand(
    "Prints what is in a bmodel, ours or the vendor's: the version of the tool that made it, its"
    " nets, and of each stage whether it is static or dynamic, its inputs and outputs with type,"
    " layout, shape and scale, where weights and neurons (the memory for tensors) lie and how large"
    " they are, the commands of both engines, and the subnets: what runs on the NPU, and which"
    " layers run on the host. An integer input is round(real * scale), a real output is integer *"
    " scale.",
    (JSON, NET, STAGE),
    (
        ("compilation.bmodel", "All of it, for people."),
        ("compilation.bmodel --json", "The same for machines."),
        ("compilation.bmodel --net=lenet --stage=0", "One stage of one net."),
    ),
    run,
)
