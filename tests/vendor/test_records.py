"""The dynamic files that the vendor's compiler made: every byte of their records is explained."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bmnetu.bmodel import read
from dialects.bm1684.record.local import LocalGroup, LocalLayer
from dialects.bm1684.record.stream import RecordCode, Stream, pack, unpack
from passes.image.record_text import record_lines
from tests.vendor.networks import models

GROUPS = {
    "fcn_F32": (4,), "fcn_INT8": (0, 0, 3), "lenet_F32": (3, 0, 0, 0), "lenet_INT8": (3, 0, 0, 0),
    "resid_F32": (3,), "resid_INT8": (6,),
}  # fmt: skip
"""The groups of each file: the steps of one in local memory, 0 for a record."""


@cache
def words(name: str) -> tuple[bytes, Stream]:
    """The bytes of a file's records, and the stream that they are."""
    path: Path = models() / "vendor_bmodels" / "dynamic" / f"{name}_dyn.bmodel"
    (net,) = read(path.read_bytes(), path.name).nets
    (stage,) = net.stages
    return stage.records, unpack(stage.records, len(stage.inputs), len(stage.outputs))


@pytest.mark.parametrize("name", GROUPS)
def test_the_records_are_read_to_the_last_byte(name: str) -> None:
    _, stream = words(name)
    assert stream.batch == 4
    steps = tuple(len(g.steps) if isinstance(g, LocalGroup) else 0 for g in stream.groups)
    assert steps == GROUPS[name]


@pytest.mark.parametrize("name", GROUPS)
def test_only_padding_differs_when_they_are_written_again(name: str) -> None:
    data, stream = words(name)
    again = pack(stream)
    assert unpack(again, 1, 1) == stream
    assert len(again) == len(data)
    bad = [i for i, (a, b) in enumerate(zip(data, again, strict=True)) if a != b]
    locals_ = sum(isinstance(group, LocalGroup) for group in stream.groups)
    assert len(bad) <= 3 * len(stream.groups)
    assert locals_ == 0 or bad
    assert all(again[i] == 0 and i % 4 for i in bad)


def operands(layer: LocalLayer) -> list[int | None]:
    """The ids of what a layer reads, without coefficients."""
    named = layer.head.kind.sources(layer.head.values, ())
    both = zip(layer.sources, named, strict=True)
    return [tensor.id for tensor, source in both if not source.is_coefficient]


@pytest.mark.parametrize("name", GROUPS)
def test_what_a_group_reads_is_made_before(name: str) -> None:
    _, stream = words(name)
    there = set(stream.inputs)
    for group in stream.groups:
        if isinstance(group, RecordCode):
            assert {each.id for each in group.neurons} <= there
            there |= {each.id for each in group.results}
            continue
        assert {each.id for each in group.inputs} <= there
        made = {layer.result.id for step in group.steps for layer in step.layers}
        moved = {
            transfer.values[transfer.kind.id]
            for step in group.steps for transfer in step.transfers if transfer.kind.id
        }  # fmt: skip
        read = {id for step in group.steps for layer in step.layers for id in operands(layer)}
        assert read <= made | moved
        there |= {each.id for each in group.outputs}
        assert {each.id for each in group.outputs} <= made & moved
    assert set(stream.outputs) <= there


def test_the_text_of_a_group() -> None:
    _, stream = words("resid_INT8")
    lines = [*record_lines(stream)]
    assert lines[1] == "0 local t1 readers=1 <- t0 steps=6 stages=3 batch=4"
    kinds = [line.split()[1] for line in lines[2:] if " <- " in line]
    assert kinds == ["conv", "conv", "binary", "convert", "const_binary", "pool"]
