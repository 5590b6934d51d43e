"""``bmnetu-model extract``: one net, or one stage, as a file of its own."""

from __future__ import annotations

from dataclasses import replace

from bmnetu.bmodel import Net
from bmnetu.emit.combine import alone
from bmnetu.inspect.chosen import one_net, read_file, store
from bmnetu.inspect.commands.combine import OUT, net_line, net_record
from bmnetu.inspect.subcommand import JSON, ONE_NET, STAGE, Request, Subcommand

ONE = replace(ONE_NET, help="The net that is stored.")


def run(request: Request) -> None:
    bmodel = read_file(request)
    chosen = one_net(request, bmodel)
    stages = tuple(each.stage for each in chosen)
    if len(stages) == 1 and not stages[0].is_dynamic:
        stages = (alone(str(request.file), stages[0]),)
    net = Net(chosen[0].net, stages)
    store(request.values["out"], replace(bmodel, nets=(net,)))
    request.show(lambda: net_line(net), lambda: net_record(net))


COMMAND = Subcommand(
    "Stores one net of a bmodel, or one of its stages, as a bmodel that runs by itself. A single"
    " static stage keeps those of its weights alone that it reads. Where the file has one net,"
    " --net need not be given.",
    (OUT, ONE, STAGE, JSON),
    (
        ("both.bmodel --net=eyes --out=eyes.bmodel", "A net with all its stages."),
        ("net.bmodel --stage=1 --out=batch4.bmodel", "One stage of the only net."),
    ),
    run,
)
