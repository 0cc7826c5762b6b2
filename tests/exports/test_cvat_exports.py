"""Archives in exports/, which CVAT's own exporter library wrote, come back as what they were made from."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from training_exports import zipped

from pcb_aoi.exports.annotations import Report, decode_entry, index
from pcb_aoi.exports.formats import FormatError
from pcb_aoi.exports.label_names import Names

EXPORTS = Path(__file__).parent / "archives"
NAMES = Names.load(Path(__file__).resolve().parents[2] / "labelmaps" / "acid-outer-layer.yaml")
OPEN, SCRATCH, TURNED = ("open", 1, 2, 30, 40), ("scratch", 10.5, 4.25, 60, 9), ("short", 45, 15, 55, 35)
BOX, TRIANGLE = ("nick", 5, 6, 25, 26), ("nick", 30, 10, 50, 40)
Row = tuple[str, float, float, float, float]
# What each format carries: YOLO's plain boxes unturned ones, YOLO's outlines polygons alone, VOC no polygons.
CARRIED: dict[str, tuple[list[Row], list[Row]]] = {
    "coco": ([OPEN, SCRATCH, TURNED], [BOX, TRIANGLE]),
    "datumaro": ([OPEN, SCRATCH, TURNED], [BOX, TRIANGLE]),
    "labelme": ([OPEN, SCRATCH, TURNED], [BOX, TRIANGLE]),
    "voc": ([OPEN, SCRATCH, TURNED], [BOX]),
    "ultralytics-detection": ([OPEN, SCRATCH], [BOX]),
    "ultralytics-segmentation": ([], [TRIANGLE]),
    "ultralytics-oriented-boxes": ([OPEN, SCRATCH, TURNED], [BOX]),
    "yolo-1.1": ([OPEN, SCRATCH], [BOX]),
}
LOSSY = {"voc", "ultralytics-detection", "ultralytics-segmentation", "ultralytics-oriented-boxes", "yolo-1.1"}


def read(path: Path) -> tuple[dict[str, list[Row]], Report]:
    report, found = Report(), {}
    for entry in index([path], NAMES, None, report):
        scene = decode_entry(entry, report)
        rows = zip(scene.labels.tolist(), scene.boxes.tolist(), strict=True)
        found[Path(scene.name).name] = [(NAMES.slugs[label], *box) for label, box in rows]
    return found, report


@pytest.mark.parametrize("form", CARRIED)
def test_what_cvats_own_library_wrote_is_read(form: str) -> None:
    found, report = read(EXPORTS / f"{form}.zip")
    assert set(found) == {"a.jpg", "b.jpg", "clean.jpg"}
    for name, expected in zip(("a.jpg", "b.jpg", "clean.jpg"), (*CARRIED[form], []), strict=True):
        assert [row[0] for row in found[name]] == [row[0] for row in expected]
        for got, given in zip(found[name], expected, strict=True):
            assert np.allclose(got[1:], given[1:], atol=0.01)
    note = "\n".join(report.lines(NAMES.slugs))
    assert ("leaves out shapes" in note) == (form in LOSSY)


def members(form: str) -> dict[str, bytes]:
    with zipfile.ZipFile(EXPORTS / f"{form}.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("form", ["ultralytics-detection", "yolo-1.1"])
def test_lists_may_name_paths_of_another_disk(form: str, tmp_path: Path) -> None:
    given = members(form)
    given["train.txt"] = re.sub(rb"(?m)^data/", b"/home/someone/set/", given["train.txt"])
    found, _ = read(zipped(tmp_path / "x.zip", given))
    assert [row[0] for row in found["a.jpg"]] == ["open", "scratch"]


@pytest.mark.parametrize("form", ["ultralytics-detection", "yolo-1.1"])
def test_label_files_that_no_image_claims_are_refused(form: str, tmp_path: Path) -> None:
    """An image whose label file is not found would pass for a good board."""
    given = members(form)
    given["train.txt"] = b"".join(line for line in given["train.txt"].splitlines(True) if b"a.jpg" not in line)
    with pytest.raises(FormatError, match=r"1 个标注文件.*a\.txt"):
        read(zipped(tmp_path / "x.zip", given))
    given["README.txt"] = b"3 images of 2 boards in 1 task\n"  # numbers, but no boxes
    given["train.txt"] = members(form)["train.txt"]
    assert len(read(zipped(tmp_path / "y.zip", given))[0]) == 3


def test_masks_of_pascal_voc_are_refused(tmp_path: Path) -> None:
    """They stand in a picture of their own, and the .xml does not list them."""
    given = members("voc")
    given["Annotations/clean.xml"] = given["Annotations/clean.xml"].replace(b"<segmented>0", b"<segmented>1")
    with pytest.raises(FormatError, match=r"clean\.xml.*masks"):
        read(zipped(tmp_path / "x.zip", given))


@pytest.mark.parametrize(
    ("form", "member", "old", "new"),
    [
        ("datumaro", "annotations/default.json", b'"label_id":3', b'"label_id":9'),
        ("voc", "Annotations/a.xml", b"<xmin>1", b"<xmin>x"),
        ("labelme", "default/a.xml", b"<x>1.00", b"<x>nan"),
        ("yolo-1.1", "obj.names", b"\xe7\xbc\xba\xe5\x8f\xa3", b""),
    ],
)
def test_what_is_wrong_is_told_with_its_place(form: str, member: str, old: bytes, new: bytes, tmp_path: Path) -> None:
    given = members(form)
    assert old in given[member]
    given[member] = given[member].replace(old, new)
    if form == "yolo-1.1":
        given[member] = b"a\nb\n"
    with pytest.raises(FormatError, match=member if form != "yolo-1.1" else r"b\.txt:1.*class 2"):
        read(zipped(tmp_path / "x.zip", given))
