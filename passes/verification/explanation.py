"""What is said of a compare that failed, beside the values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """A likely cause: its ``name`` (stable, one word or two) and a phrase that says more."""

    name: str
    phrase: str


@dataclass(frozen=True)
class Explanation:
    """What is said beside the first bad tensor, or beside commands that cannot be executed.
    ``places``: how many elements are wrong and where; ``command``: which command wrote the first of
    them; both "" where no tensor is wrong."""

    cause: Cause
    places: str = ""
    command: str = ""

    def lines(self) -> list[str]:
        """For the log."""
        known = [self.places, self.command, f"likely cause: {self.cause.phrase}"]
        return [line for line in known if line]

    def sentence(self) -> str:
        """For the error."""
        return "; ".join(self.lines())


UNWRITTEN = Explanation(
    Cause(
        "unwritten memory",
        "unwritten memory: the result depends on bytes that no command has written, as where a load"
        " is missing or comes too late",
    )
)


def shared_memory(sentence: str) -> Cause:
    """Two buffers that share memory, as a sentence says."""
    return Cause("shared memory", f"memory that two tensors share: {sentence}")
