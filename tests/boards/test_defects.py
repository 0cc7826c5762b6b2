"""Etching defects do to the copper what their names say, on a layout simple enough to count by hand."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from boards.defects.etch_defects import ETCH_LABELS, does_what_it_says, is_dent, plant, still_is
from boards.pixels.noise import Mask


def bars() -> Mask:
    """Eight horizontal conductors of 12 px, 14 px apart: eight nets."""
    mask = np.zeros((240, 240), np.uint8)
    for row in range(8):
        mask[14 + 27 * row : 26 + 27 * row] = 1
    return mask


def count(mask: NDArray[np.uint8]) -> int:
    """Pieces of copper; crumbs left inside a defect do not count."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] >= 20).sum())


def planted(label: str, seed: int) -> Mask:
    changed, plants = plant(bars(), [label], 20.8, np.random.default_rng(seed))
    assert [item.label for item in plants] == [label]
    assert count(bars()) == 8
    return changed


SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_open_cuts_one_conductor_in_two(seed: int) -> None:
    changed = planted("open", seed)
    cut = [row for row in range(8) if count(changed[14 + 27 * row : 26 + 27 * row]) > 1]
    assert len(cut) == 1
    row = changed[14 + 27 * cut[0] : 26 + 27 * cut[0]]
    _, nets = cv2.connectedComponents(row, connectivity=8)
    left, right = set(nets[:, 0]) - {0}, set(nets[:, -1]) - {0}
    assert left
    assert right
    assert not left & right


@pytest.mark.parametrize("seed", SEEDS)
def test_short_joins_two_conductors(seed: int) -> None:
    assert count(planted("short", seed)) == 7


@pytest.mark.parametrize("seed", SEEDS)
def test_nick_bites_an_edge_and_leaves_the_line_joined(seed: int) -> None:
    changed = planted("nick", seed)
    gone = (bars() == 1) & (changed == 0)
    assert gone.sum() >= 4
    assert (changed <= bars()).all()
    assert count(changed) == 8
    # Every hole of a nick opens to the laminate outside: a hole that does not would be a pinhole.
    grown = cv2.dilate(gone.astype(np.uint8), np.ones((3, 3), np.uint8))
    assert ((grown == 1) & (bars() == 0)).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_pinhole_touches_no_edge(seed: int) -> None:
    changed = planted("pinhole", seed)
    gone = ((bars() == 1) & (changed == 0)).astype(np.uint8)
    assert gone.sum() >= 4
    assert not ((cv2.dilate(gone, np.ones((3, 3), np.uint8)) == 1) & (bars() == 0)).any()
    assert count(changed) == 8


@pytest.mark.parametrize("seed", SEEDS)
def test_spur_grows_from_an_edge_and_reaches_nobody(seed: int) -> None:
    changed = planted("spur", seed)
    assert ((bars() == 0) & (changed == 1)).sum() >= 4
    assert (changed >= bars()).all()
    assert count(changed) == 8


@pytest.mark.parametrize("seed", SEEDS)
def test_residual_copper_is_isolated(seed: int) -> None:
    changed = planted("residual_copper", seed)
    added = ((bars() == 0) & (changed == 1)).astype(np.uint8)
    assert added.sum() >= 4
    assert not ((cv2.dilate(added, np.ones((3, 3), np.uint8)) == 1) & (bars() == 1)).any()
    assert cv2.connectedComponents(changed, connectivity=8)[0] - 1 >= 9


def test_defects_keep_apart() -> None:
    _, plants = plant(bars(), ETCH_LABELS * 2, 20.8, np.random.default_rng(0))
    assert len(plants) > 6
    windows = np.array([item.window for item in plants])
    for index, (x1, y1, x2, y2) in enumerate(windows):
        others = np.delete(windows, index, axis=0)
        overlap = (others[:, 0] < x2) & (others[:, 2] > x1) & (others[:, 1] < y2) & (others[:, 3] > y1)
        assert not overlap.any()


def test_the_input_mask_is_left_alone() -> None:
    mask = bars()
    plant(mask, ETCH_LABELS, 20.8, np.random.default_rng(0))
    assert np.array_equal(mask, bars())


@pytest.mark.parametrize("value", [0, 1])
def test_a_blank_layer_gets_no_impossible_defects(value: int) -> None:
    mask = np.full((120, 120), value, np.uint8)
    _, plants = plant(mask, ETCH_LABELS, 20.8, np.random.default_rng(0))
    assert {item.label for item in plants} == ({"pinhole"} if value else {"residual_copper"})


def test_unknown_label_is_named() -> None:
    with pytest.raises(ValueError, match="mousebite"):
        plant(bars(), ["mousebite"], 20.8, np.random.default_rng(0))


def test_a_nick_whose_mouth_closed_is_no_nick() -> None:
    before = np.zeros((20, 20), np.uint8)
    before[6:16] = 1
    nick, hole = before.copy(), before.copy()
    nick[6:10, 8:12] = 0
    hole[9:12, 8:12] = 0
    assert still_is("nick", before, nick)
    assert not still_is("pinhole", before, nick)
    assert still_is("pinhole", before, hole)
    assert not still_is("nick", before, hole)
    spur, island = before.copy(), before.copy()
    spur[3:6, 8:12] = 1
    island[1:4, 8:12] = 1
    assert still_is("spur", before, spur)
    assert not still_is("residual_copper", before, spur)
    assert still_is("residual_copper", before, island)
    assert not still_is("spur", before, island)


def test_a_bite_is_a_dent_and_an_end_cut_short_or_a_flattened_dot_is_not() -> None:
    line = np.zeros((60, 80), np.uint8)
    line[24:36, :60] = 1
    dot = np.asarray(cv2.circle(np.zeros((60, 80), np.uint8), (40, 30), 16, (1,), -1), np.uint8)
    bend = np.zeros((60, 80), np.uint8)
    cv2.polylines(bend, [np.array([(0, 50), (40, 30), (80, 50)])], False, (1,), 11)

    def without(copper: Mask, x: int, y: int, width: int, height: int) -> Mask:
        left = copper.copy()
        left[y : y + height, x : x + width] = 0
        return left

    for copper, bite in (
        (line, (30, 24, 8, 5)),
        (dot, (36, 14, 7, 10)),
        (bend, (37, 24, 6, 7)),
        (line, (52, 27, 8, 5)),
    ):
        assert is_dent(copper, without(copper, *bite))
    for copper, other in (
        (line, (50, 24, 10, 12)),
        (dot, (20, 14, 40, 4)),
        (line, (50, 24, 10, 5)),
        (dot, (30, 0, 0, 0)),
    ):
        assert not is_dent(copper, without(copper, *other))
        assert not still_is("nick", copper, without(copper, *other))


def test_does_what_it_says_tells_a_nick_from_an_open() -> None:
    before = np.zeros((20, 20), np.uint8)
    before[6:14] = 1
    nick, cut = before.copy(), before.copy()
    nick[6:10, 8:12] = 0
    cut[:, 8:12] = 0
    assert does_what_it_says("nick", before, nick)
    assert not does_what_it_says("nick", before, cut)
    assert does_what_it_says("open", before, cut)
    assert does_what_it_says("short", cut, before)
    assert not does_what_it_says("short", nick, before)
    assert not does_what_it_says("spur", cut, before)
    assert not does_what_it_says("open", before, nick)
