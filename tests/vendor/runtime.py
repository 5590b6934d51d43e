"""Run a bmodel on the vendor's software: the real BMRuntime, or its simulator command by command.

The vendor's libraries end the process when an assertion of theirs fails, so each run happens in a
process of its own. They are found by the environment variable BM1684_VENDOR, the folder that has
``lib/libbmrt.so.1.0``, ``lib/libbmlib.so.0`` and ``lib/libcmodel_bm1684.so``.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = multiprocessing.get_context("forkserver")
"""They begin with the modules that they need, which take longer to import than most runs take."""
PROCESSES.set_forkserver_preload(["tests.vendor.bmrt", "tests.vendor.replayer"])


class VendorError(Exception):
    """The vendor's software refused the file or died; the message has its last words."""


def vendor_library(name: str) -> Path:
    """The path of a library of the vendor's."""
    folder = os.environ.get("BM1684_VENDOR")
    if not folder:
        raise VendorError("set BM1684_VENDOR to the folder with the vendor's libraries")
    return Path(folder) / "lib" / name


def run_bmodel(
    path: Path, inputs: Mapping[str, Array], net: str = "", seconds: float = 600
) -> dict[str, Array]:
    """The outputs of the net (by default the first) on the real BMRuntime, all tensors 1N.

    Inputs have the data types of the bmodel; their shapes choose the stage.
    """
    return run_bmodel_often(path, [inputs], net, seconds)[0]


def run_bmodel_often(
    path: Path, inputs: Sequence[Mapping[str, Array]], net: str = "", seconds: float = 600
) -> list[dict[str, Array]]:
    """The same for several inputs one after the other, of any shapes that the bmodel takes."""
    given = joined_sets(inputs)
    return split_sets(_in_a_process("tests.vendor.bmrt", path, given, [net], seconds))


def replay(
    path: Path, inputs: Mapping[str, Array], order_seed: int, noise_seed: int,
    net: str = "", seconds: float = 600,
) -> dict[str, Array]:
    """The outputs when the simulator executes the commands one by one.

    Where both engines may go on, ``order_seed`` chooses; ``noise_seed`` chooses the noise that
    all memories hold at the start. Outputs that depend on either show a missing wait or a read of
    unwritten memory.
    """
    arguments = [net, str(order_seed), str(noise_seed)]
    return _in_a_process("tests.vendor.replayer", path, inputs, arguments, seconds)


def _in_a_process(
    module: str, path: Path, inputs: Mapping[str, Array], arguments: list[str], seconds: float
) -> dict[str, Array]:
    """Calls a module's ``main(MODEL, INPUTS, OUTPUTS, ...)`` and reads what it saved."""
    with tempfile.TemporaryDirectory(prefix="bmnetu-vendor-") as name:
        given, made, log = (Path(name) / x for x in ("in.npz", "out.npz", "log"))
        save_arrays(given, inputs)
        files = [str(path.resolve()), str(given), str(made)]
        process = PROCESSES.Process(target=_call, args=(module, [*files, *arguments], log))
        process.start()
        process.join(seconds)
        code = process.exitcode
        process.kill()
        if code or not made.exists():
            words = log.read_bytes().decode(errors="replace")[-2000:] if log.exists() else ""
            how = f"took more than {seconds} s" if code is None else f"ended with {code}"
            raise VendorError(f"{module} {how}: {words}")
        return load_arrays(made)


def _call(module: str, arguments: list[str], log: Path) -> None:
    """Calls a module's main in this process, whose output goes to a file."""
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    import_module(module).main(*arguments)


def joined_sets(sets: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Several sets of arrays as one, whose names begin with the number of the set."""
    return {f"{i}/{name}": array for i, each in enumerate(sets) for name, array in each.items()}


def split_sets(arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    """The opposite of :func:`joined_sets`."""
    found: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        number, own = name.split("/", 1)
        found.setdefault(number, {})[own] = array
    return list(found.values())


def load_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an npz whose first array is the list of their names."""
    with np.load(path) as file:
        names = [str(name) for name in file["arr_0"]]
        return {name: file[f"arr_{i + 1}"] for i, name in enumerate(names)}


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """The opposite of :func:`load_arrays`."""
    np.savez(path, np.array(list(arrays), dtype=np.str_), *arrays.values())


def leave(code: int = 0) -> None:
    """End the process at once: the vendor's clean-up is slow and noisy, and can crash."""
    sys.stdout.flush()
    os._exit(code)
