"""``-enable_profile``: where the time goes, layer by layer, by the cycle model."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

from xdsl.dialects.builtin import LocationAttr, ModuleOp, NameLoc

from bmnetu.emit.border import network_name
from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.cycles import (
    PEAK_MACS,
    SLOW_DDR,
    Schedule,
    Span,
    macs_of,
    schedule,
    slow_cycles_of,
    traced_cycles_of,
    traffic_of,
)
from dialects.bm1684.isa import Engine, Instruction
from dialects.bm1684.model.memory.access import Space
from dialects.bm1684.npu import CommandOp
from passes.image.groups import command_groups
from passes.image.program import integer
from passes.memory.footprint import Footprint
from passes.module.functions import npu_functions
from passes.module.locations import layer_name, location_text
from passes.verify_layers import host_layers


def profile_names(stage: int) -> tuple[str, ...]:
    """The files with the profile of a stage."""
    return tuple(f"compiler_profile_{stage}.{suffix}" for suffix in ("txt", "csv", "json"))


@dataclass
class LayerProfile:
    """What one layer of the prototxt costs; a layer that another took in is part of that one.

    start, end: of its first and last command. cycles: its share of the network's time: those in
    which the TIU works on it, and those in which it keeps only the GDMA busy. weight_cycles: the
    part of gdma_cycles that reads weights. needed_cycles: of its products if no multiplier ever
    idled.
    """

    layer: str
    where: str
    start: int = 0
    end: int = 0
    cycles: int = 0
    tiu_cycles: int = 0
    gdma_cycles: int = 0
    weight_cycles: int = 0
    macs: int = 0
    needed_cycles: float = 0.0
    ddr_read: int = 0
    ddr_written: int = 0

    @property
    def multiplier_use(self) -> float:
        """Which part of the multipliers works while the TIU works, 0 to 1."""
        return self.needed_cycles / max(1, self.tiu_cycles)

    @property
    def bound(self) -> str:
        """What takes longest: "compute", or the GDMA with "weights" or with "activations"."""
        if self.tiu_cycles >= self.gdma_cycles:
            return "compute"
        return "weights" if 2 * self.weight_cycles > self.gdma_cycles else "activations"

    def record(self) -> dict[str, str | int | float]:
        """Everything by name."""
        return asdict(self) | {"multiplier_use": self.multiplier_use, "bound": self.bound}

    def add(self, command: Instruction, span: Span, share: int, is_weights: bool) -> None:
        """Counts a command of the layer."""
        self.start = min(self.start, span.start)
        self.end = max(self.end, span.end)
        self.cycles += share
        if command.engine is Engine.TIU:
            self.tiu_cycles += span.cycles
            if macs := macs_of(command):
                self.macs += macs
                self.needed_cycles += macs / PEAK_MACS[command["opt_opd0_prec"]]
            return
        self.gdma_cycles += span.cycles
        self.weight_cycles += span.cycles * is_weights
        traffic = traffic_of(command)
        self.ddr_read += traffic.read
        self.ddr_written += traffic.written


@dataclass(frozen=True)
class Profile:
    """A network's layers in the order of their first commands, and their sum.

    unknown: how many commands of a kind have no known price; they count as 0 cycles. on_host: the
    layers that the host computes, of which no time is known. slow_ddr_cycles: of the whole with DDR
    at SLOW_DDR of its rate. one_bank: the share of the TIU's commands that find two operands, or an
    operand and the result, in one bank of local memory, 0 to 1. traced_cycles: of the whole as the
    trace of the vendor's compiler says, which prices matrix moves otherwise.
    """

    net: str
    mhz: float
    total: LayerProfile
    layers: tuple[LayerProfile, ...]
    unknown: dict[str, int]
    on_host: tuple[str, ...] = ()
    slow_ddr_cycles: int = 0
    one_bank: float = 0.0
    traced_cycles: int = 0

    @property
    def milliseconds(self) -> float:
        """The network's time at the TIU's clock."""
        return self.total.cycles / self.mhz / 1e3

    def record(self) -> dict[str, object]:
        """Everything by name."""
        return {
            "net": self.net,
            "mhz": self.mhz,
            "milliseconds": self.milliseconds,
            "unknown": self.unknown,
            "on_host": list(self.on_host),
            "slow_ddr_cycles": self.slow_ddr_cycles,
            "one_bank": self.one_bank,
            "traced_cycles": self.traced_cycles,
            "total": self.total.record(),
            "layers": [layer.record() for layer in self.layers],
        }


Row = tuple[str, str]
"""The row that a command counts in: the name of a layer, and where it stands."""


def profile(module: ModuleOp) -> Profile:
    """The profile of a compiled module (npu level, ids and waits assigned)."""
    found = npu_functions(module)
    groups = _groups(module)
    rows = [_row(op.location) for commands in groups for op in commands]
    coeff_size = max((integer(f, "coeff_size") for f in found), default=0)
    weights = range(BM1684.context_start, BM1684.context_start + coeff_size)
    on_host = tuple(layer_name(op) for op in host_layers(module).values())
    commands = [[op.instruction for op in some] for some in groups]
    return profile_of(network_name(module), commands, rows, weights, on_host)


def profile_of(
    net: str, groups: Sequence[Sequence[Instruction]], rows: Sequence[Row], weights: range,
    on_host: tuple[str, ...] = (),
) -> Profile:  # fmt: skip
    """The profile of groups of commands, each engine's in the order of its ids; ``rows`` has the
    row of each of them, ``weights`` their addresses in DDR. Raises ScheduleError."""
    found = schedule(groups)
    commands = list(chain.from_iterable(groups))
    spans = list(chain.from_iterable(found.spans))
    layers: dict[Row, LayerProfile] = {}
    total = LayerProfile("total", "")
    shares = _shares([command.engine for command in commands], spans)
    for row, command, span, share in zip(rows, commands, spans, shares, strict=True):
        is_weights = command.engine is Engine.GDMA and isa.start_of(command, "src") in weights
        layer = layers.setdefault(row, LayerProfile(*row, span.start))
        layer.add(command, span, share, is_weights)
        total.add(command, span, share, is_weights)
    unknown = Counter(command.kind.mnemonic for command in found.unknown)
    mhz = BM1684.clock.tiu / 1e6
    slow, traced = (schedule(groups, price).total for price in (slow_cycles_of, traced_cycles_of))
    return Profile(net, mhz, total, tuple(layers.values()), dict(unknown), on_host, slow,
                   one_bank(commands), traced)  # fmt: skip


def scheduled(module: ModuleOp) -> tuple[list[list[CommandOp]], Schedule]:
    """The groups of commands of a compiled module, and when each command runs."""
    groups = _groups(module)
    return groups, schedule([op.instruction for op in commands] for commands in groups)


def _groups(module: ModuleOp) -> list[list[CommandOp]]:
    return [group.commands for f in npu_functions(module) for group in command_groups(f)]


def one_bank(commands: Sequence[Instruction]) -> float:
    """The share of the TIU's commands that touch one bank by two different tensors."""
    computed = [command for command in commands if command.engine is Engine.TIU]
    shared = 0
    for command in computed:
        accesses = (a for a in Footprint.of(command).touched if a.space is Space.LMEM)
        banks = [
            range(start // BM1684.bank_bytes, -(-stop // BM1684.bank_bytes))
            for start, stop in {(a.start, a.stop) for a in accesses}
        ]
        shared += sum(map(len, banks)) > len(set(chain.from_iterable(banks)))
    return shared / max(1, len(computed))


def _row(location: LocationAttr) -> Row:
    if isinstance(location, NameLoc):
        return location.desc.data, location_text(location.location)
    return "", location_text(location)


def _shares(engines: Sequence[Engine], spans: Sequence[Span]) -> Iterator[int]:
    """For each command its cycles; of a GDMA command, those in which the TIU stands still."""
    working = [s for engine, s in zip(engines, spans, strict=True) if engine is Engine.TIU]
    first = 0
    for engine, span in zip(engines, spans, strict=True):
        share = span.cycles
        if engine is Engine.GDMA:
            while first < len(working) and working[first].end <= span.start:
                first += 1
            at = first
            while at < len(working) and working[at].start < span.end:
                share -= min(span.end, working[at].end) - max(span.start, working[at].start)
                at += 1
        yield share


COLUMNS = ("layer", "cycles", "%", "TIU", "GDMA", "start", "end", "multipliers", "DDR read",
           "DDR written", "bound by")
LEFT = (0, len(COLUMNS) - 1)
NO_PLACE: Mapping[str, str | int] = {}


def text(profile: Profile) -> str:
    """The table for people."""
    total = max(1, profile.total.cycles)
    rows: list[tuple[str, ...]] = [COLUMNS]
    for row in (*profile.layers, profile.total):
        share, use = f"{100 * row.cycles / total:.1f}", f"{100 * row.multiplier_use:.1f}%"
        numbers = (row.cycles, share, row.tiu_cycles, row.gdma_cycles, row.start, row.end, use,
                   row.ddr_read, row.ddr_written)
        rows.append((_printable(row.layer) or "-", *map(str, numbers), row.bound))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i in LEFT else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    use = 100 * profile.total.needed_cycles / total
    head = [
        f"{_printable(profile.net)}: {profile.total.cycles} cycles, {profile.milliseconds:.3f} ms"
        f" at {profile.mhz:g} MHz, {use:.1f}% of the multipliers used. An estimate by the vendor's"
        " cost model, not a measurement.",
        "cycles: the TIU at work, or the GDMA while the TIU waits. multipliers: their use while"
        " the TIU works. DDR in bytes.",
    ]
    slow = profile.slow_ddr_cycles
    head += [
        f"With DDR at {SLOW_DDR:.0%} of its rate: {slow} cycles, {slow / profile.mhz / 1e3:.3f} ms."
        " Measured times are 10 to 30 % longer where DDR has a large share.",
        f"Two tensors in one 64 KiB bank of local memory: {profile.one_bank:.0%} of the TIU's"
        " commands; whether that costs time is not known.",
    ]
    if profile.traced_cycles != profile.total.cycles:
        head.append(f"A trace of the vendor's compiler, which prices matrix moves as plain ones:"
                    f" {profile.traced_cycles} cycles.")
    if profile.unknown:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in profile.unknown.items())
        head.append(f"Commands of unknown cost, counted as 0 cycles: {kinds}.")
    if profile.on_host:
        names = ", ".join(map(_printable, profile.on_host))
        head.append(f"On the host, and not estimated: {names}.")
    return "\n".join([*head, "", *lines[:-1], "", lines[-1]]) + "\n"


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)


def csv_text(profile: Profile, place: Mapping[str, str | int] = NO_PLACE) -> str:
    """A row a layer, and the sum; ``place`` stands before each."""
    stream = io.StringIO()
    names = [*place, *profile.total.record()]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**place, **row.record()} for row in (*profile.layers, profile.total))
    return stream.getvalue()


def profile_files(profile: Profile, stage: int = 0) -> dict[str, bytes]:
    """compiler_profile_0.txt, .csv and .json by name, of the first stage or another."""
    contents = (text(profile), csv_text(profile), json.dumps(profile.record(), indent=1) + "\n")
    return dict(zip(profile_names(stage), (content.encode() for content in contents), strict=True))
