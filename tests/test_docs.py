"""The docs: docs/flags.md is made, links lead somewhere. Commands: test_docs_commands.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bmnetu.command_line import page

ROOT = Path(__file__).parents[1]


def test_the_page_of_flags_is_made() -> None:
    why = "run python -m bmnetu.command_line.page > docs/flags.md"
    assert (ROOT / "docs" / "flags.md").read_text() == page.markdown(), why


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    assert [link for link in links if not (path.parent / link).exists()] == []
