"""What training's boards have more than their artwork: holes, ties, torn opens; and none of the test's."""

from pathlib import Path

import numpy as np
import pytest

from boards.camera.look import Look
from boards.copper.artwork import Artwork
from boards.copper.real_artwork import BoardLayer
from boards.defects import planting as scene
from boards.pixels.noise import Field
from boards.process.board import render_board
from boards.scenes import outer_tiles
from pcb_aoi.exports.scene import Scene

FUNCTIONS = ("acid-outer-layer", "alkaline-outer-layer", "resin-plug")
FAINT = 40  # grey levels that JPEG and the camera's blur may move beside a defect


def striped() -> BoardLayer:
    """Artwork of thin lines."""
    stripes = np.zeros((600, 600), np.uint8)
    stripes[:, ::40] = 1
    nothing = np.zeros((0, 4), np.float32)
    return BoardLayer("family", "board/F.Cu", stripes, nothing, nothing)


@pytest.fixture(autouse=True)
def generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """All artwork is generated, but where a test says otherwise."""
    monkeypatch.setattr(outer_tiles, "REAL_ARTWORK", 0.0)


def tile(function: str, number: int, split: str = "calibration") -> Scene:
    return outer_tiles.render_tile(function, Path("nowhere"), split, 1, number)


@pytest.mark.parametrize("function", outer_tiles.DRILLED)
@pytest.mark.parametrize("kind", ["stripes", "laminate"])
def test_more_holes_are_bored_and_no_defects(function: str, kind: str) -> None:
    copper = np.zeros((400, 400), np.uint8)
    if kind == "stripes":  # too narrow, and too close, for a large hole and its ring
        copper[:, np.arange(400) // 40 % 2 == 0] = 1
    design = Artwork(copper, np.empty((0, 4), np.float32), np.empty((0, 4), np.float32))
    look = Look.sample(np.random.default_rng(3), "grey", False)
    before, bored = (
        render_board(function, (400, 400), 10.0, look, np.random.default_rng(6), artwork=design, extras=more)
        for more in (False, True)
    )
    assert not len(bored.boxes)
    change = bored.image.astype(int) - before.image
    assert (change < -40 if kind == "stripes" else change > 40).mean() > 0.01  # holes in copper; rings on laminate
    assert (change == 0).mean() > 0.5


@pytest.mark.parametrize("function", outer_tiles.DRILLED)
@pytest.mark.parametrize("extras", [False, True])
def test_pads_are_tied_and_opens_torn_where_extras_are_asked_for(
    function: str, extras: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, flaked = [], scene.flaked

    def spy(clean: Field, dirty: Field, rng: np.random.Generator) -> Field:
        called.append(True)
        return flaked(clean, dirty, rng)

    monkeypatch.setattr(scene, "flaked", spy)
    pads = [(20.0 + 30 * column, 30.0 + 60 * row, 18.0, 40.0) for column in range(12) for row in range(6)]
    copper = np.zeros((400, 400), np.uint8)
    for x, y, width, height in pads:
        copper[int(y - height / 2) : int(y + height / 2), int(x - width / 2) : int(x + width / 2)] = 1
    design = Artwork(copper, np.empty((0, 4), np.float32), np.array(pads, np.float32))
    look = Look.sample(np.random.default_rng(3), "grey", False)
    wanted = {"open": 6, "nick": 6}
    board = render_board(function, (400, 400), 10.0, look, np.random.default_rng(6), wanted, 0.0, design, None, extras)
    assert board.clean is not None
    between = np.stack([board.clean[int(y) - 8 : int(y) + 8, int(x) + 12 : int(x) + 18, 0] for x, y, _, _ in pads[:-6]])
    level = np.median([board.clean[int(y), int(x), 0] for x, y, _, _ in pads])
    bridged = (between.reshape(len(between), -1).max(axis=1) > 0.7 * level).sum()
    assert bridged in (range(5, 60) if extras else range(1))
    assert bool(called) == extras


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("split", list(outer_tiles.EXTRAS))
def test_drilled_boards_have_such_holes_in_training_alone(
    function: str, split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Drawn(Exception):
        pass

    def stop(*args: object) -> None:
        asked.append(bool(args[-1]))
        raise Drawn

    monkeypatch.setattr(outer_tiles, "render_board", stop)
    for number in range(60):
        with pytest.raises(Drawn):
            tile(function, number, split)
    wanted = function in outer_tiles.DRILLED and split == "train"
    assert sum(asked) in (range(12, 37) if wanted else range(1))
