"""A designed bridge joins two neighbouring pads, and nothing else."""

import cv2
import numpy as np
import pytest

from boards.copper import ties
from boards.copper.artwork import Artwork

SIDE = 200
PADS = [(40.0 + 30 * step, 60.0, 18.0, 40.0) for step in range(4)]  # gaps of 12 px


def artwork(pads: list[tuple[float, float, float, float]], upright: bool = False) -> Artwork:
    copper = np.zeros((SIDE, SIDE), np.uint8)
    for x, y, width, height in pads:
        copper[int(y - height / 2) : int(y + height / 2), int(x - width / 2) : int(x + width / 2)] = 1
    shapes = np.array(pads, np.float32).reshape(-1, 4)
    if upright:
        copper, shapes = np.ascontiguousarray(copper.T), shapes[:, [1, 0, 3, 2]]
    return Artwork(copper, np.empty((0, 4), np.float32), shapes)


def count(copper: np.ndarray) -> int:
    return cv2.connectedComponents(copper, connectivity=8)[0] - 1


@pytest.mark.parametrize("upright", [False, True])
def test_each_tie_makes_one_of_two_pads(upright: bool) -> None:
    design, tied = artwork(PADS, upright), 0
    for seed in range(30):
        copper = ties.tie(design, np.random.default_rng(seed))
        added = copper & (1 - design.copper)
        assert (copper | design.copper == copper).all()
        assert count(copper) == len(PADS) - count(added)
        tied += count(added)
        for _, _, width, height, area in cv2.connectedComponentsWithStats(added)[2][1:]:
            assert (height if upright else width) == 12
            assert (width if upright else height) >= ties.LEAST_PX
            assert area == width * height  # straight
    assert 10 < tied < 80  # of 90 pairs


def test_the_artwork_is_left_as_it_was() -> None:
    design = artwork(PADS)
    before = design.copper.copy()
    for seed in range(10):
        ties.tie(design, np.random.default_rng(seed))
    assert (design.copper == before).all()


@pytest.mark.parametrize("pads", [[], PADS[:1], [PADS[0], PADS[2]], [PADS[0], (70.0, 64.0, 18.0, 40.0)]])
def test_pads_alone_far_apart_or_out_of_line_are_not_joined(pads: list[tuple[float, float, float, float]]) -> None:
    design = artwork(pads)
    for seed in range(20):
        assert (ties.tie(design, np.random.default_rng(seed)) == design.copper).all()


def test_no_tie_crosses_or_grazes_a_line_between_two_pads() -> None:
    design = artwork(PADS[:2])
    design.copper[:, 54:56] = 1
    for seed in range(20):
        assert (ties.tie(design, np.random.default_rng(seed)) == design.copper).all()


def test_pads_that_the_picture_cuts_off_are_no_reason_to_fail() -> None:
    design = artwork(
        [(-5.0, 60.0, 18.0, 40.0), (20.0, 60.0, 18.0, 40.0), (184.0, 60.0, 8.0, 40.0), (202.0, 60.0, 6.0, 40.0)]
    )
    for seed in range(20):
        assert count(ties.tie(design, np.random.default_rng(seed))) <= count(design.copper)


def test_a_pad_without_its_copper_is_not_joined() -> None:
    design = artwork(PADS[:2])
    design.copper[:, 60:] = 0
    for seed in range(20):
        assert (ties.tie(design, np.random.default_rng(seed)) == design.copper).all()
