"""``bmnetu-model map``: local memory over time, and what lies in DDR when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bmnetu.errors import UnsupportedError
from bmnetu.inspect.chosen import Chosen, chosen_stages, read_file
from bmnetu.inspect.lifetimes import (
    HOST,
    Block,
    Event,
    blocks_of,
    events_of,
    joined,
    neurons,
    usage,
)
from bmnetu.inspect.subcommand import JSON, NET, STAGE, Request, Subcommand
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import Space
from dialects.names import quoted

Record = dict[str, Any]
COLUMNS, ROWS = 72, 8
"""Of the chart."""
EIGHTHS = " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
"""A character for each eighth of a line's height."""


def run(request: Request) -> None:
    stages = chosen_stages(request, read_file(request))
    static = [each for each in stages if not each.stage.is_dynamic]
    if not static:
        raise UnsupportedError(f"{stages[0]} is dynamic: the chip's firmware makes its commands and"
                               " places its tensors when it runs, so that the file has no map")
    for each in stages:
        if each not in static:
            request.terminal.note(f"{each} is dynamic and left out")
    records = [_record(each) for each in static]
    request.show(lambda: "\n".join(line for r in records for line in _text(r)), lambda: records)


def _record(found: Chosen) -> Record:
    stage, events = found.stage, events_of(found)
    local = blocks_of((at, a) for at, event in enumerate(events) for a in event.touched
                      if a.space is Space.LMEM)  # fmt: skip
    tensors = neurons(found, events)
    return {
        "net": found.net,
        "stage": found.number,
        "cycles": max((event.end for event in events), default=0),
        "events": [_event(event) for event in events],
        "local": {"lane_bytes": BM1684.lane_bytes, **_used(local, events)},
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
    yield f"net {quoted(record['net'])}, stage {record['stage']}"
    local, weights, far = record["local"], record["weights"], record["neurons"]
    if not record["events"]:
        yield "  no commands"
        return
    peak = local["peak"]
    yield (f"  local memory: at most {peak['bytes']} of {local['lane_bytes']} bytes of a lane in"
           f" use, during {_place(record, peak['event'])}")  # fmt: skip
    yield from (f"    {line}" for line in chart(local["used"], record["cycles"]))
    yield f"  weights {weights['bytes']} bytes at {weights['address']:#x}"
    peak = far["peak"]
    yield (f"  neurons {far['bytes']} bytes at {far['address']:#x}: at most {peak['bytes']} in use,"
           f" during {_place(record, peak['event'])}")  # fmt: skip
    rows = [("offset", "bytes", "begin", "end", "layers", "tensor")]
    rows += [_row(record, tensor) for tensor in far["tensors"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        numbers = (cell.rjust(width) for cell, width in zip(row[:4], widths, strict=False))
        yield "    " + "  ".join([*numbers, row[4].ljust(widths[4]), row[5]]).rstrip()


def _place(record: Record, at: int) -> str:
    event = record["events"][at]
    if event["engine"] == HOST:
        return f"subnet {event['number']}, {event['layer']} on the host"
    layer = f" of layer {quoted(event['layer'])}" if event["layer"] else ""
    return f"group {event['group']}, {event['engine']} command {event['number']}{layer}"


def _row(record: Record, tensor: Record) -> tuple[str, ...]:
    first, last = (record["events"][tensor[end]] for end in ("first", "last"))
    layers = [quoted(name) for name in dict.fromkeys((first["layer"], last["layer"])) if name]
    numbers = map(str, (tensor["bytes"], first["begin"], last["end"]))
    name = quoted(tensor["name"]) if tensor["name"] else ""
    return f"{tensor['offset']:#x}", *numbers, " .. ".join(layers), name


def chart(used: Sequence[tuple[int, int]], end: int) -> list[str]:
    """Bytes over cycles as lines of block characters, with the largest number on the left. A
    column is the most in its time."""
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
    lines.append(f"{'':{left}}  0{str(end).rjust(width - 1)} cycles")
    return lines


COMMAND = Subcommand(
    "Prints how much of local memory is in use over time, as a chart, with the largest"
    " number and the layer that sets it; and what lies in DDR: the weights, and each tensor in the"
    " neurons with the cycles from which and up to which it is in use. All of it comes from what"
    " the commands read and write, and from the cycle model: a byte is in use from a write to the"
    " last read before it is written anew, in whatever lanes.",
    (JSON, NET, STAGE),
    (
        ("compilation.bmodel", "The chart and the tensors."),
        ("compilation.bmodel --json", "The bytes in use from each cycle on, for machines."),
    ),
    run,
    codes=((5, "Commands are wrong, so that it is not known what they touch."),),
)
