"""Labels as people write them, and exports that are none: named, with a cure."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from exported import ITEMS, NAMES, ROOT, read, spelled
from training_exports import Item, coco, cvat_xml, yolo, zipped

from pcb_aoi.exports.annotations import AnnotationError, index
from pcb_aoi.exports.export_archive import Archive, ArchiveError
from pcb_aoi.exports.formats import FormatError
from pcb_aoi.exports.label_names import Names, UnknownLabelError
from pcb_aoi.exports.scene import IGNORED


def test_labels_in_any_spelling_and_rules_for_the_others() -> None:
    for name in ("open", "开路", "Open", "OPEN", "断路", "ｏｐｅｎ", " open "):
        assert NAMES.indices([name])[0] == 0
    assert NAMES.slugs[NAMES.indices(["Mouse_Bite"])[0]] == "nick"
    assert NAMES.slugs[NAMES.indices(["hole-breakout"])[0]] == "hole_breakout"
    names = NAMES.with_rules(["蚀刻不良=残铜", "a=b=open", "OK="])
    assert names.slugs[names.indices(["蚀刻不良"])[0]] == "residual_copper"
    assert names.indices(["A=B"])[0] == 0
    assert names.indices(["ok"])[0] == IGNORED
    for rule in ("x", "=open", "x=nonsense"):
        with pytest.raises(UnknownLabelError):
            NAMES.with_rules([rule])


@pytest.mark.parametrize("path", sorted((ROOT / "labelmaps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_name_of_every_labelmap_is_its_own(path: Path) -> None:
    from pcb_aoi.config.labelmap import Labelmap

    names = Names.load(path)
    for label in Labelmap.load(path).labels:
        for name in (label.slug, label.name.zh, label.name.en, *label.aliases):
            assert names.slugs[names.indices([name])[0]] == label.slug


def test_unknown_labels_are_all_named_at_once_with_what_to_do(tmp_path: Path) -> None:
    boxes = (("蚀刻不良", 1, 2, 30, 40), ("kailu", 1, 1, 9, 9), ("open", 1, 1, 9, 9))
    paths = [zipped(tmp_path / f"{i}.zip", coco([Item("a.png", 60 + i, boxes=boxes[i:])])) for i in (0, 1)]
    with pytest.raises(UnknownLabelError) as caught:
        index(paths, NAMES)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("蚀刻不良 (1), kailu (2)")
    assert "open 开路" in lines[1]
    assert "--label '蚀刻不良=SLUG' --label kailu=open" in lines[2]  # pinyin proposes; it does not decide
    assert "--label '蚀刻不良=' --label kailu=" in lines[3]
    assert "labelmaps/acid-outer-layer.yaml" in lines[4]


def test_an_unknown_label_ends_the_reading_unless_it_is_ignored(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", coco([Item("a.png", boxes=(("油墨", 1, 2, 30, 40), ("open", 1, 1, 9, 9)))]))
    with pytest.raises(UnknownLabelError, match="油墨"):
        read(path)
    scenes, report = read(path, NAMES.with_rules(["油墨="]))
    assert spelled(scenes["a.png"]) == ["ignored", "open"]
    assert report.ignored == 1


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"readme.txt": b"x"}, "no known format"),
        (coco(ITEMS) | yolo(ITEMS), "COCO 1.0 and Ultralytics"),
        ({"annotations.xml": cvat_xml('<track id="0" label="x"></track>')}, "CVAT for video"),
        ({"annotations.xml": cvat_xml("")[:-20]}, "not XML"),
        ({"annotations.xml": cvat_xml('<image id="0" name="a.png" width="1"></image>')}, "'a.png'.*height"),
        ({"annotations.xml": b'<!DOCTYPE a SYSTEM "b">' + cvat_xml("")[38:]}, "document type"),
        ({"a.json": b'{"images": [{"id": 1}], "annotations": [], "categories": []}'}, "file_name"),
        ({"data.yaml": b"train: train.txt\nnames: 5\n"}, "names must be"),
        ({"data.yaml": b"train: train.txt\nnames: [a]\n"}, "none of its subsets"),
    ],
)
def test_what_is_no_export_is_told(members: dict[str, bytes], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=complaint):
        read(zipped(tmp_path / "x.zip", members))


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    members = coco(ITEMS) | {"images/default/b.png": b"no image"}
    with pytest.raises(AnnotationError, match=r"b\.png: cannot identify"):
        read(zipped(tmp_path / "x.zip", members))


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "..\\evil.png", "C:\\evil.png"])
def test_a_zip_that_points_outside_is_refused_and_writes_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = zipped(tmp_path / "in" / "x.zip", coco(ITEMS) | {name: b"evil"})
    with pytest.raises(ArchiveError, match="points outside"):
        read(path)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["x.zip"]


def test_bad_archives_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArchiveError, match="no such"):
        Archive.open(tmp_path / "absent.zip")
    whole = zipped(tmp_path / "x.zip", coco(ITEMS))
    (tmp_path / "half.zip").write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(ArchiveError, match="not downloaded whole"):
        Archive.open(tmp_path / "half.zip")
    content = bytearray(whole.read_bytes())
    with zipfile.ZipFile(whole) as archive:
        info = archive.getinfo("images/default/a.png")
    start = info.header_offset + 30 + len(info.filename)
    content[start + 20 : start + 200] = bytes(180)
    (tmp_path / "damaged.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.png"):
        read(tmp_path / "damaged.zip")
    monkeypatch.setattr("pcb_aoi.exports.export_archive.LARGEST_MIB", 0)
    with pytest.raises(ArchiveError, match="larger than"):
        read(whole)
