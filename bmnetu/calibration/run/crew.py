"""Who computes over the batches: this process, processes of its own, or a Dask cluster.

Whoever computes, results come in the order of the batches, and a batch is computed by one thread of
the BLAS library: its sums depend on the number of threads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from bmnetu.errors import InputFileError, UsageError
from bmnetu.interrupts import uninterrupted
from bmnetu.version import VERSION

AHEAD = 2
"""How many batches a worker is given before their results are asked for."""
DASK_PATIENCE = 10
"""Seconds that a scheduler may take to answer."""

ResultT_co = TypeVar("ResultT_co", covariant=True)
ResultT = TypeVar("ResultT")


class Job(Protocol[ResultT_co]):
    """Work on one batch. It can be pickled; copies of it work in other processes."""

    def run(self, index: int) -> ResultT_co: ...


@dataclass(frozen=True)
class Crew:
    """How many processes compute, or the address of the Dask scheduler whose workers do."""

    workers: int = 1
    dask: str | None = None

    def __post_init__(self) -> None:
        if self.dask is not None and self.workers != 1:
            raise UsageError("-workers and -dask: one of both can be given")

    @contextmanager
    def results(
        self, job: Job[ResultT], count: int, fragile: Path | None = None
    ) -> Generator[Iterator[ResultT]]:
        """The job's results for the batches 0 to ``count``, in order.

        ``fragile`` is a file whose reading may end a process, which must not be this one. Raises
        what the job raises for the first batch that fails, and :class:`InputFileError` when a
        process ends.
        """
        if self.dask is not None:
            with _dask(self.dask, job) as (submit, workers):
                yield _in_order(submit, count, AHEAD * workers)
        elif self.workers > 1 or fragile:
            with _processes(self.workers, job, fragile) as submit:
                yield _in_order(submit, count, AHEAD * self.workers)
        else:
            yield (_alone(job, index) for index in range(count))


ALONE = Crew()
"""This process."""


class _Future(Protocol[ResultT_co]):
    def result(self) -> ResultT_co: ...


def _in_order(
    submit: Callable[[int], _Future[ResultT]], count: int, ahead: int
) -> Iterator[ResultT]:
    """Results in the order of the batches; never more than ``ahead`` batches are under way."""
    waiting: deque[_Future[ResultT]] = deque()
    for index in range(count):
        waiting.append(submit(index))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


# -- in every process that computes ----------------------------------------------------------------

_at_work = threading.Lock()
_jobs: list[Job[Any]] = []
"""The job of this worker process."""


def _alone(job: Job[ResultT], index: int) -> ResultT:
    """Runs a batch; one at a time in a process, whose threads (Dask has some) share the data."""
    with _at_work, threadpool_limits(1, "blas"):
        return job.run(index)


def _begin(job: Job[Any]) -> None:
    """Begins a worker process: the parent alone answers Ctrl-C, and a worker dies with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _jobs[:] = [job]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(index: int) -> Any:
    return _alone(_jobs[0], index)


# -- crews -----------------------------------------------------------------------------------------


@contextmanager
def _processes(
    workers: int, job: Job[ResultT], fragile: Path | None
) -> Generator[Callable[[int], _Future[ResultT]]]:
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["bmnetu.calibration.calibrate"])
        _begin_forkserver()
    else:
        context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _begin, (job,))

    def submit(index: int) -> _Future[ResultT]:
        with uninterrupted(), _nobody_as_main():  # it may start a process
            return pool.submit(_work, index)

    try:
        yield submit
    except BrokenProcessPool as error:
        raise InputFileError(
            f"{fragile}: is damaged: it ended the process that read it"
            if fragile
            else f"-workers={workers}: a process ended; memory may be too small for so many"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_forkserver() -> None:
    """Begins the process that forks the workers. It inherits that Ctrl-C is blocked, and they from
    it: the parent alone answers, or every process would complain."""
    resource_tracker.ensure_running()  # else the forkserver starts it, which unblocks Ctrl-C
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _nobody_as_main():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


@contextmanager
def _nobody_as_main() -> Generator[None]:
    """Processes that are started do not import the caller's script, which may have no guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _dask(
    address: str, job: Job[ResultT]
) -> Generator[tuple[Callable[[int], _Future[ResultT]], int]]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise UsageError(f"-dask={address}: requires pip install 'bmnetu[dask]'") from error
    try:
        _knock(address)
        client = distributed.Client(address, timeout=DASK_PATIENCE)
    except (OSError, ValueError) as error:
        raise UsageError(f"-dask={address}: no Dask scheduler answers there ({error})") from error
    with client:
        workers = len(_agreeing(client, address))
        sent = client.scatter(job, broadcast=True, hash=False)
        try:
            yield (lambda index: client.submit(_alone, sent, index, pure=False)), workers
        except (OSError, CancelledError, distributed.KilledWorker) as error:
            raise InputFileError(
                f"-dask={address}: workers ended; memory may be too small or the data damaged"
            ) from error


def _knock(address: str) -> None:
    """Raises OSError or ValueError when nobody listens at an address: Dask would try for long."""
    place = urlsplit(address if "://" in address else f"tcp://{address}")
    if not place.hostname or not place.port:
        raise ValueError("an address is like tcp://host:8786")
    socket.create_connection((place.hostname, place.port), DASK_PATIENCE).close()


def _agreeing(client: Any, address: str) -> dict[str, Any]:
    """The cluster's workers, which have to have this bmnetu."""
    found = client.run(resolve_name, "bmnetu.version:VERSION", on_error="return")
    if not found:
        raise UsageError(f"-dask={address}: the cluster has no workers")
    for worker, version in found.items():
        if version != VERSION:
            raise UsageError(
                f"-dask={address}: worker {worker} has not bmnetu {VERSION}, but {version!r}"
            )
    return found
