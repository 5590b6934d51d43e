"""Statistics over batches: the same to the last bit whoever computes them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import distributed
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info  # pyright: ignore[reportMissingTypeStubs]

from bmnetu.calibration.data.accumulate import PortableFunction, accumulate
from bmnetu.calibration.data.dataset import CalibrationData, open_data
from bmnetu.calibration.run.crew import ALONE, Crew
from bmnetu.calibration.thresholds.channels import Channels
from bmnetu.calibration.thresholds.histograms import Histograms
from bmnetu.errors import InputFileError, UsageError
from bmnetu.files.dump import module_text
from bmnetu.frontend import load_network
from dialects.blob import Array
from dialects.execute import execute
from dialects.ufw.layer import shape_of
from dialects.ufw.reference import evaluate
from passes.module.functions import main_function
from tests.calibration.harness import Files, data_layer, layer
from tests.random_nets import random_module

CONV = "convolution_param { num_output: 8 kernel_size: 3 }"
NET = (
    data_layer(2, 3, 24, 24)
    + layer("Convolution", "data", "c", CONV)
    + layer("ReLU", "c", "r")
    + layer("InnerProduct", "r", "f", "inner_product_param { num_output: 7 }")
)


class Sums:
    """Float sums of every blob: their last bits depend on the order."""

    def __init__(self) -> None:
        self.sums: dict[str, Array] = {}
        self.order: list[float] = []

    def watch(self, name: str, array: Array) -> None:
        self.sums[name] = array.sum(axis=0, dtype=np.float32)
        self.order.append(float(array.flat[0]))

    def merge(self, other: Sums) -> None:
        for name, value in other.sums.items():
            self.sums[name] = self.sums.get(name, np.float32(0)) + value
        self.order += other.order


class Deadly(Sums):
    """Ends its process."""

    def watch(self, name: str, array: Array) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Threads:
    """How many threads the BLAS library may use."""

    def __init__(self) -> None:
        self.most = 0

    def watch(self, name: str, array: Array) -> None:
        libraries = cast(list[dict[str, Any]], threadpool_info())
        self.most = max(each["num_threads"] for each in libraries)

    def merge(self, other: Threads) -> None:
        self.most = max(self.most, other.most)


class Interrupted(Sums):
    """The user presses Ctrl-C when the third batch is there."""

    def merge(self, other: Sums) -> None:
        super().merge(other)
        if len(self.order) == 3:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    files = Files.of(tmp_path_factory.mktemp("net"), NET)
    np.savez_compressed(files.folder / "data.npz", allow_pickle=False, **files.samples(7))
    return files


@pytest.fixture(scope="module")
def cluster() -> Generator[str]:
    local: Any = distributed.LocalCluster
    with local(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


def data_of(files: Files, crew: Crew) -> CalibrationData:
    return open_data(files.folder / "data.npz", {"data": (2, 3, 24, 24)}, 100, crew=crew)


def sums(files: Files, crew: Crew) -> Sums:
    function = main_function(load_network(files.model, files.weight).module)
    return accumulate(function, data_of(files, crew), Sums)


def assert_same(found: Sums, expected: Sums) -> None:
    assert found.order == expected.order
    assert found.sums.keys() == expected.sums.keys()
    for name, value in expected.sums.items():
        assert np.array_equal(found.sums[name], value), name


@pytest.mark.parametrize("workers", [2, 3])
def test_processes_give_the_same_bits_in_the_same_order(files: Files, workers: int) -> None:
    assert_same(sums(files, Crew(workers)), sums(files, ALONE))


def test_a_dask_cluster_gives_the_same_bits_in_the_same_order(files: Files, cluster: str) -> None:
    assert_same(sums(files, Crew(dask=cluster)), sums(files, ALONE))


@pytest.mark.parametrize("crew", [{"workers": 2}, {"dask": ""}], ids=["processes", "dask"])
def test_the_umodel_is_the_same(
    files: Files, cluster: str, crew: dict[str, object], tmp_path: Path
) -> None:
    path = Path(os.path.relpath(files.folder / "data.npz"))
    flags = crew if "workers" in crew else {"dask": cluster}
    alone = files.calibrate(path, outdir=tmp_path / "alone").result
    spread = files.calibrate(path, outdir=tmp_path / "spread", **flags).result
    assert spread.umodel.read_bytes() == alone.umodel.read_bytes()
    assert spread.prototxt.read_bytes() == alone.prototxt.read_bytes()


@pytest.mark.parametrize("crew", [Crew(2), Crew(dask="")], ids=["processes", "dask"])
def test_the_first_faulty_batch_is_told(files: Files, cluster: str, crew: Crew) -> None:
    array = files.samples(6)["data"]
    array[5, 0, 0, 0] = array[9, 0, 0, 0] = np.nan
    np.save(files.folder / "nan.npy", array)
    crew = crew if crew.dask is None else Crew(dask=cluster)
    data = open_data(files.folder / "nan.npy", {"data": (2, 3, 24, 24)}, 100, crew=crew)
    with pytest.raises(InputFileError, match="sample 5 has numbers that are not finite"):
        accumulate(None, data, Sums)


def test_a_process_that_ends_is_told(files: Files) -> None:
    with pytest.raises(InputFileError, match="-workers=2: a process ended; memory may be too"):
        accumulate(None, data_of(files, Crew(2)), Deadly)


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:1", "tcp://127.0.0.1:1", "tcp://x:y"])
def test_a_missing_scheduler_is_told(files: Files, address: str) -> None:
    with pytest.raises(UsageError, match=f"-dask={address}: no Dask scheduler answers"):
        accumulate(None, data_of(files, Crew(dask=address)), Sums)


def test_workers_of_another_version_are_refused(
    files: Files, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bmnetu.calibration.run.crew.VERSION", "9.9")
    with pytest.raises(UsageError, match=r"has not bmnetu 9\.9, but '0"):
        accumulate(None, data_of(files, Crew(dask=cluster)), Sums)


def test_workers_and_dask_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="-workers and -dask"):
        Crew(2, "tcp://127.0.0.1:1")


@pytest.mark.parametrize("seed", range(12))
def test_a_function_travels_exactly(seed: int) -> None:
    function = main_function(random_module(seed, integer=False))
    copy = pickle.loads(pickle.dumps(PortableFunction(function))).function
    assert module_text(copy) == module_text(function)
    random = np.random.default_rng(seed)
    inputs = [
        random.standard_normal(shape_of(arg)).astype(np.float32) for arg in function.body.block.args
    ]
    found, expected = execute(copy, inputs, evaluate), execute(function, inputs, evaluate)
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


@given(st.integers(1, 6), st.integers(0, 99))
def test_merged_statistics_are_those_of_all_data(parts: int, seed: int) -> None:
    array = np.random.default_rng(seed).standard_normal((12, 5)).astype(np.float32)
    array[3, 2] = np.inf
    array[4] = 0
    magnitudes = np.abs(array[np.isfinite(array)])
    largest = {"a": float(magnitudes.max())}
    channels, histograms = Channels(), Histograms(largest)
    for part in np.array_split(array, parts):
        one, other = Channels(), Histograms(largest)
        one.watch("a", part)
        other.watch("a", part)
        channels.merge(one)
        histograms.merge(other)
    assert channels.largest("a") == largest["a"]
    assert channels.faulty == {"a"}
    known = np.where(np.isfinite(array), array, 0).astype(np.float64)
    assert np.array_equal(channels.peaks["a"], np.abs(known).max(axis=0))
    assert np.allclose(channels.mean_square("a"), (known**2).mean(axis=0))
    expected, _ = np.histogram(magnitudes[magnitudes > 0], 2048, (0, largest["a"]))
    moved = np.abs(np.cumsum(histograms.counts["a"]) - np.cumsum(expected)).max()
    assert histograms.counts["a"].sum() == expected.sum() == 54
    assert moved <= 1


@pytest.mark.parametrize("crew", [ALONE, Crew(2)], ids=["alone", "processes"])
def test_an_interrupt_ends_the_pass(files: Files, crew: Crew) -> None:
    before = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt):
        accumulate(None, data_of(files, crew), Interrupted)
    assert set(multiprocessing.active_children()) == before


@pytest.mark.parametrize("crew", [ALONE, Crew(2)], ids=["alone", "processes"])
def test_the_blas_library_has_one_thread(files: Files, crew: Crew) -> None:
    assert accumulate(None, data_of(files, crew), Threads).most == 1


def test_a_script_needs_no_guard_for_its_processes(files: Files) -> None:
    script = files.folder / "script.py"
    script.write_text(
        "import bmnetu\n"
        "print('once')\n"
        f"bmnetu.calibrate({str(files.model)!r}, {str(files.weight)!r}, "
        f"{str(files.folder / 'data.npz')!r}, {str(files.folder / 'out')!r}, workers=2)\n"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("once\n", "", 0)
