"""A damaged or malicious bmodel gives one InputFileError, soon and in little memory."""

from __future__ import annotations

import importlib
import re
import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmnetu.bmodel import read, schema, write
from bmnetu.bmodel.encode import encode
from bmnetu.bmodel.header import pack_header
from bmnetu.bmodel.writer import _Binaries, _model  # pyright: ignore[reportPrivateUsage]
from bmnetu.errors import InputFileError
from tests.bmodel.samples import small

GOOD = write(small())
PADDED_END = 4096
FLATBUFFER_END = len(GOOD[:PADDED_END].rstrip(b"\0"))
WORDS = st.sampled_from([0, 1, 4, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])


def survives(data: bytes) -> None:
    """Reading succeeds or says in one line what is wrong."""
    try:
        read(data, "x.bmodel")
    except InputFileError as error:
        sentence = error.message
    else:
        return
    assert re.fullmatch(r"x\.bmodel: not a usable bmodel: .+", sentence)


@settings(max_examples=200, deadline=1000)
@given(st.integers(0, len(GOOD) - 1))
def test_a_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(InputFileError):
        read(GOOD[:length], "x.bmodel")


@settings(max_examples=400, deadline=1000)
@given(st.lists(st.integers(0, FLATBUFFER_END * 8 - 1), min_size=1, max_size=4))
def test_flipped_bits_do_no_harm(bits: list[int]) -> None:
    data = bytearray(GOOD)
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    survives(bytes(data))


@settings(max_examples=400, deadline=1000)
@given(st.integers(0, FLATBUFFER_END // 4 - 1), WORDS)
def test_extreme_numbers_do_no_harm(word: int, value: int) -> None:
    data = bytearray(GOOD)
    struct.pack_into("<I", data, 4 * word, value)
    survives(bytes(data))


@settings(max_examples=100, deadline=1000)
@given(st.binary(max_size=300))
def test_noise_does_no_harm(noise: bytes) -> None:
    survives(noise)
    survives(pack_header(len(noise), 0) + noise)


def test_a_changed_weight_is_noticed() -> None:
    data = bytearray(GOOD)
    data[PADDED_END + 5] ^= 1
    with pytest.raises(InputFileError, match="SHA-256"):
        read(bytes(data), "x.bmodel")


def test_the_old_format_is_named() -> None:
    with pytest.raises(InputFileError, match="0xff55aaff"):
        read(struct.pack("<I", 0xFF55AAFF) + GOOD[4:], "x.bmodel")


def shared_vectors(width: int) -> bytes:
    """A flatbuffer of nets, stages, subnets and groups: each vector has one table many times."""
    builder: Any = importlib.import_module("flatbuffers").Builder(1024)

    def table(**slots: int) -> int:
        builder.StartObject(16)
        for slot, offset in slots.items():
            builder.PrependUOffsetTRelativeSlot(int(slot[1:]), offset, 0)
        return int(builder.EndObject())

    def vector(item: int) -> int:
        builder.StartVector(4, width, 4)
        for _ in range(width):
            builder.PrependUOffsetTRelative(item)
        return int(builder.EndVector())

    def string(content: str) -> int:
        return int(builder.CreateString(content))

    name, chip = string("x"), string("BM1684")
    tensors = vector(table(_0=name))
    subnets = vector(table(_1=vector(table()), _3=tensors, _4=tensors))
    stages = vector(table(_0=tensors, _1=tensors, _12=subnets))
    builder.Finish(table(_0=name, _1=name, _2=name, _3=chip,
                         _4=vector(table(_0=name, _3=stages))))
    return bytes(builder.Output())


def test_shared_parts_cannot_grow_without_end() -> None:
    flatbuffer = shared_vectors(2000)
    data = pack_header(len(flatbuffer), 0) + flatbuffer
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(InputFileError, match="more parts than any real one"):
        read(data, "x.bmodel")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - started < 20
    assert peak < 100e6


def changed(edit: Callable[[schema.NetParameter], schema.NetParameter]) -> bytes:
    """The small file with its stage edited where ``write`` would not let us."""
    binaries = _Binaries()
    root = _model(small(), binaries)
    net = replace(root.net[0], parameter=(edit(root.net[0].parameter[0]),))
    flatbuffer = encode(replace(root, net=(net,)))
    header = pack_header(len(flatbuffer), binaries.size)
    return header + flatbuffer + binaries.section()


def with_group(**fields: object) -> Callable[[schema.NetParameter], schema.NetParameter]:
    """An edit of the first command group."""
    return lambda stage: replace(
        stage, cmd_group=(replace(stage.cmd_group[0], **fields), *stage.cmd_group[1:])
    )


def with_input(**fields: object) -> Callable[[schema.NetParameter], schema.NetParameter]:
    """An edit of the first input."""
    return lambda stage: replace(
        stage, input_tensor=(replace(stage.input_tensor[0], **fields),)
    )


def with_records(**fields: object) -> Callable[[schema.NetParameter], schema.NetParameter]:
    """Makes a stage dynamic."""

    def change(stage: schema.NetParameter) -> schema.NetParameter:
        subnets = tuple(replace(subnet, is_dynamic=1, id=-1) for subnet in stage.sub_net)
        return replace(stage, is_dynamic=1, cmd_group=(), sub_net=subnets, **fields)  # pyright: ignore

    return change


HUGE = 1 << 63
EDITS: dict[str, Callable[[schema.NetParameter], schema.NetParameter]] = {
    "9223372036854775808 bytes at 0 of its binaries": lambda stage: replace(
        stage, coeff_mem=schema.CoeffMem(binary_coeff=schema.Binary(0, HUGE))
    ),
    "16 bytes at 9223372036854775808": lambda stage: replace(
        stage, coeff_mem=schema.CoeffMem(binary_coeff=schema.Binary(HUGE, 16))
    ),
    "its binaries overlap": lambda stage: replace(
        stage,
        cmd_group=tuple(
            schema.CmdGroup(gdma_num=64, binary_gdma=schema.Binary(start, 64 * 128))
            for start in range(3)
        ),
    ),
    "has 128 bytes for 4294967295 commands": with_group(bdc_num=0xFFFFFFFF),
    "has 128 bytes for 1 commands": with_group(bdc_cmd_byte=64),
    "are not dynamic alike": lambda stage: replace(stage, is_dynamic=1),
    "0 bytes for 0 words": with_records(),
    "0 bytes for 9 words": with_records(stage_ir=(schema.StageIr(ir_info_len=9),)),
    "2 subnets": lambda stage: with_records()(replace(stage, sub_net=stage.sub_net * 2)),
    "has subnets of the modes": lambda stage: replace(stage, sub_net=()),
    "2 contexts": lambda stage: replace(stage, ctx_sizes=(4096, 4096)),
    "data type 9": with_input(data_type=9),
    "store mode 1": with_input(gmem_stmode=1),
    "not exactly one shape": with_input(shape=()),
    "lies outside the context": with_input(
        shape=(schema.Shape(dim=(HUGE,) * 8),), size=0
    ),
}


@pytest.mark.parametrize("sentence", EDITS)
def test_a_lie_is_refused(sentence: str) -> None:
    with pytest.raises(InputFileError, match=sentence):
        read(changed(EDITS[sentence]), "x.bmodel")
