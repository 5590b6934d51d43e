"""What is to be detected in every input image, from the annotations of its picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bmnetu.calibration.annotations import coco, voc
from bmnetu.calibration.annotations.label_map import Classes, read_label_map
from bmnetu.calibration.annotations.truth import Annotation, Box, Object, Truth
from bmnetu.calibration.data.faults import MisfitError, reading
from bmnetu.calibration.data.images import Images, decoded
from bmnetu.errors import InputFileError
from bmnetu.note import Note

MOST_NAMES = 5
"""Classes that a note names."""
WHOLE = (0.0, 0.0, 1.0, 1.0)
Found = tuple[Sequence[Annotation], Mapping[str, int]]
"""The annotation of every picture, and the class of the net by label."""


@dataclass(frozen=True)
class AnnotationSource:
    """Where annotations lie: ``path`` is a folder of Pascal VOC's XML files or a JSON of COCO;
    ``label_map`` says which class of the net a name is, None: see docs/calibration.md."""

    path: Path
    label_map: Path | None = None


def truths_of(
    source: AnnotationSource, images: Images, classes: Classes, note: Callable[[Note], None]
) -> tuple[Truth, ...]:
    """What is to be detected in each of the images, as far as the net knows the classes.

    Boxes that a crop cuts are cut too, and ignored where their centre is cut off. Raises
    :class:`InputFileError` with one sentence.
    """
    found, labels = (_voc if source.path.is_dir() else _coco)(source, images.paths, classes)
    unknown = Counter(
        each.label for annotation in found for each in annotation.objects
        if each.label not in labels
    )  # fmt: skip
    if unknown and source.label_map is None:
        name = next(iter(unknown))
        raise InputFileError(
            f'{source.path}: has objects of class "{name}", which is none of Pascal VOC\'s: '
            "-label_map has to say which class of the net it is"
        )
    if unknown:
        listed = ", ".join(sorted(unknown)[:MOST_NAMES]) + ", ..." * (len(unknown) > MOST_NAMES)
        note(Note(
            "uncounted-objects",
            f"{unknown.total()} objects do not count, as {source.label_map} does not have their "
            f"class: {listed}",
        ))  # fmt: skip
    truths = tuple(
        _truth(path, annotation, labels, images)
        for path, annotation in zip(images.paths, found, strict=True)
    )
    if all(truth.ignored.all() for truth in truths):
        raise InputFileError(f"{source.path}: has no objects that are to be found in the pictures")
    return truths


def _voc(source: AnnotationSource, paths: Sequence[Path], classes: Classes) -> Found:
    files = [source.path / f"{path.stem}.xml" for path in paths]
    found = [voc.read_voc(file) for file in files]
    if source.label_map is not None:
        return found, read_label_map(source.label_map, classes)
    shown = classes.shown
    if shown is not None and len(shown) != len(voc.CLASSES):
        raise InputFileError(
            f"{source.path}: the net detects {len(shown)} classes, Pascal VOC has "
            f"{len(voc.CLASSES)}: -label_map has to name them"
        )
    return found, classes.in_order(voc.CLASSES)


def _coco(source: AnnotationSource, paths: Sequence[Path], classes: Classes) -> Found:
    found = coco.read_coco(source.path, {path.name for path in paths})
    missing = [path for path in paths if path.name not in found.pictures]
    if missing:
        raise InputFileError(f'{source.path}: "images" does not have the picture {missing[0]}')
    annotations = [found.pictures[path.name] for path in paths]
    keys = {str(key): name for key, name in found.categories.items()}
    if source.label_map is not None:
        given = read_label_map(source.label_map, classes)
        both = {key: given.get(name, given.get(key)) for key, name in keys.items()}
        known = {key: label for key, label in both.items() if label is not None}
        return [_named(each, keys, known) for each in annotations], known
    try:
        return annotations, classes.in_order(list(keys))
    except MisfitError as error:
        raise InputFileError(
            f"{source.path}: {error}: -label_map has to say which class a category is"
        ) from error


def _named(
    annotation: Annotation, names: Mapping[str, str], known: Mapping[str, int]
) -> Annotation:
    """With the names of the categories that the net does not know, for the user."""
    objects = (
        each if each.label in known else Object(names[each.label], each.box)
        for each in annotation.objects
    )
    return Annotation(annotation.size, tuple(objects))


def _truth(path: Path, found: Annotation, labels: Mapping[str, int], images: Images) -> Truth:
    with reading(path, "an image"), decoded(path) as picture:
        size = picture.size
        seen = images.contract.seen(*size)
    width, height = (given or real for given, real in zip(found.size, size, strict=True))
    rows: list[tuple[Box, int, bool, bool]] = []
    for each in found.objects:
        left, top, right, bottom = each.box
        if right < 0 or bottom < 0 or left > width or top > height:
            numbers = ", ".join(f"{x:g}" for x in each.box)
            raise InputFileError(
                f"{path}: its annotation has the box {numbers} outside its {width:g} x {height:g} "
                "pixels"
            )
        box = (left / width, top / height, right / width, bottom / height)
        if each.label in labels:
            rows += _cut(box, seen, labels[each.label], each)
    return Truth.of(rows)


def _cut(
    box: Box, seen: Box, label: int, found: Object
) -> Iterator[tuple[Box, int, bool, bool]]:
    """The object where it stands in the input; none where nothing of it does."""
    if seen == WHOLE:
        yield box, label, found.ignored, found.crowd
        return
    wide, high = seen[2] - seen[0], seen[3] - seen[1]
    left, right = ((x - seen[0]) / wide for x in box[::2])
    top, bottom = ((y - seen[1]) / high for y in box[1::2])
    if right <= 0 or bottom <= 0 or left >= 1 or top >= 1:
        return
    inside = 0 <= (left + right) / 2 <= 1 and 0 <= (top + bottom) / 2 <= 1
    cut = (max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0))
    yield cut, label, found.ignored or not inside, found.crowd
