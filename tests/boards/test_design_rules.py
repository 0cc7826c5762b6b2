"""Artwork obeys design rules: nothing of it looks like a defect that was not planted."""

import cv2
import numpy as np
import pytest

from boards.copper.artwork import draw_artwork
from boards.copper.design_rules import ISLAND_PX, disc_kernel, obey, without_islands
from boards.pixels.drawing import disc, line

LINE, SPACE = 6.0, 6.0


def mask(canvas: np.ndarray) -> np.ndarray:
    return (canvas > 127).astype(np.uint8)


def pieces(copper: np.ndarray) -> int:
    return int(cv2.connectedComponents(copper, connectivity=8)[0]) - 1


def test_what_is_wide_enough_stays_to_a_pixel_of_its_corners() -> None:
    canvas = np.zeros((120, 120), np.uint8)
    line(canvas, np.array([(0, 30), (60, 30), (119, 89)]), 10)
    canvas[70:110, 10:50] = 255
    copper = mask(canvas)
    changed = obey(copper, LINE, SPACE) != copper
    assert changed.sum() < 60
    assert not cv2.erode(changed.astype(np.uint8), np.ones((3, 3), np.uint8)).any()


def test_corners_that_touch_grow_together_and_lines_that_nearly_do_stay_apart() -> None:
    copper = np.zeros((100, 100), np.uint8)
    copper[20:50, 20:50] = copper[49:80, 49:80] = 1  # one pixel in common: a nick from both sides
    mended = obey(copper, LINE, SPACE)
    assert pieces(mended) == 1
    assert cv2.erode(mended, disc_kernel(LINE - 2))[49, 49]
    apart = np.zeros((100, 100), np.uint8)
    apart[20:46, :] = apart[46 + int(SPACE) + 2 :, :] = 1
    assert pieces(obey(apart, LINE, SPACE)) == 2


@pytest.mark.parametrize("value", [0, 1])
def test_slits_and_slivers_go(value: int) -> None:
    copper = np.full((100, 100), value, np.uint8)
    copper[50:53, 20:80] = 1 - value
    assert (obey(copper, LINE, SPACE) == value).all()


def test_crumbs_of_copper_go_but_not_what_the_picture_cuts_off() -> None:
    canvas = np.zeros((100, 100), np.uint8)
    for x, radius in ((20, ISLAND_PX / 2 - 2), (60, ISLAND_PX / 2 + 2), (99, 4)):
        disc(canvas, x, 50, radius)
    kept = without_islands(mask(canvas), ISLAND_PX)
    assert not kept[50, 20]
    assert kept[50, 60]
    assert kept[50, 99]


@pytest.mark.parametrize("planes", [False, True])
def test_generated_artwork_has_no_crumbs_and_no_slivers(planes: bool) -> None:
    for seed in range(12):
        copper = draw_artwork((400, 400), 10.0, np.random.default_rng(seed), planes).copper
        assert (without_islands(copper, ISLAND_PX - 1) == copper).all()
        thick = cv2.morphologyEx(copper, cv2.MORPH_OPEN, disc_kernel(3))
        assert (copper > thick).mean() < 1e-3  # pads drilled through to their edge, and the border of the picture


def test_a_board_of_several_sheets_has_no_crumbs_where_they_are_cut() -> None:
    for seed in range(3):
        copper = draw_artwork((1200, 1300), 10.0, np.random.default_rng(seed)).copper
        assert (without_islands(copper, ISLAND_PX - 1) == copper).all()
