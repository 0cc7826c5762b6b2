"""Designed look-alikes in crops: they leave defects and fine copper alone, and slots have necks."""

import cv2
import numpy as np
import pytest

from training.data import features


def two_lands() -> features.Mask:
    """Near-binary: two lands of 100 px, copper dark, a channel between them and one on either side."""
    image = np.full((320, 320), 255, np.uint8)
    image[:, 20:120] = image[:, 140:240] = 0
    image[:, 270:276] = 0  # a line, too narrow for any slot
    return image


def laminate_pieces(image: features.Mask) -> int:
    return cv2.connectedComponents((image > 128).astype(np.uint8))[0]


def test_a_slot_is_cut_as_its_profile_says() -> None:
    image = np.zeros((100, 200), np.uint8)
    profile = [(0.0, 20.0), (50.0, 20.0), (55.0, 6.0), (100.0, 6.0)]
    features.cut_slot(image, np.array([10.0, 50.0]), np.array([1.0, 0.0]), profile, 255)
    assert abs(int((image[:, 40] > 0).sum()) - 20) <= 1
    assert abs(int((image[:, 90] > 0).sum()) - 6) <= 1
    assert not image[:, 113:].any()


def test_necked_slots_leave_lines_and_defects_alone_and_meet_channels() -> None:
    defect = np.array([[60, 100, 90, 130]], np.float32)
    x1, y1, x2, y2 = defect[0].astype(int)
    copper = (two_lands() < 128).astype(np.uint8)
    free = np.ones_like(copper)
    free[y1:y2, x1:x2] = 0
    cut, met = 0, 0
    for seed in range(80):
        image = two_lands()
        features.add_necked_slot(image, copper, free, np.random.default_rng(seed))
        changed = image != two_lands()
        assert not changed[:, 270:276].any()
        assert not changed[y1:y2, x1:x2].any()
        cut += changed.any()
        # No laminate of its own: it is open to the channels.
        met += changed.any() and laminate_pieces(image) <= laminate_pieces(two_lands())
    assert cut >= 20
    assert met >= 10


def test_a_slot_along_a_land_leaves_copper_on_either_side() -> None:
    land = np.full((320, 320), 255, np.uint8)
    land[:, 140:170] = 0  # too narrow for a slot across it to be 60 px long
    copper = (land < 128).astype(np.uint8)
    along = 0
    for seed in range(200):
        image = land.copy()
        features.add_necked_slot(image, copper, np.ones_like(copper), np.random.default_rng(seed))
        y, x = np.nonzero(image != land)
        if len(y) and np.ptp(y) > 60:
            along += 1
            assert x.min() >= 140 + features.LAND - 1
            assert x.max() < 170 - features.LAND + 1
    assert along >= 10


def test_features_keep_clear_of_defects() -> None:
    defect = np.array([[100, 60, 130, 260]], np.float32)
    changed = 0
    for seed in range(20):
        image = two_lands()
        seen = features.add_designed_features(image, defect, np.random.default_rng(seed))
        assert (image == two_lands()).all()
        assert (seen[60:260, 100:130] == image[60:260, 100:130]).all()
        changed += int((seen != image).any())
    assert changed >= 10


def test_slim_is_what_a_slot_is() -> None:
    boxes = np.array([[0, 0, 60, 26], [0, 0, 26, 60], [0, 0, 34, 26], [0, 0, 80, 70]], np.float32)
    assert features.slim(boxes, 10).tolist() == [True, True, False, False]


@pytest.mark.parametrize("radius", [2.5, 4.0, 7.3, 14.0])
def test_a_drilled_hole_is_round_and_lies_where_it_should(radius: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        centre = 20 + rng.random(2)
        mask = np.ones((44, 44), np.uint8)
        features.drill(mask, centre, radius, 0)
        rows, columns = np.nonzero(mask == 0)
        assert abs(len(rows) / (np.pi * radius**2) - 1) < 0.5 / np.sqrt(radius)
        assert np.abs([columns.mean(), rows.mean()] - centre).max() < 0.35
        # No corners: whatever the direction, it reaches as far.
        middles = np.stack((columns, rows), axis=1) - centre
        angles = np.linspace(0, 2 * np.pi, 48)
        reach = (middles @ np.array([np.cos(angles), np.sin(angles)])).max(axis=0)
        assert np.ptp(reach) < 1.05


def test_a_hole_beyond_an_edge_is_cut_off() -> None:
    for centre in ([-20.0, 5.0], [5.0, -20.0], [60.0, 5.0]):
        mask = np.ones((40, 40), np.uint8)
        features.drill(mask, np.array(centre), 8.0, 0)
        assert mask.all()
    mask = np.ones((40, 40), np.uint8)
    features.drill(mask, np.array([0.0, 0.0]), 8.0, 0)
    assert 40 < (mask == 0).sum() < 60
