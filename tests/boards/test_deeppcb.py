"""DeepPCB labels are read line by line, and whatever is not a label is refused by name."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from boards.scenes import deeppcb

SLUGS = ["open", "short", "nick", "pinhole", "spur", "residual_copper", "scratch", "foreign_object"]


def test_types_become_our_labels() -> None:
    text = "\n".join(f"10 20 {30 + kind} 40 {kind}" for kind in range(1, 7))
    boxes, labels = deeppcb.parse_labels(text, "x", SLUGS)
    assert [SLUGS[label] for label in labels] == ["open", "short", "nick", "spur", "residual_copper", "pinhole"]
    assert boxes.dtype == np.float32
    assert boxes[2].tolist() == [10, 20, 34, 41]  # the files name the last pixel, a box its far edge


def test_a_box_may_reach_the_edges_of_the_image() -> None:
    boxes, _ = deeppcb.parse_labels("0 0 639 639 1", "x", SLUGS)
    assert boxes.tolist() == [[0, 0, deeppcb.SIDE, deeppcb.SIDE]]


def test_no_defects_is_no_error() -> None:
    boxes, labels = deeppcb.parse_labels("\n\n", "x", SLUGS)
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("1 2 3 4", "five integers"),
        ("1 2 30 40 5242 7 9 100 90 1", "five integers"),
        ("1 2 30 40 5242", "type must be 1 to 6"),
        ("1 2 30 40 0", "type must be 1 to 6"),
        ("30 2 30 40 1", "not a box"),
        ("1 2 30 640 1", "not a box"),
        ("a 2 30 40 1", "five integers"),
    ],
)
def test_bad_lines_name_file_and_line(line: str, complaint: str) -> None:
    with pytest.raises(deeppcb.LabelError, match=rf"group\.txt:2.*{complaint}"):
        deeppcb.parse_labels(f"1 2 30 40 1\n{line}", "group.txt", SLUGS)


def test_groups_do_not_mix() -> None:
    groups = (*deeppcb.TRAIN, *deeppcb.TEST)
    assert len(set(groups)) == len(groups)


def write_set(root: Path, names: list[str]) -> None:
    for folder in ("images", "labels", "templates"):
        (root / folder).mkdir()
    for name in names:
        cv2.imwrite(str(root / "images" / f"{name}.jpg"), np.full((640, 640), 255, np.uint8))
        cv2.imwrite(str(root / "templates" / f"{name}.png"), np.full((640, 640), 255, np.uint8))
        (root / "labels" / f"{name}.txt").write_text("1 2 30 40 6\n")


def test_test_groups_stay_whole_and_the_last_tenth_of_the_others_calibrates(tmp_path: Path) -> None:
    members = [f"13000{number:03}" for number in range(20)]
    write_set(tmp_path, ["92000001", *members])
    assert deeppcb.names(tmp_path, "test") == ["92000001"]
    assert deeppcb.names(tmp_path, "train") == members[:18]
    assert deeppcb.names(tmp_path, "calibration") == members[18:]


def test_each_fold_keeps_its_own_groups_whole(tmp_path: Path) -> None:
    write_set(tmp_path, [f"{group}{number:03}" for group in deeppcb.GROUPS for number in range(10)])
    tested: list[str] = []
    for fold in ("inner-layer-fold-1", "inner-layer-fold-2", "inner-layer-fold-3"):
        held_out = deeppcb.HELD_OUT[fold]
        parts = {split: deeppcb.names(tmp_path, split, held_out) for split in deeppcb.SPLITS}
        assert {name[:5] for name in parts["test"]} == set(held_out)
        assert {name[:5] for name in parts["train"] + parts["calibration"]} == set(deeppcb.GROUPS) - set(held_out)
        assert sum(map(len, parts.values())) == 70
        tested += held_out
    assert sorted(tested) == ["00041", "44000", "50600", "77000", "92000"]


def test_what_ships_learns_from_every_group(tmp_path: Path) -> None:
    write_set(tmp_path, [f"{group}{number:03}" for group in deeppcb.GROUPS for number in range(10)])
    parts = {split: deeppcb.names(tmp_path, split, deeppcb.HELD_OUT["inner-layer-all"]) for split in deeppcb.SPLITS}
    assert {name[:5] for name in parts["train"]} == {name[:5] for name in parts["calibration"]} == set(deeppcb.GROUPS)
    assert not parts["test"]
    assert not set(parts["train"]) & set(parts["calibration"])


def test_load_reads_labels_and_says_when_there_is_nothing(tmp_path: Path) -> None:
    write_set(tmp_path, ["13000001"])
    scenes = deeppcb.load(tmp_path, "train", SLUGS)
    assert [scene.name for scene in scenes] == ["13000001"]
    assert scenes[0].labels.tolist() == [3]
    with pytest.raises(FileNotFoundError, match="test"):
        deeppcb.load(tmp_path, "test", SLUGS)
