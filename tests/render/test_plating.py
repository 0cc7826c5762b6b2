"""plating: what an annotator would box as one thing lies on one conductor, and a nodule is of copper."""

import numpy as np
import pytest

from training.render import plating
from training.render.layer import conductor_at

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


def test_a_nodule_does_not_bridge_two_conductors() -> None:
    drawn = 0
    for seed in range(24):
        image, copper = lines()
        drawn += plating.nodule(image, copper, (72, 80), 520, PITCH, 3, np.random.default_rng(seed)) is not None
        gap = image[:, 80:100].sum(axis=2)
        assert not (gap > 1.5 * sum(LAMINATE)).all(axis=1).any()
    assert 0 < drawn < 24
