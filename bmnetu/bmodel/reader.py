"""The bytes of a bmodel file to a :class:`Bmodel`, for our own files and the vendor's."""

from __future__ import annotations

import hashlib

from bmnetu.bmodel import schema
from bmnetu.bmodel.decode import decode
from bmnetu.bmodel.header import HEADER_BYTES, unpack_header
from bmnetu.bmodel.model import (
    COEFF_ADDRESS,
    COMMAND_BYTES,
    WORD_BYTES,
    Bmodel,
    CommandGroup,
    DataType,
    HostCall,
    Net,
    Stage,
    StoreMode,
    Subnet,
    Tensor,
    Weight,
    tensor_bytes,
)
from bmnetu.bmodel.rules import check
from bmnetu.errors import InputFileError

_TPU, _CPU = 0, 1
"""``SubNet.subnet_mode``."""


def read(data: bytes, name: str) -> Bmodel:
    """The model in the bytes of a file; ``name`` is the file's name for messages.

    Reads nets for BM1684, static and dynamic ones. Checks all offsets and sizes, the hash of the
    weights, and the rules that ``write`` keeps. Raises InputFileError with one sentence.
    """
    try:
        flatbuffer_size, binary_size = unpack_header(data)
        start = HEADER_BYTES + flatbuffer_size
        root = decode(data[HEADER_BYTES:start], schema.Model)
        bmodel = _bmodel(root, _Binaries(data, start, binary_size))
        check(bmodel)
    except ValueError as error:
        raise InputFileError(f"{name}: not a usable bmodel: {error}") from None
    return bmodel


class _Binaries:
    """The binary section. A range is copied once, however often it is named."""

    def __init__(self, data: bytes, start: int, size: int) -> None:
        self.data = data
        self.start = start
        self.size = size
        self.copied = 0
        self.ranges: dict[schema.Binary, bytes] = {}
        self.hashes: dict[schema.Binary, bytes] = {}

    def get(self, binary: schema.Binary | None) -> bytes:
        """The bytes of a range."""
        if binary is None or binary.size == 0:
            return b""
        if binary not in self.ranges:
            if binary.start + binary.size > self.size:
                raise ValueError(f"{binary.size} bytes at {binary.start} of its binaries"
                                 " are missing")
            self.copied += binary.size
            if self.copied > self.size:
                raise ValueError("its binaries overlap")
            first = self.start + binary.start
            self.ranges[binary] = self.data[first : first + binary.size]
        return self.ranges[binary]

    def sha256(self, binary: schema.Binary) -> bytes:
        """The hash of a range."""
        if binary not in self.hashes:
            self.hashes[binary] = hashlib.sha256(self.get(binary)).digest()
        return self.hashes[binary]


def _bmodel(model: schema.Model, binaries: _Binaries) -> Bmodel:
    if model.chip != "BM1684":  # before the commands, which other chips lay out otherwise
        raise ValueError(f"the file is for the chip {model.chip!r}, not for BM1684")
    nets = tuple(_net(net, binaries) for net in model.net)
    return Bmodel(nets, model.chip, model.version, model.time)


def _net(net: schema.Net, binaries: _Binaries) -> Net:
    if net.addr_mode:
        raise ValueError(f"net {net.name!r} keeps its tensors outside the context"
                         f" (addr_mode {net.addr_mode}), which is not read here")
    return Net(net.name, tuple(_stage(net.name, stage, binaries) for stage in net.parameter))


def _stage(net: str, stage: schema.NetParameter, binaries: _Binaries) -> Stage:
    if stage.ctx_sizes not in ((), (stage.ctx_size,)):
        raise ValueError(f"net {net!r} has {len(stage.ctx_sizes)} contexts of sizes"
                         f" {stage.ctx_sizes[:4]}, not one of {stage.ctx_size}")
    coeff = stage.coeff_mem or schema.CoeffMem(address=COEFF_ADDRESS)
    return Stage(
        inputs=tuple(_tensor(tensor) for tensor in stage.input_tensor),
        outputs=tuple(_tensor(tensor) for tensor in stage.output_tensor),
        context_address=stage.ctx_addr,
        context_size=stage.ctx_size,
        coeff_address=coeff.address,
        coeff=_coeff(net, coeff, binaries),
        groups=tuple(_group(net, group, binaries) for group in stage.cmd_group),
        weights=tuple(Weight(w.name, w.offset, w.size) for w in coeff.location),
        subnets=_subnets(net, stage, binaries),
        records=_records(net, stage, binaries),
        batch_is_free=bool(stage.n_dynamic),
        size_is_free=bool(stage.h_w_dynamic),
        notes=binaries.get(stage.tensor_loc),
    )


def _records(net: str, stage: schema.NetParameter, binaries: _Binaries) -> bytes:
    """The records of a dynamic stage; none for a static one."""
    if not stage.is_dynamic:
        return b""
    found = binaries.get(stage.binary_ir)
    words = stage.stage_ir[0].ir_info_len if len(stage.stage_ir) == 1 else 0
    if not 0 < words * WORD_BYTES <= len(found):
        raise ValueError(f"net {net!r} has {len(found)} bytes for {words} words of records")
    return found[: words * WORD_BYTES]


def _subnets(
    net: str, stage: schema.NetParameter, binaries: _Binaries
) -> tuple[Subnet, ...]:
    """The steps of a stage; none where all is one step on the NPU."""
    found = stage.sub_net
    modes = [subnet.subnet_mode for subnet in found]
    if not found or any(mode not in (_TPU, _CPU) for mode in modes):
        raise ValueError(f"net {net!r} has subnets of the modes {modes[:8]}, and only those of the"
                         " NPU (0) and of the host (1) are read here")
    linear = [(i, (i + 1 if i + 1 < len(found) else -1,)) for i in range(len(found))]
    order = [(subnet.id, subnet.next_subnet_ids) for subnet in found]
    if order != linear and any(subnet.id != -1 for subnet in found):
        raise ValueError(f"the subnets of net {net!r} do not run one after the other")
    if any(bool(subnet.is_dynamic) != bool(stage.is_dynamic) for subnet in found):
        raise ValueError(f"net {net!r} and its subnets are not dynamic alike: the runtime dies"
                         " of that")
    if stage.is_dynamic and len(found) > 1:
        raise ValueError(f"net {net!r} is dynamic and has {len(found)} subnets, which is not read"
                         " here")
    if modes == [_TPU]:
        return ()
    return tuple(_subnet(net, subnet, binaries) for subnet in found)


def _subnet(net: str, subnet: schema.SubNet, binaries: _Binaries) -> Subnet:
    inputs, outputs = (
        tuple(_tensor(t) for t in some) for some in (subnet.input_tensor, subnet.output_tensor)
    )
    if subnet.subnet_mode == _TPU:
        return Subnet(inputs, outputs, len(subnet.cmd_group))
    if len(subnet.cpu_param) != 1:
        raise ValueError(f"a host subnet of net {net!r} has {len(subnet.cpu_param)} layers, not 1")
    (param,) = subnet.cpu_param
    if param.cpu_const or param.is_custom:
        raise ValueError(f"a host layer of net {net!r} has constants or a library of its own, which"
                         " are not read here")
    return Subnet(inputs, outputs, 0, HostCall(param.op_type, binaries.get(param.binary_param)))


def _tensor(tensor: schema.Tensor) -> Tensor:
    owner = f"tensor {tensor.name!r}"
    if tensor.data_type not in set(DataType):
        raise ValueError(f"{owner} has the data type {tensor.data_type}, which BM1684 has not")
    if tensor.gmem_stmode not in set(StoreMode):
        raise ValueError(f"{owner} has the store mode {tensor.gmem_stmode}, not 0 (1N) or 2 (4N)")
    if len(tensor.shape) != 1 or not tensor.shape[0].dim:
        raise ValueError(f"{owner} has not exactly one shape")
    data_type, store_mode = DataType(tensor.data_type), StoreMode(tensor.gmem_stmode)
    shape = tensor.shape[0].dim
    size = tensor.size or tensor_bytes(data_type, store_mode, shape)
    return Tensor(tensor.name, data_type, store_mode, tensor.device_addr, size, shape,
                  tensor.scale)


def _coeff(net: str, coeff: schema.CoeffMem, binaries: _Binaries) -> bytes:
    if coeff.binary_coeff is None:
        return b""
    if binaries.sha256(coeff.binary_coeff) != bytes(coeff.check_code):
        raise ValueError(f"the weights of net {net!r} do not have the SHA-256 that the file"
                         " says: they were changed after it was made")
    return binaries.get(coeff.binary_coeff)


def _group(net: str, group: schema.CmdGroup, binaries: _Binaries) -> CommandGroup:
    tiu = _commands(net, group.bdc_num, group.bdc_cmd_byte, group.binary_bdc)
    gdma = _commands(net, group.gdma_num, group.gdma_cmd_byte, group.binary_gdma)
    return CommandGroup(binaries.get(tiu), binaries.get(gdma))


def _commands(
    net: str, count: int, size: int, binary: schema.Binary | None
) -> schema.Binary | None:
    """Where the commands are; the file may have more bytes behind them."""
    expected = count * COMMAND_BYTES
    there = binary.size if binary else 0
    if size not in (0, expected) or there < expected:
        raise ValueError(f"net {net!r} has {there} bytes for {count} commands")
    return schema.Binary(binary.start, expected) if binary else None
