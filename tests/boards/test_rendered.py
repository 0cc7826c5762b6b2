"""Rendered scenes of the other functions: the number decides, the twin differs in defects only, trails lie on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boards.camera import visible
from boards.camera.look import Look
from boards.copper.real_artwork import BoardLayer
from boards.process.board import PROCESSES, render_board
from boards.scenes import inner_tiles, outer_tiles
from pcb_aoi.exports.scene import Scene
from training.traits import LONG, MARGIN_PX

FUNCTIONS = ("acid-outer-layer", "alkaline-outer-layer", "resin-plug")
FAINT = 40  # grey levels that JPEG and the camera's blur may move beside a defect


@pytest.fixture(autouse=True)
def generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """All artwork is generated, but where a test says otherwise."""
    monkeypatch.setattr(outer_tiles, "REAL_ARTWORK", 0.0)


def tile(function: str, number: int, split: str = "calibration") -> Scene:
    return outer_tiles.render_tile(function, Path("nowhere"), split, 1, number)


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
            assert slugs[scene.labels[int(owner)]] in LONG
        points += len(scene.trails)
    assert points > 50


@pytest.mark.parametrize(
    ("function", "slug", "least"), [("acid-outer-layer", "scratch", 3), ("gold-osp", "gold_scratch", 1)]
)
def test_a_lone_scratch_is_boxed_and_trailed_as_far_as_it_holds_together(function: str, slug: str, least: int) -> None:
    """It is all that differs from the twin, so what `followed` sees there is the scratch."""
    faint_ends = 0
    for seed in range(16):
        look = Look.sample(np.random.default_rng(seed), "colour")
        board = render_board(function, (300, 300), None, look, np.random.default_rng(seed), {slug: 1})
        if board.clean is None or len(board.boxes) != 1:
            continue
        change = visible.changes(board.image, board.clean)
        strong, whole = (extent(part(change)) for part in (visible.seen, visible.followed))
        air = np.array([-1, -1, 1, 1]) * MARGIN_PX
        assert board.boxes[0] == pytest.approx((whole + air).clip(0, 300), abs=5)  # ends lost in the camera's noise
        points = outer_tiles.trails(board, board.clean, (slug,))[:, :2]
        assert np.concatenate((points.min(0), points.max(0))) == pytest.approx(whole, abs=5 + outer_tiles.CELL)
        faint_ends += int(np.abs(whole - strong).max() > 5)
    assert faint_ends >= least  # else the test says nothing


def extent(mask: np.ndarray) -> np.ndarray:
    """x1, y1, x2, y2 of the pixels set."""
    y, x = np.nonzero(mask)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])


def test_the_inner_layer_follows_its_scratches_too(monkeypatch: pytest.MonkeyPatch) -> None:
    slugs: tuple[str, ...] = PROCESSES["inner-layer"].labels
    told: list[list[bool]] = []
    planned = inner_tiles.InnerBoard.draw

    def draw(plan: inner_tiles.InnerBoard, wanted: list[str]) -> tuple[np.ndarray, inner_tiles.Planting]:
        image, planted = planned(plan, wanted)
        if wanted:
            told.append([slugs[label] == "scratch" for label in planted.labels])
        return image, planted

    def watch(*args: Any, lines: np.ndarray) -> object:  # noqa: ANN401
        image, clean, boxes, whole, margin = args
        assert lines.tolist() == (told[-1] if len(lines) else [])
        return visible.measure(image, clean, boxes, whole, margin, lines=lines)

    monkeypatch.setattr(inner_tiles.InnerBoard, "draw", draw)
    monkeypatch.setattr(inner_tiles, "measure", watch)
    for number in range(6):
        inner_tiles.render_tile(Path("nowhere"), [], "train", 1, number, layers=(striped(),))
    assert any(any(flags) for flags in told)


def striped() -> BoardLayer:
    """Artwork of thin lines."""
    stripes = np.zeros((600, 600), np.uint8)
    stripes[:, ::40] = 1
    nothing = np.zeros((0, 4), np.float32)
    return BoardLayer("family", "board/F.Cu", stripes, nothing, nothing)


def test_only_the_test_asks_for_artwork_that_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def artwork(folder: Path, held_out: bool) -> tuple[BoardLayer, ...]:
        asked.append((folder, held_out))
        return (striped(),)

    monkeypatch.setattr(outer_tiles, "artwork", artwork)
    monkeypatch.setattr(outer_tiles, "REAL_ARTWORK", 1.0)
    for split in ("train", "calibration", "test"):
        tile("acid-outer-layer", 0, split)
    assert asked == [(Path("nowhere/artwork"), held_out) for held_out in (False, False, True)]


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
    inner = looks(monkeypatch, lambda number: inner_tiles.render_tile(Path("nowhere"), ["a"], split, 1, number))
    for asked in (own, inner):
        assert {held_out for held_out, _ in asked} == {test}
        assert sum(edge for _, edge in asked) in (range(1) if test else range(15, 46))


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_on_grey_pictures_of_the_inner_layer_foreign_matter_lies_on_copper(kind: str) -> None:
    mask = np.zeros((640, 640), np.uint8)
    mask[:, :320] = 1
    look = Look(kind, copper=(200.0, 170.0, 150.0), laminate=(40.0, 40.0, 30.0), grain=0.0, cloud=0.0, brush=0.0)
    middles = []
    for seed in range(12):
        board = inner_tiles.InnerBoard(None, mask, 20.8, look, False, (seed,) * 5)
        _, planted = board.draw(["foreign_object"] * 6)
        middles += [(box[0] + box[2]) / 2 for box in planted.boxes]
    assert len(middles) > 40
    share = np.mean(np.array(middles) < 330)
    assert share > 0.9 if kind == "grey" else 0.3 < share < 0.75
