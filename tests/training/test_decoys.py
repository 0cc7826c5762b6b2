"""Designed look-alikes: they leave defects and fine copper alone, and slots have necks."""

import cv2
import numpy as np
import pytest

from training import decoys
from training.render.layer import pieces


def two_lands() -> decoys.Mask:
    """Near-binary: two lands of 100 px, copper dark, a channel between them and one on either side."""
    image = np.full((320, 320), 255, np.uint8)
    image[:, 20:120] = image[:, 140:240] = 0
    image[:, 270:276] = 0  # a line, too narrow for any slot
    return image


def laminate_pieces(image: decoys.Mask) -> int:
    return cv2.connectedComponents((image > 128).astype(np.uint8))[0]


def test_holes_are_round_and_inside_copper() -> None:
    mask = np.zeros((320, 320), np.uint8)
    mask[40:280, 60:160] = 1  # a third: no channels
    before = pieces(mask)
    decoys.add_decoys(mask, np.random.default_rng(2))
    after = pieces(mask)
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_channels_have_necks() -> None:
    plane = np.ones((320, 320), np.uint8)
    necked = 0
    for seed in range(200):
        mask = plane.copy()
        decoys.add_channels(mask, 1, np.random.default_rng(seed))
        assert 0 < (mask == 0).sum() < plane.size / 3
        wide = cv2.erode(1 - mask, np.ones((5, 5), np.uint8), borderValue=1)
        necked += cv2.connectedComponents(wide)[0] > cv2.connectedComponents(1 - mask)[0]  # necks are lost first
    assert necked >= 16


def test_channels_keep_clear_of_lines_and_pads_and_leave_no_slivers() -> None:
    board = np.zeros((400, 400), np.uint8)
    board[:, 100:300] = 1
    lines = np.zeros_like(board)
    for y in range(60, 340, 40):  # they end in the plane
        lines[y : y + 12, :100] = lines[y : y + 12, 300:] = 1
    cv2.circle(lines, (40, 370), 25, (1,), -1)
    board |= lines
    beside = cv2.dilate(lines, np.ones((5, 5), np.uint8))
    cut = 0
    for seed in range(60):
        mask = board.copy()
        decoys.add_channels(mask, 3, np.random.default_rng(seed))
        assert (mask <= board).all()
        assert (mask == board)[beside > 0].all()
        cut += (mask != board).any()
        new = (mask > 0) & (cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) == 0)
        assert new.sum() <= 4 * 8  # the tips of corners
    assert cut >= 40


def test_fine_copper_gets_no_channels() -> None:
    board = np.zeros((320, 320), np.uint8)
    board[:, ::60] = 1
    board[:] = cv2.dilate(board, np.ones((1, 31), np.uint8))
    mask = board.copy()
    for seed in range(20):
        decoys.add_channels(mask, 3, np.random.default_rng(seed))
    assert (mask == board).all()


@pytest.mark.parametrize("seed", range(40))
def test_a_profile_goes_forward_and_is_narrowest_at_its_neck(seed: int) -> None:
    distance, width = np.array(decoys.necked(100.0, np.random.default_rng(seed))).T
    assert (np.diff(distance) >= 0).all()
    assert distance[0] == 0
    assert distance[-1] == 100
    assert decoys.NECK[0] <= width.min() <= decoys.NECK[1]
    assert width.max() >= 1.5 * width.min()


def test_a_slot_is_cut_as_its_profile_says() -> None:
    image = np.zeros((100, 200), np.uint8)
    profile = [(0.0, 20.0), (50.0, 20.0), (55.0, 6.0), (100.0, 6.0)]
    decoys.cut_slot(image, np.array([10.0, 50.0]), np.array([1.0, 0.0]), profile, 255)
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
        decoys.add_necked_slot(image, copper, free, np.random.default_rng(seed))
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
        decoys.add_necked_slot(image, copper, np.ones_like(copper), np.random.default_rng(seed))
        y, x = np.nonzero(image != land)
        if len(y) and np.ptp(y) > 60:
            along += 1
            assert x.min() >= 140 + decoys.LAND - 1
            assert x.max() < 170 - decoys.LAND + 1
    assert along >= 10


def test_features_keep_clear_of_defects() -> None:
    defect = np.array([[100, 60, 130, 260]], np.float32)
    changed = 0
    for seed in range(20):
        image = two_lands()
        seen = decoys.add_designed_features(image, defect, np.random.default_rng(seed))
        assert (image == two_lands()).all()
        assert (seen[60:260, 100:130] == image[60:260, 100:130]).all()
        changed += int((seen != image).any())
    assert changed >= 10


def test_slim_is_what_a_slot_is() -> None:
    boxes = np.array([[0, 0, 60, 26], [0, 0, 26, 60], [0, 0, 34, 26], [0, 0, 80, 70]], np.float32)
    assert decoys.slim(boxes, 10).tolist() == [True, True, False, False]


@pytest.mark.parametrize(("bow", "expected"), [(0, True), (12, False)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_slot_is_straight_at_any_angle(bow: int, expected: bool, turned: bool) -> None:
    cut = np.zeros((100, 100), np.uint8)
    end = (75, 70) if turned else (85, 20)
    middle = (45 - bow, 45 + bow) if turned else (50, 20 + bow)
    cv2.polylines(cut, [np.array([(15, 20), middle, end])], False, (1,), 5)
    assert decoys.is_slot(cut) is expected
    assert not decoys.is_slot(np.zeros_like(cut))


@pytest.mark.parametrize("radius", [2.5, 4.0, 7.3, 14.0])
def test_a_drilled_hole_is_round_and_lies_where_it_should(radius: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        centre = 20 + rng.random(2)
        mask = np.ones((44, 44), np.uint8)
        decoys.drill(mask, centre, radius, 0)
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
        decoys.drill(mask, np.array(centre), 8.0, 0)
        assert mask.all()
    mask = np.ones((40, 40), np.uint8)
    decoys.drill(mask, np.array([0.0, 0.0]), 8.0, 0)
    assert 40 < (mask == 0).sum() < 60
