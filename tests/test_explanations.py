"""-explain: every code has a page, the docs have the same rows, every tool prints them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bmnetu import cli, errors, opt
from bmnetu.command_line.explanations import CAUSES, EXIT_PAGES, NOTES, explain, pages_of
from bmnetu.inspect import command_line
from bmnetu.start import INTERRUPTED
from passes.verification.cause import RULES
from tests.inspect.files import Capture

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs/errors.md").read_text().splitlines()
SOURCES = {path: path.read_text() for path in (ROOT / "bmnetu").rglob("*.py")}
TOOLS: dict[str, Callable[[list[str]], int]] = {
    "bmnetu": cli.main,
    "bmnetu-calibrate": cli.calibrate_main,
    "bmnetu-opt": opt.main,
    "bmnetu-model": command_line.main,
}


def rows_behind(header: str) -> list[str]:
    """The rows of the table of the docs with this header."""
    at = next(i for i, line in enumerate(DOCS) if line.startswith(header)) + 2
    stop = next(i for i in range(at, len(DOCS)) if not DOCS[i])
    return DOCS[at:stop]


def test_the_docs_have_the_same_rows() -> None:
    assert rows_behind("| code |") == [page.row() for page in EXIT_PAGES]
    assert rows_behind("| cause |") == [page.row() for page in CAUSES]
    assert rows_behind("| note |") == [page.row() for page in NOTES]


def test_every_exception_and_every_cause_has_a_page() -> None:
    found = [getattr(errors, name) for name in vars(errors) if name.endswith("Error")]
    raised = {(each.__name__, each.exit_code) for each in found}
    told = {(page.exception, page.number) for page in EXIT_PAGES if "Error" in page.exception}
    assert told == raised
    assert pages_of(str(INTERRUPTED))[0].exception == "KeyboardInterrupt"
    assert {rule.name for rule in RULES} <= {page.code for page in CAUSES}


def codes_of_notes() -> Iterator[str]:
    """The codes of all notes in the sources."""
    for text in SOURCES.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Note":
                code = node.args[0]
                if ast.unparse(code) != "note.code":  # a note again, with its place
                    assert isinstance(code, ast.Constant), ast.unparse(node)
                    yield str(code.value)


def test_every_note_has_a_page_and_every_page_a_note() -> None:
    assert set(codes_of_notes()) == {page.code for page in NOTES}
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", page.code) for page in NOTES)
    assert all(page.meaning and page.remedy and page.causes for page in NOTES)


def test_no_note_is_printed_without_its_code() -> None:
    """A line that begins with "note: " is made by a Note; what the terminal prints has a code."""
    literal = re.compile(r"""["']note: """)
    assert [path.name for path, text in SOURCES.items() if literal.search(text)] == ["note.py"]
    calls = [
        call for text in SOURCES.values()
        for call in re.findall(r"""(?i)terminal(?:\("[\w-]+"\))?\.note\((.*)\)""", text)
    ]  # fmt: skip
    assert len(calls) >= 3
    assert all(call.endswith(".coded") for call in calls)


def test_no_code_has_two_pages_but_the_exit_code_5() -> None:
    names = [page.code for page in (*EXIT_PAGES, *NOTES, *CAUSES)]
    assert len(set(names)) == len(names)
    assert [page.code for page in pages_of("5")] == ["accuracy", "compare", "fault"]
    assert all(len(pages_of(name.replace(" ", "-"))) == 1 for name in names)
    assert pages_of("[unread-input]") == pages_of("Unread_Input") == pages_of("unread input")


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("words", [["-explain=4"], ["--explain", "unsupported"]])
def test_every_tool_prints_the_page(tool: str, words: list[str], capsys: Capture) -> None:
    assert TOOLS[tool](words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out == explain("4") + "\n"
    assert "exit code 4: unsupported" in out
    assert "In Python it is UnsupportedError." in out
    assert "bmnetu -list_ops" in out
    assert max(map(len, out.splitlines())) <= 92


@pytest.mark.parametrize("words", [["eval", "-explain=shift"], ["info", "--explain=shift"]])
def test_subcommands_do_so_too(words: list[str], capsys: Capture) -> None:
    tool = TOOLS["bmnetu-calibrate" if words[0] == "eval" else "bmnetu-model"]
    assert tool(words) == 0
    assert capsys.readouterr().out == explain("shift") + "\n"


@pytest.mark.parametrize("tool", TOOLS)
def test_an_unknown_code_lists_all(tool: str, capsys: Capture) -> None:
    assert TOOLS[tool](["-explain=shfit"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(
        f"{tool}: error: -explain=shfit: -explain requires a code, perhaps shift: 0, 1, 2, 3, 4, 5,"
    )
    for page in (*EXIT_PAGES, *NOTES, *CAUSES):
        assert page.code.replace(" ", "-") in err
    assert TOOLS[tool](["-explain="]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "-explain=: -explain requires a code: 0, 1, 2, 3" in err
    assert TOOLS[tool](["-explain"]) == 2
    assert "-explain requires a value: -explain=CODE" in capsys.readouterr().err


@pytest.mark.parametrize("tool", TOOLS)
def test_several_codes_have_a_page_each(tool: str, capsys: Capture) -> None:
    assert TOOLS[tool](["-explain=3", "-explain=4", "-explain=file"]) == 0
    assert capsys.readouterr().out == explain("3") + "\n\n" + explain("4") + "\n"


def test_no_page_speaks_of_what_stands_elsewhere() -> None:
    texts = [page.text() for page in (*EXIT_PAGES, *NOTES, *CAUSES)]
    assert [text for text in texts if re.search(r"\b(the same in|below|above)\b", text, re.I)] == []
