"""Crops: boxes follow the pixels, cut defects are judged by what is left of them."""

import numpy as np
import pytest

from pcb_aoi.exports.scene import IGNORED, Scene
from training.data import augment

SCRATCH = 6


def marked(rng: np.random.Generator, count: int = 6) -> Scene:
    """Dark squares on white, each boxed exactly; the grey level tells which is which."""
    image = np.full((640, 640), 255, np.uint8)
    boxes = []
    for index in range(count):
        x, y = rng.integers(0, 600, 2)
        image[y : y + 40, x : x + 40] = 20 * index
        boxes.append((x, y, x + 40, y + 40))
    return Scene(image, np.array(boxes, np.float32), np.arange(count))


@pytest.mark.parametrize("seed", range(20))
def test_boxes_follow_flips_turns_and_scale(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "CONTRAST", 0.0)
    monkeypatch.setattr(augment, "FEATURES", 0.0)
    rng = np.random.default_rng(seed)
    scene = marked(rng, 1)
    crop = augment.crop(scene, 320, rng)
    assert crop.image.shape == (320, 320, 3)
    if not len(crop.boxes):
        assert crop.image.min() > 200 or crop.image[crop.image < 128].size < 320 * 3 * 5
        return
    y, x = np.nonzero(crop.image[:, :, 0] < 128)
    extent = [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert np.abs(crop.boxes[0] - extent).max() <= 1.5


def test_all_eight_turns_occur_and_keep_the_pixels() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    box = np.array([[0, 0, 1, 2]], np.float32)
    seen = set()
    for seed in range(100):
        turned, boxes = augment.turn(image, box, np.random.default_rng(seed))
        x1, y1, x2, y2 = boxes[0].astype(int)
        assert sorted(turned[y1:y2, x1:x2].ravel().tolist()) == [0, 4]
        seen.add(turned.tobytes())
    assert len(seen) == 8


@pytest.mark.parametrize(
    ("x", "expected"),
    [(0, [0]), (110, [0]), (125, [IGNORED]), (137, []), (200, [])],  # box from 100 to 140
)
def test_a_cut_defect_is_kept_ignored_or_gone(x: int, expected: list[int]) -> None:
    scene = Scene(np.zeros((640, 640), np.uint8), np.array([[100, 50, 140, 90]], np.float32), np.array([0]))
    boxes, labels = augment.cut(scene, x, 0, 320, frozenset({SCRATCH}))
    assert labels.tolist() == expected
    assert (boxes >= 0).all()
    assert (boxes <= 320).all()


def slanted() -> Scene:
    points = np.arange(0, 600, 3, dtype=np.float32)
    trails = np.stack((points, points, np.zeros_like(points)), axis=1)
    box = np.array([[0, 0, 605, 605]], np.float32)
    return Scene(np.zeros((640, 640), np.uint8), box, np.array([SCRATCH]), trails=trails)


def test_a_cut_scratch_is_boxed_where_it_shows() -> None:
    boxes, labels = augment.cut(slanted(), 300, 200, 320, frozenset({SCRATCH}))
    assert labels.tolist() == [SCRATCH]
    # It enters at the left edge, 100 px down, and leaves at the bottom.
    assert np.abs(boxes[0] - [0, 100, 220, 320]).max() <= 4


def test_a_scratch_that_misses_the_crop_is_not_boxed_although_its_box_overlaps() -> None:
    boxes, labels = augment.cut(slanted(), 0, 330, 300, frozenset({SCRATCH}))
    assert len(boxes) == len(labels) == 0


def test_undoing_a_defect_repairs_pixels_and_forgets_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "UNDO", 1.0)
    scene = marked(np.random.default_rng(1))
    whole = Scene(scene.image, scene.boxes, scene.labels, clean=np.full((640, 640), 255, np.uint8))
    undone = augment.undo_defects(whole, np.random.default_rng(1))
    assert len(undone.boxes) == 0
    assert undone.image.min() == 255
    assert scene.image.min() == 0  # the original is left alone


def test_contrast_keeps_the_polarity() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[:, 32:] = 255
    for seed in range(30):
        changed = augment.change_contrast(image, np.random.default_rng(seed))
        assert changed[:, 40:].mean() > changed[:, :24].mean() + 150


def test_only_thresholded_pictures_are_near_binary() -> None:
    rng = np.random.default_rng(0)
    binary = np.where(rng.random((64, 64)) < 0.5, 0, 255).astype(np.uint8)
    assert augment.is_near_binary(binary)
    assert not augment.is_near_binary(rng.integers(0, 256, (64, 64), dtype=np.uint8))
    assert not augment.is_near_binary(np.repeat(binary[:, :, None], 3, axis=2))


@pytest.mark.parametrize("bright_copper", [True, False])
@pytest.mark.parametrize("copper", [0, 150])
def test_a_thresholded_scene_is_learnt_as_its_negative(
    bright_copper: bool, copper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thresholded: copper 0 on 255, shown as 255 on 0. A camera's picture, in colour: shown as it is."""
    monkeypatch.setattr(augment, "CONTRAST", 0.0)
    monkeypatch.setattr(augment, "SCALED", 0.0)
    image = np.full((640, 640), 255 if copper == 0 else 40, np.uint8)
    image[:, ::4] = copper
    if copper:
        image = np.stack([image, image // 2, image // 3], axis=2)
    scene = Scene(image, np.empty((0, 4), np.float32), np.empty(0, np.int64))
    crop = augment.crop(scene, 320, np.random.default_rng(2), bright_copper=bright_copper)
    shown = 255 if copper == 0 and bright_copper else copper
    first = crop.image[..., 0] if crop.image.ndim == 3 else crop.image
    assert (first == shown).mean() == pytest.approx(0.25)


@pytest.mark.parametrize(("width", "expected"), [(80, [IGNORED]), (34, [0])])
def test_exchanged_a_long_thin_short_is_not_taught_as_an_open(
    width: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augment, "INVERTED", 1.0)
    scene = Scene(np.zeros((320, 320), np.uint8), np.array([[100, 100, 100 + width, 128]], np.float32), np.array([1]))
    crop = augment.crop(scene, 320, np.random.default_rng(0), counterparts={0: 1, 1: 0}, bridges=frozenset({1}))
    assert crop.labels.tolist() == expected
