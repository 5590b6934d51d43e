"""The rules of the structure, read off the source files themselves."""

from __future__ import annotations

import ast
import graphlib
import re
from collections import Counter
from pathlib import Path

import pytest

from bmnetu.pipeline import DIALECTS as BMNETU_DIALECTS
from passes import ALL_PASSES

ROOT = Path(__file__).parents[1]
PACKAGES = ("dialects", "passes", "bmnetu")
"""A package imports itself and those before it."""
MOST_FILES = 16
"""Modules of a folder."""
MOST_PASSES = 24
"""Modules of a folder of passes, which have their names out of one list."""

DIALECTS = ("ufw", "quant", "tile", "npu", "record")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LEAVES = [
    path for path in SOURCES
    if path.relative_to(ROOT).parts[:3] == ("dialects", "bm1684", "isa")
    or path.relative_to(ROOT).parts == ("dialects", "bm1684", "chip.py")
]
PASS_FILES = [
    path for path in SOURCES
    if path.name not in ("__init__.py", "base.py")
    and path.parent in [ROOT / "passes", *(ROOT / "passes" / d for d in DIALECTS)]
]
"""Passes: those between two dialects, and those on one. Other folders hold no pass."""


OTHERS_ON_ONNX = [
    path for path in SOURCES
    if ROOT / "bmnetu" / "frontend" / "onnx" not in path.parents and "onnx" in path.read_text()
]


def name_of(path: Path) -> str:
    """A path for messages and test ids."""
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    """The modules that a file imports; a leading dot stays for a relative import."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


PASS_BASES = ("ModulePass", "NpuFunctionPass", "ComparePass")


def passes_in(path: Path) -> list[ast.ClassDef]:
    """The passes of a file: its classes that derive from ModulePass or NpuFunctionPass."""
    return [
        node for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in PASS_BASES for base in node.bases)
    ]


def assigned_text(node: ast.ClassDef, attribute: str) -> object:
    """The constant that a class assigns to an attribute."""
    for item in node.body:
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant):
            if [ast.unparse(target) for target in item.targets] == [attribute]:
                return item.value.value
    return None


def test_there_are_sources() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(PACKAGES)
    assert LEAVES
    assert PASS_FILES


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_package_imports_no_later_one(path: Path) -> None:
    own = PACKAGES.index(path.relative_to(ROOT).parts[0])
    forbidden = {*PACKAGES[own + 1 :], "tests"}
    wrong = {module for module in imported(path) if module.split(".")[0] in forbidden}
    assert not wrong, f"{name_of(path)} imports upwards: {sorted(wrong)}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_are_absolute(path: Path) -> None:
    wrong = {module for module in imported(path) if module.startswith(".")}
    assert not wrong, f"{name_of(path)} imports relatively: {sorted(wrong)}"


def module_of(path: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


def loaded(path: Path) -> set[str]:
    """The modules of ours that a file imports as it is loaded."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else f"{node.module}" for name in names}
    return found & MODULES.keys()


GRAPH = {module: loaded(path) for module, path in MODULES.items()}


def test_no_import_cycles() -> None:
    graphlib.TopologicalSorter(GRAPH).prepare()  # raises CycleError


def test_folders_beside_each_other_import_one_way() -> None:
    """Of the folders of one folder: those in calibration, in frontend and so on."""
    edges: dict[str, set[str]] = {}
    for module, targets in GRAPH.items():
        for target in targets:
            ours, theirs = (name.split(".") for name in (module, target))
            same = [a == b for a, b in zip(ours, theirs, strict=False)]
            depth = (*same, False).index(False) + 1
            folders = [".".join(words[:depth]) for words in (ours, theirs)]
            are_folders = all(MODULES.get(x, ROOT).name == "__init__.py" for x in folders)
            if are_folders and not all(same):
                edges.setdefault(folders[0], set()).add(folders[1])
    graphlib.TopologicalSorter(edges).prepare()  # raises CycleError


def test_no_folder_holds_more_than_can_be_looked_through() -> None:
    counts = Counter(path.parent for path in SOURCES if path.name != "__init__.py")
    of_passes = {ROOT / "passes" / name for name in DIALECTS}
    most = {path: MOST_PASSES if path in of_passes else MOST_FILES for path in counts}
    assert not {name_of(path): n for path, n in counts.items() if n > most[path]}


def test_the_parts_of_a_calibration_do_not_see_its_options() -> None:
    folder = ROOT / "bmnetu" / "calibration"
    for path in folder.glob("*/*.py"):
        assert "bmnetu.options" not in imported(path), name_of(path)


@pytest.mark.parametrize("path", OTHERS_ON_ONNX, ids=name_of)
def test_one_folder_imports_the_onnx_package(path: Path) -> None:
    """Which is an extra: the others import neither the package nor, as they load, the folder."""
    body = ast.parse(path.read_text()).body
    loaded = {node.module or "" for node in body if isinstance(node, ast.ImportFrom)}
    assert not {name for name in imported(path) if name.split(".")[0] == "onnx"}
    assert not {name for name in loaded if name.startswith("bmnetu.frontend.onnx")}


@pytest.mark.parametrize("path", LEAVES, ids=name_of)
def test_the_chip_and_its_instructions_stand_alone(path: Path) -> None:
    own = "dialects.bm1684.isa" if path.parent.name == "isa" else "dialects.bm1684.chip"
    wrong = {
        module for module in imported(path)
        if module.split(".")[0] in (*PACKAGES, "xdsl") and not (module + ".").startswith(own + ".")
    }
    assert not wrong, f"{name_of(path)} imports {sorted(wrong)}"


@pytest.mark.parametrize("path", PASS_FILES, ids=name_of)
def test_a_pass_file_holds_the_pass_of_its_name(path: Path) -> None:
    found = [(node.name, assigned_text(node, "name")) for node in passes_in(path)]
    words = path.stem.split("_")
    expected = ("".join(map(str.capitalize, words)) + "Pass", "-".join(words))
    assert found == [expected], f"{name_of(path)} must hold one pass, {expected}; it has {found}"


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path not in (*PASS_FILES, ROOT / "passes" / "base.py")],
    ids=name_of,
)
def test_only_pass_files_hold_passes(path: Path) -> None:
    assert not passes_in(path)


def test_every_pass_of_one_dialect_begins_with_its_name() -> None:
    wrong = [
        name_of(path) for path in PASS_FILES
        if path.parent.name in DIALECTS and not path.stem.startswith(path.parent.name + "_")
    ]
    assert not wrong


def test_every_pass_file_is_in_all_passes() -> None:
    listed = {item.__module__ for item in ALL_PASSES}
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PASS_FILES}
    assert listed == files
    assert len(ALL_PASSES) == len(listed), "a pass is listed twice"


@pytest.mark.parametrize("name", [item.name for item in ALL_PASSES])
def test_every_pass_has_a_lit_test(name: str) -> None:
    path = ROOT / "lit_tests" / "passes" / f"{name}.mlir"
    assert path.exists(), f"{name_of(path)} is missing"
    assert name in path.read_text().split("\n", 1)[0], f"{name_of(path)} does not run {name}"


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_has_round_trips_of_all_its_ops(name: str) -> None:
    dialect = next(each for each in BMNETU_DIALECTS if each.name == name)
    folder = ROOT / "lit_tests" / "dialects" / name
    text = "".join(file.read_text() for file in sorted(folder.glob("ops*.mlir")))
    missing = [op.name for op in dialect.operations if not re.search(rf"\b{op.name}\b", text)]
    assert not missing
