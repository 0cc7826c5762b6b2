"""pieces: every visible part of a scratch is some cell's to box, and nothing else is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcb_aoi.exports.scene import IGNORED, Scene
from training.data import augment, pieces
from training.traits import MARGIN_PX

SIDE = 320


def line(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    """Points of a scratch, 3 px apart."""
    count = max(int(np.hypot(x2 - x1, y2 - y1) / 3), 1) + 1
    return np.linspace((x1, y1), (x2, y2), count).astype(np.float32)


def cut(*lines: np.ndarray, side: int = SIDE) -> pieces.Pieces:
    points = np.concatenate(lines)
    owners = np.repeat(np.arange(len(lines)), [len(one) for one in lines])
    return pieces.cut(points, np.full(len(points), 2), owners, side)


ends = st.floats(-200, 500)


@given(ends, ends, ends, ends)
def test_the_pieces_of_a_scratch_cover_what_the_crop_shows_of_it(x1: float, y1: float, x2: float, y2: float) -> None:
    points = line(x1, y1, x2, y2)
    shown = points[((points >= 0) & (points < SIDE)).all(axis=1)]
    found = cut(points)
    own = found.labels == 2
    if len(shown) < pieces.FEWEST:
        assert not own.any()
        return
    boxes = found.boxes[own]
    extent = np.concatenate((shown.min(0) - MARGIN_PX, shown.max(0) + MARGIN_PX)).clip(0, SIDE)
    assert np.concatenate((boxes[:, :2].min(0), boxes[:, 2:].max(0))) == pytest.approx(extent, abs=1e-3)
    centres = np.stack((found.cells[own] % 40, found.cells[own] // 40), axis=1) * 8 + 4
    assert (np.abs(centres[:, None] - shown[None]).max(axis=2).min(axis=1) <= 4).all()  # it runs through each cell
    assert (np.abs(boxes.reshape(-1, 2, 2) - centres[:, None]).max(axis=(1, 2)) <= pieces.REACH + 4).all()


def test_cells_beside_a_scratch_learn_nothing_of_it() -> None:
    found = cut(line(20, 100, 300, 100))
    own, beside = found.cells[found.labels == 2], found.cells[found.labels == IGNORED]
    assert set((own // 40).tolist()) == {12}
    assert set((beside // 40).tolist()) == {11, 12, 13}
    assert not set(own.tolist()) & set(beside.tolist())
    assert set(found.of.tolist()) == {2}


def test_two_scratches_are_not_one() -> None:
    found = cut(line(20, 100, 120, 100), line(20, 120, 120, 120))
    heights = (found.boxes[:, 3] - found.boxes[:, 1])[found.labels == 2]
    assert heights.max() < 10


def scratched() -> Scene:
    image = np.full((640, 640), 110, np.uint8)
    points = line(100, 300, 540, 340)
    trails = np.concatenate((points, np.zeros((len(points), 1))), axis=1).astype(np.float32)
    boxes = np.array([[97, 297, 543, 343], [200, 100, 240, 140]], np.float32)
    for x, y in points.astype(int):
        image[y : y + 3, x : x + 3] = 255
    return Scene(image, boxes, np.array([1, 0]), trails=trails)


def test_a_crop_moves_the_trail_as_it_moves_the_picture() -> None:
    for seed in range(20):
        crop = augment.crop(scratched(), SIDE, np.random.default_rng(seed), joined=frozenset([1]))
        own = crop.pieces.cells[crop.pieces.labels == 1]
        assert 1 not in crop.labels
        bright = crop.image[..., 0].reshape(40, 8, 40, 8).max(axis=(1, 3)) > 160
        y, x = np.divmod(own, 40)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(bright, 1), (3, 3))
        assert windows[y, x].any(axis=(1, 2)).all()
        assert len(own) >= 0.5 * bright.sum()


@pytest.mark.parametrize(
    ("box", "kept", "has_pieces"),
    [
        ((200, 300, 260, 350), 1, False),  # short: its box is one piece
        ((100, 300, 540, 320), None, True),  # long and thin: it runs along
        ((310, 50, 330, 600), None, True),
        ((100, 200, 540, 440), IGNORED, False),  # long and wide: nobody knows where
    ],
)
def test_a_scratch_of_which_only_the_box_is_known(box: tuple[float, ...], kept: int | None, has_pieces: bool) -> None:
    scene = Scene(np.full((640, 640), 110, np.uint8), np.array([box], np.float32), np.array([1]))
    crop = augment.crop(scene, 640, np.random.default_rng(1), joined=frozenset([1]))
    assert crop.labels.tolist() == ([] if kept is None else [kept])
    assert bool((crop.pieces.labels == 1).any()) == has_pieces
    if has_pieces:
        boxes = crop.pieces.boxes[crop.pieces.labels == 1]
        across = (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
        assert np.abs(across - 20).max() < 0.3 * 20  # as thick as the box, at the crop's scale
    whole = augment.crop(scene, 640, np.random.default_rng(1))
    assert whole.labels.tolist() == [1]
