"""Published sets of real boards, read as any export is: a label map says what their classes are here."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from training_exports import Item, coco, pictures, unpacked, yolo, zipped

from pcb_aoi.errors import ConfigError
from pcb_aoi.exports import export_options
from pcb_aoi.exports.annotations import AnnotationError, Report, decode_entry
from pcb_aoi.exports.label_names import Names, UnknownLabelError
from pcb_aoi.exports.scene import IGNORED, Scene

ROOT = Path(__file__).resolve().parents[2]
ACID = ROOT / "labelmaps" / "acid-outer-layer.yaml"
SLUGS = Names.load(ACID).slugs
MAPS = {path.stem: path for path in (ROOT / "labelmaps" / "published").glob("*.yaml")}
CLASSES = ("SH", "SP", "SC", "OP", "MB", "HB", "CS", "CFO", "BMFO")  # of DsPCBSD+, by class number
OURS = [
    "short",
    "spur",
    "residual_copper",
    "open",
    "nick",
    "hole_breakout",
    "scratch",
    "foreign_object",
    "foreign_object",
]


def load(folder: Path, name: str, subset: str | None, labelmap: Path = ACID) -> list[Scene]:
    parser = argparse.ArgumentParser()
    export_options.add_arguments(parser)
    more = [] if subset is None else ["--subset", subset]
    args = parser.parse_args(["--data", str(folder), "--label-map", str(MAPS[name]), *more])
    report = Report()
    return [decode_entry(entry, report) for entry in export_options.entries(args, labelmap, report)]


def dspcbsd() -> dict[str, bytes]:
    """Data_COCO: 18 images with one box of each class in turn, and two of val."""
    train = [Item(f"S_{i:04d}.png", 60, 60, ((CLASSES[i % 9], 1, 2, 30, 40),), "train") for i in range(18)]
    val = [Item(f"Y_{i}.png", 62, 60, (("SP", 1, 2, 30, 40),), "val") for i in range(2)]
    members: dict[str, bytes] = {}
    for part, items in (("train", train), ("val", val)):
        members[f"Data_COCO/annotations/instances_{part}2017.json"] = coco(items)[f"annotations/instances_{part}.json"]
        members |= pictures(items, f"Data_COCO/{part}2017/")
    return members


def test_dspcbsd_is_coco_and_what_is_its_own_to_test_on_stays_apart(tmp_path: Path) -> None:
    folder = zipped(tmp_path / "x.zip", dspcbsd())
    train, val = load(folder, "dspcbsd", "train2017"), load(folder, "dspcbsd", "val2017")
    assert [scene.name for scene in val] == ["Y_0.png", "Y_1.png"]
    assert len(train) == 18
    assert len(load(folder, "dspcbsd", None)) == 20
    for scene in train:
        assert [SLUGS[label] for label in scene.labels] == [OURS[int(scene.name[2:6]) % 9]]
        assert np.allclose(scene.boxes, [[1, 2, 30, 40]])
    resin = load(folder, "dspcbsd", "val2017", ROOT / "labelmaps" / "resin-plug.yaml")
    assert all(scene.labels.tolist() == [IGNORED] for scene in resin)  # no spurs there


def test_a_subset_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"'test'.*train2017, val2017"):
        load(zipped(tmp_path / "x.zip", dspcbsd()), "dspcbsd", "test")


def pcb_ind() -> list[Item]:
    boxes = (("copper_burr", 1, 2, 30, 40), ("missing_copper", 5, 5, 20, 20))
    return [Item(f"0001_t_{part}.png", 60, 60, boxes, part) for part in ("train", "val", "test")]


@pytest.mark.parametrize("layout", ["YOLO", "COCO"])
def test_pcb_ind_is_yolo_and_coco(layout: str, tmp_path: Path) -> None:
    items = pcb_ind()
    members = yolo(items, listed=False) if layout == "YOLO" else coco(items)
    folder = unpacked(tmp_path / layout, members)
    for own in ("train", "val", "test"):
        (scene,) = load(folder, "pcb-ind", own)
        assert own in scene.name
        assert scene.labels.tolist() == [SLUGS.index("spur"), IGNORED]
        assert np.allclose(scene.boxes[0], [1, 2, 30, 40], atol=1e-3)


def test_an_unknown_class_of_a_set_is_named(tmp_path: Path) -> None:
    members = yolo([Item("a.png", boxes=(("solder_ball", 1, 2, 30, 40),), subset="train")], listed=False)
    with pytest.raises(UnknownLabelError, match="solder_ball"):
        load(unpacked(tmp_path / "x", members), "pcb-ind", "train")


@pytest.mark.parametrize("name", MAPS)
def test_a_label_map_credits_its_set_and_names_slugs_that_there_are(name: str) -> None:
    content = yaml.safe_load(MAPS[name].read_text("utf-8"))
    assert "CC BY 4.0" in content["credit"]
    known = {slug for path in (ROOT / "labelmaps").glob("*.yaml") for slug in Names.load(path).slugs}
    assert {slug for slug in content["labels"].values() if slug} <= known


def test_a_file_that_is_no_label_map_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    contents: list[dict[str, object]] = [{"labels": ["a"], "credit": "x"}, {"labels": {}}]
    for content in contents:
        path.write_text(json.dumps(content))
        with pytest.raises(ConfigError, match=r"x\.yaml"):
            Names.load(ACID).with_map(path)
