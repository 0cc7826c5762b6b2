"""visible: what nobody can see is no defect, and a box holds what shows, with the same air at every pitch."""

import cv2
import numpy as np
import pytest

from boards.camera import visible
from boards.pixels.paintwork import FAINT
from training.traits import MARGIN_PX

CLEAN = np.full((200, 200, 3), 90, np.uint8)


def measured(
    image: np.ndarray, box: tuple[float, ...], whole: bool = False, clean: np.ndarray = CLEAN
) -> tuple[np.ndarray, np.ndarray, bool]:
    picture, boxes, shows = visible.measure(image, clean, np.array([box], np.float32), np.array([whole]))
    return picture, boxes[0], bool(shows[0])


def spot(level: int, side: int = 20, clean: np.ndarray = CLEAN) -> np.ndarray:
    image = clean.copy()
    image[100 : 100 + side, 60 : 60 + side] = np.clip(
        image[100 : 100 + side, 60 : 60 + side].astype(int) + level, 0, 255
    )
    return image


def test_the_box_is_drawn_round_what_shows() -> None:
    _, box, shows = measured(spot(80), (40, 80, 110, 150))
    assert shows
    air = MARGIN_PX
    assert box == pytest.approx([60 - air, 100 - air, 80 + air, 120 + air], abs=1.01)  # the optics widen it by a pixel


def test_what_is_judged_as_a_whole_keeps_its_box() -> None:
    assert measured(spot(80), (40, 80, 110, 150), whole=True)[1].tolist() == [40, 80, 110, 150]


def test_a_box_stays_in_the_picture() -> None:
    image = CLEAN.copy()
    image[:9, :9] = 255
    assert measured(image, (0, 0, 12, 12))[1][:2].tolist() == [0, 0]


@pytest.mark.parametrize(("level", "side"), [(12, 20), (80, 2), (20, 40)])
def test_what_nobody_can_see_is_taken_off_again(level: int, side: int) -> None:
    picture, _, shows = measured(spot(level, side), (40, 80, 150, 150))
    assert not shows
    assert np.array_equal(picture, CLEAN)


def test_grain_hides_a_faint_defect() -> None:
    grainy = np.clip(CLEAN + np.random.default_rng(1).normal(0, 60, CLEAN.shape[:2])[..., None], 0, 255).astype(
        np.uint8
    )
    smooth, rough = spot(40, 5), spot(40, 5, grainy)
    assert measured(smooth, (57, 97, 68, 108))[2]
    assert not measured(rough, (57, 97, 68, 108), clean=grainy)[2]


def disc(level: int, clean: np.ndarray) -> np.ndarray:
    """A soft round spot as wide as the spots of `mottled`."""
    y, x = np.mgrid[:200, :200]
    shade = level * np.exp(-((x - 70) ** 2 + (y - 110) ** 2) / (2 * 4.0**2))
    return np.asarray(np.clip(clean + shade[..., None], 0, 255), np.uint8)


def mottled(deviation: float) -> np.ndarray:
    field = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 1, (200, 200)), (0, 0), 4.0)
    return np.asarray(np.clip(CLEAN + (deviation * field / field.std())[..., None], 0, 255), np.uint8)


def test_mottling_hides_a_spot_that_looks_like_it() -> None:
    fine, rough = mottled(2), mottled(18)
    assert measured(disc(45, fine), (50, 90, 90, 130), clean=fine)[2]
    assert not measured(disc(45, rough), (50, 90, 90, 130), clean=rough)[2]


def test_edges_are_not_texture() -> None:
    """A bite in one of many lines is seen as well as one in a lone line."""
    lines = CLEAN.copy()
    lines[:, np.arange(200) // 12 % 2 == 0] = 200
    bitten = lines.copy()
    bitten[100:107, 72:78] = 90
    assert measured(bitten, (60, 90, 96, 120), clean=lines)[2]


def test_taking_a_faint_one_off_leaves_its_neighbour() -> None:
    image = spot(80)
    image[100:120, 85:95] += 8
    boxes = np.array([[57, 97, 83, 123], [70, 97, 98, 123]], np.float32)
    faint_only = visible.measure(image, CLEAN, boxes[1:], np.zeros(1, bool))
    assert faint_only[2].tolist() == [True]  # the neighbour shows in its box
    picture, _, shows = visible.measure(image, CLEAN, np.array([boxes[0], [84, 97, 98, 123]]), np.zeros(2, bool))
    assert shows.tolist() == [True, False]
    assert np.array_equal(picture[97:123, 57:83], image[97:123, 57:83])
    assert np.array_equal(picture[97:123, 86:98], CLEAN[97:123, 86:98])


def test_a_long_one_is_not_measured_by_what_lies_in_its_box() -> None:
    image = spot(80)
    faint = np.array([[20, 40, 180, 180], [55, 95, 85, 125]], np.float32)  # round nothing, and round the spot
    assert visible.measure(image, CLEAN, faint, np.zeros(2, bool))[2].tolist() == [False, True]


def streak(faint: int, gap: int = 0) -> np.ndarray:
    """A line of 3 px: 40 px that show, then, `gap` px on, 60 px of `faint`."""
    image = CLEAN.copy()
    image[100:103, 40:80] += 80
    image[100:103, 80 + gap : 140 + gap] += np.uint8(faint)
    return image


def line_box(image: np.ndarray) -> list[float]:
    box = np.array([[30, 90, 170, 113]], np.float32)
    _, boxes, shows = visible.measure(image, CLEAN, box, np.zeros(1, bool), lines=np.ones(1, bool))
    assert shows.all()
    return [float(edge) for edge in boxes[0]]


def test_a_line_is_followed_where_it_is_faint() -> None:
    faint = round(FAINT * 1.6)  # of a line 3 px wide the optics leave nine tenths
    assert line_box(streak(faint))[2] == pytest.approx(140 + MARGIN_PX, abs=2)
    assert measured(streak(faint), (30, 90, 170, 113))[1][2] == pytest.approx(80 + MARGIN_PX, abs=2)


@pytest.mark.parametrize(("faint", "gap"), [(round(FAINT * 0.6), 0), (round(FAINT * 1.6), 8)])
def test_a_line_ends_where_nothing_shows(faint: int, gap: int) -> None:
    assert line_box(streak(faint, gap))[2] == pytest.approx(80 + MARGIN_PX, abs=2)


@pytest.mark.parametrize(("least", "kept"), [(18, True), (25, False)])
def test_a_remnant_shorter_than_its_label_allows_is_taken_off(least: float, kept: bool) -> None:
    image = spot(80)
    box = np.array([[50, 90, 90, 130]], np.float32)
    picture, _, shows = visible.measure(image, CLEAN, box, np.zeros(1, bool), least=np.array([least], np.float32))
    assert shows.tolist() == [kept]
    assert np.array_equal(picture, image if kept else CLEAN)
