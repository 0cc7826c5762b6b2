"""Artwork: every style yields copper and laminate, and what it reports of holes and pads is there."""

import numpy as np

from boards.copper.artwork import _opening, draw_artwork


def test_artwork_is_copper_and_laminate_and_differs_by_seed() -> None:
    shares, pictures = [], []
    for seed in range(25):
        artwork = draw_artwork((300, 360), 20.8, np.random.default_rng(seed))
        assert artwork.copper.shape == (300, 360)
        assert set(np.unique(artwork.copper)) <= {0, 1}
        shares.append(float(artwork.copper.mean()))
        pictures.append(artwork.copper.tobytes())
    assert len(set(pictures)) == 25
    assert np.mean(np.array(shares) > 0.02) > 0.9  # sparse corners exist, blank boards are the exception
    assert min(shares) < 0.3
    assert max(shares) > 0.7


def test_vias_lie_on_copper() -> None:
    on_copper = []
    for seed in range(30):
        artwork = draw_artwork((400, 400), 20.8, np.random.default_rng(seed), planes=False)
        for x, y, pad, hole in artwork.vias:
            assert 0 < hole < pad
            ring = x + (pad + hole) / 2, y
            if 0 <= ring[0] < 400 and 0 <= ring[1] < 400:
                on_copper.append(artwork.copper[int(ring[1]), int(ring[0])])
    assert len(on_copper) > 100
    assert np.mean(on_copper) > 0.93  # the drill of a close neighbour may reach in


def test_large_boards_are_cut_into_sheets_with_ground_between_them() -> None:
    artwork = draw_artwork((1200, 2300), 20.8, np.random.default_rng(1))
    assert artwork.copper.shape == (1200, 2300)
    assert (artwork.copper.sum(axis=0) == 0).any() or (artwork.copper.sum(axis=1) == 0).any()


def test_an_opening_leaves_copper_all_round_or_is_not_cut() -> None:
    for x, cut in ((50.0, True), (16.0, False), (24.0, False), (26.0, True)):
        canvas = np.zeros((100, 100), np.uint8)
        canvas[10:90, 10:90] = 255
        before = canvas.copy()
        _opening(canvas, x, 50.0, 10.0, 5.0)
        assert (canvas != before).any() == cut
