"""Planting and etching: boxes hold what differs from the twin, and what the etch changed is still what it says."""

import numpy as np
import pytest

from boards.defects import planting as scene
from boards.defects.etch import Etch, etch
from boards.defects.etch_defects import ETCH_LABELS, still_is
from boards.defects.planting import THIN_LABELS, TORN_LABELS, difference_box, etched
from boards.pixels.noise import Mask


def bars() -> Mask:
    """Eight horizontal conductors of 12 px, 14 px apart: eight nets."""
    mask = np.zeros((240, 240), np.uint8)
    for row in range(8):
        mask[14 + 27 * row : 26 + 27 * row] = 1
    return mask


def test_etch_is_the_same_for_twins_and_keeps_interiors_clean() -> None:
    process = Etch(rounding=0.8, ragged=0.6, drift=0.6, bias=0.4)
    mask = np.zeros((120, 120), np.uint8)
    mask[:, 60:] = 1
    coverage = etch(mask, process, 7)
    assert np.array_equal(coverage, etch(mask, process, 7))
    assert coverage[:, 66:].min() == 1.0
    assert coverage[:, :54].max() == 0.0
    edge = (coverage > 0.5).argmax(axis=1)
    assert edge.std() > 0.2  # ragged
    assert etch(mask, Etch(bias=1.0), 7).sum() < etch(mask, Etch(bias=-1.0), 7).sum()


def test_boxes_hold_the_difference_and_the_margin() -> None:
    labels = list(ETCH_LABELS)
    seeds = np.random.default_rng(5), np.random.default_rng(5)
    dirty, truth = etched(bars(), labels, Etch(), 20.8, 10, seeds[0])
    clean, none = etched(bars(), [], Etch(), 20.8, 10, seeds[1])
    assert none.labels == []
    assert len(truth.labels) >= 4
    changed = np.abs(dirty - clean) > 0.4
    for x1, y1, x2, y2 in np.array(truth.boxes, int):
        tight = changed[y1 + 10 : y2 - 10, x1 + 10 : x2 - 10]
        # The difference touches all four sides of the box less its margin.
        assert tight[0].any()
        assert tight[-1].any()
        assert tight[:, 0].any()
        assert tight[:, -1].any()
        changed[y1:y2, x1:x2] = False
    assert not changed.any()


def test_some_copper_left_behind_is_thin_and_nothing_else() -> None:
    thinner: dict[str, list[bool]] = {label: [] for label in ETCH_LABELS}
    for seed in range(20):
        (solid, truth), (thin, same), (clean, _) = (
            etched(bars(), labels, Etch(), 20.8, 4, np.random.default_rng(seed), thin=thin)
            for labels, thin in ((ETCH_LABELS, False), (ETCH_LABELS, True), ((), True))
        )
        assert (same.boxes, same.labels) == (truth.boxes, truth.labels)
        assert (thin >= np.minimum(clean, solid)).all()
        assert (thin <= solid).all()
        changed = thin < solid
        for label, (x1, y1, x2, y2) in zip(truth.labels, np.array(truth.boxes, int), strict=True):
            thinner[label].append(bool(changed[y1:y2, x1:x2].any()))
            if thinner[label][-1]:
                gained = (thin - clean)[y1:y2, x1:x2][(solid - clean)[y1:y2, x1:x2] > 0.99]
                assert not len(gained) or 0.24 < gained.mean() < 0.99
            changed[y1:y2, x1:x2] = False
        assert (solid - thin)[changed].max(initial=0) < 0.3  # a soft edge may reach beyond its box
    for label, found in thinner.items():
        assert len(found) >= 8, label
        assert (0.15 < np.mean(found) < 0.7) if label in THIN_LABELS else not any(found), label


def test_some_opens_and_nicks_leave_flakes_and_are_what_they_were() -> None:
    flaky: dict[str, list[bool]] = {label: [] for label in ETCH_LABELS}
    for seed in range(20):
        (plain, truth), (torn, same), (clean, _) = (
            etched(bars(), labels, Etch(), 20.8, 4, np.random.default_rng(seed), torn=torn)
            for labels, torn in ((ETCH_LABELS, False), (ETCH_LABELS, True), ((), True))
        )
        assert (same.boxes, same.labels) == (truth.boxes, truth.labels)
        assert (torn >= plain).all()
        assert (torn <= np.maximum(clean, plain)).all()
        changed = torn > plain
        for label, (x1, y1, x2, y2) in zip(truth.labels, np.array(truth.boxes, int), strict=True):
            window = (slice(y1, y2), slice(x1, x2))
            flaky[label].append(bool(changed[window].any()))
            if flaky[label][-1]:
                lost = (clean - plain)[window]
                assert 0 < (torn - plain)[window].sum() < 0.6 * lost.sum()
                before, after = (np.asarray(part[window] > 0.5, np.uint8) for part in (clean, torn))
                assert still_is(label, before, after)
            changed[window] = False
    for label, found in flaky.items():
        assert len(found) >= 8, label
        assert (0.1 < np.mean(found) < 0.7) if label in TORN_LABELS else not any(found), label


def test_no_flake_heals_an_open_or_a_nick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene, "flaked", lambda clean, dirty, rng: clean)
    for seed in range(5):
        plain, torn = (
            etched(bars(), ETCH_LABELS, Etch(), 20.8, 4, np.random.default_rng(seed), torn=torn)[0]
            for torn in (False, True)
        )
        assert (torn == plain).all()


def test_difference_box_ignores_what_nobody_sees() -> None:
    blank = np.zeros((20, 20), np.float32)
    faint = blank.copy()
    faint[5:8, 5:8] = 0.3
    assert difference_box(blank, faint, 2) is None
    faint[5:8, 5:8] = 0.9
    assert difference_box(blank, faint, 2) == (3.0, 3.0, 10.0, 10.0)
