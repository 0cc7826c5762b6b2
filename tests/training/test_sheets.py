"""Small images are laid side by side with their boxes, never enlarged; ignored areas neither help nor harm a score."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import IGNORED, Scene
from training.data.sheets import SIDE, Sheets
from training.data.store import Stored, write_scene
from training.measure.runs import without_ignored


def tile(number: int, height: int = 200, width: int = 300, colour: bool = False) -> Scene:
    """A dark image with one bright box, whose label is the number."""
    image = np.zeros((height, width, 3) if colour else (height, width), np.uint8)
    box = np.array([[20 + number, 30, 60 + number, 80]], np.float32)
    image[30:80, 20 + number : 60 + number] = 100 + number
    return Scene(image, box, np.array([number]), str(number))


def test_every_box_of_a_sheet_lies_on_its_defect() -> None:
    source = Sheets([tile(number, colour=number == 3) for number in range(8)])
    seen = set()
    for seed in range(12):
        scene = source.draw(np.random.default_rng(seed))
        assert scene.image.shape[:2] == (800, 900)
        assert len(scene.boxes) == 12
        for (x1, y1, x2, y2), label in zip(scene.boxes.astype(int), scene.labels, strict=True):
            assert (scene.image[y1:y2, x1:x2] == 100 + label).all()
            seen.add(int(label))
        assert (scene.image.ndim == 3) == (3 in scene.labels)
    assert seen == set(range(8))


def test_sizes_do_not_mix_and_large_images_stay_alone() -> None:
    large = tile(1, SIDE, SIDE + 10)
    source = Sheets([large, tile(2), tile(3, 100, 2000)])
    drawn = {scene.name: scene for scene in (source.draw(np.random.default_rng(seed)) for seed in range(20))}
    assert drawn["1"] is large
    assert set(drawn["2"].labels) == {2}
    assert drawn["3"].image.shape == (700, 2000)


def test_only_scenes_that_teach_the_same_share_a_sheet() -> None:
    """An unboxed scratch beside a boxed one would be learnt as clean board, or the boxed one not at all."""
    source = Sheets([replace(tile(number), taught=(0, 1) if number % 2 else None) for number in range(6)])
    seen = set()
    for seed in range(12):
        scene = source.draw(np.random.default_rng(seed))
        assert {(0, 1) if label % 2 else None for label in scene.labels} == {scene.taught}
        seen.add(scene.taught)
    assert len(seen) == 2


def test_stored_scenes_come_back(tmp_path: Path) -> None:
    write_scene(tmp_path / "000001.npz", tile(5))
    (back,) = Stored(tmp_path)
    assert back.name == "5"
    for one, other in ((back.image, tile(5).image), (back.boxes, tile(5).boxes), (back.labels, tile(5).labels)):
        assert np.array_equal(one, other)


def test_calls_on_ignored_areas_count_as_nothing_unless_they_find_a_defect() -> None:
    boxes = np.array([[0, 0, 100, 100], [70, 70, 110, 110]], np.float32)
    scene = Scene(np.zeros((200, 200), np.uint8), boxes, np.array([IGNORED, 2]))
    calls = np.array([[10, 10, 40, 40], [72, 72, 108, 108], [90, 0, 130, 40], [150, 150, 180, 180]], np.float32)
    result = Detections(calls, np.array([0.9, 0.8, 0.7, 0.6], np.float32), np.array([0, 2, 0, 1]))
    kept, counted = without_ignored(scene, result)
    assert kept.labels.tolist() == [2]
    assert kept.boxes.tolist() == [[70, 70, 110, 110]]
    assert counted.labels.tolist() == [2, 0, 1]
    assert without_ignored(kept, counted) == (kept, counted)
