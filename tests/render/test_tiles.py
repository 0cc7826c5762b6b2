"""The training distribution: clean share, pitches, reproducible by number."""

import numpy as np
import pytest

from training.render.board import PROCESSES
from training.render.real_artwork import BoardLayer
from training.render.tiles import PITCHES, TileSource

SIZE = (128, 128)


@pytest.mark.parametrize("function", PROCESSES)
def test_tiles_come_with_and_without_defects(function: str) -> None:
    source = TileSource(function, per_megapixel=300.0)
    tiles = [source.draw(SIZE, np.random.default_rng(seed)) for seed in range(24)]
    clean = sum(not tile.labels for tile in tiles)
    assert 2 <= clean <= 18
    assert all(tile.image.shape == (*SIZE, 3) for tile in tiles)
    if function != "inner-layer":
        assert not any(set(np.unique(tile.image)) <= {0, 255} for tile in tiles)


def test_pitches_cover_every_process() -> None:
    assert PITCHES.keys() == PROCESSES.keys()
    for function, (low, high) in PITCHES.items():
        assert low < PROCESSES[function].um_per_px < high


def test_a_stream_can_be_resumed_anywhere() -> None:
    source = TileSource("inner-layer")
    first = [tile.image for tile, _ in zip(source.stream(SIZE, 5), range(4), strict=False)]
    again = source.draw(SIZE, np.random.default_rng((5, 3))).image
    assert np.array_equal(first[3], again)
    assert not np.array_equal(first[0], first[1])


def test_real_artwork_is_used() -> None:
    mask = np.zeros((600, 600), np.uint8)
    mask[:, np.arange(600) % 40 < 10] = 1  # 125 um: finer than 80 um is taken off again
    empty = np.zeros((0, 4), np.float32)
    source = TileSource(
        "inner-layer",
        artwork=[BoardLayer("maker", "maker/In1.Cu", mask, empty, empty)],
        real_share=1.0,
        clean_share=1.0,
        kinds=("binary",),
    )
    for seed in range(4):
        copper = source.draw(SIZE, np.random.default_rng(seed)).image[:, :, 0] < 128
        # Stripes in one direction only: every row, or every column, is all alike.
        assert min(np.std(copper.mean(axis=0)), np.std(copper.mean(axis=1))) < 0.05
        assert 0.1 < copper.mean() < 0.4
