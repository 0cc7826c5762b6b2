"""DsPCBSD+ and PCB-IND in every layout they come in; what is theirs to test on is never trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from training_exports import Item, coco, pictures, unpacked, yolo, zipped

pytest.importorskip("cv2", reason="needs opencv")

from training import real_sets, real_tiles
from training.annotated.formats import FormatError
from training.real_sets import CLASSES
from training.scene import IGNORED

SLUGS = [
    "open",
    "short",
    "nick",
    "spur",
    "residual_copper",
    "broken_tent",
    "hole_breakout",
    "scratch",
    "foreign_object",
]


def dspcbsd(train: int) -> tuple[list[Item], list[Item]]:
    """Images with one box of each class in turn, and two of val."""
    own = [Item(f"S_{i:04d}.png", 60, 60, ((CLASSES[i % 9], 1, 2, 30, 40),), "train") for i in range(train)]
    return own, [Item(f"Y_{i}.png", 60, 60, (("SP", 1, 2, 30, 40),), "val") for i in range(2)]


def data_coco(train: list[Item], val: list[Item]) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for part, items in (("train", train), ("val", val)):
        document = json.loads(coco(items)[f"annotations/instances_{part}.json"])
        used = [entry["name"] for entry in document["categories"]]
        for entry in document["annotations"]:
            entry["category_id"] = CLASSES.index(used[entry["category_id"] - 1]) + 1
        document["categories"] = [{"id": i, "name": name} for i, name in enumerate(CLASSES, 1)]
        members[f"DsPCBSD+/Data_COCO/annotations/instances_{part}2017.json"] = json.dumps(document).encode()
        members |= pictures(items, f"DsPCBSD+/Data_COCO/{part}2017/")
    return members


def data_yolo(train: list[Item], val: list[Item]) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for part, items in (("train", train), ("val", val)):
        members |= pictures(items, f"DsPCBSD+/Data_YOLO/images/{part}/")
        for item in items:
            rows = [f"{CLASSES.index(box[0])} 0.25 0.35 0.4833333 0.6333333\n" for box in item.boxes]
            members[f"DsPCBSD+/Data_YOLO/labels/{part}/{item.name[:-4]}.txt"] = "".join(rows).encode()
    return members


@pytest.mark.parametrize("layout", ["coco", "yolo", "both", "inner"])
def test_dspcbsd_in_each_layout(layout: str, tmp_path: Path) -> None:
    train, val = dspcbsd(40)
    members = data_coco(train, val) if layout != "yolo" else {}
    members |= data_yolo(train, val) if layout in ("yolo", "both") else {}
    folder = unpacked(tmp_path / "x", members) if layout != "both" else zipped(tmp_path / "x.zip", members)
    folder = folder / "DsPCBSD+" / "Data_COCO" if layout == "inner" else folder
    parts = {split: real_sets.load("dspcbsd", folder, split, SLUGS) for split in real_sets.SPLITS}
    names = {split: {scene.name for scene in scenes} for split, scenes in parts.items()}
    assert names["test"] == {item.name for item in val}
    assert names["train"] | names["calibration"] == {item.name for item in train}
    assert not names["train"] & names["calibration"]
    assert 0 < len(names["calibration"]) < 12
    for scene in parts["train"]:
        wanted = real_tiles.SLUGS[CLASSES[int(scene.name[2:6]) % 9]]
        assert [SLUGS[label] for label in scene.labels] == [wanted]
        assert np.allclose(scene.boxes, np.array([[1, 2, 30, 40]]) if "yolo" not in layout else scene.boxes, atol=1e-3)
    few = real_sets.load("dspcbsd", folder, "test", ["open", "short"])
    assert all(scene.labels.tolist() == [IGNORED] for scene in few)


def test_another_edition_of_dspcbsd_is_refused(tmp_path: Path) -> None:
    members = data_coco(*dspcbsd(9))
    name = "DsPCBSD+/Data_COCO/annotations/instances_train2017.json"
    document = json.loads(members[name])
    document["categories"][0]["name"] = "Spur"  # number 1 is a short
    members[name] = json.dumps(document).encode()
    with pytest.raises(FormatError, match="class 1 is Spur, not SH"):
        real_sets.load("dspcbsd", unpacked(tmp_path / "x", members), "train", SLUGS)
    with pytest.raises(FormatError, match="neither"):
        real_sets.load("dspcbsd", unpacked(tmp_path / "empty", {"a.txt": b""}), "train", SLUGS)


def pcb_ind() -> list[Item]:
    boxes = (("copper_burr", 1, 2, 30, 40), ("missing_copper", 5, 5, 20, 20))
    return [Item(f"0001_t_{part}.png", 60, 60, boxes, part) for part in ("train", "val", "test")]


@pytest.mark.parametrize("layout", ["YOLO", "COCO", "both"])
def test_pcb_ind(layout: str, tmp_path: Path) -> None:
    items = pcb_ind()
    members = (
        {f"YOLO/{name}": content for name, content in yolo(items, listed=False).items()} if layout != "COCO" else {}
    )
    if layout != "YOLO":
        for name, content in coco(items).items():
            members[f"COCO/{name.replace('instances_', '')}"] = content
    folder = zipped(tmp_path / "PCB-IND_v4.zip", members)
    for split, own in (("train", "train"), ("calibration", "val"), ("test", "test")):
        (scene,) = real_sets.load("pcb-ind", folder, split, SLUGS)
        assert own in scene.name
        assert scene.labels.tolist() == [SLUGS.index("spur"), IGNORED]
        assert np.allclose(scene.boxes[0], [1, 2, 30, 40], atol=1e-3)


def test_an_unknown_class_of_a_set_is_named(tmp_path: Path) -> None:
    members = yolo([Item("a.png", boxes=(("solder_ball", 1, 2, 30, 40),), subset="train")], listed=False)
    with pytest.raises(FormatError, match="solder_ball"):
        real_sets.load("pcb-ind", unpacked(tmp_path / "x", members), "train", SLUGS)


def test_names_on_the_command_line() -> None:
    import argparse

    assert real_sets.parse("dspcbsd=/a=b") == ("dspcbsd", Path("/a=b"))
    for text in ("dspcbsd", "other=/x", "dspcbsd="):
        with pytest.raises(argparse.ArgumentTypeError, match="dspcbsd, pcb-ind"):
            real_sets.parse(text)


def test_real_sets_share_the_crops_with_the_rest(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "x", data_coco(*dspcbsd(20)))
    ((alone, _),) = real_sets.mix([("dspcbsd", folder)], SLUGS, 0.0)
    (first, source), (second, _) = real_sets.mix([("dspcbsd", folder)] * 2, SLUGS, 1.1)
    assert alone == 1.0
    assert first == second == pytest.approx(0.55)
    scene = source.draw(np.random.default_rng(0))
    assert min(scene.image.shape[:2]) >= 640
