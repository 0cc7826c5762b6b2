"""Holes are drilled where a ring of copper is left round them."""

import numpy as np
import pytest

from boards.copper import drilling
from boards.defects import holes
from boards.defects.planting import Truth
from boards.pixels.drawing import disc

SIDE = 120
HOLE = 10.0


def pad(radius: float, x: float = 60.0) -> np.ndarray:
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    disc(canvas, x, 60.0, radius)
    return (canvas > 127).astype(np.uint8)


@pytest.mark.parametrize(("radius", "drilled"), [(9.0, []), (11.0, [6.0]), (16.0, [HOLE]), (30.0, [HOLE])])
def test_a_hole_is_drilled_smaller_for_its_ring_and_not_at_all_without_one(radius: float, drilled: list[float]) -> None:
    via = np.array([[60, 60, radius, HOLE]], np.float32)
    assert drilling.usable(via, pad(radius))[:, 3].tolist() == pytest.approx(drilled, abs=1)


def test_a_drill_that_is_off_leaves_a_ring_that_shows() -> None:
    rings = np.repeat(np.linspace(drilling.RING_PX, 40, 30), 40)
    vias = np.stack([np.full_like(rings, 60), np.full_like(rings, 60), rings + HOLE, np.full_like(rings, HOLE)], axis=1)
    moved = [drilling.drift(vias.astype(np.float32), np.random.default_rng(seed)) for seed in range(5)]
    shift = np.concatenate([np.hypot(*(one - vias)[:, :2].T) for one in moved])
    left = np.tile(rings, 5) - shift
    assert left.min() >= drilling.SOUND_PX - 1e-3
    assert shift.max() > 5


def test_the_pad_is_as_wide_as_its_copper() -> None:
    via = np.array([[60, 60, 40, HOLE]], np.float32)
    assert drilling.usable(via, pad(20.0))[0, 2] == pytest.approx(20.0, abs=1.5)


def test_a_ring_open_on_one_side_is_none_and_one_cut_by_the_picture_is() -> None:
    via = np.array([[60, 60, 18, HOLE]], np.float32)
    copper = pad(18.0)
    copper[:, 70:] = 0
    assert len(drilling.usable(via, copper)) == 0
    edge = np.array([[0, 60, 18, HOLE]], np.float32)
    assert len(drilling.usable(edge, pad(18.0, 0.0))) == 1


def test_a_broken_tent_leaves_less_of_the_ring_than_any_sound_hole() -> None:
    for seed, ring in enumerate(np.repeat(np.linspace(drilling.RING_PX, 30, 20), 5)):
        coverage = pad(HOLE + ring).astype(np.float32)
        via = np.array([[60, 60, HOLE + ring, HOLE]], np.float32)
        truth = Truth()
        holes.break_tent(coverage, via, 1, 3, truth, set(), np.random.default_rng(seed))
        assert len(truth.boxes) == 1
        angle, radius = np.linspace(0, 2 * np.pi, 180)[:, None], np.arange(HOLE, HOLE + ring + 2, 0.25)
        rows, columns = (np.round(60 + radius * turn(angle)).astype(int) for turn in (np.sin, np.cos))
        left = 0.25 * coverage[rows, columns].sum(axis=1)
        assert left.min() < drilling.SOUND_PX - 2.5  # nothing between that and a sound ring


def test_holes_in_large_copper_are_drilled_with_sound_copper_all_round() -> None:
    copper = pad(55.0)
    found = [drilling.stitches(copper, 10.0, np.random.default_rng(seed)) for seed in range(40)]
    assert np.mean([len(vias) for vias in found]) > 0.5
    for vias in found:
        reach = np.hypot(*(vias[:, :2] - 60).T) + vias[:, 3]
        assert (reach <= 55.0 - drilling.RING_PX + 1).all()
        assert (vias[:, 3] >= 3).all()
        assert len(drilling.usable(vias, copper)) == len(vias)
    assert not len(drilling.stitches(pad(7.0), 10.0, np.random.default_rng(1)))


@pytest.mark.parametrize("plane", [0, 1])
def test_large_holes_lie_in_a_whole_ring_with_room_round_it_and_cut_no_line(plane: int) -> None:
    sheet = np.full((400, 400), plane, np.uint8)
    sheet[:, 190:200] = 1 - plane  # a line, or a gap between planes
    rows, columns = np.mgrid[:400, :400]
    count = 0
    for seed in range(20):
        copper, vias = drilling.mounts(sheet, 10.0, np.random.default_rng(seed))
        assert (copper[:, 190:200] == 1 - plane).all()
        changed = copper != sheet
        for x, y, pad_radius, hole in vias:
            distance = np.hypot(columns - x, rows - y)
            assert pad_radius - hole >= drilling.RING_PX
            assert copper[distance < pad_radius - 0.5].all()
            assert not copper[(distance > pad_radius + 1) & (distance < 1.1 * pad_radius)].any()
            changed &= distance > 1.9 * pad_radius + 1
            count += 1
        assert not changed.any()
        assert len(drilling.usable(vias, copper)) == len(vias)
    assert count > 20
