"""docs/flags.md: the flags of the tools, out of their tables.

``python -m bmnetu.command_line.page > docs/flags.md`` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bmnetu.command_line.calibrate_flags import CALIBRATE_FLAGS, EVALUATE_FLAGS, WHAT_IF_FLAGS
from bmnetu.command_line.compile_flags import COMPILE_FLAGS
from bmnetu.command_line.flags import Flag, default_text

TOOLS: dict[str, Sequence[Flag]] = {
    "bmnetu": COMPILE_FLAGS,
    "bmnetu-calibrate": CALIBRATE_FLAGS,
    "bmnetu-calibrate eval": EVALUATE_FLAGS,
    "bmnetu-calibrate what_if": WHAT_IF_FLAGS,
}
HEAD = """\
# Flags

Made out of the tables that the tools themselves read. Flags are written `-flag=value` or
`-flag value`, with one dash or two; a boolean may stand alone, or as `-noflag`. From Python they
are arguments of `bmnetu.compile`, `calibrate`, `evaluate` and `what_if`, by the same names
(`report` is `report_file` there). The flags of `bmnetu-model` are in [model.md](model.md).
"""


def markdown() -> str:
    """The page."""
    return "\n".join([HEAD, *(line for tool in TOOLS for line in _table(tool))])


def _table(tool: str) -> Iterator[str]:
    yield f"## {tool}\n"
    yield "| flag | value | default | |"
    yield "|---|---|---|---|"
    for flag in TOOLS[tool]:
        default = "necessary" if flag.necessary else _cell(default_text(flag))
        yield f"| `-{flag.name}` | {_cell(flag.kind.word)} | {default} | {_cell(flag.help)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(markdown(), end="")
