"""What CVAT exports comes back box for box, in each format; what is wrong is told by name, and nothing is unpacked."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from exported import ITEMS, NAMES, WRITERS, read, spelled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from training_exports import Item, coco, cvat_xml, pictures, png, unpacked, yolo, zipped

from pcb_aoi.exports.annotations import AnnotationError, Report, decode_entry, index
from pcb_aoi.exports.formats import FormatError, corners


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("form", WRITERS)
def test_boxes_labels_and_clean_images_come_back(form: str, folder: bool, tmp_path: Path) -> None:
    members = WRITERS[form](ITEMS)
    # Another name and a folder around it: only the content counts.
    members = {f"some export/{name}": content for name, content in members.items()}
    path = unpacked(tmp_path / "x", members) if folder else zipped(tmp_path / "任务 1.bin", members)
    scenes, report = read(path)
    assert set(scenes) == {"a.png", "b.png", "clean.png"}
    assert spelled(scenes["a.png"]) == ["open", "scratch"]
    expected = np.array([[1, 2, 30, 40], [10.5, 4.25, 60, 9]])
    assert np.allclose(scenes["a.png"].boxes, expected, atol=1e-3)
    assert spelled(scenes["b.png"]) == ["nick"]
    assert scenes["clean.png"].boxes.shape == (0, 4)
    for number, name in enumerate(("a.png", "b.png", "clean.png")):
        assert np.array_equal(scenes[name].image, np.asarray(Image.open(io.BytesIO(png(64, 48, number)))))
    assert (report.images, report.clean, report.dropped) == (3, 1, 0)
    assert "open 1" in report.lines(NAMES.slugs)[1]


@st.composite
def item_lists(draw: st.DrawFn) -> list[Item]:
    items = []
    for number in range(draw(st.integers(1, 4))):
        width, height = draw(st.integers(8, 90)), draw(st.integers(8, 90))
        boxes = []
        for _ in range(draw(st.integers(0, 3))):
            x, y = draw(st.integers(0, width - 4)), draw(st.integers(0, height - 4))
            w, h = draw(st.integers(2, width - x)), draw(st.integers(2, height - y))
            boxes.append((draw(st.sampled_from(["开路", "Short", "mouse bite", "hole-breakout"])), x, y, x + w, y + h))
        subset = draw(st.sampled_from(["train", "val"]))
        task = {"train": "7", "val": "12"}[subset]
        name = draw(st.sampled_from(["x.png", "板 1/x y.png", "b/c.d/图.png"]))
        items.append(Item(f"{number}/{name}", width, height, tuple(boxes), subset, task))
    return items


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=item_lists(), form=st.sampled_from(sorted(WRITERS)))
def test_any_boxes_round_trip(items: list[Item], form: str, tmp_path: Path) -> None:
    scenes, _ = read(zipped(tmp_path / "export.zip", WRITERS[form](items)))
    assert set(scenes) == {item.name for item in items}
    for item in items:
        scene = scenes[item.name]
        assert scene.image.shape == (item.height, item.width)
        # Two decimals in CVAT's XML, six of a share in YOLO.
        assert np.allclose(scene.boxes, np.array([box[1:] for box in item.boxes]).reshape(-1, 4), atol=0.011)
        assert scene.labels.tolist() == [NAMES.indices([box[0]])[0] for box in item.boxes]


@pytest.mark.parametrize("form", WRITERS)
def test_images_may_come_from_a_folder(form: str, tmp_path: Path) -> None:
    items = [Item("sub/a.png", boxes=(("开路", 1, 2, 30, 40),)), Item("sub/b.png")]
    writer = WRITERS[form]
    path = zipped(tmp_path / "x.zip", writer(items, images=False))  # type: ignore[call-arg]
    with pytest.raises(AnnotationError, match=r"2 images are not in the export: sub/a.*--images"):
        read(path)
    folder = unpacked(tmp_path / "images", pictures(items, "any/where/"))
    scenes, _ = read(path, images=folder)
    assert np.allclose(scenes["sub/a.png"].boxes, [[1, 2, 30, 40]], atol=1e-3)
    flat = unpacked(tmp_path / "flat", {name.rsplit("/", 1)[1]: data for name, data in pictures(items, "").items()})
    assert set(read(path, images=flat)[0]) == {"sub/a.png", "sub/b.png"}


def test_yolo_takes_lists_folders_and_both_kinds_of_names(tmp_path: Path) -> None:
    for number, members in enumerate((yolo(ITEMS, listed=False), yolo(ITEMS, names_as_list=True))):
        scenes, _ = read(unpacked(tmp_path / str(number), members))
        assert spelled(scenes["a.png"]) == ["open", "scratch"]
    members = yolo(ITEMS, images=False, listed=False)  # labels alone: the names have no suffix
    folder = unpacked(tmp_path / "images", pictures(ITEMS, ""))
    assert spelled(read(unpacked(tmp_path / "bare", members), images=folder)[0]["b"]) == ["nick"]
    members = yolo(ITEMS)
    members["labels/default/b.txt"] = b"0 0.5 0.5 0.25 0.5 17\n1 0.25 0.25 0.75 0.25 0.5 0.75\n"  # a track; an outline
    scenes, _ = read(unpacked(tmp_path / "other", members))
    assert np.allclose(scenes["b.png"].boxes, [[24, 12, 40, 36], [16, 12, 48, 36]])


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.1", "a 0.5 0.5 0.1 0.1", "0 0.5 0.5 0.1 nan", "9 0.5 0.5 0.1 0.1", "0"])
def test_a_bad_yolo_line_is_named(line: str, tmp_path: Path) -> None:
    members = yolo(ITEMS) | {"labels/default/b.txt": f"0 0.5 0.5 0.1 0.1\n{line}\n".encode()}
    with pytest.raises(FormatError, match=r"labels/default/b\.txt:2"):
        read(zipped(tmp_path / "x.zip", members))


def test_every_shape_of_cvat_with_an_area_becomes_its_bounding_rectangle(tmp_path: Path) -> None:
    body = """  <image id="0" name="a.png" width="200" height="100">
    <box label="Open" source="manual" occluded="0" xtl="40" ytl="40" xbr="80" ybr="60" rotation="90.0" z_order="0"/>
    <box label="Open" source="manual" occluded="0" xtl="40" ytl="40" xbr="80" ybr="60" rotation="45.0" z_order="0"/>
    <polygon label="短路" source="file" occluded="0" points="10.00,20.00;30.50,25.00;15.00,40.00" z_order="0"/>
    <polyline label="划伤" source="manual" occluded="0" points="0.00,0.00;90.00,70.00" z_order="0"/>
    <mask label="异物" source="auto" occluded="0" rle="4, 1, 3" left="12" top="7" width="4" height="2" z_order="0"/>
    <ellipse label="缺口" source="manual" occluded="0" cx="100" cy="50" rx="20" ry="10" rotation="90.0" z_order="0"/>
    <points label="缺口" source="manual" occluded="0" points="1.00,2.00" z_order="0"/>
    <box label="缺口" source="manual" outside="1" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0"/>
    <tag label="whatever" source="manual"></tag>
  </image>
"""
    members = {"annotations.xml": cvat_xml(body), "images/a.png": png(200, 100)}
    scenes, report = read(zipped(tmp_path / "x.zip", members))
    half = 30 * np.sqrt(0.5)
    expected = np.array(
        [
            [50, 30, 70, 70],
            [60 - half, 50 - half, 60 + half, 50 + half],
            [10, 20, 30.5, 40],
            [0, 0, 90, 70],
            [12, 7, 16, 9],
            [90, 30, 110, 70],
        ]
    )
    assert np.allclose(scenes["a.png"].boxes, expected, atol=1e-3)
    assert report.left_out == {"points": 1}
    assert "left out 1 points" in report.lines(NAMES.slugs)[1]


def test_coco_boxes_are_turned_as_their_attribute_says(tmp_path: Path) -> None:
    members = coco([Item("a.png", 100, 100, (("open", 40, 40, 80, 60),))])
    document = json.loads(members["annotations/instances_default.json"])
    document["annotations"][0]["attributes"]["rotation"] = 90.0
    members["annotations/instances_default.json"] = json.dumps(document).encode()
    scenes, _ = read(zipped(tmp_path / "x.zip", members))
    assert np.allclose(scenes["a.png"].boxes, [[50, 30, 70, 70]])


def test_a_quarter_turn_goes_clockwise_on_the_screen() -> None:
    points = corners(0, 0, 4, 2, 30)  # the top left corner of a box turned clockwise moves up and right
    assert points[0] == pytest.approx((2 - 2 * np.cos(np.pi / 6) + 0.5, 1 - 1 - np.cos(np.pi / 6)))


def test_boxes_are_clipped_and_empty_ones_dropped(tmp_path: Path) -> None:
    boxes = (("open", -5, -5, 10, 10), ("open", 60, 40, 90, 90), ("short", 64, 0, 80, 20), ("short", 5, 5, 5.5, 30))
    scenes, report = read(zipped(tmp_path / "x.zip", coco([Item("a.png", boxes=boxes)])))
    assert scenes["a.png"].boxes.tolist() == [[0, 0, 10, 10], [60, 40, 64, 48]]
    assert spelled(scenes["a.png"]) == ["open", "open"]
    assert report.dropped == 2


def test_an_image_lies_as_the_functions_see_it(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter when shown
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    item = Item("a.png", 48, 64, (("open", 0, 0, 20, 60),))
    scenes, _ = read(zipped(tmp_path / "x.zip", coco([item]) | {"images/default/a.png": buffer.getvalue()}))
    assert np.array_equal(scenes["a.png"].image, np.rot90(np.asarray(image), -1))
    lying = coco([Item("a.png", 64, 48)]) | {"images/default/a.png": buffer.getvalue()}
    with pytest.raises(AnnotationError, match="annotated at"):
        read(zipped(tmp_path / "lying.zip", lying))


def test_the_same_image_twice_counts_once_as_annotated_last(tmp_path: Path) -> None:
    one = zipped(tmp_path / "1.zip", coco([Item("a.png", boxes=(("open", 1, 2, 30, 40),))]))
    two = zipped(tmp_path / "2.zip", yolo([Item("renamed.png", boxes=(("short", 1, 2, 30, 40),))]))
    report = Report()
    (entry,) = index([one, two], NAMES, None, report)
    assert spelled(decode_entry(entry, report)) == ["short"]
    assert report.repeated == 1


def test_subsets_keep_images_of_one_name_apart(tmp_path: Path) -> None:
    items = [
        Item("a.png", boxes=(("open", 1, 2, 30, 40),), subset="Train", task="1"),
        Item("a.png", boxes=(("short", 1, 2, 30, 40),), subset="Val", task="2"),
    ]
    for number, writer in enumerate(WRITERS.values()):
        report = Report()
        entries = index([zipped(tmp_path / f"{number}.zip", writer(items))], NAMES, None, report)
        assert [spelled(decode_entry(entry, report)) for entry in entries] == [["open"], ["short"]]
    flat = coco(items, images=False)
    with pytest.raises(AnnotationError, match="several images"):
        read(zipped(tmp_path / "x.zip", flat | {"p/a.png": png(64, 48), "q/a.png": png(64, 48, 1)}))


def test_two_names_are_never_one_file(tmp_path: Path) -> None:
    items = [Item("b1/a.png", boxes=(("open", 1, 2, 30, 40),)), Item("b2/a.png")]
    folder = unpacked(tmp_path / "images", {"a.png": png(64, 48)})
    with pytest.raises(AnnotationError, match="both"):
        read(zipped(tmp_path / "x.zip", coco(items, images=False)), images=folder)
