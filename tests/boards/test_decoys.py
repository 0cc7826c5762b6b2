"""Designed look-alikes: they leave fine copper alone, and slots have necks."""

import cv2
import numpy as np
import pytest

from boards.copper.layer import pieces
from boards.defects import decoys
from training.data import features


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
    assert features.NECK[0] <= width.min() <= features.NECK[1]
    assert width.max() >= 1.5 * width.min()


@pytest.mark.parametrize(("bow", "expected"), [(0, True), (12, False)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_slot_is_straight_at_any_angle(bow: int, expected: bool, turned: bool) -> None:
    cut = np.zeros((100, 100), np.uint8)
    end = (75, 70) if turned else (85, 20)
    middle = (45 - bow, 45 + bow) if turned else (50, 20 + bow)
    cv2.polylines(cut, [np.array([(15, 20), middle, end])], False, (1,), 5)
    assert decoys.is_slot(cut) is expected
    assert not decoys.is_slot(np.zeros_like(cut))
