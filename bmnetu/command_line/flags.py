"""The flags of the command lines: one table a tool gives parsing, checks and help.

The tables stand in compile_flags.py and calibrate_flags.py.

Spelling follows gflags: one dash or two, ``-k=v`` or ``-k v``, ``-`` and ``_`` alike in names,
``-cmp`` and ``-nocmp``; and, as users' scripts expect, ``-cmp false`` means false. The last of
repeated flags wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, cast

from bmnetu.command_line.explanations import CODE
from bmnetu.command_line.kinds import (
    BOOLEAN,
    BOOLEANS,
    DATA,
    NAMES,
    NUMBERS,
    PATH,
    SIZE,
    ValueKind,
    choice,
)
from bmnetu.errors import UsageError
from bmnetu.nearest import nearest


@dataclass(frozen=True)
class Flag:
    """One flag. ``default_text`` is for the help where the default is not a plain value.

    ``spared_by`` is an ending of -model with which a necessary flag is not expected. The values of
    a ``repeated`` flag are kept, all of them, in a tuple. A ``question`` is for the command line:
    from Python it is no argument.
    """

    name: str
    kind: ValueKind
    help: str
    default: Any = None
    default_text: str = ""
    necessary: bool = False
    alias: str = ""
    spared_by: str = ""
    repeated: bool = False
    question: bool = False


COMMON_FLAGS = (
    Flag("help", BOOLEAN, "Print this text.", False, alias="h", question=True),
    Flag("version", BOOLEAN, "Print the version.", False, question=True),
    Flag("explain", CODE, "Print what an exit code, the code of a note, or the cause that a failed"
         " compare names means, and what to do: -explain=4, -explain=unread-input, -explain=shift;"
         " it may be given several times.", (), "none", repeated=True, question=True),
)

CONTRACT_FLAGS = (
    Flag("resize", SIZE, "Resize images to H x W, or to a shorter side of N; then -crop, -color,"
         " and (x - mean) * scale. Each of these flags goes before what the model says;"
         " arrays are only changed when a flag is given.", default_text="the input's size"),
    Flag("crop", SIZE, "Crop the centre, of the input's H x W.", default_text="none"),
    Flag("color", choice("bgr", "rgb", "gray"), "The order of the input's channels; gray makes"
         " them equal.", default_text="bgr, gray for one channel"),
    Flag("mean", NUMBERS, "Subtracted from the values, which are 0 to 255 in an image: one number,"
         " or one a channel of the input.", default_text="0"),
    Flag("scale", NUMBERS, "Then multiplied with: one number, or one a channel.",
         default_text="1"),
)


ELSEWHERE = {"completion": "bmnetu -completion=SHELL prints it for all tools"}
"""Flags that one tool has for all."""


def parse(
    flags: Sequence[Flag], words: Sequence[str], operands: list[str] | None = None
) -> dict[str, Any]:
    """The value of every flag, given or default, by name. Raises UsageError.

    Necessary flags may be missing (they are None then): see :func:`require_necessary`. Words that
    are no flags are added to ``operands``; without it there may be none.
    """
    known = {flag.name: flag for flag in flags} | {flag.alias: flag for flag in flags if flag.alias}
    values = {flag.name: flag.default for flag in flags}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or not word.strip("-"):
            if operands is not None:
                operands.append(word)
                continue
            raise UsageError(f"unexpected word {word!r}: values follow a flag, as in -flag=value")
        name, equals, text = word.removeprefix("-").removeprefix("-").partition("=")
        flag, negated = _find(known, name.replace("-", "_"))
        if negated and equals:
            raise UsageError(f"-{name} takes no value: write -{flag.name}={text}")
        if negated:
            text = "false"
        elif not equals:
            text = _next_value(known, flag, rest)
        value = _read(flag, text, f"-{flag.name}={text}")
        if flag.repeated:
            several = cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,)
            value = (*values[flag.name], *several)
        values[flag.name] = value
    return values


def require_necessary(flags: Sequence[Flag], values: Mapping[str, Any]) -> None:
    """Raise UsageError that names all necessary flags without a value."""
    ending = Path(values["model"] or "").suffix.lower()
    missing = [
        f"-{flag.name}" for flag in flags
        if flag.necessary and values[flag.name] in (None, ()) and (flag.spared_by or "-") != ending
    ]
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given: -help shows more")


def check_values(flags: Sequence[Flag], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values given from Python, checked and typed as the command line's are.

    None stands for the default. Raises UsageError, also for an unknown name.
    """
    flags = [flag for flag in flags if not flag.question]
    known = {flag.name: flag for flag in flags}
    found = {flag.name: flag.default for flag in flags}
    for name, value in values.items():
        flag, negated = _find(known, name)
        if negated:
            raise UsageError(f"{name}: write {flag.name}=False")
        if flag.kind.arrays and (isinstance(value, Mapping) or hasattr(value, "__array__")):
            found[name] = value
        elif flag.kind is NAMES and isinstance(value, (list, tuple)):
            found[name] = tuple(map(str, cast(Sequence[object], value)))
        elif flag.kind in (PATH, DATA):
            if value is not None:
                found[name] = _read(flag, _path_text(name, value), f"{name}={value!r}")
        elif value is not None:
            found[name] = _read(flag, _text(flag.kind, value), f"{name}={value!r}")
    return found


def _path_text(name: str, value: object) -> str:
    if not isinstance(value, (str, PathLike)):
        raise UsageError(f"{name}: a path is expected, not {type(value).__name__}")
    return str(cast(object, value))


def _text(kind: ValueKind, value: object) -> str:
    """A value given from Python, as the command line has it."""
    if kind.join and isinstance(value, (list, tuple)):
        return kind.join.join(map(str, cast(Sequence[object], value)))
    if isinstance(value, (list, tuple)):
        items = (_text(kind, item) for item in cast(Sequence[object], value))
        return f"[{','.join(items)}]"
    return str(value)


def note_of(flag: Flag) -> str:
    """A flag's help, and its default."""
    note = f"Default: {default_text(flag)}."
    if flag.necessary:
        note = "Necessary." + (f" Not with an {flag.spared_by}." if flag.spared_by else "")
    return f"{flag.help} {note}"


def default_text(flag: Flag) -> str:
    """A flag's default, in words."""
    if flag.default_text:
        return flag.default_text
    return str(flag.default).lower() if isinstance(flag.default, bool) else str(flag.default)


def _find(known: Mapping[str, Flag], name: str) -> tuple[Flag, bool]:
    """The flag of a name, and whether the name is its ``no`` form."""
    if name in known:
        return known[name], False
    positive = known.get(name.removeprefix("no"))
    if name.startswith("no") and positive and positive.kind is BOOLEAN:
        return positive, True
    near = nearest(name, known)
    hint = f"did you mean -{near}?" if near else "-help lists all flags"
    hint = ELSEWHERE.get(name, hint)
    raise UsageError(f"unknown flag -{name}: {hint}")


def _next_value(known: Mapping[str, Flag], flag: Flag, rest: list[str]) -> str:
    """The value of a flag written without ``=``: the next word, where that can be one."""
    if flag.kind is BOOLEAN:
        return rest.pop(0) if rest and rest[0].lower() in BOOLEANS else "true"
    after = rest[0].lstrip("-").partition("=")[0].replace("-", "_") if rest else ""
    if not rest or (rest[0].startswith("-") and after in known):
        raise UsageError(f"-{flag.name} requires a value: -{flag.name}={flag.kind.word}")
    return rest.pop(0)


def _read(flag: Flag, text: str, shown: str) -> Any:
    try:
        return flag.kind.read(text)
    except ValueError as error:
        raise UsageError(f"{shown}: -{flag.name} requires {error}") from None
