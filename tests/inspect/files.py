"""Compiled bmodels of every form, each compiled once a process, and the command line to look at
them with."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

import bmnetu
from bmnetu.bmodel import Bmodel, Net, Stage, read, write
from bmnetu.inspect.command_line import main, subcommand
from bmnetu.report.result import CompileResult
from tests import detection_nets as nets
from tests.broken import FILES, PIPELINE

Capture = pytest.CaptureFixture[str]


@cache
def result(precision: str, opt: int = 1, **flags: Any) -> CompileResult:
    """The small network of lit_tests/pipeline, compiled with the compare."""
    model, weight = FILES[precision]
    folder = Path(mkdtemp())
    return bmnetu.compile(
        PIPELINE / model, PIPELINE / "Inputs" / weight, folder, opt=opt, **flags
    )


@cache
def host_result() -> CompileResult:
    """A small SSD, whose DetectionOutput runs on the host."""
    folder = Path(mkdtemp())
    model, weight = folder / "net.prototxt", folder / "net.fp32umodel"
    model.write_text(nets.ssd(2))
    weight.write_bytes(nets.calm_weights(model).SerializeToString())
    return bmnetu.compile(model, weight, folder, opt=1)


def path_of(found: CompileResult) -> Path:
    """The file of a compilation."""
    assert found.bmodel is not None
    return found.bmodel


def contents(found: CompileResult) -> Bmodel:
    """What is in it."""
    return read(path_of(found).read_bytes(), "it")


def stage_of(found: CompileResult) -> Stage:
    """The only stage of it."""
    ((stage,),) = (net.stages for net in contents(found).nets)
    return stage


@cache
def several() -> Path:
    """Two nets; the first has two stages, for batches of 1 and 2."""
    one, two = (stage_of(result("FP32", max_n=n)) for n in (1, 2))
    size = max(one.context_size, two.context_size)
    stages = tuple(replace(stage, context_size=size) for stage in (two, one))
    path = Path(mkdtemp()) / "several.bmodel"
    second = Net("second", (stage_of(result("INT8")),))
    path.write_bytes(write(Bmodel((Net("first", stages), second))))
    return path


def files() -> dict[str, Path]:
    """A file of every form."""
    return {
        "FP32": path_of(result("FP32")),
        "INT8": path_of(result("INT8")),
        "opt 0": path_of(result("FP32", 0)),
        "opt 2": path_of(result("INT8", 2)),
        "dynamic": path_of(result("FP32", dyn=True)),
        "dynamic INT8": path_of(result("INT8", dyn=True)),
        "host": path_of(host_result()),
        "several": several(),
    }


def command(name: str, path: Path, out: Path) -> list[str]:
    """The words of a subcommand with what it must be given: the file, for a second one two nets of
    other names, and ``out`` for what it stores."""
    found = subcommand(name)
    paths = [path, several()][: len(found.operands)]
    necessary = [f"--{flag.name}={out}" for flag in found.all_flags if flag.necessary]
    return [name, *map(str, paths), *necessary]


KINDS = ("FP32", "INT8", "opt 0", "opt 2", "dynamic", "dynamic INT8", "host", "several")
STATIC = tuple(kind for kind in KINDS if not kind.startswith("dynamic"))


def file(kind: str) -> Path:
    """The file of a form."""
    return files()[kind]


SESSION = "step 3\nwaits\nwhere\nprint\nmem 0x105100000 64\nmem lmem:1:0x40 8\nrun\nwhere\n"
"""Commands of ``debug`` that go well on any sound static file."""


def run(capsys: Capture, *words: str | Path, typed: str = SESSION) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``bmnetu-model``, with what is typed in a session."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(typed))
        code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def as_json(capsys: Capture, *words: str | Path) -> Any:
    """What a subcommand that goes well prints with --json."""
    code, out, err = run(capsys, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def changed(path: Path, folder: Path, **fields: Any) -> Path:
    """The file with other fields in its only stage."""
    bmodel = read(path.read_bytes(), "it")
    ((stage,),) = (net.stages for net in bmodel.nets)
    made = folder / "changed.bmodel"
    net = Net(bmodel.nets[0].name, (replace(stage, **fields),))
    made.write_bytes(write(replace(bmodel, nets=(net,))))
    return made
