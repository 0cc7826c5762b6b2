"""plating: what an annotator would box as one thing lies on one conductor, and a nodule is of copper."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from boards.camera.look import Look
from boards.copper import drilling
from boards.copper.artwork import draw_artwork
from boards.copper.layer import conductor_at
from boards.defects import film, plating
from boards.defects.planting import Truth
from boards.pixels.drawing import disc
from boards.process import alkaline_outer_layer
from boards.process.board import PROCESSES, render_board
from training.traits import MARGIN_PX

SIDE = 160
PITCH = 10.0
COPPER, LAMINATE = (184, 139, 108), (54, 45, 35)


def lines() -> tuple[np.ndarray, np.ndarray]:
    """Two upright lines, 20 px wide and 20 px apart: picture and copper."""
    copper = np.zeros((SIDE, SIDE), np.uint8)
    copper[:, 60:80] = copper[:, 100:120] = 1
    return np.where(copper[..., None], COPPER, LAMINATE).astype(np.uint8), copper


def change(image: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(image.astype(int) - lines()[0]).max(axis=2) > 8)


def test_a_conductor_is_the_piece_of_copper_at_a_point() -> None:
    copper = lines()[1]
    assert np.array_equal(np.flatnonzero(conductor_at(copper, 65, 3).any(axis=0)), np.arange(60, 80))


@pytest.mark.parametrize("seed", range(8))
def test_tin_stays_on_one_conductor(seed: int) -> None:
    image, copper = lines()
    assert plating.tin(image, copper, (70, 80), 1200, PITCH, 3, np.random.default_rng(seed)) is not None
    columns = np.flatnonzero(change(image).any(axis=0))
    assert columns.min() >= 56  # the optics' pixels beside the edge
    assert columns.max() <= 83


@pytest.mark.parametrize("seed", range(8))
def test_a_nodule_is_of_copper_beside_its_line_too(seed: int) -> None:
    image, copper = lines()
    rng = np.random.default_rng(seed)
    assert plating.nodule(image, copper, (61, 80), 160, PITCH, 3, rng) is not None
    body = image[72:89, 55:60].reshape(-1, 3).astype(float)  # left of the line, within the bump
    assert np.median(body, axis=0).sum() > 1.6 * sum(LAMINATE)
    assert np.median(body[:, 0]) > np.median(body[:, 2])  # redder than blue, as copper is


def test_the_nodules_of_a_cluster_grow_together() -> None:
    for seed in range(40):
        middles = plating._touching(4, 12.0, np.random.default_rng(seed))
        assert len(middles) == 4
        canvas = np.zeros((SIDE, SIDE), np.uint8)
        for x, y in middles + SIDE / 2:
            disc(canvas, x, y, 12.0 * plating.CLUSTERED + 0.5)
        assert cv2.connectedComponents((canvas > 127).astype(np.uint8))[0] == 2


def test_tin_shows_where_there_is_no_colour() -> None:
    steps = []
    for seed in range(30):
        image = np.full((SIDE, SIDE, 3), 150, np.uint8)
        plating.tin(image, np.ones((SIDE, SIDE), np.uint8), (80, 80), 600, PITCH, 3, np.random.default_rng(seed))
        changed = np.abs(image.astype(int) - 150).max(axis=2)
        if changed.any():
            steps.append(float(np.percentile(changed[changed > 4], 75)))
    assert len(steps) == 30
    assert min(steps) > 20


@pytest.mark.parametrize(("shade", "lies"), [((150, 150, 150), False), (COPPER, True)])
def test_without_colour_tin_needs_bare_copper_beside_it(shade: tuple[int, int, int], lies: bool) -> None:
    pad = np.zeros((SIDE, SIDE), np.uint8)
    pad[74:86, 74:86] = 1
    line = np.zeros_like(pad)
    line[74:86] = 1
    for copper, expected in ((pad, lies), (line, True), (np.ones_like(pad), True)):
        image = np.where(copper[..., None], shade, (50, 50, 50)).astype(np.uint8)
        boxes = [
            plating.tin(image.copy(), copper, (80, 80), 700, PITCH, 3, np.random.default_rng(seed)) for seed in range(8)
        ]
        assert all((box is not None) == expected for box in boxes)


def test_a_nodule_does_not_bridge_two_conductors() -> None:
    drawn = 0
    for seed in range(24):
        image, copper = lines()
        drawn += plating.nodule(image, copper, (72, 80), 520, PITCH, 3, np.random.default_rng(seed)) is not None
        gap = image[:, 80:100].sum(axis=2)
        assert not (gap > 1.5 * sum(LAMINATE)).all(axis=1).any()
    assert 0 < drawn < 24


def test_nothing_is_planted_where_a_hole_will_be_bored(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr(plating, "nodule", lambda image, copper, *_: given.append(copper))
    artwork = draw_artwork((640, 640), PITCH, np.random.default_rng(0), False)
    monkeypatch.setattr(drilling, "drift", lambda vias, rng: vias)
    rng = np.random.default_rng(1)
    render_board("alkaline-outer-layer", artwork.copper.shape, PITCH, Look("colour"), rng, {"nodule": 1}, 0.0, artwork)
    middles = drilling.usable(artwork.vias, artwork.copper)[:, :2].astype(int)
    x, y = middles[((middles >= 0) & (middles < 640)).all(axis=1)].T
    assert len(x) > 3
    assert artwork.copper[y, x].all()
    assert not given[0][y, x].any()


def test_of_a_fringe_the_least_shows_that_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a least of 400 um shorter ones, which are planted, too, are taken off."""
    sizes = {}
    for least in (0.0, 400.0):
        process = replace(PROCESSES["alkaline-outer-layer"], least_um={"underplating": least})
        monkeypatch.setattr("boards.process.board.PROCESSES", {"alkaline-outer-layer": process})
        boxes = []
        for seed in range(4):
            rng = np.random.default_rng(seed)
            board = render_board("alkaline-outer-layer", (300, 300), PITCH, Look("colour"), rng, {"underplating": 8})
            boxes.append(board.boxes)
        whole = np.concatenate(boxes)
        whole = whole[((whole > 0) & (whole < 300)).all(axis=1)]  # not cut by the picture
        sizes[least] = (whole[:, 2:] - whole[:, :2]).max(axis=1) - 2 * MARGIN_PX
    assert alkaline_outer_layer.LEAST_UM["underplating"] == 200.0
    assert sizes[0.0].min() < 35
    assert sizes[400.0].min() >= 400 / PITCH - 1


def laid(what: str, seeds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Copper of boards, and where a defect adds thin copper, both (H, W), where it found a place."""
    found = []
    for seed in range(seeds):
        artwork = draw_artwork((400, 400), PITCH, np.random.default_rng(seed), False)
        coverage = artwork.copper.astype(np.float32)
        thin_copper = film.Film(coverage, artwork.copper, PITCH, MARGIN_PX, np.random.default_rng(seed))
        getattr(thin_copper, what)(Truth())
        thin = coverage - artwork.copper > film.SHOWS
        if thin.any():
            found.append((artwork.copper, thin))
    assert len(found) > 15
    return found


def test_a_fringe_grows_from_one_conductor_and_meets_no_other() -> None:
    for copper, thin in laid("creep", 30):
        count, conductors = cv2.connectedComponents(copper, connectivity=4)
        away = [cv2.distanceTransform((conductors != one).astype(np.uint8), cv2.DIST_L2, 5) for one in range(1, count)]
        assert sum(float(distance[thin].min()) < film.BETWEEN_PX - 0.5 for distance in away) == 1


def test_a_web_of_film_holds_together_but_for_the_lines_between() -> None:
    for _, thin in laid("pinch", 40):
        near = cv2.dilate(thin.astype(np.uint8), np.ones((33, 33), np.uint8))  # 1.3 times the widest gap
        assert cv2.connectedComponents(near)[0] == 2  # with the background
