"""A note: a sentence for the user, and the code of its page in ``-explain=CODE``."""

from __future__ import annotations

LABEL = "note: "
"""What a note's line begins with."""


class Note(str):
    """A sentence for the user that changes no exit code.

    ``code`` is a short word that stays as it is, while sentences may change.
    """

    code: str

    def __new__(cls, code: str, sentence: str) -> Note:
        """The sentence is the text itself."""
        note = super().__new__(cls, sentence)
        note.code = code
        return note

    @classmethod
    def of_line(cls, line: str) -> Note | None:
        """The note of a line that a ``report`` gets; None where the line is no note."""
        if not line.startswith(LABEL):
            return None
        sentence, _, code = line.removeprefix(LABEL).removesuffix("]").rpartition(" [")
        return cls(code, sentence)

    @property
    def coded(self) -> str:
        """The sentence with its code, as it is printed."""
        return f"{self} [{self.code}]"

    @property
    def line(self) -> str:
        """The line that a ``report`` gets."""
        return LABEL + self.coded

    def record(self) -> dict[str, str]:
        """As JSON has it."""
        return {"code": self.code, "text": str(self)}
