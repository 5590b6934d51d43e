"""Annotations of Pascal VOC and COCO: what is read, and one sentence for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bmnetu.calibration.annotations.label_map import Classes, read_label_map
from bmnetu.calibration.annotations.truth import Truth
from bmnetu.calibration.annotations.truths import AnnotationSource, truths_of
from bmnetu.calibration.annotations.voc import CLASSES, read_voc
from bmnetu.calibration.data.images import open_images
from bmnetu.calibration.data.preprocess import Preprocess
from bmnetu.errors import InputFileError

VOC, THREE = Classes(21, 0), Classes(4, 0)
SIZE = (40, 20)
"""Width and height of the pictures."""


def voc_object(name: str, *corners: float, difficult: str = "0") -> str:
    box = "".join(
        f"<{corner}>{x}</{corner}>"
        for corner, x in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    )
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    difficulty = f"<difficult>{difficult}</difficult>"
    return f"<object><name>{name}</name>{difficulty}{part}<bndbox>{box}</bndbox></object>"


def voc_text(*objects: str, size: str = "<width>40</width><height>20</height>") -> str:
    return f"<annotation><size>{size}</size>{''.join(objects)}</annotation>"


class Pictures:
    """Pictures in a folder, and annotations beside them."""

    def __init__(self, folder: Path, count: int = 1, **contract: tuple[int, ...]) -> None:
        self.folder, self.notes = folder, list[str]()
        (folder / "jpg").mkdir()
        (folder / "xml").mkdir()
        for i in range(count):
            Image.new("RGB", SIZE).save(folder / "jpg" / f"p{i}.png")
        resolved = Preprocess(**contract).resolved((1, 3, 10, 10))  # pyright: ignore[reportArgumentType]
        self.images = open_images(folder / "jpg", resolved, 3)

    def voc(self, *texts: str) -> None:
        for i, text in enumerate(texts):
            (self.folder / "xml" / f"p{i}.xml").write_text(text)

    def coco(self, **changes: Any) -> None:
        found = {
            "images": [{"id": 5, "file_name": "train/p0.png", "width": 40, "height": 20}],
            "categories": [{"id": 7, "name": "y"}, {"id": 3, "name": "x"}, {"id": 9, "name": "z"}],
            "annotations": [coco_object()],
        }
        (self.folder / "coco.json").write_text(json.dumps({**found, **changes}))

    def truths(self, classes: Classes, where: str, label_map: str | None = None) -> list[Truth]:
        path = None
        if label_map is not None:
            path = self.folder / "labels.txt"
            path.write_text(label_map)
        source = AnnotationSource(self.folder / where, path)
        return list(truths_of(source, self.images, classes, self.notes.append))

    def refused(self, where: str, label_map: str | None = None, classes: Classes = THREE) -> str:
        """The one sentence, without the folder."""
        with pytest.raises(InputFileError) as caught:
            self.truths(classes, where, label_map)
        assert "\n" not in caught.value.message
        return caught.value.message.replace(f"{self.folder}/", "")


def coco_object(**changes: Any) -> dict[str, Any]:
    found = {"id": 1, "image_id": 5, "category_id": 7, "bbox": [4, 2, 20, 10], "iscrowd": 0,
             "segmentation": [[1, 2, 3]], "area": 200}  # fmt: skip
    return {**found, **changes}


# -- what is read ----------------------------------------------------------------------------------


def test_voc_files(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, 2)
    cat, person = voc_object("cat", 4, 2, 24, 12), voc_object("person", 0, 0, 40, 20, difficult="1")
    pictures.voc(voc_text(cat, person), voc_text())
    first, second = pictures.truths(VOC, "xml")
    assert first.boxes == pytest.approx(np.array([[0.1, 0.1, 0.6, 0.6], [0, 0, 1, 1]]))
    assert first.labels.tolist() == [8, 15]
    assert (first.ignored.tolist(), first.crowd.tolist()) == ([False, True], [False, False])
    assert second.boxes.shape == (0, 4)
    assert not pictures.notes


def test_the_size_may_be_missing_or_that_of_a_larger_picture(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, 2)
    cat = voc_object("cat", 4, 2, 24, 12)
    pictures.voc(voc_text(cat, size=""), voc_text(cat, size="<width>80</width><height>0</height>"))
    first, second = pictures.truths(VOC, "xml")
    assert first.boxes == pytest.approx(np.array([[0.1, 0.1, 0.6, 0.6]]))
    assert second.boxes == pytest.approx(np.array([[0.05, 0.1, 0.3, 0.6]]))


def test_a_coco_file(tmp_path: Path) -> None:
    """Categories are in the order of their ids: 3, 7, 9 are classes 1, 2, 3."""
    pictures = Pictures(tmp_path)
    crowd = coco_object(category_id=9, iscrowd=1, bbox=[0, 0, 40.0, 20])
    pictures.coco(annotations=[coco_object(), crowd])
    (truth,) = pictures.truths(THREE, "coco.json")
    assert truth.boxes == pytest.approx(np.array([[0.1, 0.1, 0.6, 0.6], [0, 0, 1, 1]]))
    assert truth.labels.tolist() == [2, 3]
    assert (truth.ignored.tolist(), truth.crowd.tolist()) == ([False, True], [False, True])
    assert pictures.truths(Classes(3, None), "coco.json")[0].labels.tolist() == [1, 2]


def test_coco_with_a_label_map(tmp_path: Path) -> None:
    """By the category's name, or by its id as Caffe's label map of COCO has it."""
    pictures = Pictures(tmp_path)
    pictures.coco(annotations=[coco_object(), coco_object(category_id=3)])
    names = "background\ny\nother\nx\n"
    assert pictures.truths(THREE, "coco.json", names)[0].labels.tolist() == [1, 3]
    items = 'item { name: "7" label: 3 display_name: "person" }\nitem { name: "x" label: 2 }'
    assert pictures.truths(THREE, "coco.json", items)[0].labels.tolist() == [3, 2]
    only = 'item { id: 1 name: "y" }'
    assert pictures.truths(THREE, "coco.json", only)[0].labels.tolist() == [1]
    assert pictures.notes == [
        f"1 objects do not count, as {tmp_path / 'labels.txt'} does not have their class: x"
    ]


@pytest.mark.parametrize(
    ("text", "classes", "expected"),
    [
        ("cat\n\n dog # best\nfish", THREE, {"cat": 1, "dog": 2, "fish": 3}),
        ("cat\ndog\nfish", Classes(4, 2), {"cat": 0, "dog": 1, "fish": 3}),
        ("none\ncat\ndog\nfish", THREE, {"none": 0, "cat": 1, "dog": 2, "fish": 3}),
        ("cat\ndog\nfish\ncow", Classes(4), {"cat": 0, "dog": 1, "fish": 2, "cow": 3}),
        ("cat\ndog", Classes(), {"cat": 0, "dog": 1}),
        ("item {\n  name: 'cat'\n  label: 3\n  display_name: \"Cat\"\n}", THREE,
         {"cat": 3, "Cat": 3}),
    ],
)  # fmt: skip
def test_label_maps(
    tmp_path: Path, text: str, classes: Classes, expected: dict[str, int]
) -> None:
    (tmp_path / "labels").write_text(text)
    assert read_label_map(tmp_path / "labels", classes) == expected


def test_a_crop_cuts_boxes(tmp_path: Path) -> None:
    """40 x 20 pixels become 20 x 10, of which 10 x 10 stay: 10 to 30 of the picture."""
    pictures = Pictures(tmp_path, resize=(10,), crop=(10, 10))
    corners = [(12, 4, 22, 14), (26, 0, 38, 20), (0, 0, 8, 8), (5, 0, 25, 20)]
    pictures.voc(voc_text(*(voc_object("cat", *each) for each in corners)))
    (truth,) = pictures.truths(VOC, "xml")
    expected = [[0.1, 0.2, 0.6, 0.7], [0.8, 0, 1, 1], [0, 0, 0.75, 1]]
    assert truth.boxes == pytest.approx(np.array(expected))
    assert truth.ignored.tolist() == [False, True, False]


# -- what cannot be read ---------------------------------------------------------------------------

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(b + 1)} "{f"&{chr(b)};" * 10}">' for b in range(97, 110))
    + "]><annotation>&n;</annotation>"
)
OUTER = '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>'
CAT = (4, 2, 24, 12)
HOSTILE_XML = {
    BOMB: "declares a document type; annotations have none",
    OUTER: "declares a document type",
    "<annotation>": "cannot be read as annotations of Pascal VOC: no element found",
    "": "is empty",
    "\0\1": "cannot be read as annotations of Pascal VOC",
    "<a/>": "begins with <a>",
    "<annotation>" + "<a>" * 100_000: "cannot be read as annotations of Pascal VOC",
    voc_text("<object/>"): "object 1 has no name",
    voc_text("<object><name>cat</name></object>"): "object 1 has no bndbox",
    voc_text(voc_object("cat", *CAT).replace("ymax", "y")): "object 1 has no ymax",
    voc_text(voc_object("cat", *CAT).replace("24", "wide")): "has xmax 'wide'; a number",
    voc_text(voc_object("cat", *CAT).replace("24", "nan")): "has the box 4, 2, nan, 12",
    voc_text(voc_object("cat", *CAT).replace("24", "1e999")): "has the box 4, 2, inf, 12",
    voc_text(voc_object("cat", 24, 2, 4, 12)): "object 1 has the box 24, 2, 4, 12",
    voc_text(voc_object("cat", *CAT, difficult="?")): "is difficult '?'; 0 or 1 is expected",
    voc_text(voc_object("cat", 41, 2, 50, 12)): "has the box 41, 2, 50, 12 outside its 40 x 20",
    voc_text(voc_object("unicorn", *CAT)): 'has objects of class "unicorn", which is none of',
    voc_text(size="<width>-1</width><height>2</height>"): "its width is -1",
    voc_text(): "has no objects that are to be found",
    voc_text(voc_object("cat", *CAT, difficult="1")): "has no objects that are to be found",
}


@pytest.mark.parametrize(
    ("text", "said"), HOSTILE_XML.items(), ids=[str(i) for i in range(len(HOSTILE_XML))]
)
def test_hostile_xml(tmp_path: Path, text: str, said: str) -> None:
    pictures = Pictures(tmp_path)
    pictures.voc(text)
    assert said in pictures.refused("xml", classes=VOC)


def test_xml_in_utf_16_declares_no_entities_either(tmp_path: Path) -> None:
    text = BOMB.replace('"1.0"', '"1.0" encoding="utf-16"')
    (tmp_path / "a.xml").write_bytes(text.encode("utf-16"))
    with pytest.raises(InputFileError, match="declares a document type"):
        read_voc(tmp_path / "a.xml")


def test_large_xml_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(voc_text(" " * (1 << 22)))
    with pytest.raises(InputFileError, match="more than annotations of Pascal VOC can have"):
        read_voc(tmp_path / "a.xml")


def test_missing_files(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    assert pictures.refused("xml", classes=VOC).startswith("xml/p0.xml: no such file")
    assert pictures.refused("coco.json").startswith("coco.json: no such file")
    pictures.coco()
    (tmp_path / "labels.txt").mkdir()
    source = AnnotationSource(tmp_path / "coco.json", tmp_path / "labels.txt")
    with pytest.raises(InputFileError, match="is not a file; a label map is expected"):
        truths_of(source, pictures.images, THREE, print)


HUGE = 10**400
HOSTILE_COCO: dict[str, tuple[dict[str, Any] | str, str]] = {
    "no json": ("[", "cannot be read as annotations of COCO"),
    "nested": ("[" * 100_000, "cannot be read as annotations of COCO"),
    "bytes": ("\0", "cannot be read as annotations of COCO"),
    "a list": ("[]", "the whole is no object"),
    "nan": ('{"images": [NaN]}', "holds NaN, which is no number of JSON"),
    "nothing": ("{}", 'the whole has no "categories"'),
    "types": ({"images": {}}, "the whole: images is no list"),
    "items": ({"images": [3]}, "images[0] is no object"),
    "no name": ({"images": [{"id": 1}]}, 'images[0] has no "file_name"'),
    "a name": ({"images": [{"id": 1, "file_name": 3}]}, "images[0]: file_name is no text"),
    "an id": ({"images": [{"id": "1", "file_name": "a"}]}, "images[0]: id is no whole number"),
    "ids": ({"images": [{"id": 1, "file_name": x} for x in "ab"]}, "images[1] has the id 1"),
    "twice": ({"images": [{"id": i, "file_name": f"{i}/p0.png"} for i in (5, 6)]}, "p0.png"),
    "no picture": ({"images": []}, "annotations[0] is of image 5, which is not in"),
    "other": ({"images": [{"id": 5, "file_name": "q.png"}]}, "does not have the picture jpg/p0"),
    "size": ({"images": [{"id": 5, "file_name": "p0.png", "width": -2}]}, "images[0] is -2 x 0"),
    "width": ({"images": [{"id": 5, "file_name": "p0.png", "width": []}]}, "width is no number"),
    "category": ({"annotations": [coco_object(category_id=1)]}, "of category 1, not in"),
    "bbox": ({"annotations": [coco_object(bbox=[1, 2])]}, "has a bbox of 2 numbers; 4 are"),
    "text": ({"annotations": [coco_object(bbox=[1, 2, "3", 4])]}, "bbox is no number"),
    "huge": ({"annotations": [coco_object(bbox=[1, 2, HUGE, 4])]}, "bbox is too large"),
    "large": ({"annotations": [coco_object(bbox=[1, 2, "@", 4])]}, "has the box 1, 2, inf, 6"),
    "negative": ({"annotations": [coco_object(bbox=[1, 2, -3, 4])]}, "has the box 1, 2, -2, 6"),
    "outside": ({"annotations": [coco_object(bbox=[50, 2, 3, 4])]}, "outside its 40 x 20 pixels"),
    "crowd": ({"annotations": [coco_object(iscrowd="yes")]}, "iscrowd is no number"),
    "classes": ({"categories": [{"id": 7, "name": "y"}]},
                "names 1 classes, the net has 4 (3 beside the background): -label_map has to say"),
    "empty": ({"annotations": []}, "has no objects that are to be found"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE_COCO)
def test_hostile_coco(tmp_path: Path, case: str) -> None:
    pictures = Pictures(tmp_path)
    found, said = HOSTILE_COCO[case]
    if isinstance(found, str):
        (tmp_path / "coco.json").write_text(found)
    else:
        pictures.coco(**found)
        path = tmp_path / "coco.json"
        path.write_text(path.read_text().replace('"@"', "1e999"))
    assert said in pictures.refused("coco.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat\ncat\ndog", 'names "cat" twice'),
        ("cat\ndog", "names 2 classes, the net has 4 (3 beside the background)"),
        ('item { name: "cat" }', "item 1 has no label or id"),
        ('item { name: "cat" label: -1 }', "item 1 has no label or id"),
        ('item { name: "cat" label: 4 }', "item 1 is class 4, the net has 4"),
        ('item { name: "a" label: 1 } item { name: "a" label: 2 }', 'names "a" twice'),
        ('item { name: "a" label: 1 } cat', "has 'cat' outside its items"),
    ],
)
def test_label_maps_that_do_not_fit(tmp_path: Path, text: str, said: str) -> None:
    pictures = Pictures(tmp_path)
    pictures.coco()
    assert pictures.refused("coco.json", text).startswith(f"labels.txt: {said}")


def test_a_label_map_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(b"\xff\xfe\0")
    with pytest.raises(InputFileError, match="cannot be read as a label map"):
        read_label_map(tmp_path / "labels", THREE)


def test_the_net_has_other_classes_than_voc(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path)
    pictures.voc(voc_text(voc_object("cat", *CAT)))
    said = pictures.refused("xml")
    assert said == "xml: the net detects 3 classes, Pascal VOC has 20: -label_map has to name them"
    assert len(CLASSES) == 20
    assert pictures.truths(Classes(), "xml")[0].labels.tolist() == [7], "no classes are known"


