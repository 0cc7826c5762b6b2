"""Round pads and drills are round at any size, as on real boards."""

import numpy as np
import pytest

from boards.pixels.drawing import disc

FINE = 16  # samples a pixel and axis


@pytest.mark.parametrize("radius", [0.6, 2.5, 4.0, 7.3, 9.5, 14.0, 30.0])
@pytest.mark.parametrize("middle", [(40.0, 40.0), (39.4, 40.7), (1.5, 78.0)])
def test_a_disc_covers_what_a_circle_does(radius: float, middle: tuple[float, float]) -> None:
    x, y = middle
    at = (np.arange(80 * FINE) + 0.5) / FINE - 0.5
    circle = np.hypot(at[:, None] - y, at[None] - x) <= radius
    share = circle.reshape(80, FINE, 80, FINE).mean(axis=(1, 3))
    canvas = np.zeros((80, 80), np.uint8)
    disc(canvas, x, y, radius)
    assert np.abs(canvas / 255 - share).max() < 0.12  # a dodecagon of cv2: .5 and more
    hole = np.full((80, 80), 255, np.uint8)
    disc(hole, x, y, radius, 0)
    assert np.abs(255 - hole.astype(int) - canvas).max() <= 1


def test_a_disc_beside_the_picture_is_none() -> None:
    canvas = np.zeros((20, 20), np.uint8)
    for x, y in [(-30.0, 5.0), (50.0, 5.0), (5.0, -30.0), (5.0, 50.0)]:
        disc(canvas, x, y, 4.0)
    assert not canvas.any()
