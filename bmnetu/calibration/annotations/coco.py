"""Annotations of COCO: one JSON for all pictures."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path, PureWindowsPath
from typing import Any, NoReturn, cast

from bmnetu.calibration.annotations.truth import Annotation, Object, checked_box
from bmnetu.calibration.data.faults import MisfitError, reading
from bmnetu.files.reading import read_bytes

MOST_BYTES = 1 << 28
"""Of the file; those of COCO's validation sets have 20 MB."""
WHAT = "annotations of COCO"
OUTLINES = "segmentation"
"""Most of the file, and not needed."""


@dataclass(frozen=True)
class Coco:
    """The categories, name by id in the order of the ids, and the annotations of pictures by file
    name; an object's label is the id as text."""

    categories: dict[int, str]
    pictures: dict[str, Annotation]


def read_coco(path: Path, names: Collection[str]) -> Coco:
    """What the JSON says of the pictures of these file names, as far as it has them.

    Raises :class:`InputFileError`.
    """
    data = read_bytes(path, WHAT, MOST_BYTES)
    with reading(path, WHAT):
        root = _Item.of(json.loads(data, object_hook=_reduced, parse_constant=_refuse), "the whole")
        categories = {each.whole("id"): each.text("name") for each in root.items("categories")}
        every, chosen = _pictures(root, names)
        objects: dict[int, list[Object]] = {key: [] for key in chosen}
        for each in root.items("annotations"):
            key, category = each.whole("image_id"), each.whole("category_id")
            if key not in every:
                raise MisfitError(f'{each.what} is of image {key}, which is not in "images"')
            if category not in categories:
                raise MisfitError(f'{each.what} is of category {category}, not in "categories"')
            if key in chosen:
                objects[key].append(_object(each, category))
        found = {
            name: Annotation(size, tuple(objects[key])) for key, (name, size) in chosen.items()
        }
        return Coco(dict(sorted(categories.items())), found)


def _reduced(item: dict[str, Any]) -> dict[str, Any]:
    item.pop(OUTLINES, None)
    return item


def _refuse(constant: str) -> NoReturn:
    raise MisfitError(f"holds {constant}, which is no number of JSON")


def _pictures(
    root: _Item, names: Collection[str]
) -> tuple[set[int], dict[int, tuple[str, tuple[float, float]]]]:
    """The ids of all images; and name and size by id of those that are asked for."""
    every: set[int] = set()
    found: dict[int, tuple[str, tuple[float, float]]] = {}
    taken: set[str] = set()
    for each in root.items("images"):
        key = each.whole("id")
        name = PureWindowsPath(each.text("file_name")).name  # both kinds of slashes
        if key in every:
            raise MisfitError(f"{each.what} has the id {key} of another one")
        every.add(key)
        if name not in names:
            continue
        if name in taken:
            raise MisfitError(f'names the picture "{name}" twice')
        taken.add(name)
        width, height = each.number("width", 0), each.number("height", 0)
        if not (0 <= width < inf and 0 <= height < inf):
            raise MisfitError(f"{each.what} is {width:g} x {height:g} pixels")
        found[key] = (name, (width, height))
    return every, found


def _object(item: _Item, category: int) -> Object:
    box = item.array("bbox")
    if len(box) != 4:
        raise MisfitError(f"{item.what} has a bbox of {len(box)} numbers; 4 are expected")
    left, top, width, height = (_number(x, f"{item.what}: bbox") for x in box)
    crowd = item.number("iscrowd", 0) != 0
    try:
        corners = checked_box((left, top, left + width, top + height))
    except MisfitError as error:
        raise MisfitError(f"{item.what} {error}") from None
    return Object(str(category), corners, ignored=crowd, crowd=crowd)


@dataclass(frozen=True)
class _Item:
    """An object of the JSON, and what messages call it. Raises MisfitError for other types."""

    values: dict[str, object]
    what: str

    @staticmethod
    def of(value: object, what: str) -> _Item:
        if not isinstance(value, dict):
            raise MisfitError(f"{what} is no object of JSON")
        return _Item(cast(dict[str, object], value), what)

    def items(self, name: str) -> Iterator[_Item]:
        for i, value in enumerate(self.array(name)):
            yield _Item.of(value, f"{name}[{i}]")

    def array(self, name: str) -> list[object]:
        value = self._get(name)
        if not isinstance(value, list):
            raise MisfitError(f"{self.what}: {name} is no list")
        return cast(list[object], value)

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str):
            raise MisfitError(f"{self.what}: {name} is no text")
        return value

    def whole(self, name: str) -> int:
        value = self._get(name)
        if not isinstance(value, int):
            raise MisfitError(f"{self.what}: {name} is no whole number")
        return value

    def number(self, name: str, default: float) -> float:
        return _number(self.values.get(name, default), f"{self.what}: {name}")

    def _get(self, name: str) -> object:
        if name not in self.values:
            raise MisfitError(f'{self.what} has no "{name}"')
        return self.values[name]


def _number(value: object, what: str) -> float:
    if not isinstance(value, int | float):
        raise MisfitError(f"{what} is no number")
    try:
        return float(value)
    except OverflowError:
        raise MisfitError(f"{what} is too large") from None
