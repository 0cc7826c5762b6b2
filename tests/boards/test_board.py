"""Boards: truth lies where the picture changed, and nothing but the seed decides."""

import numpy as np
import pytest

from boards.camera.look import Look
from boards.defects import planting as scene
from boards.pixels.noise import Field
from boards.process.board import PROCESSES, RenderedBoard, render_board

SIZE = (256, 256)


def board(function: str, seed: int, defects: dict[str, int] | float, kind: str = "colour") -> RenderedBoard:
    look = Look.sample(np.random.default_rng(1000 + seed), kind)
    return render_board(function, SIZE, None, look, np.random.default_rng(seed), defects)


@pytest.mark.parametrize("function", PROCESSES)
def test_same_seed_same_board(function: str) -> None:
    first, second = board(function, 3, 60.0), board(function, 3, 60.0)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.boxes, second.boxes)
    assert first.labels == second.labels
    assert not np.array_equal(first.image, board(function, 4, 60.0).image)


@pytest.mark.parametrize("function", PROCESSES)
def test_clean_boards_have_no_boxes(function: str) -> None:
    clean = board(function, 5, 0.0)
    assert clean.boxes.shape == (0, 4)
    assert clean.labels == []
    assert clean.image.shape == (*SIZE, 3)
    assert clean.image.dtype == np.uint8


@pytest.mark.parametrize("function", PROCESSES)
def test_boxes_are_valid_and_cover_what_differs_from_the_clean_twin(function: str) -> None:
    planted = 0
    for seed in range(6):
        dirty, clean = board(function, seed, 60.0), board(function, seed, 0.0)
        assert dirty.boxes.dtype == np.float32
        assert len(dirty.boxes) == len(dirty.labels)
        assert set(dirty.labels) <= set(PROCESSES[function].labels)
        difference = np.abs(dirty.image.astype(int) - clean.image.astype(int)).max(axis=2)
        inside = np.zeros(SIZE, bool)
        for x1, y1, x2, y2 in dirty.boxes.astype(int):
            assert 0 <= x1 < x2 <= SIZE[1]
            assert 0 <= y1 < y2 <= SIZE[0]
            # A box holds pixels that visibly changed.
            assert difference[y1:y2, x1:x2].max() > 12
            inside[max(y1 - 8, 0) : y2 + 8, max(x1 - 8, 0) : x2 + 8] = True
        # Compression and faint ends leak a little; a defect outside every box would be hundreds of pixels.
        assert int((difference[~inside] > 40).sum()) < 60
        planted += len(dirty.labels)
    assert planted >= 12


@pytest.mark.parametrize("function", PROCESSES)
def test_copper_is_left_thin_on_outer_layers_alone(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thresholded inner layer shows no half-tones; plugged and finished boards have no such labels."""
    thin = []

    def thinned(clean: Field, dirty: Field, rng: np.random.Generator) -> Field:
        thin.append(True)
        return dirty

    monkeypatch.setattr(scene, "thinned", thinned)
    for seed in range(20):
        board(function, seed, 60.0)
    assert bool(thin) == (function in ("acid-outer-layer", "alkaline-outer-layer"))


@pytest.mark.parametrize("function", PROCESSES)
def test_every_label_can_be_planted(function: str) -> None:
    seen = set()
    for seed in range(12):
        labels = PROCESSES[function].labels
        seen |= set(board(function, seed, dict.fromkeys(labels, 1)).labels)
    assert seen == set(PROCESSES[function].labels)


def test_clean_share_leaves_tiles_without_defects() -> None:
    empty = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        look = Look.sample(rng, "binary")
        tile = render_board("inner-layer", (160, 160), None, look, rng, {"spur": 3, "nick": 3}, clean_share=0.5)
        empty += not tile.labels
    assert 4 <= empty <= 16


def test_binary_boards_show_no_surface_defects() -> None:
    labels = board("inner-layer", 1, {"scratch": 3, "foreign_object": 3, "spur": 2}, "binary").labels
    assert set(labels) == {"spur"}


def test_large_boards_are_drawn() -> None:
    rng = np.random.default_rng(2)
    large = render_board("inner-layer", (1300, 1700), 20.8, Look.sample(rng, "binary"), rng, 10.0)
    assert large.image.shape == (1300, 1700, 3)
    assert len(large.labels) > 5


def test_unknown_names_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="inner-layr"):
        render_board("inner-layr", SIZE, None, Look("binary"), rng)
    with pytest.raises(ValueError, match="opne"):
        render_board("inner-layer", SIZE, None, Look("binary"), rng, {"opne": 1})
    with pytest.raises(ValueError, match="infrared"):
        Look("infrared")
