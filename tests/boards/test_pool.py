"""Rendered training boards: the number decides, trails lie where the defect shows, and reading gives back writing."""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest

from boards import pool
from boards.process.inner_layer import LABELS
from boards.scenes import inner_tiles
from pcb_aoi.exports.scene import Scene
from training.data.store import NoBoards, Pool, write_scene


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DeepPCB of one board: lines of copper, one nick."""
    root = tmp_path_factory.mktemp("deeppcb")
    for folder in ("images", "labels", "templates"):
        (root / folder).mkdir()
    clean = np.full((640, 640), 255, np.uint8)
    for x in range(40, 600, 80):
        clean[:, x : x + 30] = 0
    image = clean.copy()
    image[300:312, 40:50] = 255
    cv2.imwrite(str(root / "templates" / "13000000.png"), clean)
    cv2.imwrite(str(root / "images" / "13000000.jpg"), image)
    (root / "labels" / "13000000.txt").write_text("30 290 60 322 3\n")
    return root


def test_the_number_decides_and_every_kind_occurs(data: Path) -> None:
    tiles = [inner_tiles.render_tile(data, ["13000000"], "train", 7, number) for number in range(12)]
    again = inner_tiles.render_tile(data, ["13000000"], "train", 7, 5)
    assert np.array_equal(tiles[5].image, again.image)
    assert np.array_equal(tiles[5].trails, again.trails)
    assert len({tile.name.split("-")[0] for tile in tiles}) == 3
    for tile in tiles:
        assert tile.image.shape[:2] == (640, 640)
        assert len(tile.boxes) == len(tile.labels)
        assert (tile.boxes >= 0).all()
        assert (tile.boxes <= 640).all()
        if tile.name.startswith("shaded"):
            assert LABELS.index("nick") in tile.labels
        if "binary" in tile.name:
            assert len(tile.trails) == 0
        for x, y, owner in tile.trails:
            x1, y1, x2, y2 = tile.boxes[int(owner)]
            assert x1 <= x <= x2
            assert y1 <= y <= y2
            assert LABELS[tile.labels[int(owner)]] in inner_tiles.ON_SURFACE


def test_reading_gives_back_what_was_written(data: Path, tmp_path: Path) -> None:
    tile = inner_tiles.render_tile(data, ["13000000"], "train", 7, 3)
    write_scene(tmp_path / "000003.npz", tile)
    (tmp_path / "000004.tmp.npz").write_bytes(b"half")
    drawn = Pool(tmp_path).draw(np.random.default_rng(0))
    assert drawn.name == tile.name
    for one, other in ((drawn.image, tile.image), (drawn.boxes, tile.boxes), (drawn.trails, tile.trails)):
        assert np.array_equal(one, other)


def test_an_empty_pool_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoBoards, match="boards pool"):
        Pool(tmp_path).draw(np.random.default_rng(0))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    pool.add_arguments(parser)
    out = tmp_path / "out"
    for data, complaint in ((tmp_path / "absent", "absent: name it with --data"), (tmp_path, "deeppcb")):
        command = ["inner-layer", "--data", str(data), "--out", str(out), "--real", "--split", "test"]
        with pytest.raises(SystemExit, match=complaint):
            pool.run(parser.parse_args(command))


def test_long_scratches_find_a_place_before_short_ones() -> None:
    lengths = []
    for seed in range(12):
        image = np.full((640, 640, 3), 180, np.uint8)
        planted = inner_tiles.Planting()
        inner_tiles.lay_on_surface(image, ["scratch"] * 8, 20.8, planted, np.random.default_rng(seed), 0.4)
        lengths += [max(x2 - x1, y2 - y1) for x1, y1, x2, y2 in planted.boxes[:1]]
    assert np.median(lengths) > 350  # of 8, 0.4 of which are to be 290 px and longer


def test_training_has_more_long_scratches_than_calibration_and_test(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, list[float]] = {"train": [], "calibration": [], "test": []}
    for split, shares in asked.items():
        monkeypatch.setattr(inner_tiles, "lay_on_surface", lambda *args, to=shares: to.append(args[-1]))
        for number in range(6):
            inner_tiles.render_tile(data, ["13000000"], split, 7, number)
    assert min(asked["train"]) > max(asked["calibration"] + asked["test"])


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_a_real_scene_is_shaded_with_its_twin(kind: str) -> None:
    clean = np.full((320, 320), 255, np.uint8)
    clean[:, 100:140] = 0  # copper is the dark side
    image = clean.copy()
    image[150:170, 90:150] = 255
    scene = Scene(image, np.array([[80, 140, 160, 180]], np.float32), np.array([0]), "real", clean)
    seen = inner_tiles.shaded(scene, kind, 1)
    assert np.array_equal(seen.boxes, scene.boxes)
    assert seen.clean is not None
    assert seen.image.ndim == (3 if kind == "colour" else 2)
    level = seen.image if kind == "grey" else seen.image.mean(axis=2)
    assert level[20:100, 105:135].mean() > level[20:100, 200:300].mean() + 20  # copper is bright now
    change = np.abs(seen.image.astype(int) - seen.clean)
    change = change.max(axis=2) if kind == "colour" else change
    assert change[152:168, 105:135].min() > 10
    assert np.delete(change, np.s_[130:190], axis=0).max() < 12
    other = inner_tiles.shaded(scene, kind, 2)
    assert not np.array_equal(other.image, seen.image)
