# pyright: basic, reportMissingImports=false
"""``python tests/bench/export_onnx.py FOLDER``: networks as PyTorch exports them, for benches.

It needs an interpreter with torch, torchvision, timm, ultralytics, onnxscript and onnxruntime,
which bmnetu itself never imports. Each network gets seeded random weights and is written by
PyTorch's default exporter to ``FOLDER/default/NAME.onnx`` (its tensors in ``NAME.onnx.data``), by
the older one to ``FOLDER/legacy/NAME.onnx``, and by the older one for operator set 12, in which
files from years ago are, to ``FOLDER/opset12/NAME.onnx``. ``FOLDER/inputs.json`` has the smallest
and the largest number that the input of each holds. A line a file says how far onnxruntime is from
PyTorch.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_nets import zoo

EXPORTERS: dict[str, dict[str, Any]] = {
    "default": {"dynamo": True},
    "legacy": {"dynamo": False},
    "opset12": {"dynamo": False, "opset_version": 12},
}
"""The exporters by the folder: the arguments of ``torch.onnx.export``."""
MOST_MEMORY = 8 << 30
"""Of one network, in bytes."""


def _flat(results: Any) -> list[torch.Tensor]:
    if isinstance(results, torch.Tensor):
        return [results]
    if isinstance(results, dict):
        return _flat(list(results.values()))
    assert isinstance(results, (tuple, list))
    return [tensor for each in results for tensor in _flat(each)]


def compared(path: Path, inputs: torch.Tensor, expected: list[torch.Tensor]) -> str:
    """How far onnxruntime is from PyTorch, and how large the outputs are."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options)
    found = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
    gaps, sizes = [], []
    outputs: list[Any] = list(found)
    for a, b in zip(outputs, [each.numpy() for each in expected], strict=True):
        if a.shape != b.shape:
            gaps.append(float("nan"))
            continue
        gaps.append(np.abs(a - b).max(initial=0) / max(1e-9, np.abs(b).max(initial=0)))
        sizes.append(f"{b.std() if b.size else 0:.2g}/{np.abs(b).max(initial=0):.2g}")
    return f"differs by {max(gaps):.1e}, deviation/largest {' '.join(sizes[:4])}"


def _reason(error: BaseException) -> str:
    """The first line of what went wrong first."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def export(name: str, folder: Path, kinds: list[str]) -> list[str]:
    """Writes one network; a line a file."""
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries in C++ print, too
        os.dup2(silence, stream)
    torch.set_num_threads(1)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, hard))
    zoo.prepare()
    lines: list[str] = []
    for kind in kinds:
        begin = time.perf_counter()
        path = folder / kind / f"{name}.onnx"
        try:
            zoo.FUSED_ATTENTION = "opset_version" not in EXPORTERS[kind]
            net, inputs = zoo.NETS[name].made()
            with torch.no_grad():
                expected = _flat(net(inputs))
            torch.onnx.export(net, (inputs,), str(path), **EXPORTERS[kind])
            said = compared(path, inputs, expected)
        except Exception as error:
            said = f"FAILED: {_reason(error)}"
        lines.append(f"{kind:8} {name:32} {time.perf_counter() - begin:4.0f} s  {said}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="names, with commas between them")
    parser.add_argument("--exporters", nargs="*", default=list(EXPORTERS), choices=EXPORTERS)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    for kind in EXPORTERS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "inputs.json").write_text(json.dumps(zoo.ranges(), indent=1) + "\n")
    spawn = multiprocessing.get_context("spawn")
    for name in arguments.only.split(",") if arguments.only else zoo.NETS:
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            try:
                lines = pool.submit(export, name, folder, arguments.exporters).result()
            except Exception as error:  # the process died
                lines = [f"{name}: FAILED: {type(error).__name__}: {error}"]
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
