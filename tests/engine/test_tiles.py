"""tiles: every pixel is seen, overlaps are kept, nothing is resampled twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcb_aoi.engine import tiles

SIDES = st.integers(1, 700)


@given(SIDES, SIDES, st.integers(1, 4).map(lambda n: n * 32), st.data())
def test_every_pixel_is_in_a_tile_and_neighbours_share_the_overlap(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, tile // 2))
    grid = tiles.plan(height, width, tile, overlap)
    for length, first, last in ((width, 0, 2), (height, 1, 3)):
        starts, stops = np.unique(grid.boxes[:, first]), np.unique(grid.boxes[:, last])
        assert starts[0] == 0
        assert stops[-1] == max(length, tile)
        assert (stops - starts == tile).all()
        assert (stops[:-1] - starts[1:] >= overlap).all()
        # No tile more than the overlap asks for.
        assert len(starts) == max(1, -(-(length - overlap) // (tile - overlap)))
    assert len(np.unique(grid.boxes, axis=0)) == len(grid)


@pytest.mark.parametrize(
    ("length", "starts"),
    [(1, [0]), (63, [0]), (64, [0]), (65, [0, 1]), (112, [0, 48]), (113, [0, 48, 49]), (200, [0, 48, 96, 136])],
)
def test_the_last_tile_is_shifted_inward(length: int, starts: list[int]) -> None:
    assert tiles.plan(64, length, 64, 16).boxes[:, 0].tolist() == starts


@given(SIDES, SIDES, st.booleans(), st.integers(1, 7))
def test_tiles_put_back_are_the_image(height: int, width: int, grey: bool, size: int) -> None:
    image = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)
    image = image[..., 0] if grey else image
    grid = tiles.plan(height, width, 64, 16)
    back = np.zeros((max(height, 64), max(width, 64), 3), np.uint8)
    seen = 0
    for first, batch in tiles.batches(image, grid, size):
        assert first == seen
        assert len(batch) <= size
        for tile, (x1, y1, x2, y2) in zip(batch, grid.boxes[first:], strict=False):
            back[y1:y2, x1:x2] = tile
        seen += len(batch)
    assert seen == len(grid)
    assert (back[:height, :width] == (image[..., None] if grey else image)).all()
    # Padding repeats the border.
    assert (back[height:, :width] == back[height - 1, :width]).all()
    assert (back[:, width:] == back[:, width - 1 : width]).all()


@pytest.mark.parametrize("scale", [0.37, 0.5, 1.9])
def test_scaled_tiles_agree_where_they_overlap(scale: float) -> None:
    """Cut at another scale, a board looks the same in both tiles that see a place."""
    image = np.random.default_rng(1).integers(0, 256, (300, 410), np.uint8)
    grid = tiles.plan(300, 410, 64, 16, scale)
    assert (grid.height, grid.width) == (round(300 * scale), round(410 * scale))
    cut = np.concatenate([batch for _, batch in tiles.batches(image, grid, 8)]).astype(int)
    back = np.full((max(grid.height, 64), max(grid.width, 64), 3), -1)
    for tile, (x1, y1, x2, y2) in zip(cut, grid.boxes, strict=True):
        place = back[y1:y2, x1:x2]
        # The same filter at the same place differs by rounding only, once in each of its two passes.
        assert np.abs(np.where(place < 0, tile, place) - tile).max() <= 2
        place[...] = tile


def test_reduction_averages_thin_lines_instead_of_skipping_them() -> None:
    image = np.zeros((64, 640), np.uint8)
    image[:, ::8] = 255
    grid = tiles.plan(64, 640, 32, 0, 0.1)
    tile = next(tiles.batches(image, grid, 1))[1][0]
    assert tile[:6, 1:-1].min() > 10


@given(SIDES, SIDES, st.sampled_from([(), (96,), (96, 160), (96, 160, 1000)]))
def test_a_small_picture_takes_the_smallest_canvas_that_holds_it(
    height: int, width: int, canvases: tuple[int, ...]
) -> None:
    grid = tiles.plan(height, width, 224, 64, canvases=canvases)
    fitting = [side for side in canvases if max(height, width) <= side < 224]
    assert grid.tile == (fitting[0] if fitting else 224)
    if fitting:
        assert grid.boxes.tolist() == [[0, 0, grid.tile, grid.tile]]
    else:
        assert (grid.boxes == tiles.plan(height, width, 224, 64).boxes).all()
