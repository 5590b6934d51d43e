"""Models for the tests of the container: one small one, and hypothesis strategies."""

from __future__ import annotations

from hypothesis import strategies as st

from bmnetu.bmodel import (
    COEFF_ADDRESS,
    COMMAND_BYTES,
    Bmodel,
    CommandGroup,
    DataType,
    Net,
    Stage,
    StoreMode,
    Tensor,
    Weight,
    align,
    tensor_bytes,
)

NAMES = st.text(min_size=1, max_size=12).filter(lambda text: "\x00" not in text)
BYTE_TYPES = (DataType.INT8, DataType.UINT8)


def tensor(
    name: str, address: int, shape: tuple[int, ...], data_type: DataType = DataType.FLOAT32,
    store_mode: StoreMode = StoreMode.N1, scale: float = 1.0,
) -> Tensor:
    """A tensor with the size that its shape requires."""
    size = tensor_bytes(data_type, store_mode, shape)
    return Tensor(name, data_type, store_mode, address, size, shape, scale)


def small() -> Bmodel:
    """One net, one stage, two groups, weights; commands are only counting bytes."""
    coeff = bytes(range(256)) * 3
    context = align(COEFF_ADDRESS + len(coeff))
    stage = Stage(
        inputs=(tensor("data", context, (1, 3, 4, 4)),),
        outputs=(
            tensor("prob", context + 4096, (3, 5), DataType.INT8, StoreMode.N4, scale=0.25),
        ),
        context_address=context,
        context_size=8192,
        coeff_address=COEFF_ADDRESS,
        coeff=coeff,
        groups=(
            CommandGroup(tiu=bytes(range(128)), gdma=bytes(256)),
            CommandGroup(tiu=b"", gdma=bytes(range(128))),
        ),
        weights=(Weight("conv1", 0, 256), Weight("conv2", 256, 512)),
    )
    return Bmodel((Net("small", (stage,)),))


@st.composite
def tensors(draw: st.DrawFn, address: int) -> tuple[Tensor, ...]:
    """Zero to three tensors one after another."""
    found: list[Tensor] = []
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        data_type = draw(st.sampled_from(DataType))
        modes = list(StoreMode) if data_type in BYTE_TYPES else [StoreMode.N1]
        shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
        scale = draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
        item = tensor(name, address, tuple(shape), data_type, draw(st.sampled_from(modes)), scale)
        found.append(item)
        address = align(address + item.size)
    return tuple(found)


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    """A stage with everything that ``write`` accepts."""
    coeff = draw(st.binary(max_size=300))
    context = align(COEFF_ADDRESS + len(coeff))
    inputs = draw(tensors(context))
    end = align(inputs[-1].address + inputs[-1].size) if inputs else context
    outputs = draw(tensors(end))
    end = align(outputs[-1].address + outputs[-1].size) if outputs else end
    commands = st.integers(0, 3).flatmap(
        lambda count: st.binary(min_size=count * COMMAND_BYTES, max_size=count * COMMAND_BYTES)
    )
    groups = draw(st.lists(st.builds(CommandGroup, commands, commands), min_size=1, max_size=3))
    return Stage(inputs, outputs, context, max(end - context, 4096), COEFF_ADDRESS, coeff,
                 tuple(groups))


@st.composite
def bmodels(draw: st.DrawFn) -> Bmodel:
    """One to three nets of one stage each."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    return Bmodel(tuple(Net(name, (draw(stages()),)) for name in names))
