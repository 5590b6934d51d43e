"""``bmnetu-model combine``: several bmodels as one file."""

from __future__ import annotations

from bmnetu.bmodel import Net
from bmnetu.command_line.flags import Flag
from bmnetu.command_line.kinds import PATH
from bmnetu.emit.combine import combined
from bmnetu.inspect.chosen import read_path, store
from bmnetu.inspect.subcommand import JSON, Request, Subcommand
from dialects.names import quoted
from dialects.ufw.shapes import show

OUT = Flag("out", PATH, "The bmodel to store.", necessary=True)


def run(request: Request) -> None:
    found = combined([(str(path), read_path(path)) for path in request.files])
    store(request.values["out"], found)
    request.show(
        lambda: "\n".join(map(net_line, found.nets)), lambda: [net_record(n) for n in found.nets]
    )


def net_line(net: Net) -> str:
    """A net that was stored, in a line."""
    shapes = "; ".join(
        ", ".join(f"{quoted(t.name)} {show(t.shape)}" for t in stage.inputs)
        for stage in net.stages
    )
    count = len(net.stages)
    return f"net {quoted(net.name)}, {count} stage{'s' * (count > 1)}: {shapes}"


def net_record(net: Net) -> dict[str, object]:
    """The same for JSON."""
    stages = [{t.name: list(t.shape) for t in stage.inputs} for stage in net.stages]
    return {"net": net.name, "stages": stages}


COMMAND = Subcommand(
    "Puts several bmodels, ours or the vendor's, into one file. Nets of other names stand side by"
    " side: the runtime launches each by its name. Nets of one name become one net with all their"
    " stages, of which the runtime chooses by the shapes of the inputs: their inputs and outputs"
    " must have the same names, types and scales, and no two stages the same shapes. Weights that"
    " stages have in common are stored once. A dynamic net has no further stages.",
    (OUT, JSON),
    (
        ("faces.bmodel eyes.bmodel --out=both.bmodel", "Two nets."),
        ("batch1.bmodel batch4.bmodel --out=net.bmodel", "Two batches of one net."),
    ),
    run,
    operands=("FILE", "FILE..."),
)
