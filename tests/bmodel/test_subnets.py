"""Stages with several subnets: rules, and what the runtime reads of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bmnetu.bmodel import (
    Bmodel,
    DataType,
    HostCall,
    Net,
    Stage,
    StoreMode,
    Subnet,
    read,
    schema,
    write,
)
from bmnetu.bmodel.decode import decode
from bmnetu.bmodel.header import HEADER_BYTES, unpack_header
from tests.bmodel.samples import small, tensor


def stage() -> Stage:
    """NPU, host, NPU; the host layer reads a constant, too."""
    (base,) = small().nets[0].stages
    data = base.inputs[0]
    heads = tensor("heads", base.context_address + 8192, (2, 8))
    prior = tensor("prior", base.coeff_address + 256, (1, 2, 8))
    found = tensor("found", base.context_address + 12288, (1, 1, 5, 7))
    prob = base.outputs[0]
    return replace(
        base,
        context_size=16384,
        outputs=(prob, found),
        subnets=(
            Subnet((data,), (heads,), 1),
            Subnet((heads, prior), (found,), 0, HostCall(0, bytes(52))),
            Subnet((found, data), (prob,), 1),
        ),
    )


def bmodel(change: Callable[[Stage], Stage] = lambda found: found) -> Bmodel:
    return Bmodel((Net("subnets", (change(stage()),)),))


def changed(index: int, **fields: object) -> Bmodel:
    def change(found: Stage) -> Stage:
        subnets = list(found.subnets)
        subnets[index] = replace(subnets[index], **fields)  # pyright: ignore
        return replace(found, subnets=tuple(subnets))

    return bmodel(change)


def test_what_is_written_is_read_back() -> None:
    data = write(bmodel())
    assert read(data, "x.bmodel") == bmodel()
    assert write(read(data, "x.bmodel")) == data


def test_the_fields_the_runtime_reads() -> None:
    data = write(bmodel())
    size, _ = unpack_header(data)
    (net,) = decode(data[HEADER_BYTES : HEADER_BYTES + size], schema.Model).net
    (parameter,) = net.parameter
    subnets = parameter.sub_net
    assert [s.subnet_mode for s in subnets] == [0, 1, 0]
    assert [(s.id, s.next_subnet_ids) for s in subnets] == [(0, (1,)), (1, (2,)), (2, (-1,))]
    assert [len(s.cmd_group) for s in subnets] == [1, 0, 1]
    assert parameter.cmd_group == subnets[0].cmd_group + subnets[2].cmd_group
    kinds = {t.name: t.mem_type for s in subnets for t in (*s.input_tensor, *s.output_tensor)}
    assert kinds == {"data": 1, "heads": 3, "prior": 3, "found": 3, "prob": 1}
    assert {t.mem_type for t in (*parameter.input_tensor, *parameter.output_tensor)} == {1}
    (param,) = subnets[1].cpu_param
    assert (param.op_type, param.binary_param.size if param.binary_param else 0) == (0, 52)


HEADS = tensor("heads", stage().context_address + 8192, (2, 8))
FAULTS: dict[str, Bmodel] = {
    "the subnets of net 'subnets' have 1 groups of commands, not 2": changed(
        2, group_count=0, host=HostCall(4, b"")
    ),
    "subnet 1 of net 'subnets' must have commands or a host layer": changed(1, host=None),
    "reads 'other' before it is made": changed(
        1, inputs=(replace(HEADS, name="other"),)
    ),
    "takes 'heads' for another tensor than it is": changed(
        1, inputs=(tensor("heads", HEADS.address, (4, 4)),)
    ),
    "reads or makes 'heads' on the host, which has no 32 bits": changed(
        1, inputs=(tensor("heads", HEADS.address, (2, 8), DataType.INT8, StoreMode.N4),)
    ),
    "'found' of subnet 1 of net 'subnets' lies outside the context": changed(
        1, outputs=(tensor("found", stage().coeff_address, (1, 1, 5, 7)),)
    ),
    "no subnet of net 'subnets' makes the output 'prob'": changed(
        2, outputs=(tensor("late", stage().context_address + 4096, (3, 5)),)
    ),
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_a_stage_that_breaks_a_rule_is_refused(sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        write(FAULTS[sentence])


def test_only_host_layers() -> None:
    """A net without commands and weights is a net."""
    def change(found: Stage) -> Stage:
        data = tensor("data", found.context_address, (2, 8))
        result = tensor("found", found.context_address + 4096, (2, 8))
        host = Subnet((data,), (result,), 0, HostCall(23, bytes(4)))
        return replace(found, inputs=(data,), outputs=(result,), coeff=b"", weights=(),
                       groups=(), subnets=(host,))  # fmt: skip

    data = write(bmodel(change))
    assert read(data, "x.bmodel") == bmodel(change)
