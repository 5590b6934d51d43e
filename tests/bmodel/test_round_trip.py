"""What is written is read back, and the file looks as the runtime requires it."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings

from bmnetu.bmodel import Bmodel, DataType, StoreMode, read, schema, write
from bmnetu.bmodel.decode import decode
from tests.bmodel.samples import bmodels, small, tensor


def sections(data: bytes) -> tuple[schema.Model, bytes]:
    """The root table and the binary section, found by the header alone."""
    magic, header, flatbuffer, binary = struct.unpack_from("<IIIQ", data)
    assert (magic, header, len(data)) == (0xFF55AAEE, 64, 64 + flatbuffer + binary)
    return decode(data[64 : 64 + flatbuffer], schema.Model), data[64 + flatbuffer :]


@settings(max_examples=60, deadline=None)
@given(bmodels())
def test_what_is_written_is_read_back(bmodel: Bmodel) -> None:
    data = write(bmodel)
    assert read(data, "net.bmodel") == bmodel
    assert write(bmodel) == data


def test_every_binary_starts_on_a_page() -> None:
    data = write(small())
    root, section = sections(data)
    stage = root.net[0].parameter[0]
    binaries = [stage.coeff_mem.binary_coeff] if stage.coeff_mem else []
    for group in stage.cmd_group:
        binaries += [group.binary_bdc, group.binary_gdma]
    assert len(binaries) == 5
    assert (len(data) - len(section)) % 4096 == 0
    assert all(binary and binary.start % 4096 == 0 for binary in binaries)


def test_the_subnet_names_the_same_bytes() -> None:
    stage = sections(write(small()))[0].net[0].parameter[0]
    assert stage.sub_net[0].cmd_group == stage.cmd_group
    assert stage.sub_net[0].input_tensor == stage.input_tensor
    assert stage.sub_net[0].id == 0


def test_the_check_code_is_the_hash_of_the_weights() -> None:
    root, section = sections(write(small()))
    coeff = root.net[0].parameter[0].coeff_mem
    assert coeff is not None
    assert coeff.binary_coeff is not None
    start, size = coeff.binary_coeff.start, coeff.binary_coeff.size
    assert section[start : start + size] == small().nets[0].stages[0].coeff
    assert bytes(coeff.check_code) == hashlib.sha256(section[start : start + size]).digest()


def test_the_fields_the_runtime_reads() -> None:
    root = sections(write(small()))[0]
    stage = root.net[0].parameter[0]
    assert (root.type, root.chip, root.neuron_size) == ("B", "BM1684", 8192)
    assert (stage.ctx_addr, stage.ctx_size, stage.ctx_sizes) == (0x1_0510_1000, 8192, (8192,))
    counts = [(g.bdc_num, g.gdma_num, g.bdc_cmd_byte, g.gdma_cmd_byte) for g in stage.cmd_group]
    assert counts == [(1, 2, 128, 256), (0, 1, 0, 128)]
    prob = stage.output_tensor[0]
    assert (prob.data_type, prob.gmem_stmode, prob.size, prob.scale) == (2, 2, 20, 0.25)
    assert prob.shape == (schema.Shape(dim=(3, 5)),)


def test_equal_contents_are_stored_once() -> None:
    net = small().nets[0]
    twice = Bmodel((net, replace(net, name="second")))
    assert len(write(twice)) == len(write(small()))


def test_stages_of_different_context_sizes_are_refused() -> None:
    net = small().nets[0]
    larger = replace(net.stages[0], context_size=16384)
    with pytest.raises(ValueError, match="give each the largest"):
        write(Bmodel((replace(net, stages=(net.stages[0], larger)),)))


BASE = small().nets[0].stages[0]
WRONG_STAGES = {
    "outside the context": replace(BASE, outputs=(tensor("p", 0x1_0510_2FFF, (1,)),)),
    "without a name": replace(BASE, inputs=(tensor("", BASE.context_address, (1,)),)),
    "has the output 'prob' 2 times": replace(BASE, outputs=BASE.outputs * 2),
    "no board has": replace(BASE, context_size=1 << 35),
    "outside the DDR": replace(BASE, context_address=0x1000),
    "has its weights at 0x1000": replace(BASE, coeff_address=0x1000),
    "has no commands": replace(BASE, groups=()),
    "100 bytes of TIU": replace(BASE, groups=(replace(BASE.groups[0], tiu=bytes(100)),)),
    "outside its weights": replace(BASE, coeff=b"short"),
    "9 dimensions": replace(BASE, inputs=(tensor("x", BASE.context_address, (1,) * 9),)),
    "a dimension of 0": replace(BASE, inputs=(tensor("x", BASE.context_address, (1, 0)),)),
    "for 8-bit types only": replace(
        BASE,
        inputs=(tensor("x", BASE.context_address, (1,), DataType.INT16, StoreMode.N4),),
    ),
    "its shape requires 192": replace(BASE, inputs=(replace(BASE.inputs[0], size=1),)),
    "has the scale nan": replace(BASE, inputs=(replace(BASE.inputs[0], scale=float("nan")),)),
}


@pytest.mark.parametrize("sentence", WRONG_STAGES)
def test_a_stage_that_breaks_a_rule_is_refused(sentence: str) -> None:
    net = replace(small().nets[0], stages=(WRONG_STAGES[sentence],))
    with pytest.raises(ValueError, match=sentence):
        write(Bmodel((net,)))


@pytest.mark.parametrize(
    ("bmodel", "sentence"),
    [
        (Bmodel(()), "no net"),
        (Bmodel(small().nets * 2), "the net 'small' 2 times"),
        (Bmodel(small().nets, chip="BM1684X"), "not for BM1684"),
        (Bmodel((replace(small().nets[0], stages=()),)), "has no stage"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(bmodel: Bmodel, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        write(bmodel)
