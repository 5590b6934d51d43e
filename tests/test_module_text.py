"""Texts of modules that are damaged, nested or hostile are one error, at once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.printer import Printer
from xdsl.utils.exceptions import ParseError

from bmnetu.errors import InputFileError
from bmnetu.files.module_text import parse_module
from bmnetu.files.text_printer import TextPrinter
from bmnetu.files.weights_file import WeightsFile
from bmnetu.opt import main
from bmnetu.pipeline import new_context


@pytest.mark.parametrize("end", ["", "\\ride", "\\", "\n", "\\x", "\\0"])
@pytest.mark.parametrize("begin", ["", "@"])
def test_a_string_that_does_not_end_is_found_in_linear_time(begin: str, end: str) -> None:
    text = f'builtin.module {begin}"' + "a" * 100_000 + end
    with pytest.raises(ParseError, match="before closing string literal"):
        parse_module(new_context(), text.encode(), "it.mlir")


def test_strings_are_what_they_are_in_mlir() -> None:
    text = r'builtin.module attributes {a = "x\22y\\\n\t\41", b = ""} {}'
    found = parse_module(new_context(), text.encode(), "it.mlir").attributes
    assert [getattr(found[key], "data") for key in "ab"] == ['x"y\\\n\tA', ""]  # noqa: B009


NESTED = {
    "modules": "builtin.module {" * 5000 + "}" * 5000,
    "attributes": "builtin.module attributes {a = " + "[" * 5000 + "]" * 5000 + "} {}",
    "types": "func.func private @f(" + "tuple<" * 5000 + "i32" + ">" * 5000 + ")",
}


@pytest.mark.parametrize("text", [*NESTED.values()], ids=[*NESTED])
def test_deep_nesting_is_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "it.mlir"
    path.write_text(text)
    assert main([str(path)]) == 3
    assert capsys.readouterr() == ("", f"bmnetu-opt: error: {path}: is nested too deeply\n")


@pytest.mark.parametrize("text", [b"\xff\xfe", b"builtin.module attributes {a = \xc2\xbd} {}"])
def test_junk_is_one_sentence(
    text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "it.mlir"
    path.write_bytes(text)
    assert main([str(path)]) in (1, 3)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bmnetu-opt: error: ")


# -- weights.npz -----------------------------------------------------------------------------------


def saved(path: Path, compressed: bool = False, **arrays: Any) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


def test_arrays_are_read_by_name(tmp_path: Path) -> None:
    arrays = {"one": np.arange(6, dtype=np.int8).reshape(2, 3), "two": np.float32(3)}
    for compressed in (False, True):
        found = WeightsFile(saved(tmp_path / "w.npz", compressed, **arrays))
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array, strict=True)
        assert "three" not in found


def test_a_file_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.npz", True, one=np.zeros(100 << 20, np.int8))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputFileError, match="unpacked it has 104857728 bytes, too many"):
        WeightsFile(path)


CLAIMS = ["(500000000,)", "(6,)", "(3, -1)", "(-7, -1)", f"({2**70},)", "x", "(7,"]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_header_that_claims_something_else_is_refused(claim: str, tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    header = f"{{'descr': '|i1', 'fortran_order': False, 'shape': {claim}}}\n".encode()
    with ZipFile(path, "w") as archive:
        start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("one.npy", start + header + bytes(7))
    with pytest.raises(InputFileError, match=r"w\.npz: not a weights\.npz of a dump"):
        WeightsFile(path)["one"]


@given(st.binary())
def test_strings_are_printed_as_xdsl_prints_them(data: bytes) -> None:
    ours, theirs = io.StringIO(), io.StringIO()
    TextPrinter(ours).print_bytes_literal(data)
    Printer(theirs).print_bytes_literal(data)
    assert ours.getvalue() == theirs.getvalue()
