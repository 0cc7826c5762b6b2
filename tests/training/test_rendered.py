"""Rendered scenes of the other functions: the number decides, the twin differs in defects only, trails lie on them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training import rendered, rendered_inner
from training.render.board import PROCESSES
from training.render.look import Look
from training.render.real_artwork import BoardLayer
from training.scene import Scene

FUNCTIONS = ("acid-outer-layer", "alkaline-outer-layer", "resin-plug")
FAINT = 40  # grey levels that JPEG and the camera's blur may move beside a defect


def tile(function: str, number: int, split: str = "calibration") -> Scene:
    return rendered.render_tile(function, Path("nowhere"), split, 1, number)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_twin_is_the_same_board_without_its_defects(function: str) -> None:
    seen = 0
    for number in range(3):
        scene = tile(function, number)
        assert scene.clean is not None
        assert scene.clean.shape == scene.image.shape
        beside = np.ones(scene.image.shape[:2], bool)
        for x1, y1, x2, y2 in np.round(scene.boxes).astype(int):
            beside[max(0, y1 - 4) : y2 + 4, max(0, x1 - 4) : x2 + 4] = False
        change = np.abs(scene.image.astype(int) - scene.clean)
        change = change.max(axis=2) if change.ndim == 3 else change
        assert change[beside].max() < FAINT
        seen += int((change[~beside] > FAINT).sum())
    assert seen > 100


def test_the_number_decides() -> None:
    assert np.array_equal(tile("resin-plug", 4).image, tile("resin-plug", 4).image)
    assert not np.array_equal(tile("resin-plug", 4).image, tile("resin-plug", 5).image)


def test_trails_lie_in_the_boxes_of_their_scratches() -> None:
    slugs = PROCESSES["alkaline-outer-layer"].labels
    points = 0
    for number in range(4):
        scene = tile("alkaline-outer-layer", number)
        for x, y, owner in scene.trails:
            x1, y1, x2, y2 = np.round(scene.boxes[int(owner)])
            assert x1 <= x < x2
            assert y1 <= y < y2
            assert slugs[scene.labels[int(owner)]] in rendered.LONG_LABELS
        points += len(scene.trails)
    assert points > 50


def test_training_and_test_ask_for_their_own_artwork(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    stripes = np.zeros((600, 600), np.uint8)
    stripes[:, ::40] = 1
    nothing = np.zeros((0, 4), np.float32)

    def artwork(folder: Path, held_out: bool) -> tuple[BoardLayer, ...]:
        asked.append((folder, held_out))
        return (BoardLayer("family", "board/F.Cu", stripes, nothing, nothing),)

    monkeypatch.setattr(rendered, "artwork", artwork)
    monkeypatch.setattr(rendered, "REAL_ARTWORK", 1.0)
    for split in ("train", "calibration", "test"):
        tile("acid-outer-layer", 0, split)
    assert asked == [(Path("nowhere/artwork"), False), (Path("nowhere/artwork"), True)]  # none calibrates


class DrawnError(Exception):
    """Ends a rendering as soon as its look is known."""


def looks(monkeypatch: pytest.MonkeyPatch, draw: Callable[[int], object]) -> list[tuple[bool, bool]]:
    """(held out, edge) of the looks that 60 boards ask for."""
    asked = []

    def sample(rng: np.random.Generator, kind: str, held_out: bool = False, edge: bool = False) -> Look:
        asked.append((held_out, edge))
        raise DrawnError

    monkeypatch.setattr(Look, "sample", sample)
    for number in range(60):
        with pytest.raises(DrawnError):
            draw(number)
    return asked


@pytest.mark.parametrize("split", ["train", "calibration", "test"])
def test_half_of_the_boards_have_looks_at_the_edge_and_those_of_the_test_are_held_out(
    split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = split == "test"
    own = looks(monkeypatch, lambda number: tile("resin-plug", number, split))
    seed = rendered_inner.SEEDS[split]
    inner = looks(monkeypatch, lambda number: rendered_inner.render_tile(Path("nowhere"), ["a"], seed, number, test))
    for asked in (own, inner):
        assert {held_out for held_out, _ in asked} == {test}
        assert sum(edge for _, edge in asked) in (range(1) if test else range(15, 46))
