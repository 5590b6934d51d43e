"""The page of a code."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 92


@dataclass(frozen=True)
class Page:
    """What a code means. ``code`` is what users type; ``number`` the exit code, None for a note and
    for a cause of a failed compare; ``exception`` what Python raises. ``causes`` and ``examples``
    are lines, ``remedy`` is what to do; ``tool`` is set where one tool alone has it."""

    code: str
    number: int | None
    exception: str
    meaning: str
    remedy: str
    causes: Sequence[str]
    examples: Sequence[str] = ()
    tool: str = ""

    @property
    def word(self) -> str:
        """The code as one word."""
        return self.code.replace(" ", "-")

    def text(self) -> str:
        """The page."""
        title = self.code if self.number is None else f"exit code {self.number}: {self.code}"
        raised = f" In Python it is {self.exception}." if self.exception else ""
        return "\n".join([
            title,
            *_paragraph(_plain(self.meaning) + raised),
            "  Common causes:",
            *(line for each in self.causes for line in _item(each)),
            "  What to do:",
            *_paragraph(_plain(self.remedy) or "Nothing.", "    "),
            *(["  Examples:", *(f"    {each}" for each in self.examples)] if self.examples else []),
        ])  # fmt: skip

    def row(self) -> str:
        """The page's row in docs/errors.md."""
        if self.number is None:
            return f"| {self.code} | {self.meaning} | {self.remedy} |"
        name = f"`{self.exception}`" if self.exception else ""
        return f"| {self.number} | {self.code} | {name} | {self.meaning} | {self.remedy} |"


def _paragraph(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _item(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="    - ", subsequent_indent="      ")


def _plain(text: str) -> str:
    return text.replace("`", "")
