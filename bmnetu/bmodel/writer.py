"""A :class:`Bmodel` to the bytes of a bmodel file."""

from __future__ import annotations

import hashlib

from bmnetu.bmodel import schema
from bmnetu.bmodel.encode import encode
from bmnetu.bmodel.header import HEADER_BYTES, pack_header
from bmnetu.bmodel.model import (
    COMMAND_BYTES,
    WORD_BYTES,
    Bmodel,
    CommandGroup,
    HostCall,
    Net,
    Stage,
    Subnet,
    Tensor,
    align,
)
from bmnetu.bmodel.rules import check

_ON_TPU, _ON_BOTH = 1, 3
"""``Tensor.mem_type`` of a tensor that only the TPU touches, and of one that host layers touch."""

_TPU, _CPU = 0, 1
"""``SubNet.subnet_mode``."""

_INPUT, _OUTPUT = 1, 2
"""``Tensor.hidden``: the side of the net a tensor stands on."""


class _Binaries:
    """The binary section: each different content once, each on a 4096-byte boundary."""

    def __init__(self) -> None:
        self.starts: dict[bytes, int] = {}
        self.size = 0

    def add(self, content: bytes) -> schema.Binary:
        """Where the content lies in the section."""
        if content not in self.starts:
            self.starts[content] = align(self.size)
            self.size = self.starts[content] + len(content)
        return schema.Binary(self.starts[content], len(content))

    def section(self) -> bytes:
        """The bytes of the section."""
        parts: list[bytes] = []
        size = 0
        for content, start in self.starts.items():
            parts += [bytes(start - size), content]
            size = start + len(content)
        return b"".join(parts)


def write(bmodel: Bmodel) -> bytes:
    """The bytes of a bmodel file; the same model gives the same bytes.

    Raises ValueError for a model that the runtime would refuse or run wrongly.
    """
    check(bmodel)
    binaries = _Binaries()
    flatbuffer = encode(_model(bmodel, binaries))
    pad = align(HEADER_BYTES + len(flatbuffer)) - HEADER_BYTES - len(flatbuffer)
    header = pack_header(len(flatbuffer) + pad, binaries.size)
    return b"".join([header, flatbuffer, bytes(pad), binaries.section()])


def _model(bmodel: Bmodel, binaries: _Binaries) -> schema.Model:
    return schema.Model(
        type="B",
        version=bmodel.version,
        time=bmodel.time,
        chip=bmodel.chip,
        net=tuple(_net(net, binaries) for net in bmodel.nets),
        neuron_size=max(stage.context_size for net in bmodel.nets for stage in net.stages),
        device_num=1,
    )


def _net(net: Net, binaries: _Binaries) -> schema.Net:
    sizes = {stage.context_size for stage in net.stages}
    if len(sizes) > 1:  # BMRuntime 1.30 moves the context but not the earlier stage's commands
        raise ValueError(f"net {net.name!r} has stages of context sizes {sorted(sizes)}:"
                         " give each the largest")
    stages = tuple(_stage(stage, binaries) for stage in net.stages)
    return schema.Net(name=net.name, parameter=stages)


def _stage(stage: Stage, binaries: _Binaries) -> schema.NetParameter:
    inputs = tuple(_tensor(t, _INPUT, i) for i, t in enumerate(stage.inputs))
    outputs = tuple(_tensor(t, _OUTPUT, i) for i, t in enumerate(stage.outputs))
    coeff = _coeff(stage, binaries)
    groups = tuple(_group(group, binaries) for group in stage.groups)
    words = len(stage.records) // WORD_BYTES
    return schema.NetParameter(
        input_tensor=inputs,
        output_tensor=outputs,
        ctx_addr=stage.context_address,
        ctx_size=stage.context_size,
        coeff_mem=coeff,
        is_dynamic=int(stage.is_dynamic),
        n_dynamic=int(stage.batch_is_free),
        h_w_dynamic=int(stage.size_is_free),
        cmd_group=groups,
        stage_ir=(schema.StageIr(ir_info_len=words),) if words else (),
        binary_ir=binaries.add(stage.records) if words else None,
        sub_net=_subnets(stage, groups, binaries),
        ctx_sizes=(stage.context_size,),
        core_num=1,
        tensor_loc=binaries.add(stage.notes) if stage.notes else None,
    )


def _subnets(
    stage: Stage, groups: tuple[schema.CmdGroup, ...], binaries: _Binaries
) -> tuple[schema.SubNet, ...]:
    whole = Subnet(stage.inputs, stage.outputs, len(groups))
    subnets = stage.subnets or (whole,)
    on_host = {t.name for s in subnets if s.host for t in (*s.inputs, *s.outputs)}
    found: list[schema.SubNet] = []
    first = 0
    for i, subnet in enumerate(subnets):
        inputs, outputs = (
            tuple(
                _tensor(t, side, j, _ON_BOTH if t.name in on_host else _ON_TPU)
                for j, t in enumerate(tensors)
            )
            for tensors, side in ((subnet.inputs, _INPUT), (subnet.outputs, _OUTPUT))
        )
        host = subnet.host
        param = None if host is None else _cpu_param(host, binaries)
        found.append(
            schema.SubNet(
                subnet_mode=_TPU if host is None else _CPU,
                cmd_group=groups[first : first + subnet.group_count],
                cpu_param=() if param is None else (param,),
                input_tensor=inputs,
                output_tensor=outputs,
                is_dynamic=int(stage.is_dynamic),
                ir_len=len(stage.records),
                id=i,
                next_subnet_ids=(i + 1 if i + 1 < len(subnets) else -1,),
            )
        )
        first += subnet.group_count
    return tuple(found)


def _cpu_param(host: HostCall, binaries: _Binaries) -> schema.CpuParam:
    """A host layer. One without parameters has no binary."""
    params = binaries.add(host.params) if host.params else None
    return schema.CpuParam(op_type=host.number, binary_param=params)


def _tensor(tensor: Tensor, side: int, index: int, memory: int = _ON_TPU) -> schema.Tensor:
    return schema.Tensor(
        name=tensor.name,
        data_type=tensor.data_type,
        gmem_stmode=tensor.store_mode,
        device_addr=tensor.address,
        size=tensor.size,
        shape=(schema.Shape(dim=tensor.shape),),
        mem_type=memory,
        scale=tensor.scale,
        hidden=side,
        index=index,
    )


def _coeff(stage: Stage, binaries: _Binaries) -> schema.CoeffMem | None:
    """The weights. The runtime uses the hash as the key of its cache: it must be the true one."""
    if not stage.coeff:
        return None
    return schema.CoeffMem(
        address=stage.coeff_address,
        check_code=tuple(hashlib.sha256(stage.coeff).digest()),
        binary_coeff=binaries.add(stage.coeff),
        location=tuple(
            schema.Location(name=w.name, offset=w.offset, size=w.size) for w in stage.weights
        ),
    )


def _group(group: CommandGroup, binaries: _Binaries) -> schema.CmdGroup:
    return schema.CmdGroup(
        bdc_num=group.tiu_count,
        gdma_num=group.gdma_count,
        binary_bdc=binaries.add(group.tiu),
        binary_gdma=binaries.add(group.gdma),
        bdc_cmd_byte=group.tiu_count * COMMAND_BYTES,
        gdma_cmd_byte=group.gdma_count * COMMAND_BYTES,
    )
