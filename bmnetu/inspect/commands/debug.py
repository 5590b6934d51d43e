"""``bmnetu-model debug``: a session that steps through a bmodel."""

from __future__ import annotations

import cmd
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmnetu.bmodel.notes import RECORD
from bmnetu.calibration.data.arrays import ArrayFile, described, members_of
from bmnetu.calibration.from_options import contract_from
from bmnetu.command_line.flags import CONTRACT_FLAGS, Flag
from bmnetu.command_line.kinds import PATH, SEED
from bmnetu.command_line.terminal import Terminal
from bmnetu.errors import BmnetuError, CompareError, InputFileError, UsageError
from bmnetu.inspect.chosen import one_net, read_file
from bmnetu.inspect.commands.run import INPUT
from bmnetu.inspect.debugger import Break, Comparison, Debugger, Stop
from bmnetu.inspect.inputs import fitting, given_inputs, read_inputs
from bmnetu.inspect.subcommand import ONE_NET, ONE_STAGE, SHAPES_FLAG, Request, Subcommand
from dialects.bm1684.isa import Engine
from dialects.bm1684.model import Space
from dialects.names import quoted
from dialects.ufw.shapes import show

Array = NDArray[Any]
MOST_BYTES = 1 << 12
"""That ``mem`` prints."""
BYTES_A_LINE = 16
FIRST = 16
"""Numbers that ``print`` prints."""
PROMPT = "(debug) "
COMMAND_PLACE = re.compile(r"([0-9]{1,9}):(tiu|gdma):([0-9]{1,9})")
RECORD_PLACE = re.compile(r"record:([0-9]{1,9})")
NUMBER = r"0x[0-9a-fA-F]{1,12}|[0-9]{1,12}"
MEMORY_PLACE = re.compile(rf"(?:(lmem):([0-9]{{1,9}}):|(l2|weights|neurons):)?({NUMBER})")


def run(request: Request) -> int:
    values = request.values
    stages = one_net(request, read_file(request))
    names = [tensor.name for tensor in stages[0].stage.inputs]
    contract = contract_from(*(values[flag.name] for flag in CONTRACT_FLAGS))
    given = given_inputs(values["input"], names, contract, values["shapes"])
    found = fitting(given, stages)
    inputs = read_inputs(given, found.stage, values["seed"], request.note)
    debugger = Debugger(found, inputs, _reference(values["reference"]))
    session = Session(debugger, request.terminal)
    session.begin()
    return session.code


def _reference(path: Path | None) -> dict[str, Array]:
    """All arrays of an .npz by name."""
    if path is None:
        return {}
    if not path.is_file():
        raise InputFileError(f"{path}: no such file; an .npz of expected tensors is expected")
    found: dict[str, Array] = {}
    for member in members_of(path):
        name = member.removesuffix(".npy")
        stored = described(ArrayFile(path, member), f"{path}: array {quoted(name)}")
        if stored.shape:
            found[name] = stored.numbers(0, stored.shape[0])
    return found


class Session(cmd.Cmd):
    """The commands of the terminal. ``code`` is the exit code of the first that went wrong, else
    0."""

    def __init__(self, debugger: Debugger, terminal: Terminal) -> None:
        super().__init__(stdin=sys.stdin)
        is_terminal = sys.stdin is not None and sys.stdin.isatty()
        self.use_rawinput = is_terminal
        self.prompt = PROMPT if is_terminal else ""
        self.debugger = debugger
        self.terminal = terminal
        self.breaks: list[Break] = []
        self.code = 0

    def begin(self) -> None:
        """Says where it is, and takes commands up to ``quit`` or the end of the input."""
        found = self.debugger.found
        at = ", ".join(f"{quoted(t.name)} {show(t.shape)}" for t in found.stage.inputs)
        kind = f", dynamic, at {at}" if found.stage.is_dynamic else ""
        self.terminal.say(f"{found}{kind}: {self.debugger.count}; help lists what can be done")
        if sys.stdin is None:
            return
        try:
            self.cmdloop()
        except UnicodeDecodeError:
            raise UsageError("what is typed or piped in is not UTF-8 text") from None

    def onecmd(self, line: str) -> bool:
        """One line. What goes wrong in it is said, and the session goes on."""
        try:
            return super().onecmd(line.strip())
        except BmnetuError as error:
            if error.exit_code == BmnetuError.exit_code:
                raise
            self.terminal.error(error.message)
            self.code = self.code or error.exit_code
            return False

    def emptyline(self) -> bool:
        return False

    def default(self, line: str) -> None:
        raise UsageError(f"there is no command {line.split()[0]!r}: help lists all")

    def do_help(self, arg: str) -> None:
        """help [COMMAND]: what a command does; without one all of them."""
        names = [name.removeprefix("do_") for name in self.get_names() if name.startswith("do_")]
        names = [name for name in names if name != "EOF"]
        if arg and arg not in names:
            self.default(arg)
        for name in [arg] if arg else names:
            text = " ".join((getattr(self, f"do_{name}").__doc__ or "").split())
            self.terminal.say(text)

    def do_step(self, arg: str) -> None:
        """step [N]: executes the next command, record or host layer, or the next N."""
        self._stopped(self.debugger.step(_number(arg, "step [N]") if arg else 1))

    def do_run(self, arg: str) -> None:
        """run: executes up to the next break, or to the end."""
        _nothing(arg, "run")
        self._stopped(self.debugger.run(self.breaks))

    def do_break(self, arg: str) -> None:
        """break LAYER|GROUP:ENGINE:ID|record:N: run stops when all commands of a layer, or this
        command, such as 0:gdma:3, or this record of a dynamic net, counted from 0 as dis does, have
        been executed. Without a word the breaks there are."""
        if arg:
            place = _place(arg)
            self.debugger.check(place)
            self.breaks.append(place)
        for each in self.breaks:
            self.terminal.say(f"break {_break(each)}")

    def do_print(self, arg: str) -> None:
        """print TENSOR: what lies in its place now: type, shape, range and the first numbers.
        Without a name the tensors of which the file says where they lie."""
        if not arg:
            self.terminal.say("\n".join(map(quoted, self.debugger.names)))
            return
        array = self.debugger.tensor(arg)
        state = "" if self.debugger.is_final(arg) else ", not yet computed"
        self.terminal.say(f"{quoted(arg)} {array.dtype} {show(array.shape)}{_range(array)}{state}")
        first = array.reshape(-1)[:FIRST].tolist()
        more = " ..." if array.size > FIRST else ""
        self.terminal.say(" ".join(f"{number:g}" for number in first) + more)

    def do_mem(self, arg: str) -> None:
        """mem ADDRESS SIZE: bytes in hexadecimal. ADDRESS is one in DDR, or weights:OFFSET,
        neurons:OFFSET, l2:OFFSET, lmem:LANE:OFFSET; numbers are decimal or 0x... Of a dynamic net
        in DDR alone: the firmware decides what lies in the others."""
        words = arg.split()
        place = MEMORY_PLACE.fullmatch(words[0].lower()) if len(words) == 2 else None
        if place is None:
            raise UsageError("mem ADDRESS SIZE, as in mem 0x105100000 64 or mem lmem:0:0x100 64")
        size = _number(words[1], "mem ADDRESS SIZE")
        if size > MOST_BYTES:
            raise UsageError(f"mem: at most {MOST_BYTES} bytes at once")
        space = {"lmem": Space.LMEM, "l2": Space.L2}.get(place[1] or place[3], Space.DDR)
        stage, address = self.debugger.found.stage, _integer(place[4])
        base = {"weights": stage.coeff_address, "neurons": stage.context_address}.get(place[3], 0)
        data = self.debugger.memory(space, base + address, size, int(place[2] or 0))
        for at in range(0, size, BYTES_A_LINE):
            row = data[at : at + BYTES_A_LINE].tobytes().hex(" ", 4)
            self.terminal.say(f"{base + address + at:#x}: {row}")

    def do_waits(self, arg: str) -> None:
        """waits: the next command of each engine, the next record or host layer, and what it waits
        for."""
        _nothing(arg, "waits")
        found = self.debugger.waits()
        self.terminal.say("\n".join(map(str, found)) or "no command is next")

    def do_where(self, arg: str) -> None:
        """where: what was executed last, and how many commands, records and host layers have
        been."""
        _nothing(arg, "where")
        last, steps = self.debugger.last, self.debugger.steps
        end = ", at the end" if self.debugger.finished else ""
        end = ", the next one failed" if self.debugger.error else end
        self.terminal.say(f"{last or 'at the begin'}: {steps} executed{end}")

    def do_compare(self, arg: str) -> None:
        """compare: the tensors of --reference that have been computed up to now, as they were then,
        with the largest difference; the first one that differs beyond the tolerance is named."""
        _nothing(arg, "compare")
        if not self.debugger.reference:
            raise UsageError("compare: there is nothing to compare with, give --reference=FILE.npz")
        found = self.debugger.compare()
        self.terminal.say("\n".join(map(_comparison, found)) or "none of them is computed yet")
        bad = next((each for each in found if not each.equal), None)
        if bad is not None:
            self.terminal.say(f"the first that differs: {quoted(bad.name)}")
            self.code = self.code or CompareError.exit_code

    def do_quit(self, arg: str) -> bool:
        """quit: ends the session, as the end of the input does."""
        _nothing(arg, "quit")
        return True

    def do_EOF(self, arg: str) -> bool:
        return True

    def _stopped(self, stop: Stop | None) -> None:
        self.terminal.say("the end" if stop is None else str(stop))


def _number(text: str, usage: str) -> int:
    if not re.fullmatch(NUMBER, text):
        raise UsageError(f"{usage}: {text[:20]!r} is no number from 0 on")
    return _integer(text)


def _integer(text: str) -> int:
    return int(text, 16 if text.startswith("0x") else 10)


def _nothing(arg: str, name: str) -> None:
    if arg:
        raise UsageError(f"{name} takes no words")


def _place(text: str) -> Break:
    record = RECORD_PLACE.fullmatch(text)
    if record is not None:
        return 0, RECORD, int(record[1])
    found = COMMAND_PLACE.fullmatch(text)
    return text if found is None else (int(found[1]), Engine(found[2]), int(found[3]))


def _break(place: Break) -> str:
    if isinstance(place, str):
        return place
    group, engine, number = place
    return f"{RECORD}:{number}" if engine == RECORD else f"{group}:{engine}:{number}"


def _range(array: Array) -> str:
    numbers = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return f", from {numbers.min():g} to {numbers.max():g}" if numbers.size else ""


def _comparison(found: Comparison) -> str:
    difference = found.difference
    if difference is None:
        return f"{quoted(found.name)}: cannot be compared: {found.trouble}"
    head = f"{quoted(found.name)}: largest error {difference.error:g}"
    if found.equal:
        return f"{head}, ok"
    at = ", ".join(map(str, difference.index))
    return (f"{head}, DIFFERS, first at [{at}]: {difference.npu:g}, the reference has"
            f" {difference.cpu:g}")  # fmt: skip


COMMAND = Subcommand(
    "Executes a stage step by step on the model of the NPU: its commands and layers on the host, or"
    " the records of a dynamic one at the shapes that are given. Commands are typed or piped in:"
    " step [N], run, break LAYER|GROUP:ENGINE:ID|record:N, print TENSOR, mem ADDRESS SIZE, waits,"
    " where, compare, help [COMMAND], quit. A layer's break stops when its last command has been"
    " executed. Of commands of both engines that may run, the TIU's goes first. From Python:"
    " bmnetu.inspect.debugger.",
    (
        Flag("input", INPUT, "An input's file, as in run; may be given several times.", (),
             "made-up numbers", repeated=True),
        Flag("reference", PATH, "An .npz of expected tensors by name, for compare: as run --dump"
             " stores them.", default_text="none"),
        SHAPES_FLAG, ONE_NET, ONE_STAGE, *CONTRACT_FLAGS,
        Flag("seed", SEED, "Seed of made-up numbers.", 0),
    ),
    (
        ("compilation.bmodel --input=data.npy", "A session."),
        ("dynamic.bmodel --shapes=[1,3,100,80]", "A dynamic net at a smaller shape."),
        ("compilation.bmodel --input=data.npy --reference=good.npz < commands.txt",
         "What is in a file, one command a line."),
    ),
    run,
    codes=((5, "Wrong commands in the file. A session ends with the code of its first error."),),
)  # fmt: skip
