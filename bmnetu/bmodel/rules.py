"""The rules that a bmodel must keep for the runtime."""

from __future__ import annotations

import math
from collections import Counter

from bmnetu.bmodel.model import (
    ADDRESS_END,
    COEFF_ADDRESS,
    COMMAND_BYTES,
    MAX_COMMANDS,
    MAX_CONTEXT_SIZE,
    MAX_RANK,
    WORD_BYTES,
    Bmodel,
    CommandGroup,
    DataType,
    Stage,
    StoreMode,
    Tensor,
    tensor_bytes,
)


def check(bmodel: Bmodel) -> None:
    """Raise ValueError, with one sentence, where a bmodel breaks a rule of the runtime."""
    _require(bmodel.chip == "BM1684", f"the file is for the chip {bmodel.chip!r}, not for BM1684")
    _require(len(bmodel.nets) > 0, "the file has no net")
    _unique([net.name for net in bmodel.nets], "the file", "net")
    for net in bmodel.nets:
        _require(len(net.stages) > 0, f"net {net.name!r} has no stage")
        for stage in net.stages:
            _check_stage(f"net {net.name!r}", stage)
        names = {tuple(t.name for t in (*s.inputs, *s.outputs)) for s in net.stages}
        _require(len(names) == 1, f"the stages of net {net.name!r} have different tensors")


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise ValueError(sentence)


def _unique(names: list[str], owner: str, what: str) -> None:
    _require(all(names), f"{owner} has a {what} without a name")
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    _require(count <= 1, f"{owner} has the {what} {name!r} {count} times")


def _check_stage(owner: str, stage: Stage) -> None:
    end = stage.context_address + stage.context_size
    _require(0 < stage.context_size <= MAX_CONTEXT_SIZE,
             f"{owner} requires {stage.context_size} bytes of context, which no board has")
    _require(COEFF_ADDRESS <= stage.context_address and end <= ADDRESS_END,
             f"{owner} has its context at {stage.context_address:#x}, outside the DDR")
    if stage.coeff:
        inside = COEFF_ADDRESS <= stage.coeff_address
        inside = inside and stage.coeff_address + len(stage.coeff) <= stage.context_address
        _require(inside, f"{owner} has its weights at {stage.coeff_address:#x}, which is not"
                 " between the reserved DDR and the context")
    for weight in stage.weights:
        _require(weight.offset + weight.size <= len(stage.coeff),
                 f"{owner} has the weight {weight.name!r} outside its weights")
    for what, tensors in (("input", stage.inputs), ("output", stage.outputs)):
        _unique([tensor.name for tensor in tensors], owner, what)
        for tensor in tensors:
            _check_tensor(f"{what} {tensor.name!r} of {owner}", tensor)
            inside = stage.context_address <= tensor.address
            inside = inside and tensor.address + tensor.size <= end
            _require(inside or stage.is_dynamic,
                     f"{what} {tensor.name!r} of {owner} lies outside the context")
    _check_groups(owner, stage.groups)
    if stage.is_dynamic:
        _require(not stage.groups and not stage.subnets,
                 f"{owner} is dynamic and has commands or subnets, too")
        _require(len(stage.records) % WORD_BYTES == 0,
                 f"{owner} has {len(stage.records)} bytes of records, which are no whole words")
    elif stage.subnets:
        _check_subnets(owner, stage)
    else:
        _require(len(stage.groups) > 0, f"{owner} has no commands")


def _check_subnets(owner: str, stage: Stage) -> None:
    """Groups and tensors of the subnets: what one reads, the net or an earlier one has, in the same
    place and of the same kind, or it lies in the weights."""
    count = sum(subnet.group_count for subnet in stage.subnets)
    _require(count == len(stage.groups),
             f"the subnets of {owner} have {count} groups of commands, not {len(stage.groups)}")
    known = {tensor.name: tensor for tensor in stage.inputs}
    for index, subnet in enumerate(stage.subnets):
        place = f"subnet {index} of {owner}"
        _require((subnet.host is None) == (subnet.group_count > 0),
                 f"{place} must have commands or a host layer")
        for tensor in (*subnet.inputs, *subnet.outputs):
            _check_tensor(f"tensor {tensor.name!r} of {place}", tensor)
            on_host = subnet.host is not None
            wide = tensor.data_type in (DataType.FLOAT32, DataType.INT32)
            _require(not on_host or wide,
                     f"{place} reads or makes {tensor.name!r} on the host, which has no 32 bits")
        for tensor in subnet.inputs:
            same = known.get(tensor.name)
            _require(same is not None or _in_weights(stage, tensor),
                     f"{place} reads {tensor.name!r} before it is made")
            _require(same is None or _place(same) == _place(tensor),
                     f"{place} takes {tensor.name!r} for another tensor than it is")
        known |= {tensor.name: tensor for tensor in subnet.outputs}
        context = range(stage.context_address, stage.context_address + stage.context_size)
        for tensor in subnet.outputs:
            inside = tensor.address in context and tensor.address + tensor.size <= context.stop
            _require(inside, f"{tensor.name!r} of {place} lies outside the context")
    for tensor in stage.outputs:
        same = known.get(tensor.name)
        _require(same is not None and _place(same) == _place(tensor),
                 f"no subnet of {owner} makes the output {tensor.name!r}")


def _in_weights(stage: Stage, tensor: Tensor) -> bool:
    start = stage.coeff_address
    end = tensor.address + tensor.size
    return start <= tensor.address and end <= start + len(stage.coeff)


def _place(tensor: Tensor) -> tuple[object, ...]:
    """What must be alike wherever a tensor is named."""
    return (tensor.data_type, tensor.store_mode, tensor.address, tensor.size, tensor.shape)


def _check_tensor(owner: str, tensor: Tensor) -> None:
    rank = len(tensor.shape)
    _require(1 <= rank <= MAX_RANK, f"{owner} has {rank} dimensions, not 1 to {MAX_RANK}")
    _require(min(tensor.shape) > 0, f"{owner} has a dimension of 0")
    _require(tensor.store_mode == StoreMode.N1 or tensor.data_type.numpy.itemsize == 1,
             f"{owner} is stored 4N, which is for 8-bit types only")
    expected = tensor_bytes(tensor.data_type, tensor.store_mode, tensor.shape)
    _require(tensor.size == expected, f"{owner} takes {tensor.size} bytes where its shape"
             f" requires {expected}")
    _require(math.isfinite(tensor.scale), f"{owner} has the scale {tensor.scale}")


def _check_groups(owner: str, groups: tuple[CommandGroup, ...]) -> None:
    for index, group in enumerate(groups):
        for engine, commands in (("TIU", group.tiu), ("GDMA", group.gdma)):
            count, rest = divmod(len(commands), COMMAND_BYTES)
            _require(rest == 0 and count <= MAX_COMMANDS,
                     f"group {index} of {owner} has {len(commands)} bytes of {engine} commands,"
                     f" not 0 to {MAX_COMMANDS} times {COMMAND_BYTES}")
