"""What -explain prints: a page for every exit code, note, and cause that a compare names.

The tables of docs/errors.md are made of the same rows.
"""

from __future__ import annotations

from bmnetu.command_line.explanations.causes import CAUSES
from bmnetu.command_line.explanations.exit_codes import EXIT_PAGES
from bmnetu.command_line.explanations.notes import NOTES
from bmnetu.command_line.explanations.page import Page
from bmnetu.command_line.kinds import ValueKind
from bmnetu.nearest import nearest

__all__ = ["CAUSES", "CODE", "EXIT_PAGES", "KNOWN", "NOTES", "explain", "pages_of"]

PAGES = (*EXIT_PAGES, *NOTES, *CAUSES)
KNOWN = (*dict.fromkeys(str(page.number) for page in EXIT_PAGES), *(page.word for page in PAGES))
"""What can be explained, as users type it."""


def pages_of(text: str) -> list[Page]:
    """The pages of an exit code, of its name, of a note or of a cause; words may be joined by
    ``-``, ``_`` or a space, and a note's code may stand in its brackets."""
    word = text.strip().strip("[]").lower().replace(" ", "-").replace("_", "-")
    if not word:
        return []
    return [page for page in PAGES if word in (page.word, str(page.number), page.exception.lower())]


def explain(*codes: str) -> str:
    """What -explain prints for codes that are known; each page once."""
    pages = {page.code: page for text in codes for page in pages_of(text)}
    return "\n\n".join(page.text() for page in pages.values())


def _read_code(text: str) -> str:
    if not pages_of(text):
        near = nearest(text, KNOWN) if text else ""
        hint = f", perhaps {near}" if near else ""
        raise ValueError(f"a code{hint}: {', '.join(KNOWN)}")
    return text


CODE = ValueKind("CODE", _read_code, values=KNOWN)
