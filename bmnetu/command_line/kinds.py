"""The kinds of values that flags have: text to value, and what is expected in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_DIMENSION = (1 << 31) - 1
MAX_RANK = 8
MAX_COUNT = 1 << 16
MAX_SIDE = 1 << 14
"""The largest side of an image."""
BOOLEANS = {"0": False, "1": True, "false": False, "true": True}


@dataclass(frozen=True)
class ValueKind:
    """A type of value: its word in the help, and text to value (ValueError says what it requires).

    ``join`` stands between several values, as in a sequence that is given from Python; with
    ``arrays`` a numpy array, or several by name, may be given from Python in place of a path.
    ``values`` are all that there are, where they are few; a shell completes them.
    """

    word: str
    read: Callable[[str], Any]
    join: str = ""
    arrays: bool = False
    values: tuple[str, ...] = ()


def _read_path(text: str) -> Path:
    if not text:
        raise ValueError("a path")
    return Path(text)


def _read_page(text: str) -> Path:
    """The name says .html, so that no other file is overwritten by mistake."""
    path = _read_path(text)
    if path.suffix.lower() != ".html":
        raise ValueError("a path that ends in .html")
    return path


def _read_name(text: str) -> str:
    if not text:
        raise ValueError("a name")
    return text


def _read_boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise ValueError("0, 1, true or false")
    return BOOLEANS[text.lower()]


def _read_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(names):
        raise ValueError("names with a comma between them")
    return names


def _read_numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise ValueError("numbers with a comma between them") from None


def _read_size(text: str) -> tuple[int, ...]:
    """``HxW`` or one number."""
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(_is_side(number) for number in numbers):
        raise ValueError(f"a size like 224x224 or 224, of 1 to {MAX_SIDE}")
    return tuple(int(number) for number in numbers)


def _read_counts(text: str) -> tuple[int, ...]:
    words = text.split(",")
    known = all(w.isascii() and w.isdigit() and len(w) <= len(str(MAX_COUNT)) for w in words)
    counts = tuple(map(int, words)) if known else (0,)
    if not all(1 <= n <= MAX_COUNT for n in counts):
        raise ValueError(f"whole numbers from 1 to {MAX_COUNT} with a comma between them")
    return counts


def _read_thresholds(text: str) -> tuple[float, ...]:
    return tuple(map(number("X", 1e-30, 1e30).read, text.split(",")))


def _is_side(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= MAX_SIDE


def integer(word: str, low: int, high: int) -> ValueKind:
    def read(text: str) -> int:
        digits = text.removeprefix("-")
        known = digits.isascii() and digits.isdigit() and len(digits) <= len(str(high))
        if not known or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return ValueKind(word, read)


def number(word: str, low: float, high: float) -> ValueKind:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"a number from {low} to {high}")
        return value

    return ValueKind(word, read)


def choice(*names: str, **synonyms: str) -> ValueKind:
    """One of some names in any case. ``synonyms`` are other spellings of scripts, not shown."""
    known = {name.lower(): name for name in names}
    known |= {other.lower(): name for other, name in synonyms.items()}

    def read(text: str) -> str:
        if text.lower() not in known:
            raise ValueError(f"{', '.join(names[:-1])} or {names[-1]}")
        return known[text.lower()]

    return ValueKind("|".join(names), read, values=names)


def read_shapes(text: str) -> tuple[tuple[int, ...], ...]:
    """``[1,3,224,224],[1,10]``, or the same in one more pair of brackets, to tuples.

    Raises ValueError for anything else: 1 to 8 dimensions a shape, each from 1 to 2**31-1.
    """
    expected = ValueError("shapes like [1,3,224,224],[1,10]")
    body = "".join(text.split())
    if body.startswith("[[") and body.endswith("]]"):
        body = body[1:-1]
    if not (body.startswith("[") and body.endswith("]")):
        raise expected
    shapes: list[tuple[int, ...]] = []
    for item in body[1:-1].split("],["):
        numbers = item.split(",")
        digits = all(n.isascii() and n.isdigit() and len(n) <= 10 for n in numbers)
        if not digits or len(numbers) > MAX_RANK:
            raise expected
        shapes.append(tuple(int(n) for n in numbers))
        if not all(1 <= n <= MAX_DIMENSION for n in shapes[-1]):
            raise ValueError(f"dimensions from 1 to {MAX_DIMENSION}")
    return tuple(shapes)


def read_shape_sets(text: str) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """One set of shapes, or several in brackets: ``[[[1,3,9,9]],[[4,3,9,9]]]``."""
    body = "".join(text.split())
    if not (body.startswith("[[[") and body.endswith("]]]")):
        return (read_shapes(body),)
    return tuple(read_shapes(f"[{each}]") for each in body[3:-3].split("]],[["))


SWITCH = ValueKind("", lambda text: True)
"""A flag that takes no value."""
PATH, NAME = ValueKind("PATH", _read_path), ValueKind("NAME", _read_name)
PAGE = ValueKind("FILE.html", _read_page)
DATA = ValueKind("FILE", _read_path, arrays=True)
NAMES = ValueKind("A,B", _read_names, ",")
SIZE, NUMBERS = ValueKind("HxW|N", _read_size, "x"), ValueKind("X,...", _read_numbers, ",")
BOOLEAN = ValueKind("true|false", _read_boolean, values=("true", "false"))
SHAPES = ValueKind("[N,C,H,W],...", read_shapes)
SHAPE_SETS = ValueKind("[N,C,H,W],...", read_shape_sets)
COUNTS = ValueKind("N,...", _read_counts, ",")
COUNT, SEED = integer("N", 1, MAX_COUNT), integer("N", 0, (1 << 32) - 1)
COSINE, IOU, DROP = number("X", 0, 1), number("X", 0.5, 1), number("POINTS", 0, 100)
THRESHOLDS = ValueKind("X,...", _read_thresholds, ",")
LEVEL = ValueKind("0|1|2", integer("", 0, 2).read, values=("0", "1", "2"))
VERBOSITY = integer("0..4", 0, 4)
