"""A bmodel file as a module: what the chip gets of it, in an attribute, for ``bmnetu-opt``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.dialects.builtin import (
    ArrayAttr,
    BytesAttr,
    DictionaryAttr,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    i64,
)
from xdsl.ir import Attribute

from bmnetu.bmodel import Stage, read
from bmnetu.errors import InputFileError
from dialects.bm1684.isa import IsaError
from dialects.bm1684.record.stream import StreamError, unpack
from dialects.names import quoted
from passes.image.disassembly import disassemble
from passes.image.groups import CodedGroup
from passes.image.record_text import record_lines

STAGES = "bmnetu.bmodel"
"""The attribute of such a module: a dictionary a stage, with ``net``, ``inputs``, ``outputs`` (how
many there are), ``records``, and ``groups``, the TIU's and the GDMA's commands in turns."""


@dataclass(frozen=True)
class FileStage:
    """What the chip gets of one stage of a net: commands, or records."""

    net: str
    inputs: int
    outputs: int
    records: bytes
    groups: tuple[CodedGroup, ...]

    @staticmethod
    def of(net: str, stage: Stage) -> FileStage:
        """A stage of a bmodel."""
        groups = tuple((group.tiu, group.gdma) for group in stage.groups)
        return FileStage(net, len(stage.inputs), len(stage.outputs), stage.records, groups)

    def attribute(self) -> DictionaryAttr:
        """The stage as an attribute."""
        commands = [data for group in self.groups for data in group]
        return DictionaryAttr(
            {
                "net": StringAttr(self.net),
                "inputs": IntegerAttr(self.inputs, i64),
                "outputs": IntegerAttr(self.outputs, i64),
                "records": BytesAttr(self.records),
                "groups": ArrayAttr([BytesAttr(data) for data in commands]),
            }
        )

    @staticmethod
    def parse(found: Attribute) -> FileStage:
        """The opposite. Raises InputFileError for an attribute of another form."""
        given: dict[str, Attribute] = dict(found.data) if isinstance(found, DictionaryAttr) else {}
        net = given.get("net")
        if not isinstance(net, StringAttr):
            raise InputFileError(WRONG)
        commands = [_bytes(each) for each in _array(given.get("groups"))]
        if len(commands) % 2:
            raise InputFileError(WRONG)
        groups = tuple(zip(commands[::2], commands[1::2], strict=True))
        inputs, outputs = _count(given.get("inputs")), _count(given.get("outputs"))
        return FileStage(net.data, inputs, outputs, _bytes(given.get("records")), groups)


WRONG = f"{STAGES} does not hold the stages of a bmodel"


def _array(found: Attribute | None) -> tuple[Attribute, ...]:
    if not isinstance(found, ArrayAttr):
        raise InputFileError(WRONG)
    return found.data  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


def _count(found: Attribute | None) -> int:
    value = found.value.data if isinstance(found, IntegerAttr) else -1
    if value < 0:
        raise InputFileError(WRONG)
    return value


def _bytes(found: Attribute | None) -> bytes:
    if isinstance(found, StringAttr):  # bytes that are text are parsed as a string
        return found.data.encode()
    if not isinstance(found, BytesAttr):
        raise InputFileError(WRONG)
    return found.data


def bmodel_module(data: bytes, name: str) -> ModuleOp:
    """The module for the bytes of a file, which ``name`` names in messages. It has no functions.
    Raises InputFileError."""
    nets = read(data, name).nets
    stages = [FileStage.of(net.name, stage).attribute() for net in nets for stage in net.stages]
    return ModuleOp([], attributes={STAGES: ArrayAttr(stages)})


def stages_of(module: ModuleOp) -> list[FileStage] | None:
    """The stages, None for a module that is no bmodel. Raises InputFileError."""
    found = module.attributes.get(STAGES)
    return None if found is None else [FileStage.parse(each) for each in _array(found)]


def command_lines(stages: list[FileStage]) -> Iterator[str]:
    """The commands as text; a line before each stage where there are several. Raises
    InputFileError."""
    for header, stage in _headed(stages):
        yield from header
        if stage.records:
            raise InputFileError(f"net {quoted(stage.net)} is dynamic: -t record-asm prints it")
        try:
            yield from disassemble(stage.groups)
        except IsaError as error:
            raise InputFileError(f"net {quoted(stage.net)}: {error}") from None


def stage_record_lines(stages: list[FileStage]) -> Iterator[str]:
    """The records as text; a line before each stage where there are several. Raises
    InputFileError."""
    for header, stage in _headed(stages):
        yield from header
        if not stage.records:
            raise InputFileError(f"net {quoted(stage.net)} has no records: -t npu-asm prints it")
        try:
            yield from record_lines(unpack(stage.records, stage.inputs, stage.outputs))
        except StreamError as error:
            raise InputFileError(f"net {quoted(stage.net)}: {error}") from None


def _headed(stages: list[FileStage]) -> Iterator[tuple[list[str], FileStage]]:
    for number, stage in enumerate(stages):
        several = len(stages) > 1
        yield [f"; stage {number}, net {quoted(stage.net)}"] if several else [], stage
