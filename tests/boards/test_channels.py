"""Boards of wide channels: nothing on them is as thin or as lone as a defect, and inner layers alone have them."""

import cv2
import numpy as np
import pytest

from boards.copper import artwork, channels
from boards.copper.artwork import draw_artwork
from boards.copper.canvas import Sheet

SIZE = (400, 500)


def drawn(seed: int) -> np.ndarray:
    sheet = Sheet(np.zeros(SIZE, np.uint8), 8, 6)
    channels.divide(sheet, np.random.default_rng(seed))
    return (sheet.canvas > 127).astype(np.uint8)


def widest(part: np.ndarray) -> float:
    """Diameter in px of the largest disc that fits."""
    return 2 * float(cv2.distanceTransform(part, cv2.DIST_L2, 5).max())


def test_sheets_are_copper_divided_by_laminate_or_laminate_by_copper() -> None:
    shares = [float(drawn(seed).mean()) for seed in range(40)]
    assert min(shares) > 0.02
    assert max(shares) < 0.98
    assert min(shares) < 0.35  # tracks
    assert max(shares) > 0.65  # channels


def test_channels_are_wider_than_the_lines_of_other_boards_and_narrow_on_their_way() -> None:
    wide = [min(widest(sheet), widest(1 - sheet)) for sheet in map(drawn, range(40))]
    assert max(wide) > 45
    # A neck is no thinner than LEAST: opening with a smaller disc leaves what was drawn, but for corners.
    kernel = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)), np.uint8)
    thin = [
        (part - cv2.morphologyEx(part, cv2.MORPH_OPEN, kernel))[5:-5, 5:-5].mean() > 0.001
        for sheet in map(drawn, range(40))
        for part in (sheet, 1 - sheet)
    ]
    assert sum(thin) <= 2  # where two channels step towards each other


def test_hardly_an_island_is_as_small_as_residual_copper() -> None:
    small = 0
    for seed in range(60):
        _, _, stats, _ = cv2.connectedComponentsWithStats(drawn(seed), connectivity=8)
        x, y, width, height, area = stats[1:].T
        inside = (x > 0) & (y > 0) & (x + width < SIZE[1]) & (y + height < SIZE[0])
        small += int((inside & (area < 400)).sum())
    assert small <= 3


def test_inner_layers_have_them_and_outer_layers_have_not(monkeypatch: pytest.MonkeyPatch) -> None:
    divided: list[Sheet] = []
    monkeypatch.setattr(artwork, "divide", lambda sheet, rng: divided.append(sheet))
    for seed in range(30):
        draw_artwork((200, 200), 20.8, np.random.default_rng(seed), planes=True)
    assert 2 <= len(divided) <= 15
    divided.clear()
    for seed in range(30):
        draw_artwork((200, 200), 20.8, np.random.default_rng(seed), planes=False)
    assert not divided
