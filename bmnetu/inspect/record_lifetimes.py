"""What the records of a dynamic stage touch in DDR, at the shapes of a launch, without running
them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from xdsl.utils.exceptions import VerifyException

from bmnetu.bmodel.notes import RECORD
from bmnetu.errors import FaultError, UsageError
from bmnetu.inspect.chosen import Chosen
from bmnetu.inspect.lifetimes import Block, Event, named_blocks
from bmnetu.inspect.records import record_kind, stream_of, tensor_ids, tensor_names
from dialects.bm1684.chip import BM1684
from dialects.bm1684.model import Access, Space
from dialects.bm1684.record.local import LocalGroup, LocalLayer
from dialects.bm1684.record.stream import FLOAT_SIZE, N4, Neuron, RecordCode, Stream
from dialects.bm1684.record.transfers import Transfer
from dialects.names import quoted
from dialects.ufw.shapes import show

Shape = tuple[int, ...]
MOST_RANK = 8
SCRATCH = "(scratch)"
"""The name of memory that a record needs while it runs."""


def record_events(found: Chosen) -> tuple[list[Event], list[Block]]:
    """The records in their order, each a unit of time, and what lies in the neurons from which of
    them to which. The shapes are those of the stage's inputs. Raises FaultError for a record that
    does not take its operands, or touches what is outside of the memory; UsageError where it does
    so at these smaller shapes alone."""
    walk = _Walk(found)
    for index, group in enumerate(walk.stream.groups):
        try:
            walk.add(index)
        except (VerifyException, ValueError, LookupError, ArithmeticError, TypeError) as error:
            what = f"tensor {error} is read before it is made" if isinstance(error, KeyError) else (
                error)
            reason = f"record {index}: {record_kind(group)}: {what}"
            if found.largest is None:
                raise FaultError(f"{found}, {reason}") from None
            record_events(replace(found, stage=found.largest, largest=None))
            raise _refused(found, reason) from None
    touched = [(at, access) for at, event in enumerate(walk.events) for access in event.touched]
    return walk.events, named_blocks(touched, walk.named)


def _refused(found: Chosen, reason: str) -> UsageError:
    """The records are right, but not for the shapes that the user gives."""
    shapes = ", ".join(f"{quoted(t.name)} {show(t.shape)}" for t in found.stage.inputs)
    return UsageError(f"{found} does not take the shape {shapes}, though none is larger than the"
                      f" file's: {reason}")  # fmt: skip


def local_begins(found: Chosen) -> list[tuple[int, int, int]]:
    """Of each record with layers in local memory: its number, how many layers, and the highest
    offset at which one of its tensors or coefficients begins (those above are in L2)."""
    return [
        (index, len(layers), max(offsets, default=0))
        for index, group in enumerate(stream_of(found).groups) if isinstance(group, LocalGroup)
        for layers in [[layer for step in group.steps for layer in step.layers]]
        for offsets in [[x.offset for layer in layers for x in (*layer.sources, layer.result)
                         if x.offset < BM1684.lane_bytes]]
    ]  # fmt: skip


class _Walk:
    """Goes through the records with the shapes of their tensors alone."""

    def __init__(self, found: Chosen) -> None:
        self.found = found
        self.stream: Stream = stream_of(found)
        self.names = tensor_names(found, self.stream)
        shapes = (t.shape for t in found.stage.inputs)
        self.shapes: dict[int, Shape] = dict(zip(self.stream.inputs, shapes, strict=True))
        self.stored: dict[int, tuple[int, int]] = {}
        """Size of the data and store mode, as they were written."""
        self.events: list[Event] = []
        self.named: list[Block] = []

    def add(self, index: int) -> None:
        """The next record."""
        group = self.stream.groups[index]
        touch = self._local(group) if isinstance(group, LocalGroup) else self._record(group)
        accesses: list[Access] = []
        for id, address, nbytes, write in touch:
            accesses.append(self._access(address, nbytes, write))
            if write:
                name = SCRATCH if id is None else self.names.get(id, f"t{id}")
                self.named.append(Block(address, address + nbytes, index, index, name))
        layer = self.found.layer(0, RECORD, index + 1) or self._made(index)
        self.events.append(Event(0, RECORD, index, layer, tuple(accesses), index, index + 1))

    def _made(self, index: int) -> str:
        """Where the file names no layers: a tensor of a record that has a name."""
        own = [self.names.get(id, "") for id in tensor_ids(self.stream.groups[index])[1]]
        return next((name for name in own if not name.removeprefix("t").isdigit()), "")

    def _access(self, address: int, nbytes: int, write: bool) -> Access:
        stage = self.found.stage
        if not stage.context_address <= address <= (
                stage.context_address + stage.context_size - nbytes):  # fmt: skip
            raise ValueError(f"{nbytes} bytes at {address:#x} lie outside of the neurons")
        return Access(Space.DDR, 0, 0, address, address + nbytes, write)

    def _record(self, record: RecordCode) -> Iterator[tuple[int | None, int, int, bool]]:
        """What a record touches: id, address, bytes, whether it is written; reads go first."""
        kind, values = record.kind, record.values
        kind.check(values)
        xs = [self.shapes[each.id] for each in record.neurons]
        ys = [_checked(y) for y in kind.shapes(values, record.extra, xs)]
        for each in record.neurons:
            if each.address is not None:
                how = self.stored.get(each.id, (record.data_size, record.input_mode))
                yield each.id, each.address, _nbytes(self.shapes[each.id], *how), False
        for at, nbytes in self._scratch(record, xs, ys):
            yield None, at, nbytes, True
            yield None, at, nbytes, False  # it is over with the record
        for each, shape in zip(record.results, ys, strict=True):
            yield from self._result(each, shape, record.data_size, record.output_mode)

    def _scratch(
        self, record: RecordCode, xs: list[Shape], ys: list[Shape]
    ) -> Iterator[tuple[int, int]]:
        """Address and bytes of memory that a record needs while it runs: at most up to what else it
        touches, as the vendor's compiler gives some less than ours."""
        sizes = {
            record.values[name]: size(xs, ys, record.data_size == FLOAT_SIZE)
            for name, size in record.kind.RECORD.scratch.items()
        }
        used = [n.address for n in (*record.neurons, *record.results) if n.address is not None]
        for at, nbytes in sizes.items():
            if nbytes and at >= BM1684.context_start:
                above = (each - at for each in (*used, *sizes) if each > at)
                yield at, min(nbytes, min(above, default=nbytes))

    def _result(
        self, neuron: Neuron, shape: Shape, size: int, mode: int
    ) -> Iterator[tuple[int | None, int, int, bool]]:
        self.shapes[neuron.id] = shape
        self.stored[neuron.id] = size, mode
        if neuron.address is not None:
            yield neuron.id, neuron.address, _nbytes(shape, size, mode), True

    def _local(self, group: LocalGroup) -> Iterator[tuple[int | None, int, int, bool]]:
        """A group of layers in local memory: its transfers with DDR. Stage by stage of the
        software pipeline, then step by step, is an order in which they can run."""
        items = [item for step in group.steps for item in (*step.layers, *step.transfers)]
        for item in sorted(items, key=lambda each: each.stage):
            if isinstance(item, LocalLayer):
                head = item.head
                xs = [self.shapes[x.id] for x in item.sources if x.id is not None and (
                    x.id in self.shapes)]
                shapes = head.kind.shapes(head.values, item.extra, xs)
                if item.result.id is not None:
                    self.shapes[item.result.id] = _checked(shapes[0])
                continue
            yield from self._transfer(item)

    def _transfer(self, item: Transfer) -> Iterator[tuple[int | None, int, int, bool]]:
        values, name = item.values, item.kind.name
        if not item.kind.id or name == "load_to_l2":
            return
        id = values["id"]
        if name.startswith("load"):
            reference = values.get("reference", id)
            self.shapes.setdefault(id, item.stated[1 : 1 + item.stated[0]] if item.stated else (
                self.shapes[reference]))  # fmt: skip
        how = values["data_size"], values["mode"]
        nbytes = _nbytes(self.shapes[id], *how)
        if "source" in values:
            yield id, values["source"], nbytes, False
        if "address" in values:
            is_write = not name.startswith("load")
            if is_write:
                self.stored[id] = how
            yield id, values["address"], nbytes, is_write


def _checked(shape: Shape) -> Shape:
    if not shape or len(shape) > MOST_RANK or min(shape) < 1:
        raise ValueError(f"its result would have the shape {list(shape)}")
    return shape


def _nbytes(shape: Shape, size: int, mode: int) -> int:
    """Bytes of a tensor in DDR."""
    n = shape[0] if mode != N4 else -(-shape[0] // 4) * 4
    return prod((n, *shape[1:])) * {FLOAT_SIZE: 4, 1: 2}.get(size, 1)

