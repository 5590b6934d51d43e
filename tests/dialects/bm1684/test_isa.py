"""The instruction table: round trips for every kind, places of fields, refusals."""

from typing import Annotated, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.bm1684 import isa


@st.composite
def instructions(draw: st.DrawFn) -> isa.Instruction:
    """Any kind, a few of its fields, values over the whole width."""
    kind = draw(st.sampled_from(list(isa.KINDS.values())))
    names = draw(st.lists(st.sampled_from(sorted(kind.uses)), unique=True, max_size=12))
    values = {name: draw(st.integers(0, kind.slots[name].mask)) for name in names}
    return kind.build(**values)


@given(instructions())
def test_round_trip_through_bytes(inst: isa.Instruction):
    data = inst.pack()
    assert len(data) == isa.COMMAND_BYTES
    back = isa.unpack(inst.engine, data)
    assert back == inst
    assert hash(back) == hash(inst)


@given(instructions())
def test_round_trip_through_text(inst: isa.Instruction):
    assert isa.parse(inst.text()) == inst


@given(instructions(), st.integers(0, 65535), st.integers(0, 65535))
def test_ids_hide_the_engines_names(inst: isa.Instruction, own: int, wait: int):
    numbered = inst.with_ids(own, wait)
    assert (numbered.id, numbered.wait) == (own, wait)
    own_name, wait_name = {
        isa.Engine.TIU: ("cmd_id_tpu", "cmd_id_gdma"),
        isa.Engine.GDMA: ("cmd_id", "eng0_sync_id"),
    }[inst.engine]
    assert (numbered[own_name], numbered[wait_name]) == (own, wait)


@pytest.mark.parametrize(("layout", "bits"), [(isa.TIU, 1024), (isa.GDMA, 706)])
def test_fields_tile_the_command(layout: isa.CommandLayout, bits: int):
    used = 0
    for slot in layout.slots.values():
        place = slot.mask << slot.shift
        assert used & place == 0
        used |= place
    assert used == (1 << bits) - 1


@pytest.mark.parametrize("name", isa.KINDS)
def test_every_field_lies_where_its_declaration_says(name: str):
    """All bits of a field set in the bytes: those and no others."""
    kind = isa.KINDS[name]
    declared = isa.TiuFields if kind.engine is isa.Engine.TIU else isa.GdmaFields
    bare = int.from_bytes(kind.build().pack(), "little")
    for field in kind.uses:
        bits: isa.Bits = declared.__annotations__[field].__metadata__[0]
        mask = (1 << bits.width) - 1
        for value in (0, 1, mask):
            word = int.from_bytes(kind.build(**{field: value}).pack(), "little")
            assert word >> bits.shift & mask == value
            assert (word ^ bare) & ~(mask << bits.shift) == 0


class Gap(TypedDict):
    """Fields with a bit between them that no field has."""

    first: Annotated[int, isa.Bits(0, 3)]
    second: Annotated[int, isa.Bits(4, 1)]


class Long(TypedDict):
    """More than a command has."""

    first: Annotated[int, isa.Bits(0, 1025)]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [(Gap, "second begins at bit 4, not 3"), (Long, "1025 bits do not fit 128 bytes")],
)
def test_a_layout_that_does_not_tile_the_command_is_refused(fields: type, sentence: str):
    with pytest.raises(isa.IsaError, match=sentence):
        isa.CommandLayout(isa.Engine.TIU, fields, id_field="first", wait_field="first")


def test_places_of_known_fields():
    conv = isa.CONV.build(cmd_id_tpu=0x1234, res0_addr=0x0800_0040)
    bits = int.from_bytes(conv.pack(), "little")
    assert bits >> 3 & 0xFFFF == 0x1234
    assert bits >> 37 & 0x1FF == 0
    words = [int.from_bytes(conv.pack()[i : i + 4], "little") for i in range(0, 128, 4)]
    assert words[18] == 0x0800_0040
    move = isa.MOVE.build(direction=1, cmd_id=7, **isa.start("dst", 0x1_0510_0000))
    words = [int.from_bytes(move.pack()[i : i + 4], "little") for i in range(0, 128, 4)]
    assert words[0] == 0x0431 | 1 << 6 | 7 << 16
    assert (words[17], words[18] >> 8 & 0xFF) == (0x0510_0000, 1)
    assert words[20:22] == [0xFFFFFFFF] * 2
    assert isa.start_of(move, "dst") == 0x1_0510_0000


def test_defaults_are_not_kept():
    assert isa.ARITH.build(opt_shift_typ=1, res0_n=1).values == {}
    assert isa.ARITH.build(res0_n=2).text() == "arith res0_n=2"


def test_negative_words_are_twos_complement():
    inst = isa.ARITH.build(opd1_addr=-3)
    assert inst["opd1_addr"] == 0xFFFF_FFFD


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"res0_c": 4096}, "res0_c"),
        ({"opt_right_shift": 32}, "opt_right_shift"),
        ({"res0_n": -1}, "res0_n"),
        ({"opd1_addr": -(1 << 31) - 1}, "opd1_addr"),
        ({"direction": 1}, "direction"),
        ({"opd3_addr": 4}, "opd3_addr"),
    ],
)
def test_build_refuses(values: dict[str, int], name: str):
    with pytest.raises(isa.IsaError, match=name):
        isa.CONV.build(**values)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("conv opd0_c=0 tsk_opd_num=2", "opd0_c"),
        ("conv tsk_opd_num=2 opt_opd0_prec=3 opt_opd1_prec=3", "opt_opd0_prec"),
        ("conv tsk_opd_num=2 opt_winograd=1 opd1_h=3 opd1_w=3 opd0_h=9 opd0_w=9", "winograd"),
        ("conv tsk_opd_num=2 res0_h=2", "res0_h"),
        ("conv tsk_opd_num=2 res_op_x_str=0", "res_op_x_str"),
        ("max_pool opt_right_shift=1", "opt_right_shift"),
        ("max_pool opd1_x_ins0=1", "opd1_"),
        ("depthwise tsk_opd_num=2 opt_opd1_const=1 opd1_h=16 opd1_w=15 opd0_h=99 opd0_w=99", "240"),
        ("matmul tsk_opd_num=2 res0_w=129", "res0_w"),
        ("arith tsk_eu_typ=12", "FP32"),
        ("arith tsk_eu_typ=20", "tsk_eu_typ"),
        ("lookup opd1_h=9", "opd1_h"),
        ("scalar tsk_eu_typ=4", "tsk_eu_typ"),
        ("move dst_data_format=3", "data_format"),
        ("move src_nsize=2 dst_nsize=1 dst_csize=1 dst_hsize=1 dst_wsize=1", "sizes"),
        ("move chw_copy=1 pio_gdma_enable=0", "pio_gdma_enable"),
        ("convert chw_copy=1", "data_format"),
        ("fill", "sizes"),
        ("copy_linear", "src_nstride"),
        ("matrix direction=2", "direction"),
        ("transpose_cw src_csize=2", "sizes"),
    ],
)
def test_check_names_the_field(text: str, name: str):
    with pytest.raises(isa.IsaError, match=name):
        isa.parse(text).check()


@pytest.mark.parametrize(
    "text", ["", "convolve res0_n=1", "conv res0_q=1", "conv res0_n=x", "conv tsk_typ=0",
             "conv res0_n=1 res0_n=2", "conv res0_n"]
)
def test_parse_refuses(text: str):
    with pytest.raises(isa.IsaError):
        isa.parse(text)


def test_unpack_refuses_unknown_encodings():
    with pytest.raises(isa.IsaError, match="tsk_typ=5"):
        isa.unpack(isa.Engine.TIU, (5 << 37).to_bytes(128, "little"))
    with pytest.raises(isa.IsaError, match="special_func=2"):
        isa.unpack(isa.Engine.GDMA, (2 << 32).to_bytes(128, "little"))
    with pytest.raises(isa.IsaError, match="706"):
        isa.unpack(isa.Engine.GDMA, (1 << 1000).to_bytes(128, "little"))
    with pytest.raises(isa.IsaError, match="127"):
        isa.unpack(isa.Engine.TIU, bytes(127))
