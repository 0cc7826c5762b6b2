"""Hand-drawn defects: the copper decides the label."""

import numpy as np
import pytest

from boards.defects import scribble
from boards.defects.decoys import is_slot


def lines() -> scribble.Mask:
    mask = np.zeros((320, 320), np.uint8)
    for x in range(20, 300, 40):
        mask[:, x : x + 20] = 1
    return mask


@pytest.mark.parametrize("label", [*scribble.ADDING, *scribble.REMOVING])
def test_each_label_does_to_the_copper_what_it_says(label: str) -> None:
    found = 0
    for seed in range(12):
        mask = lines()
        planted = scribble.plant(mask, [label], np.random.default_rng(seed))
        for slug, (x1, y1, x2, y2) in planted:
            found += 1
            assert slug == label
            changed = np.argwhere(mask != lines())
            assert (changed.min(0) >= (y1, x1)).all()
            assert (changed.max(0) < (y2, x2)).all()
            assert mask.sum() > lines().sum() if label in scribble.ADDING else mask.sum() < lines().sum()
    assert found >= 6


def test_defects_keep_their_distance() -> None:
    mask = lines()
    planted = scribble.plant(mask, ["nick", "spur", "pinhole", "open"] * 3, np.random.default_rng(0))
    assert len(planted) >= 6
    middles = np.array([((x1 + x2) / 2, (y1 + y2) / 2) for _, (x1, y1, x2, y2) in planted])
    gaps = np.abs(middles[:, None] - middles[None]).max(-1) + 1000 * np.eye(len(middles))
    assert gaps.min() > scribble.CLEAR


@pytest.mark.parametrize(
    ("patch", "adding", "expected"),
    [
        ((slice(100, 104), slice(15, 45)), False, "open"),
        ((slice(100, 104), slice(15, 25)), False, "nick"),
        ((slice(100, 104), slice(28, 32)), False, "pinhole"),
        ((slice(100, 104), slice(35, 65)), True, "short"),
        ((slice(100, 104), slice(35, 45)), True, "spur"),
        ((slice(100, 104), slice(48, 52)), True, "residual_copper"),
    ],
)
def test_judgement(patch: tuple[slice, slice], adding: bool, expected: str) -> None:
    before = lines()[:, :100]
    after = before.copy()
    after[patch] = 1 if adding else 0
    assert scribble.judge(before, after, adding) == expected


def test_a_cut_through_a_wide_land_is_no_straight_channel() -> None:
    land = np.zeros((320, 320), np.uint8)
    land[:, 140:180] = 1
    opens = 0
    for seed in range(60):
        mask = land.copy()
        for _ in scribble.plant(mask, ["open"], np.random.default_rng(seed)):
            opens += 1
            assert not is_slot((land != mask).astype(np.uint8))
    assert opens >= 20


def test_crumbs_within_a_hatching_do_not_make_it_an_open_or_a_muddle() -> None:
    before = lines()[:, :100]
    nick = before.copy()
    nick[100:130, 24:40] = 0
    nick[110:115, 28:33] = 1  # left within it, joined to nothing
    assert scribble.judge(before, nick, adding=False) == "nick"
    spur = before.copy()
    spur[100:130, 38:52] = 1
    spur[110:115, 43:47] = 0
    assert scribble.judge(before, spur, adding=True) == "spur"
