"""Annotations of Pascal VOC: an XML file a picture."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder, XMLParser

from bmnetu.calibration.annotations.truth import Annotation, Object, checked_box
from bmnetu.calibration.data.faults import MisfitError, reading
from bmnetu.files.reading import read_bytes

MOST_BYTES = 1 << 22
"""Of a file; VOC's largest has 20 KB."""
PIECE = 1 << 16
WHAT = "annotations of Pascal VOC"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
"""VOC's own, in the order in which nets are trained."""


def read_voc(path: Path) -> Annotation:
    """The objects of a picture; difficult ones are ignored. Raises :class:`InputFileError`."""
    data = read_bytes(path, WHAT, MOST_BYTES)
    with reading(path, WHAT):
        parser = XMLParser(target=_Builder())  # pyright: ignore[reportArgumentType]
        for start in range(0, len(data), PIECE):
            parser.feed(data[start : start + PIECE])
        root = parser.close()
        if root.tag != "annotation":
            raise MisfitError(f"begins with <{root.tag}>; {WHAT} begin with <annotation>")
        size = root.find("size")
        width, height = (_size(size, name) for name in ("width", "height"))
        objects = enumerate(root.findall("object"), 1)
        return Annotation((width, height), tuple(_object(each, i) for i, each in objects))


class _Builder(TreeBuilder):
    """Refuses document types: they can declare entities, which grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise MisfitError("declares a document type; annotations have none")


def _object(found: Element, number: int) -> Object:
    what = f"object {number}"
    name = (found.findtext("name") or "").strip()
    if not name:
        raise MisfitError(f"{what} has no name")
    box = found.find("bndbox")
    if box is None:
        raise MisfitError(f"{what} has no bndbox")
    left, top, right, bottom = (_number(box, corner, what) for corner in CORNERS)
    difficult = found.findtext("difficult", "0").strip()
    if difficult not in ("0", "1", ""):
        raise MisfitError(f"{what} is difficult {_short(difficult)}; 0 or 1 is expected")
    try:
        corners = checked_box((left, top, right, bottom))
    except MisfitError as error:
        raise MisfitError(f"{what} {error}") from None
    return Object(name, corners, ignored=difficult == "1")


def _size(size: Element | None, name: str) -> float:
    """0 where it is not given."""
    if size is None or size.find(name) is None:
        return 0.0
    found = _number(size, name, "size")
    if not 0 <= found < float("inf"):
        raise MisfitError(f"its {name} is {found:g}")
    return found


def _number(parent: Element, name: str, what: str) -> float:
    text = parent.findtext(name)
    if text is None:
        raise MisfitError(f"{what} has no {name}")
    try:
        return float(text)
    except ValueError:
        raise MisfitError(f"{what} has {name} {_short(text)}; a number is expected") from None


def _short(text: str) -> str:
    return repr(text[:32])
