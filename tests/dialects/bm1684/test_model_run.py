"""Command streams: order, waits, deadlocks, races."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.bm1684 import isa
from dialects.bm1684.chip import BM1684
from dialects.bm1684.isa import Engine, Eu, Instruction
from dialects.bm1684.model import DeadlockError, ModelError, Npu, RaceError, accesses, run
from tests.dialects.bm1684.fields import at, bits

DDR = 1 << 16
START = BM1684.context_start
Command = tuple[Instruction, int]


def load(source: int, offset: int) -> Instruction:
    return isa.MOVE.build(chw_copy=1, src_wsize=32, **isa.start("src", START + source),
                          **isa.start("dst", at(0, offset)))


def store(offset: int, target: int) -> Instruction:
    return isa.MOVE.build(direction=1, chw_copy=1, src_wsize=32,
                          **isa.start("src", at(0, offset)), **isa.start("dst", START + target))


def double(source: int, target: int) -> Instruction:
    return isa.SCALAR.build(tsk_eu_typ=Eu.MUL, res0_w=32, opd0_addr=at(0, source),
                            opt_opd1_const=1, opd1_addr=bits(2), res0_addr=at(0, target))


def pack(commands: Sequence[Command]) -> bytes:
    """A stream of (instruction, wait), numbered from 1."""
    return b"".join(inst.with_ids(i + 1, wait).pack() for i, (inst, wait) in enumerate(commands))


PIPELINE = (
    pack([(double(0, 0x1000), 1), (double(0x200, 0x1200), 2)]),
    pack([(load(0, 0), 0), (load(128, 0x200), 0), (store(0x1000, 256), 1),
          (store(0x1200, 384), 2)]),
)


def numbers(npu: Npu, offset: int, count: int = 32) -> list[float]:
    return npu.ddr_view(START + offset, 4 * count).view(np.float32).tolist()


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
def test_every_order_gives_the_same(seed: int | None):
    npu = Npu(DDR)
    npu.ddr[:256].view(np.float32)[:] = np.arange(64)
    calls: list[tuple[Engine, int, int]] = []

    def note(engine: Engine, group: int, number: int) -> None:
        calls.append((engine, group, number))

    run(npu, [PIPELINE, PIPELINE], note, seed)
    assert numbers(npu, 256, 64) == [2 * i for i in range(64)]
    assert [group for _, group, _ in calls] == [0] * 6 + [1] * 6
    for group in (0, 1):
        for engine, count in ((Engine.TIU, 2), (Engine.GDMA, 4)):
            own = [i for e, g, i in calls if (e, g) == (engine, group)]
            assert own == list(range(1, count + 1))


def test_an_engine_may_have_no_commands():
    npu = Npu(DDR)
    run(npu, [(b"", pack([(store(0, 0), 0)])), (pack([(double(0, 0x80), 0)]), b"")])
    assert np.array_equal(npu.ddr[:128], npu.lmem[0, :128])


def test_deadlock_names_both_commands():
    streams = (pack([(double(0, 0x80), 1)]), pack([(load(0, 0x400), 1)]))
    with pytest.raises(DeadlockError, match=r"tiu command 1 waits for gdma.*gdma command 1 waits"):
        run(Npu(DDR), [streams])


def test_waiting_for_a_command_that_does_not_exist_is_a_deadlock():
    with pytest.raises(DeadlockError, match="gdma has finished its 0 commands") as caught:
        run(Npu(DDR), [(b"", b""), (pack([(double(0, 0x80), 1)]), b"")])
    assert (caught.value.group, caught.value.engine, caught.value.id) == (1, Engine.TIU, 1)


@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize(
    ("tiu", "gdma"),
    [
        # The load's result is read without waiting for the load.
        ([(double(0, 0x1000), 0)], [(load(0, 0), 0)]),
        # The result is stored without waiting for it.
        ([(double(0, 0x1000), 0)], [(store(0x1000, 0), 0)]),
        # The second load overwrites what the TIU may still read.
        ([(double(0, 0x1000), 1)], [(load(0, 0), 0), (load(128, 0x40), 0)]),
        # Both write.
        ([(double(0x2000, 0), 0)], [(load(0, 0), 0)]),
    ],
)
def test_missing_waits_are_races(tiu: list[Command], gdma: list[Command], seed: int | None):
    with pytest.raises(RaceError, match=r"tiu command.*lmem|gdma command.*lmem") as caught:
        run(Npu(DDR), [(pack(tiu), pack(gdma))], seed=seed)
    assert "scalar" in str(caught.value)
    assert "move" in str(caught.value)
    assert caught.value.group == 0


def test_reading_the_same_bytes_is_no_race():
    run(Npu(DDR), [(pack([(double(0, 0x1000), 0)]), pack([(store(0, 0), 0)]))])


def test_an_earlier_wait_of_the_same_engine_orders_later_commands():
    tiu = [(double(0, 0x1000), 1), (double(0, 0x1200), 0)]
    run(Npu(DDR), [(pack(tiu), pack([(load(0, 0), 0)]))])


def test_groups_are_ordered():
    groups = [(b"", pack([(load(0, 0), 0)])), (pack([(double(0, 0x1000), 0)]), b"")]
    run(Npu(DDR), groups)


@pytest.mark.parametrize(
    ("tiu", "match"),
    [
        (b"\1" * 64, "multiple of 128"),
        (double(0, 0x80).with_ids(2, 0).pack(), "its id is 2"),
        ((5 << 37).to_bytes(128, "little"), "tsk_typ=5"),
        (double(0, 0x84).with_ids(1, 0).pack(), "res0_addr"),
    ],
)
def test_errors_name_the_command(tiu: bytes, match: str):
    with pytest.raises(ModelError, match=match) as caught:
        run(Npu(DDR), [(tiu, b"")])
    assert "group 0" in str(caught.value)


REUSED = Npu(DDR)
SLOTS = [i * 0x100 for i in range(4)]
moves = st.lists(
    st.tuples(st.sampled_from(["load", "store", "double"]), st.sampled_from(SLOTS),
              st.sampled_from(SLOTS)),
    max_size=10,
)


@settings(max_examples=40, deadline=None)
@given(moves, st.integers(0, 5))
def test_full_waits_never_race_and_keep_program_order(
    program: list[tuple[str, int, int]], seed: int
):
    """Streams in which every command waits for all earlier ones of the other engine."""
    queues: dict[str, list[Command]] = {"tiu": [], "gdma": []}
    for what, a, b in program:
        name = "tiu" if what == "double" else "gdma"
        other = "gdma" if name == "tiu" else "tiu"
        inst = {"load": lambda a=a, b=b: load(a, b), "store": lambda a=a, b=b: store(a, b),
                "double": lambda a=a, b=b: double(a, b)}[what]()
        queues[name].append((inst, len(queues[other])))
    npu = REUSED
    reference = {"l": npu.lmem[0, :0x400].copy(), "d": npu.ddr[:0x400].copy()}
    run(npu, [(pack(queues["tiu"]), pack(queues["gdma"]))], seed=seed)
    lane, ddr = reference["l"].view(np.float32), reference["d"].view(np.float32)
    with np.errstate(all="ignore"):
        for what, a, b in program:
            source, target = (slice(x // 4, x // 4 + 32) for x in (a, b))
            if what == "load":
                lane[target] = ddr[source]
            elif what == "store":
                ddr[target] = lane[source]
            else:
                lane[target] = lane[source] * np.float32(2)
    np.testing.assert_array_equal(npu.lmem[0, :0x400].view(np.float32), lane)
    np.testing.assert_array_equal(npu.ddr[:0x400].view(np.float32), ddr)


def overlap(first: Instruction, second: Instruction) -> bool:
    """Whether two commands conflict, byte by byte."""
    for a in accesses(first):
        for b in accesses(second):
            shared = range(max(a.start, b.start), min(a.stop, b.stop))
            if a.space == b.space and (a.write or b.write) and shared:
                return True
    return False


@settings(max_examples=60, deadline=None)
@given(moves, st.lists(st.integers(0, 4), min_size=10, max_size=10), st.integers(0, 3))
def test_a_race_is_found_in_every_order(
    program: list[tuple[str, int, int]], waits: list[int], seed: int
):
    """Against all pairs: i precedes j when j, or one before it, waits for i or a later one."""
    makers = {"load": load, "store": store, "double": double}
    queues: list[list[Command]] = [[], []]
    for (what, a, b), wait in zip(program, waits, strict=False):
        queues[what != "double"].append((makers[what](a, b), wait))
    reach = [np.maximum.accumulate([0, *(wait for _, wait in queue)])[1:] for queue in queues]
    unordered = [
        overlap(first, second)
        for i, (first, _) in enumerate(queues[0])
        for j, (second, _) in enumerate(queues[1])
        if reach[0][i] < j + 1 and reach[1][j] < i + 1
    ]
    try:
        run(REUSED, [(pack(queues[0]), pack(queues[1]))], seed=seed)
    except DeadlockError:
        return
    except RaceError:
        assert any(unordered)
        return
    assert not any(unordered)
