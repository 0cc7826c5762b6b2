"""merge: no defect lost, doubled or cut at a seam; nothing joined that is two things."""

from __future__ import annotations

import numpy as np
import pytest
from analytic import f32, i32
from hypothesis import given
from hypothesis import strategies as st

from pcb_aoi.engine import doubles, merge, tiles
from pcb_aoi.engine.detections import Detections

Box = tuple[float, float, float, float]
TILE, OVERLAP = 640, 128


def seen(defects: list[Box], grid: tiles.Grid, labels: list[int] | None = None) -> tuple[Detections, np.ndarray]:
    """What a perfect detector sees: each defect in every tile that shows at least 3 x 3 pixels of it, cut there."""
    boxes, owners, classes = [], [], []
    for number, (x1, y1, x2, y2) in enumerate(defects):
        for owner, (tx1, ty1, tx2, ty2) in enumerate(grid.boxes.tolist()):
            part = max(x1, tx1), max(y1, ty1), min(x2, tx2), min(y2, ty2)
            if part[2] - part[0] >= 3 and part[3] - part[1] >= 3:
                boxes.append(part)
                owners.append(owner)
                classes.append(labels[number] if labels else 0)
    # Fragments score higher than the whole: merging must not prefer them.
    area = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes]
    scores = f32([0.5 + 0.4 / (1 + a / 1000) for a in area])
    found = Detections(f32(boxes).reshape(-1, 4), scores, i32(classes))
    return found, np.array(owners, int)


def merged(defects: list[Box], width: int = 2000, height: int = 1500, labels: list[int] | None = None) -> Detections:
    grid = tiles.plan(height, width, TILE, OVERLAP)
    return merge.across_tiles(*seen(defects, grid, labels), grid).detections


def as_set(found: Detections) -> set[tuple[float, ...]]:
    return {tuple(box) for box in found.boxes.tolist()}


@given(st.integers(0, 1960), st.integers(0, 1460), st.integers(4, 120), st.integers(4, 120))
def test_a_defect_smaller_than_the_overlap_comes_back_once_and_whole(x: int, y: int, width: int, height: int) -> None:
    box = (x, y, min(x + width, 2000), min(y + height, 1500))
    assert as_set(merged([box])) == {box}


@given(st.integers(0, 400), st.integers(0, 1480), st.integers(600, 1590), st.integers(4, 20))
def test_a_long_horizontal_scratch_is_one_box(x: int, y: int, length: int, thick: int) -> None:
    box = (x, y, x + length, y + thick)
    assert as_set(merged([box])) == {box}


@given(st.integers(0, 1980), st.integers(0, 200), st.integers(600, 1290), st.integers(4, 20))
def test_a_long_vertical_scratch_is_one_box(x: int, y: int, length: int, thick: int) -> None:
    box = (x, y, x + thick, y + length)
    assert as_set(merged([box])) == {box}


def test_a_stain_over_many_tiles_is_one_box() -> None:
    box = (100, 90, 1900, 1400)
    assert as_set(merged([box])) == {box}


@pytest.mark.parametrize("slope", [0.2, 0.5, 0.73, -0.6])
def test_a_diagonal_scratch_is_one_box(slope: float) -> None:
    """A diagonal line's fragments have boxes of their own in each tile, none of which contains another."""
    grid = tiles.plan(1500, 2000, TILE, OVERLAP)
    x = np.arange(150, 1700, 0.5)
    y = (1300 if slope < 0 else 120) + slope * (x - 150)
    boxes, owners = [], []
    for owner, (tx1, ty1, tx2, ty2) in enumerate(grid.boxes.tolist()):
        inside = (x >= tx1) & (x < tx2) & (y >= ty1) & (y < ty2)
        if inside.sum() > 20:
            boxes.append((x[inside].min(), y[inside].min(), x[inside].max() + 3, y[inside].max() + 3))
            owners.append(owner)
    found = Detections(f32(boxes), np.full(len(boxes), 0.8, np.float32), np.zeros(len(boxes), np.int32))
    result = merge.across_tiles(found, np.array(owners), grid).detections
    assert len(result) == 1
    assert np.abs(result.boxes[0] - (150, y.min(), 1702, y.max() + 3)).max() < 4


def test_neighbours_on_a_seam_stay_two() -> None:
    # Both lie across the seam region x 512..640; they do not touch each other.
    defects = [(500.0, 100.0, 660.0, 120.0), (500.0, 130.0, 660.0, 150.0)]
    assert as_set(merged(defects)) == set(defects)


def test_two_scratches_that_leave_a_tile_on_the_same_side_stay_two() -> None:
    defects = [(300.0, 100.0, 1500.0, 110.0), (300.0, 140.0, 1500.0, 150.0)]
    assert as_set(merged(defects)) == set(defects)


def test_labels_do_not_hide_each_other() -> None:
    defects = [(500.0, 500.0, 600.0, 600.0)] * 2
    assert sorted(merged(defects, labels=[0, 1]).labels.tolist()) == [0, 1]


def test_long_defects_of_two_labels_are_not_joined() -> None:
    crossing = [(300.0, 100.0, 1500.0, 130.0), (500.0, 120.0, 900.0, 160.0)]
    found = merged(crossing, labels=[0, 1])
    assert dict(zip(found.labels.tolist(), map(tuple, found.boxes.tolist()), strict=True)) == dict(enumerate(crossing))


def test_a_joined_defect_has_the_best_score_of_its_fragments() -> None:
    grid = tiles.plan(640, 1152, TILE, OVERLAP)
    found = Detections(f32([[100, 10, 640, 30], [512, 10, 1000, 30]]), f32([0.6, 0.9]), i32([0, 0]))
    for order in ([0, 1], [1, 0]):
        owners = np.array([0, 1])[order]
        result = merge.across_tiles(found[np.array(order)], owners, grid).detections
        assert result.scores.tolist() == [np.float32(0.9)]


def test_only_another_tile_can_have_seen_more() -> None:
    """Two boxes of one tile were told apart there, with the same pixels in sight: neither is the other's fragment."""
    grid = tiles.plan(640, 1152, TILE, OVERLAP)
    found = Detections(f32([[400, 90, 627, 140], [600, 100, 630, 130]]), f32([0.9, 0.8]), i32([0, 0]))
    assert len(merge.across_tiles(found, np.array([0, 0]), grid).detections) == 2


def test_a_small_defect_inside_a_long_ones_box_survives() -> None:
    long, small = (100.0, 100.0, 1900.0, 1400.0), (560.0, 700.0, 600.0, 740.0)
    assert as_set(merged([long, small])) >= {long, small}


def test_a_fragment_of_higher_score_does_not_win_over_the_whole() -> None:
    grid = tiles.plan(640, 1152, TILE, OVERLAP)
    found = Detections(f32([[600, 10, 640, 60], [600, 10, 660, 60]]), f32([0.95, 0.55]), i32([0, 0]))
    result = merge.across_tiles(found, np.array([0, 1]), grid).detections
    assert as_set(result) == {(600.0, 10.0, 660.0, 60.0)}
    assert result.scores == np.float32(0.95)  # but the defect is as sure as its surest look


def test_a_surer_fragment_makes_the_whole_of_its_whole_surer() -> None:
    """A fragment hidden by what is itself hidden, as it ends short of its border while the third goes on."""
    grid = tiles.plan(640, 1664, TILE, OVERLAP)
    found = Detections(
        f32([[514, 100, 560, 160], [515, 100, 610, 160], [516, 100, 680, 160]]), f32([0.9, 0.6, 0.55]), i32([0, 0, 0])
    )
    owners = np.array([1, 0, 1])
    assert [tuple(grid.boxes[owner][[0, 2]]) for owner in owners] == [(512, 1152), (0, 640), (512, 1152)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        result = merge.across_tiles(found[np.array(order)], owners[order], grid).detections
        assert len(result) == 1
        assert result.scores == np.float32(0.9)


def test_the_boards_own_border_cuts_nothing() -> None:
    """Two boxes at the outer border of one tile are two defects, not two fragments."""
    grid = tiles.plan(640, 640, TILE, OVERLAP)
    found = Detections(f32([[0, 0, 20, 20], [0, 21, 20, 40]]), f32([0.9, 0.8]), i32([0, 0]))
    assert len(merge.across_tiles(found, np.array([0, 0]), grid).detections) == 2


def test_best_first_and_the_same_whatever_the_order() -> None:
    grid = tiles.plan(1500, 2000, TILE, OVERLAP)
    rng = np.random.default_rng(3)
    defects = [(float(x), float(y), float(x + 30), float(y + 20)) for x, y in rng.integers(0, 1400, (200, 2))]
    found, owners = seen(defects, grid)
    first = merge.across_tiles(found, owners, grid).detections
    assert (np.diff(first.scores) <= 0).all()
    order = rng.permutation(len(found))
    second = merge.across_tiles(found[order], owners[order], grid).detections
    assert first.boxes.tolist() == second.boxes.tolist()


def test_per_tile_keeps_the_best_candidates_of_each_tile() -> None:
    count = doubles.MOST + 50
    x = np.arange(count, dtype=np.float32) * 10
    boxes = np.stack([x, x * 0, x + 5, x * 0 + 5], axis=1)
    scores = np.linspace(0.1, 0.9, count, dtype=np.float32)
    found = Detections(np.tile(boxes, (2, 1)), np.tile(scores, 2), np.zeros(2 * count, np.int32))
    tile = np.repeat([4, 7], count)
    kept, over = doubles.drop(found, tile, 1, 0)
    assert over == 100
    assert [(tile[kept] == 4).sum(), (tile[kept] == 7).sum()] == [doubles.MOST] * 2
    assert found.scores[kept].min() == scores[50]


@pytest.mark.parametrize(
    ("inner", "inner_score", "label", "left"),
    [
        ((40, 10, 80, 60), 0.6, 0, 1),  # a part of the defect, boxed once more
        ((40, 10, 80, 60), 0.9, 0, 2),  # the surer box is the small one
        ((40, 10, 80, 60), 0.6, 1, 2),  # another label
        ((40, 10, 60, 30), 0.6, 0, 2),  # too small to be the same
        ((70, 10, 130, 60), 0.6, 0, 2),  # half outside
    ],
)
def test_a_part_of_a_defect_is_not_boxed_once_more(
    inner: tuple[int, int, int, int], inner_score: float, label: int, left: int
) -> None:
    boxes = np.array([(0, 0, 100, 100), inner], np.float32)
    found = Detections(boxes, np.array([0.8, inner_score], np.float32), np.array([0, label]))
    assert len(doubles.drop(found, np.zeros(2, np.intp), 2, 0)[0]) == left
    apart = doubles.drop(found, np.array([0, 1]), 2, 0)[0]
    assert len(apart) == 2


def test_more_than_the_total_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "MAX_TOTAL", 10)
    x = np.arange(25, dtype=np.float32) * 10
    found = Detections(
        np.stack([x, x * 0, x + 5, x * 0 + 5], axis=1),
        np.linspace(0.1, 0.9, 25, dtype=np.float32),
        np.zeros(25, np.int32),
    )
    merged = merge.across_tiles(found, np.zeros(25, int), tiles.plan(64, 640, TILE, OVERLAP))
    kept, over = merged.detections, merged.over
    assert (len(kept), over) == (10, 15)
    assert kept.scores[-1] == found.scores[15]


def test_a_fragment_that_ends_short_of_the_border_goes_too() -> None:
    """Seen with real weights: the box of a short cut at (10880, 1536) begins 13 pixels below that border."""
    grid = tiles.plan(10_900, 16_384, TILE, OVERLAP)
    corners = grid.boxes[:, :2].tolist()
    tile = np.array([corners.index([10_752, 1024]), corners.index([10_240, 1536])])
    found = Detections(f32([[10_827, 1516, 10_898, 1579], [10_827, 1549, 10_856, 1575]]), f32([0.8, 0.9]), i32([0, 0]))
    assert as_set(merge.across_tiles(found, tile, grid).detections) == {(10_827, 1516, 10_898, 1579)}


def test_a_fragment_of_two_defects_goes_when_another_tile_saw_both() -> None:
    """Seen with real weights: two dots, one above the other, cut by a tile's border and boxed as one."""
    grid = tiles.plan(10_900, 16_384, TILE, OVERLAP)
    corners = grid.boxes[:, :2].tolist()
    tile = np.array([corners.index([left, 512]) for left in (13_312, 13_312, 13_824)])
    dots = [(13_805, 966, 13_842, 999), (13_805, 1001, 13_842, 1034)]
    found = Detections(f32([*dots, (13_824, 966, 13_844, 1035)]), f32([0.95, 0.9, 0.55]), i32([0, 0, 0]))
    assert as_set(merge.across_tiles(found, tile, grid).detections) == set(dots)


def test_one_defect_that_three_tiles_saw_hides_no_more_than_it_covers() -> None:
    """A fragment at a corner, a quarter of which lies in a dot: as good as ever, however many tiles saw the dot."""
    grid = tiles.plan(1152, 1152, TILE, OVERLAP)
    corners = grid.boxes[:, :2].tolist()
    tile = np.array([corners.index(corner) for corner in ([0, 0], [512, 0], [0, 512], [512, 512])])
    dot, long = (560, 560, 580, 592), (512, 560, 590, 580)  # the long one ends at its tile's border
    found = Detections(f32([dot, dot, dot, long]), f32([0.9, 0.9, 0.9, 0.8]), i32([0] * 4))
    assert as_set(merge.across_tiles(found, tile, grid).detections) == {dot, long}


@pytest.mark.parametrize(("groups", "left"), [((), 3), (((0, 1),), 2), (((0, 1, 2),), 1), (((1, 2),), 2)])
def test_labels_that_exclude_each_other_are_answered_once_a_place(
    groups: tuple[tuple[int, ...], ...], left: int
) -> None:
    boxes = np.array([[10, 10, 50, 50], [11, 10, 51, 50], [10, 11, 50, 52]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 2], np.int32))
    kept = found[merge.one_label_a_place(found, groups)]
    assert len(kept) == left
    assert kept.scores.max() == np.float32(0.9)
    apart = Detections(boxes + np.arange(3, dtype=np.float32)[:, None] * 100, found.scores, found.labels)
    assert merge.one_label_a_place(apart, groups).all()


@given(
    st.lists(
        st.tuples(st.integers(0, 1900), st.integers(0, 1400), st.integers(10, 900), st.integers(10, 60)),
        min_size=1,
        max_size=12,
    ),
    st.floats(0, 1),
)
def test_a_box_is_round_the_pieces_it_is_made_of(drawn: list[tuple[int, int, int, int]], threshold: float) -> None:
    """Masks are laid together by the same pieces; at every step of thresholds, and after some are taken out."""
    grid = tiles.plan(1500, 2000, TILE, OVERLAP)
    boxes: list[Box] = [(x, y, min(x + w, 2000), min(y + h, 1500)) for x, y, w, h in drawn]
    found, owners = seen(boxes, grid)
    found = Detections(found.boxes, found.scores - f32(0.3), found.labels)
    merged = merge.answer(found, owners, grid, f32([-1]), merge.levels(threshold, 0.5))
    merged = merged[np.arange(len(merged.detections)) % 3 != 1]
    for number, box in enumerate(merged.detections.boxes):
        pieces = found[merged.piece[merged.owner == number]]
        assert len(pieces) > 0
        assert np.array_equal(np.append(pieces.boxes[:, :2].min(axis=0), pieces.boxes[:, 2:].max(axis=0)), box)
