"""The limits by which boxes are merged: what lies just on either side of each, so that a shifted one is seen."""

from __future__ import annotations

import numpy as np
import pytest
from analytic import f32

from pcb_aoi.engine import chains, doubles, merge, tiles
from pcb_aoi.engine.detections import Detections

Box = tuple[float, float, float, float]

ONE_TILE = tiles.plan(400, 400, 416, 0)
TWO_TILES = tiles.plan(64, 96, 64, 32)
"""Columns 0 to 64 and 32 to 96."""


def found(*boxes: Box, labels: tuple[int, ...] = (0, 0)) -> Detections:
    """Two detections, the first one surer."""
    return Detections(f32(boxes), f32([0.9, 0.6]), np.array(labels, np.int32))


@pytest.mark.parametrize(("shift", "left"), [(33, 1), (34, 2)])
def test_iou_over_a_half_is_one_defect(shift: int, left: int) -> None:
    """IoU .504 and .493, within a tile and over the board."""
    both = found((0, 0, 100, 100), (shift, 0, 100 + shift, 100))
    assert len(doubles.drop(both, np.zeros(2, np.intp), 1, 0)[0]) == left
    assert len(merge.across_tiles(both, np.zeros(2, np.intp), ONE_TILE).detections) == left


@pytest.mark.parametrize(("inside", "left"), [(81, 1), (80, 2), (79, 2)])
def test_a_box_nested_by_over_eight_tenths_goes(inside: int, left: int) -> None:
    both = found((0, 0, 300, 300), (300 - inside, 0, 400 - inside, 100))
    assert len(doubles.drop(both, np.zeros(2, np.intp), 1, 0)[0]) == left


@pytest.mark.parametrize(("width", "left"), [(41, 1), (40, 2), (39, 2)])
def test_a_nested_box_of_up_to_a_tenth_is_a_defect_of_its_own(width: int, left: int) -> None:
    both = found((0, 0, 100, 100), (20, 20, 20 + width, 45))
    assert len(doubles.drop(both, np.zeros(2, np.intp), 1, 0)[0]) == left


@pytest.mark.parametrize(("shift", "left"), [(24, 1), (26, 2)])
def test_exclusive_labels_over_six_tenths_are_one_object(shift: int, left: int) -> None:
    """IoU .613 and .587."""
    both = found((0, 0, 100, 100), (shift, 0, 100 + shift, 100), labels=(0, 1))
    assert merge.one_label_a_place(both, [(0, 1)]).sum() == left


@pytest.mark.parametrize(("top", "left"), [(19, 1), (20, 2), (21, 2)])
def test_a_fragment_covered_by_over_a_half_goes(top: int, left: int) -> None:
    """The second ends at the first tile's border; the first, seen whole by the second tile, goes on beyond it."""
    both = found((46, top, 80, 30), (46, 10, 64, 30))
    assert len(merge.across_tiles(both, np.array([1, 0]), TWO_TILES).detections) == left


@pytest.mark.parametrize(("end", "left"), [(53, 1), (52, 2)])
def test_a_box_may_go_on_up_to_twelve_pixels_before_the_border(end: int, left: int) -> None:
    """The second is a fragment if it ends 11 px before the border at 64, and a defect of its own at 12."""
    both = found((44, 10, 62, 24), (46, 10, end, 30))
    assert len(merge.across_tiles(both, np.array([1, 0]), TWO_TILES).detections) == left


def test_weak_answers_add_only_what_is_not_there() -> None:
    """Half of a weak box in a sure one, or less: the same place, or another."""
    for weak, left in (((49, 0, 149, 100), 1), ((51, 0, 151, 100), 2)):
        both = Detections(f32([(0, 0, 100, 100), weak]), f32([0.9, 0.2]), np.zeros(2, np.int32))
        kept = merge.answer(both, np.zeros(2, np.intp), ONE_TILE, f32([-1]), merge.levels(0.1, 0.5)).detections
        assert len(kept) == left


@pytest.mark.parametrize(("gap", "left"), [(39, 1), (41, 2)])
def test_pieces_under_forty_pixels_apart_touch_where_the_weights_do_not_say(gap: int, left: int) -> None:
    gaps = chains.gaps({"joined": '["scratch"]'}, ["scratch"])
    assert len(chains.join(found((0, 0, 60, 10), (60 + gap, 0, 130, 10)), gaps)) == left


def test_a_piece_counts_from_a_quarter_on() -> None:
    assert chains.floor(0.5, f32([20])) == 0.25


@pytest.mark.parametrize(("score", "right"), [(0.41, 90), (0.39, 60)])
def test_a_piece_of_four_tenths_says_how_far_its_chain_goes(score: float, right: int) -> None:
    both = Detections(f32([(0, 0, 60, 10), (50, 0, 90, 10)]), f32([0.9, score]), np.zeros(2, np.int32))
    assert chains.join(both, f32([20])).boxes.tolist() == [[0, 0, right, 10]]
