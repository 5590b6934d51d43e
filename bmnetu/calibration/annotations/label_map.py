"""Which class of the net a name of the annotations is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bmnetu.calibration.data.faults import MisfitError, reading
from bmnetu.files.reading import read_bytes

MOST_BYTES = 1 << 20
WHAT = "a label map"
ITEM = re.compile(r"\bitem\s*\{([^{}]*)\}")
FIELD = re.compile(r"(\w+)\s*:\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s,;\"']+))")
NAMES, NUMBERS = ("name", "display_name"), ("label", "id")
"""The fields of an item, of Caffe's label maps and of TensorFlow's."""


@dataclass(frozen=True)
class Classes:
    """The classes of a net: 0 to before ``count``, without ``background``; None: not known, or
    there is none."""

    count: int | None = None
    background: int | None = None

    @property
    def shown(self) -> list[int] | None:
        """The classes that boxes have."""
        if self.count is None:
            return None
        return [label for label in range(self.count) if label != self.background]

    def in_order(self, names: Sequence[str]) -> dict[str, int]:
        """The class of each name when they are listed in the order of the classes, with the
        background or without it. Raises :class:`MisfitError`."""
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        if twice is not None:
            raise MisfitError(f'names "{twice}" twice')
        shown = self.shown
        if self.count is None or shown is None or len(names) == self.count:
            return {name: label for label, name in enumerate(names)}
        if len(names) == len(shown):
            return dict(zip(names, shown, strict=True))
        beside = f" ({len(shown)} beside the background)" if len(shown) < self.count else ""
        raise MisfitError(f"names {len(names)} classes, the net has {self.count}{beside}")


def read_label_map(path: Path, classes: Classes) -> Mapping[str, int]:
    """The class of every name: of a list of names, one a line in the order of the classes, or of
    a label map of Caffe's SSD or of TensorFlow (item { name, label or id }).

    Raises :class:`InputFileError`.
    """
    data = read_bytes(path, WHAT, MOST_BYTES)
    with reading(path, WHAT):
        lines = [line.split("#")[0].strip() for line in data.decode().splitlines()]
        text = "\n".join(lines)
        if not ITEM.search(text):
            return classes.in_order([line for line in lines if line])
        return dict(_pairs(text, classes))


def _pairs(text: str, classes: Classes) -> Iterator[tuple[str, int]]:
    rest = ITEM.sub("", text).strip()
    if rest:
        raise MisfitError(f"has {rest[:32]!r} outside its items")
    seen: dict[str, int] = {}
    for number, item in enumerate(ITEM.finditer(text), 1):
        fields = {
            key: quoted or single or bare
            for key, quoted, single, bare in FIELD.findall(item[1])
        }
        label = next((fields[key] for key in NUMBERS if key in fields), "")
        if not (label.isascii() and label.isdigit() and len(label) < 10):
            raise MisfitError(f"item {number} has no label or id that is a whole number")
        if classes.count is not None and int(label) >= classes.count:
            raise MisfitError(f"item {number} is class {label}, the net has {classes.count}")
        for name in dict.fromkeys(fields[key] for key in NAMES if fields.get(key)):
            if seen.setdefault(name, int(label)) != int(label):
                raise MisfitError(f'names "{name}" twice')
            yield name, int(label)
