"""Recovered real tiles: what cannot be trusted is left out or ignored, and the fills give no defect away."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from boards import recipes
from boards.scenes import real_tiles
from pcb_aoi.exports.scene import IGNORED

SIDE = 226


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two tiles of noise; the second may have scratches and foreign objects that nobody boxed."""
    (tmp_path / "images").mkdir()
    images, rng = [], np.random.default_rng(0)
    for number, complete in ((1, True), (2, False)):
        name = f"{number}.png"
        cv2.imwrite(str(tmp_path / "images" / name), rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))
        images.append({"id": number, "file_name": name, "cs_cfo_annotated": complete})
    boxes = {1: [50, 60, 40, 20], 6: [120, 100, 50, 50], 5: [10, 10, 8, 8]}
    annotations = [{"image_id": 1, "category_id": category, "bbox": box} for category, box in boxes.items()]
    annotations += [{"image_id": 2, "category_id": category, "bbox": [30, 30, 30, 30]} for category in (1, 9)]
    categories = [{"id": 9, "name": "BMFO"}, {"id": 1, "name": "SH"}, {"id": 5, "name": "MB"}, {"id": 6, "name": "HB"}]
    text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    (tmp_path / "annotations.json").write_text(text)
    return tmp_path


def test_labels_are_ours_and_the_rest_is_ignored(root: Path) -> None:
    scenes = real_tiles.load(root, ["open", "short", "nick"])
    assert len(scenes) == 2 * real_tiles.VARIANTS
    for scene in scenes[: real_tiles.VARIANTS]:
        assert scene.name.startswith("1.png")
        assert scene.labels.tolist() == [1, IGNORED, IGNORED]  # no such label; too small to see
        assert scene.boxes[0].tolist() == [50, 60, 90, 80]


def test_tiles_with_unboxed_scratches_teach_nothing_of_them(root: Path) -> None:
    complete, partly = real_tiles.load(root, ["scratch", "short", "foreign_object", "nick"])[:: real_tiles.VARIANTS]
    assert complete.taught is None
    assert partly.taught == (1, 3)
    assert partly.labels.tolist() == [1, IGNORED]


def test_decoys_differ_from_copy_to_copy_and_spare_the_defects(root: Path) -> None:
    original = cv2.imread(str(root / "images" / "1.png"), cv2.IMREAD_COLOR_RGB)
    assert original is not None
    scenes = real_tiles.load(root, ["short"])[: real_tiles.VARIANTS]
    for scene in scenes:
        assert np.array_equal(scene.image[60:80, 50:90], original[60:80, 50:90])
        share = (scene.image != original).any(axis=2).mean()
        assert 0.01 < share < 0.3
    assert not np.array_equal(scenes[0].image, scenes[1].image)


@pytest.mark.parametrize("function", ["acid-outer-layer", "alkaline-outer-layer"])
def test_outer_layers_learn_them_at_their_own_scale(function: str, root: Path) -> None:
    """Alone, a tile is smaller than a crop, and would be blown up to fill it."""
    (root / "real-tiles").symlink_to(root)
    recipe = recipes.get(function)
    (share, _), (tiles_share, tiles) = recipe.sources(root, root / "no boards", recipe.slugs)
    assert tiles_share == pytest.approx(0.1 * share)
    scene = tiles.draw(np.random.default_rng(0))
    assert min(scene.image.shape[:2]) >= 640
    cell = scene.image[:SIDE, :SIDE]
    assert any(np.array_equal(cell, tile.image) for tile in real_tiles.load(root, recipe.slugs))


def test_a_missing_picture_is_named(root: Path) -> None:
    (root / "images" / "1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.png"):
        real_tiles.load(root, ["short"])
