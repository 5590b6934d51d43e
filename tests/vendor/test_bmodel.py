"""Files of our writer in the real BMRuntime: hand-made commands, and the vendor's own programs."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bmnetu.bmodel import (
    COEFF_ADDRESS,
    Bmodel,
    CommandGroup,
    DataType,
    Net,
    Stage,
    StoreMode,
    Tensor,
    align,
    read,
    tensor_bytes,
    write,
)
from tests.vendor.runtime import Array, VendorError, replay, run_bmodel

VENDOR_FILES = sorted((Path(os.environ["BMNETU_MODELS"]) / "vendor_bmodels").glob("*.bmodel"))


def copy_command(number: int, wait: int, source: int, target: int, words: int) -> bytes:
    """A GDMA command that copies 32-bit words from DDR to DDR."""
    control = 1 | 1 << 4 | 1 << 5 | 2 << 6 | 1 << 10  # enable, barrier, strides, S2S, no prefetch
    head = [control | number << 16, 1 << 6 | wait << 16, 0, 0]
    strides = [words, words, words, 1] * 2
    sizes = [1 | 1 << 16, 1 | words << 16] * 2
    high = (source >> 32) | (target >> 32) << 8
    tail = [source & 0xFFFFFFFF, target & 0xFFFFFFFF, high, 0, 0xFFFFFFFF, 0xFFFFFFFF]
    return struct.pack("<32I", *head, *strides, *sizes, *tail, *[0] * 10)


def copying_stage(shape: tuple[int, ...], data_type: DataType, mode: StoreMode) -> Stage:
    """A stage whose output is its input, copied by one command."""
    size = tensor_bytes(data_type, mode, shape)
    target = COEFF_ADDRESS + align(size)
    command = copy_command(1, 0, COEFF_ADDRESS, target, size // 4)
    return Stage(
        inputs=(Tensor("x", data_type, mode, COEFF_ADDRESS, size, shape),),
        outputs=(Tensor("y", data_type, mode, target, size, shape),),
        context_address=COEFF_ADDRESS,
        context_size=16384,
        coeff_address=COEFF_ADDRESS,
        coeff=b"",
        groups=(CommandGroup(tiu=b"", gdma=command),),
    )


def saved(folder: Path, *nets: Net) -> Path:
    """A file with these nets."""
    path = folder / "compilation.bmodel"
    path.write_bytes(write(Bmodel(nets)))
    return path


def samples(shape: tuple[int, ...], data_type: DataType) -> Array:
    """Random values of a type."""
    noise = np.random.default_rng(3).bytes(tensor_bytes(data_type, StoreMode.N1, shape))
    if data_type == DataType.FLOAT32:
        return np.random.default_rng(3).standard_normal(shape, np.float32)
    return np.frombuffer(noise, data_type.numpy).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "data_type", "mode"),
    [
        ((2, 3, 4, 5), DataType.FLOAT32, StoreMode.N1),
        ((5, 3, 4, 5), DataType.INT8, StoreMode.N4),
        ((4, 10), DataType.UINT8, StoreMode.N1),
    ],
)
def test_one_copy_runs(
    tmp_path: Path, shape: tuple[int, ...], data_type: DataType, mode: StoreMode
) -> None:
    path = saved(tmp_path, Net("copy", (copying_stage(shape, data_type, mode),)))
    x = samples(shape, data_type)
    np.testing.assert_array_equal(run_bmodel(path, {"x": x})["y"], x, strict=True)
    np.testing.assert_array_equal(replay(path, {"x": x}, 0, 0)["y"], x, strict=True)


def test_weights_are_copied_from_where_the_runtime_put_them(tmp_path: Path) -> None:
    base = copying_stage((1, 8), DataType.FLOAT32, StoreMode.N1)
    weights = samples((1, 8), DataType.FLOAT32)
    shift = 4096
    target = base.outputs[0].address + shift
    stage = replace(
        base,
        inputs=(replace(base.inputs[0], address=COEFF_ADDRESS + shift),),
        outputs=(replace(base.outputs[0], address=target),),
        context_address=COEFF_ADDRESS + shift,
        coeff=weights.tobytes(),
        groups=(CommandGroup(b"", copy_command(1, 0, COEFF_ADDRESS, target, 8)),),
    )
    path = saved(tmp_path, Net("weights", (stage,)))
    x = np.zeros((1, 8), np.float32)
    np.testing.assert_array_equal(run_bmodel(path, {"x": x})["y"], weights)
    np.testing.assert_array_equal(replay(path, {"x": x}, 0, 0)["y"], weights)


def test_the_shapes_choose_the_stage_and_the_name_the_net(tmp_path: Path) -> None:
    shapes = [(1, 8), (3, 8)]
    stages = tuple(copying_stage(s, DataType.FLOAT32, StoreMode.N1) for s in shapes)
    other = copying_stage((6,), DataType.INT32, StoreMode.N1)
    path = saved(tmp_path, Net("two", stages), Net("other", (other,)))
    for shape in shapes:
        x = samples(shape, DataType.FLOAT32)
        np.testing.assert_array_equal(run_bmodel(path, {"x": x})["y"], x)
        np.testing.assert_array_equal(replay(path, {"x": x}, 0, 0)["y"], x)
    x = samples((6,), DataType.INT32)
    np.testing.assert_array_equal(run_bmodel(path, {"x": x}, net="other")["y"], x)


def test_several_groups_run_in_order(tmp_path: Path) -> None:
    stage = copying_stage((1, 16), DataType.FLOAT32, StoreMode.N1)
    source, target, between = COEFF_ADDRESS, stage.outputs[0].address, COEFF_ADDRESS + 8192
    first = copy_command(1, 0, source, between, 16)
    second = copy_command(1, 0, between, target, 16) + copy_command(2, 0, between, target, 16)
    groups = (CommandGroup(b"", first), CommandGroup(b"", second))
    path = saved(tmp_path, Net("groups", (replace(stage, groups=groups),)))
    x = samples((1, 16), DataType.FLOAT32)
    np.testing.assert_array_equal(run_bmodel(path, {"x": x})["y"], x)
    np.testing.assert_array_equal(replay(path, {"x": x}, 0, 0)["y"], x)


def test_a_wait_for_nothing_is_a_deadlock(tmp_path: Path) -> None:
    stage = copying_stage((1, 16), DataType.FLOAT32, StoreMode.N1)
    stuck = copy_command(1, 1, COEFF_ADDRESS, stage.outputs[0].address, 16)
    groups = (CommandGroup(b"", stuck),)
    path = saved(tmp_path, Net("stuck", (replace(stage, groups=groups),)))
    with pytest.raises(VendorError, match="deadlock"):
        replay(path, {"x": samples((1, 16), DataType.FLOAT32)}, 0, 0)


def test_unwritten_memory_follows_the_noise(tmp_path: Path) -> None:
    stage = copying_stage((1, 16), DataType.FLOAT32, StoreMode.N1)
    bad = copy_command(1, 0, COEFF_ADDRESS + 12288, stage.outputs[0].address, 16)
    path = saved(tmp_path, Net("bad", (replace(stage, groups=(CommandGroup(b"", bad),)),)))
    x = samples((1, 16), DataType.FLOAT32)
    outputs = [replay(path, {"x": x}, 0, seed)["y"].tobytes() for seed in (1, 1, 2)]
    assert outputs[0] == outputs[1] != outputs[2]


@pytest.mark.parametrize("path", VENDOR_FILES, ids=lambda path: path.stem)
def test_the_vendors_program_runs_from_our_file(tmp_path: Path, path: Path) -> None:
    bmodel = read(path.read_bytes(), path.name)
    ours = tmp_path / "ours.bmodel"
    ours.write_bytes(write(bmodel))
    inputs = {t.name: samples(t.shape, t.data_type) for t in bmodel.nets[0].stages[0].inputs}
    expected = run_bmodel(path, inputs)
    assert expected
    for found in (run_bmodel(ours, inputs), replay(ours, inputs, order_seed=1, noise_seed=2)):
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, strict=True)


def test_the_vendors_files_are_there() -> None:
    assert len(VENDOR_FILES) >= 5
