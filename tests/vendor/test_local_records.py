"""Layers in local memory on the vendor's runtime: what we read of them is what the firmware reads.

A word too many or too few before a layer ends would make nonsense of all that follows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bmnetu.bmodel import Bmodel, DataType, Net, Stage, StoreMode, align, read, write
from dialects.bm1684.chip import BM1684
from dialects.bm1684.record.local import (
    FORMS,
    GroupInput,
    GroupOutput,
    LocalGroup,
    LocalLayer,
    LocalStep,
    LocalTensor,
)
from dialects.bm1684.record.ops import BY_NUMBER
from dialects.bm1684.record.reader import Head
from dialects.bm1684.record.stream import Stream, pack, unpack
from dialects.bm1684.record.transfers import BY_KIND, Transfer
from tests.bmodel.samples import tensor
from tests.vendor.networks import models
from tests.vendor.runtime import run_bmodel

Array = NDArray[Any]
SHAPE = (4, 8, 16, 16)
SMALLER = 3
"""The batch of a launch, less than the largest."""
X, Y, Z = 5, 1, 7
"""Ids of the loaded tensor, of the result, of a tensor between."""
PLACES = {X: 0, Y: 0x20000, Z: 0x40000}
SLOPES, BUFFER = 0x50000, 0x60000
FLOAT_ERROR = 1e-5


def layer(number: int, bytes_: bool, *ids: int, result: int = Y, **values: Any) -> LocalLayer:
    """A layer that reads tensors of these ids."""
    form, kind = FORMS[number], BY_NUMBER[number]
    v = {**(form.struct or kind.RECORD.struct).defaults, **values}
    size, modes = (2, (2, 2)) if bytes_ else (0, (0, 0))
    sources = [LocalTensor(PLACES[id], id) for id in ids]
    if number == 11 and not v["shared"]:
        sources.append(LocalTensor(SLOPES))
    buffer = BUFFER if form.has_buffer(v, size) else None
    extra: tuple[int, ...] = (SHAPE[1],) * len(ids) if number == 7 else ()
    if number == 10 and v["op"] == 1:
        extra = (1, 3) if bytes_ else (word(1.0), word(-2.0))
    place = LocalTensor(PLACES[result], result)
    return LocalLayer(Head(kind, v, size, *modes), tuple(sources), place, 1, buffer, extra)


def word(value: float) -> int:
    """The bits of a float32."""
    return struct.unpack("<I", struct.pack("<f", value))[0]


def transfer(number: int, **values: Any) -> Transfer:
    """A transfer."""
    kind = BY_KIND[number]
    return Transfer(kind, {**kind.struct.defaults, **values})


def bmodel(
    layers: tuple[LocalLayer, ...], bytes_: bool, shape: tuple[int, ...], uses: int, coeff: bytes
) -> Bmodel:
    """A net of one group: load, the layers, store. ``uses``: how many layers read the input."""
    data = {"data_size": 2, "mode": 2} if bytes_ else {}
    loads = [transfer(0, id=X, channels=SHAPE[1], readers=uses, **data)]
    if coeff:
        loads.append(transfer(
            4, address=BM1684.context_start, offset=SLOPES, c=SHAPE[1], n=1, w=1, h=1, once=1,
            groups=1, depth=1,
        ))  # fmt: skip
    store = transfer(1, offset=PLACES[Y], id=Y, channels=shape[1], **data)
    steps = (
        LocalStep((), tuple(loads)), *(LocalStep((each,), ()) for each in layers),
        LocalStep((), (store,)),
    )  # fmt: skip
    group = LocalGroup((GroupInput(0),), (GroupOutput(Y, 1),), steps, SHAPE[0])
    stream = Stream((0,), (Y,), (group,), SHAPE[0])
    assert unpack(pack(stream), 1, 1) == stream
    kind = (DataType.INT8, StoreMode.N4) if bytes_ else (DataType.FLOAT32, StoreMode.N1)
    context = align(BM1684.context_start + 4096)
    given = tensor("data", context, SHAPE, *kind)
    made = tensor("y", context + align(given.size), shape, *kind)
    stage = Stage(
        (given,), (made,), context, made.address + align(made.size) - context,
        BM1684.context_start, coeff.ljust(4096, b"\0"), (), records=pack(stream),
    )  # fmt: skip
    return Bmodel((Net("net", (stage,)),))


SLOPE = np.linspace(-1, 2, SHAPE[1]).astype(np.float32)


def scaled(x: Array, factor: int, shift: int) -> Array:
    """8-bit numbers times a factor, rounded after the shift."""
    return np.clip((x.astype(int) * factor + (1 << shift >> 1)) >> shift, -128, 127)


def leaky(x: Array) -> Array:
    """The slope of 51 / 512, in integers."""
    return np.where(x >= 0, x, scaled(x, 51, 9))


def relu(x: Array) -> Array:
    """At least 0."""
    return np.maximum(x, 0)


@dataclass(frozen=True)
class Case:
    """Layers, and what they compute."""

    layers: tuple[LocalLayer, ...]
    expected: Callable[[Array], Array]
    shape: tuple[int, ...] = SHAPE
    coeff: bytes = b""
    bytes_: bool = False
    uses: int = 1


FIRST = layer(32, False, X, result=Z, op=4)
BYTE_FIRST = layer(11, True, X, result=Z, shared=1, channels=8, slope=51.0, shift=9)
ROWS: dict[str, Any] = {
    "rank": 4, "from_start": 11, "to_end": 11, "begin": (0, 0, 2, *[0] * 5),
    "end": (4, 8, 10, 16, *[0] * 4),
}  # fmt: skip
EDGE: dict[str, Any] = {"channels": 8, "pads": (0, 0, 0, 0, 1, 2, 3, 1)}
JOIN: dict[str, Any] = {"channels": 16, "height": 16, "width": 16, "axis": 1}
FOUR: dict[str, Any] = {
    "a_rank": 4, "b_rank": 4, "a_shape": (*SHAPE, *[0] * 4), "b_shape": (*SHAPE, *[0] * 4),
}  # fmt: skip
TEN: dict[str, Any] = {"channels": 8, "count": 2, "shifts": (1, 2, *[0] * 8)}
FUNCTIONS: dict[int, Callable[[Array], Array]] = {
    0: np.tanh, 1: lambda x: 1 / (1 + np.exp(-x)), 3: np.exp, 6: np.square, 8: np.abs,
    11: np.ceil, 12: np.floor, 19: lambda x: x / (1 + np.exp(-x)),
    33: lambda x: np.log1p(np.exp(x)),
}  # fmt: skip


def function_case(code: int) -> Case:
    """A function of floats."""
    return Case((layer(35, False, X, channels=8, function=code),), FUNCTIONS[code])


def pool_of(x: Array) -> Array:
    """The maximum of windows of 2 x 2."""
    return x.reshape(-1, 8, 8, 2, 8, 2).max((3, 5))


def padded(x: Array) -> Array:
    """With zeros at all sides."""
    return np.pad(x, ((0, 0), (0, 0), (1, 2), (3, 1)))


POOL: dict[str, Any] = {
    "channels": 8, "kernel": 2 << 16 | 2, "stride": (2, 2), "input_sign": 1, "output_sign": 1,
}  # fmt: skip
CASES = {
    **{f"function-{code}": function_case(code) for code in FUNCTIONS},
    "pool": Case((layer(1, False, X, **POOL),), pool_of, (4, 8, 8, 8)),
    "pool-8bit": Case((layer(1, True, X, **POOL),), pool_of, (4, 8, 8, 8), bytes_=True),
    "concat": Case((FIRST, layer(7, False, X, Z, **JOIN)),
                   lambda x: np.concatenate([x, relu(x)], 1), (4, 16, 16, 16), uses=2),
    "concat-8bit": Case((BYTE_FIRST, layer(7, True, X, Z, **JOIN)),
                        lambda x: np.concatenate([x, leaky(x)], 1), (4, 16, 16, 16), bytes_=True,
                        uses=2),
    "sum": Case((FIRST, layer(10, False, X, Z, op=1, **TEN)), lambda x: x - 2 * relu(x), uses=2),
    "sum-8bit": Case((BYTE_FIRST, layer(10, True, X, Z, op=1, **TEN)),
                     lambda x: np.clip(scaled(x, 1, 1) + scaled(leaky(x), 3, 2), -128, 127),
                     bytes_=True, uses=2),
    "product": Case((FIRST, layer(10, False, X, Z, op=0, **TEN)), lambda x: x * relu(x), uses=2),
    "prelu-0": Case((layer(11, False, X, shared=1, channels=8),), relu),
    "prelu-shared": Case((layer(11, False, X, shared=1, channels=8, slope=0.25),),
                         lambda x: np.where(x >= 0, x, x * 0.25)),
    "prelu": Case((layer(11, False, X, channels=8),),
                  lambda x: np.where(x >= 0, x, x * SLOPE[:, None, None]), coeff=SLOPE.tobytes()),
    "prelu-8bit": Case((layer(11, True, X, shared=1, channels=8, slope=51.0, shift=9),), leaky,
                       bytes_=True),
    "pad": Case((layer(26, False, X, **EDGE),), padded, (4, 8, 19, 20)),
    "pad-8bit": Case((layer(26, True, X, **EDGE),), padded, (4, 8, 19, 20), bytes_=True),
    "binary": Case((FIRST, layer(31, False, X, Z, **FOUR)), lambda x: x + relu(x), uses=2),
    "const": Case((layer(32, False, X, op=2, value=3.0),), lambda x: x * 3),
    "const-8bit": Case((layer(32, True, X, op=2, value=1.0, scale=(45, 45), shift=(6, 6)),),
                       lambda x: scaled(x, 45, 6), bytes_=True),
    "slice": Case((layer(51, False, X, **ROWS),), lambda x: x[:, :, 2:10], (4, 8, 8, 16)),
    "slice-8bit": Case((layer(51, True, X, **ROWS),), lambda x: x[:, :, 2:10], (4, 8, 8, 16),
                       bytes_=True),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_firmware_reads_a_layer_as_we_do(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = tmp_path / "net.bmodel"
    path.write_bytes(write(bmodel(case.layers, case.bytes_, case.shape, case.uses, case.coeff)))
    rng = np.random.default_rng(0)
    shape = (SMALLER, *SHAPE[1:])
    data = rng.integers(-128, 128, shape, np.int8) if case.bytes_ else (
        rng.standard_normal(shape, np.float32))  # fmt: skip
    (found,) = run_bmodel(path, {"data": data}).values()
    expected = case.expected(data)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, 0 if case.bytes_ else FLOAT_ERROR,
                       0 if case.bytes_ else FLOAT_ERROR)  # fmt: skip


@pytest.mark.parametrize("name", ["fcn_F32", "fcn_INT8", "lenet_INT8", "resid_F32", "resid_INT8"])
def test_what_we_write_again_runs_as_before(name: str, tmp_path: Path) -> None:
    before = models() / "vendor_bmodels" / "dynamic" / f"{name}_dyn.bmodel"
    model = read(before.read_bytes(), name)
    (stage,) = model.nets[0].stages
    again = replace(stage, records=pack(unpack(stage.records, 1, 1)))
    after = tmp_path / "again.bmodel"
    after.write_bytes(write(replace(model, nets=(replace(model.nets[0], stages=(again,)),))))
    (given,) = stage.inputs
    rng = np.random.default_rng(1)
    data = rng.integers(-100, 100, (SMALLER, *given.shape[1:])).astype(given.data_type.numpy)
    (first,), (second,) = (
        run_bmodel(path, {given.name: data}).values() for path in (before, after)
    )
    assert np.array_equal(first, second)
