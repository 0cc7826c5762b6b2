"""Which boards there are: with defects and without, at pitches round the native one, on real artwork."""

import numpy as np
import pytest

from boards.camera.look import Look
from boards.copper.real_artwork import BoardLayer
from boards.process.board import PROCESSES, render_board
from boards.scenes import inner_tiles, outer_tiles

SIZE = (128, 128)


@pytest.mark.parametrize("function", PROCESSES)
def test_boards_come_with_and_without_defects(function: str) -> None:
    boards = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        boards.append(render_board(function, SIZE, None, Look.sample(rng, "colour"), rng, 300.0, clean_share=0.3))
    clean = sum(not board.labels for board in boards)
    assert 2 <= clean <= 18
    assert all(board.image.shape == (*SIZE, 3) for board in boards)
    assert not any(set(np.unique(board.image)) <= {0, 255} for board in boards)


def test_pitches_cover_every_process() -> None:
    pitches = {"inner-layer": inner_tiles.PITCHES, **outer_tiles.PITCHES}
    assert pitches.keys() == PROCESSES.keys()
    for function, (low, high) in pitches.items():
        assert low < PROCESSES[function].um_per_px < high


def test_real_artwork_is_used() -> None:
    mask = np.zeros((600, 600), np.uint8)
    mask[:, np.arange(600) % 40 < 10] = 1  # 125 um: finer than 80 um is taken off again
    empty = np.zeros((0, 4), np.float32)
    layer = BoardLayer("maker", "maker/In1.Cu", mask, empty, empty)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        artwork = layer.crop(SIZE, 20.8, rng)
        image = render_board("inner-layer", SIZE, 20.8, Look.sample(rng, "binary"), rng, artwork=artwork).image
        copper = image[:, :, 0] < 128
        # Stripes in one direction only: every row, or every column, is all alike.
        assert min(np.std(copper.mean(axis=0)), np.std(copper.mean(axis=1))) < 0.05
        assert 0.1 < copper.mean() < 0.4
