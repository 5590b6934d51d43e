"""``bmnetu-model check``: whether the commands of a bmodel are such that the chip can run them."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from bmnetu.errors import FaultError, InputFileError
from bmnetu.inspect.chosen import Chosen, chosen_stages, read_file
from bmnetu.inspect.faults import Fault, stage_faults
from bmnetu.inspect.subcommand import JSON, NET, STAGE, Request, Subcommand

MOST = 100
"""Findings of a stage that are listed: one wrong wait can make thousands of races."""


def run(request: Request) -> None:
    try:
        stages = chosen_stages(request, read_file(request))
    except InputFileError as error:
        if request.values["json"]:
            record = {"kind": "file", "sentence": error.message}
            request.show(str, lambda: {"ok": False, "findings": [record]})
        raise
    found: list[Fault] = []
    for each in stages:
        request.terminal.progress(f"checking {each}")
        found += islice(stage_faults(each), MOST)
    counts = _counts(stages)
    if request.values["json"]:
        records = [fault.record() for fault in found]
        request.show(str, lambda: {"ok": not found, **counts, "findings": records})
    for fault in found:
        if not request.values["json"]:
            request.terminal.say(str(fault))
    if found:
        kinds = Counter(fault.kind for fault in found)
        listed = ", ".join(f"{kind} {n}" for kind, n in kinds.items())
        count = f"{len(found)} fault{'s' * (len(found) > 1)}"
        more = f" or more: the first {MOST} of a stage are listed" if len(found) >= MOST else ""
        raise FaultError(f"{request.file}: {count} ({listed}){more}")
    if not request.values["json"]:
        listed = ", ".join(f"{what.replace('_', ' ')} {n}" for what, n in counts.items() if n)
        request.terminal.praise(f"{request.file}: no fault ({listed})")


def _counts(stages: list[Chosen]) -> dict[str, int]:
    groups = [group for each in stages for group in each.stage.groups]
    subnets = [subnet for each in stages for subnet in each.stage.subnets]
    return {
        "stages": len(stages),
        "commands": sum(group.tiu_count + group.gdma_count for group in groups),
        "bytes_of_records": sum(len(each.stage.records) for each in stages),
        "host_layers": sum(subnet.host is not None for subnet in subnets),
    }


COMMAND = Subcommand(
    "Checks a bmodel without running it. The file: offsets, sizes, the SHA-256 of the weights, the"
    " rules of the runtime. Of every command: whether the hardware takes its fields, its id, its"
    " addresses in local memory, L2 and DDR (weights are not written, nothing lies outside of"
    " weights and neurons), whether what it waits for can come, and whether every access that meets"
    " one of the other engine is ordered by a wait (races). Border: every output is written. Of"
    " host layers and of the records of a dynamic net: that they are known, take what they are"
    " given, and read nothing before it is made. One sentence a finding. What the commands compute"
    " is not checked: that is a matter of the compare (bmnetu -cmp) and of bmnetu-model run.",
    (JSON, NET, STAGE),
    (
        ("compilation.bmodel", "Says what is wrong, or that all is well."),
        ("compilation.bmodel --json", "The findings with net, stage, group, engine and number."),
    ),
    run,
    codes=((5, "Commands, records, host layers or the border are wrong; each finding is a line."),),
)
