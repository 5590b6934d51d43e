"""``bmnetu-model map``: local memory over time, and what lies in DDR when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bmnetu.inspect.chosen import Chosen, chosen_stages, read_file
from bmnetu.inspect.inputs import shaped
from bmnetu.inspect.lifetimes import (
    Block,
    Event,
    blocks_of,
    events_of,
    joined,
    neurons,
    usage,
)
from bmnetu.inspect.record_lifetimes import local_begins, record_events
from bmnetu.inspect.stepping.base import Stop
from bmnetu.inspect.subcommand import JSON, NET, SHAPES_FLAG, STAGE, Request, Subcommand
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import Space
from dialects.names import quoted
from dialects.ufw.shapes import show

Record = dict[str, Any]
COLUMNS, ROWS = 72, 8
"""Of the chart."""
EIGHTHS = " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
"""A character for each eighth of a line's height."""


def run(request: Request) -> None:
    chosen = chosen_stages(request, read_file(request))
    stages = shaped(chosen, request.values["shapes"])
    records = [_dynamic(each) if each.stage.is_dynamic else _record(each) for each in stages]
    request.show(lambda: "\n".join(line for r in records for line in _text(r)), lambda: records)


def _record(found: Chosen) -> Record:
    events = events_of(found)
    local = blocks_of((at, a) for at, event in enumerate(events) for a in event.touched
                      if a.space is Space.LMEM)  # fmt: skip
    return {
        **_head(found, events),
        "cycles": max((event.end for event in events), default=0),
        "local": {"lane_bytes": BM1684.lane_bytes, **_used(local, events)},
        **_far(found, neurons(found, events), events),
    }


def _dynamic(found: Chosen) -> Record:
    """A dynamic stage: in DDR over the records. What its records do in local memory is made by the
    firmware when they run; of groups of layers there the file has the offsets."""
    events, blocks = record_events(found)
    inputs = [{"name": t.name, "shape": list(t.shape)} for t in found.stage.inputs]
    begins = [{"record": index, "layers": layers, "highest_offset": highest}
              for index, layers, highest in local_begins(found)]  # fmt: skip
    return {
        **_head(found, events), "dynamic": True, "inputs": inputs,
        "local": {"lane_bytes": BM1684.lane_bytes, "groups": begins},
        **_far(found, blocks, events),
    }  # fmt: skip


def _head(found: Chosen, events: Sequence[Event]) -> Record:
    return {"net": found.net, "stage": found.number, "events": [_event(event) for event in events]}


def _far(found: Chosen, tensors: Sequence[Block], events: Sequence[Event]) -> Record:
    """What lies in DDR."""
    stage = found.stage
    return {
        "weights": {"address": stage.coeff_address, "bytes": len(stage.coeff)},
        "neurons": {
            "address": stage.context_address, "bytes": stage.context_size,
            **_used(tensors, events),
            "tensors": [
                {"name": t.name or None, "offset": t.start - stage.context_address,
                 "bytes": t.stop - t.start, "first": t.first, "last": t.last}
                for t in joined(tensors)
            ],
        },
    }  # fmt: skip


def _event(event: Event) -> Record:
    return {"group": event.group, "engine": event.engine, "number": event.number,
            "layer": event.layer or None, "begin": event.begin, "end": event.end}  # fmt: skip


def _used(blocks: Sequence[Block], events: Sequence[Event]) -> Record:
    """Bytes over time; the most of them, and the event that takes the last of these."""
    used = usage(blocks, events)
    begin, most = max(used, key=lambda step: (step[1], -step[0]))
    event = max((b.first for b in blocks if events[b.first].begin == begin), default=0)
    return {"used": used, "peak": {"bytes": most, "event": event}}


# -- text ------------------------------------------------------------------------------------------


def _text(record: Record) -> Iterator[str]:
    is_dynamic = "dynamic" in record
    at = ", ".join(f"{quoted(t['name'])} {show(t['shape'])}" for t in record.get("inputs", ()))
    head = f"net {quoted(record['net'])}, stage {record['stage']}"
    yield f"{head}, dynamic, at {at}" if is_dynamic else head
    if not record["events"]:
        yield "  no commands"
        return
    yield from (f"  {line}" for line in (_firmware if is_dynamic else _local)(record))
    weights, far = record["weights"], record["neurons"]
    yield f"  weights {weights['bytes']} bytes at {weights['address']:#x}"
    area, peak = f"  neurons {far['bytes']} bytes at {far['address']:#x}", far["peak"]
    if not far["tensors"]:
        yield f"{area}: nothing lies there"
        return
    yield f"{area}: at most {peak['bytes']} in use, during {_place(record, peak['event'])}"
    if is_dynamic:
        yield from (f"    {line}" for line in chart(far["used"], len(record["events"]), "records"))
    ends = ("first", "last") if is_dynamic else ("begin", "end")
    rows = [("offset", "bytes", *ends, "layers", "tensor")]
    rows += [_row(record, tensor) for tensor in far["tensors"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        numbers = (cell.rjust(width) for cell, width in zip(row[:4], widths, strict=False))
        yield "    " + "  ".join([*numbers, row[4].ljust(widths[4]), row[5]]).rstrip()


def _local(record: Record) -> Iterator[str]:
    local = record["local"]
    peak, whole = local["peak"], local["lane_bytes"]
    yield (f"local memory: at most {peak['bytes']} of {whole} bytes of a lane in use, during"
           f" {_place(record, peak['event'])}")  # fmt: skip
    yield from (f"  {line}" for line in chart(local["used"], record["cycles"]))


def _firmware(record: Record) -> Iterator[str]:
    local = record["local"]
    yield "local memory: the chip's firmware decides at every launch what lies there"
    for each in local["groups"]:
        yield (f"  record {each['record']}: {each['layers']} layers there, whose last tensor begins"
               f" at {each['highest_offset']:#x} of {local['lane_bytes']:#x}; bmnetu-model dis has"
               " all offsets")  # fmt: skip


def _place(record: Record, at: int) -> str:
    event = record["events"][at]
    return str(Stop(event["group"], event["engine"], event["number"], event["layer"] or ""))


def _row(record: Record, tensor: Record) -> tuple[str, ...]:
    first, last = (record["events"][tensor[end]] for end in ("first", "last"))
    layers = [quoted(name) for name in dict.fromkeys((first["layer"], last["layer"])) if name]
    times = (first["begin"], last["end"])
    if "dynamic" in record:
        times = first["number"], last["number"]
    numbers = map(str, (tensor["bytes"], *times))
    name = quoted(tensor["name"]) if tensor["name"] else ""
    return f"{tensor['offset']:#x}", *numbers, " .. ".join(layers), name


def chart(used: Sequence[tuple[int, int]], end: int, unit: str = "cycles") -> list[str]:
    """Bytes over cycles, or another unit of time, as lines of block characters, with the largest
    number on the left. A column is the most in its time."""
    width = max(1, min(COLUMNS, end))
    columns = [0] * width
    ends = [*(begin for begin, _ in used[1:]), end]
    for (begin, number), stop in zip(used, ends, strict=True):
        low, high = begin * width // max(1, end), -(-stop * width // max(1, end))
        for column in range(min(low, width - 1), min(max(high, low + 1), width)):
            columns[column] = max(columns[column], number)
    most = max(columns)
    heights = [max(round(ROWS * 8 * n / max(1, most)), int(n > 0)) for n in columns]
    left = len(str(most))
    lines: list[str] = []
    for row in reversed(range(ROWS)):
        label = str(most) if row == ROWS - 1 else ""
        cells = "".join(EIGHTHS[min(8, max(0, height - 8 * row))] for height in heights)
        lines.append(f"{label:>{left}} |{cells}".rstrip())
    lines.append(f"{'0':>{left}} +{'-' * width}")
    lines.append(f"{'':{left}}  0{str(end).rjust(max(width - 1, len(str(end)) + 1))} {unit}")
    return lines


COMMAND = Subcommand(
    "Prints how much of local memory is in use over time, as a chart, with the largest"
    " number and the layer that sets it; and what lies in DDR: the weights, and each tensor in the"
    " neurons with the cycles from which and up to which it is in use. All of it comes from what"
    " the commands read and write, and from the cycle model: a byte is in use from a write to the"
    " last read before it is written anew, in whatever lanes. Of a dynamic stage the tensors in the"
    " neurons at the shapes that are given, from which record to which; what lies in local memory"
    " is decided by the firmware at every launch, and is in no file.",
    (JSON, NET, STAGE, SHAPES_FLAG),
    (
        ("compilation.bmodel", "The chart and the tensors."),
        ("dynamic.bmodel --shapes=[1,3,100,80]", "A dynamic net at a smaller shape."),
        ("compilation.bmodel --json", "The bytes in use from each cycle on, for machines."),
    ),
    run,
    codes=((5, "Commands are wrong, so that it is not known what they touch."),),
)
