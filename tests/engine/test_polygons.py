"""polygons: simple stays simple, whatever is taken out; what is not is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pcb_aoi.engine import polygons

SQUARE = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float)
FAR = np.array([1000.0, 1000.0])
ZERO = np.zeros(2)


def crosses(points: np.ndarray) -> bool:
    """Whether two sides meet, in whole numbers and one by one: the textbook's way."""
    corners = [tuple(point) for point in (points * 100).round().astype(int).tolist()]
    sides = list(zip(corners, corners[1:] + corners[:1], strict=True))

    def turn(a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> int:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    def between(a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> bool:
        return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])

    for (i, (a, b)), (j, (c, d)) in itertools.combinations(enumerate(sides), 2):
        near = j - i in (1, len(sides) - 1)
        turns = turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
        if near:
            tip, one, other = (b, a, d) if j - i == 1 else (a, b, c)
            if turn(one, tip, other) == 0 and not between(one, other, tip):
                return True
        elif (turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0) or any(
            t == 0 and between(*ends, at)
            for t, ends, at in zip(turns, ((a, b), (a, b), (c, d), (c, d)), (c, d, a, b), strict=True)
        ):
            return True
    return False


@st.composite
def rings(draw: st.DrawFn) -> np.ndarray:
    """Star-shaped rings of up to 400 points, as jagged as they come, and combs with teeth a pixel apart."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(4, 400))
    if draw(st.booleans()):
        angles = np.sort(rng.choice(3600, count, replace=False)) * np.pi / 1800
        away = rng.uniform(draw(st.floats(5, 90)), 100, count)
        return np.stack([200 + away * np.cos(angles), 200 + away * np.sin(angles)], axis=1)
    teeth = max(2, count // 4)
    x = np.repeat(np.arange(2 * teeth), 2) * draw(st.floats(0.05, 3))
    y = np.tile([0, 1, 1, 0], teeth) * draw(st.floats(1, 50)) + rng.uniform(0, 0.4, 4 * teeth) + 1
    upper = np.stack([x, y], axis=1)[1:-1]
    return np.concatenate([upper, [(x[-2], -9), (x[1], -9)]]) + 10


@given(rings())
def test_a_thinned_ring_is_simple_and_has_few_points(ring: np.ndarray) -> None:
    points = polygons.fit(ring, ZERO, FAR)
    assert polygons.LEAST <= len(points) <= polygons.MOST
    assert not crosses(points)
    assert polygons.is_simple(points)


@given(rings().filter(lambda ring: len(ring) <= 256))
def test_a_ring_that_is_thinned_with_care_stays_simple(ring: np.ndarray) -> None:
    """Without a look at it afterwards, and down to few points."""
    points = polygons.thinned(ring, careful=True)
    assert len(points) <= polygons.MOST
    assert polygons.is_simple(points) or not polygons.is_simple(ring)


def test_a_thin_spiral_is_followed() -> None:
    """2 px wide, in two turns: thinned without care it crosses itself, and its hull has four times its area."""
    rng, t = np.random.default_rng(0), np.linspace(0, 4 * np.pi, 80)
    sides = [np.stack([np.cos(t), np.sin(t)], axis=1) * (r + t)[:, None] + 99 for r in (20, 22)]
    ring = np.concatenate([sides[0], sides[1][::-1]]) + rng.normal(0, 0.2, (160, 2))
    assert polygons.is_simple(ring)
    assert not polygons.is_simple(polygons.thinned(ring))
    points = polygons.fit(ring, ZERO, FAR)
    assert polygons.area(points) == pytest.approx(polygons.area(ring), rel=0.15)


@example([(0, 0), (4, 0), (2, 0)])
@example([(0, 0), (4, 0), (2, 0), (2, 5)])
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=8))
def test_is_simple_says_what_the_textbook_says(corners: list[tuple[int, int]]) -> None:
    points = np.array(corners, float)
    doubled = len(set(corners)) < len(corners)
    assert polygons.is_simple(points) == (not doubled and not crosses(points))


@pytest.mark.parametrize("careful", [False, True])
def test_what_matters_stays(careful: bool) -> None:
    """A square with a hundred points along its sides keeps its corners."""
    along = np.linspace(0, 10, 25, endpoint=False)
    zero = np.zeros(25)
    ring = np.concatenate(
        [
            np.stack(pair, axis=1)
            for pair in ((along, zero), (zero + 10, along), (10 - along, zero + 10), (zero, 10 - along))
        ]
    )
    points = polygons.thinned(ring, careful=careful)
    assert {tuple(point) for point in SQUARE.tolist()} <= {tuple(point) for point in points.tolist()}
    assert len(points) == polygons.LEAST
    assert polygons.area(points) == pytest.approx(100)


def test_a_square_has_five_points() -> None:
    assert polygons.filled(SQUARE).tolist() == [[0, 0], [5, 0], [10, 0], [10, 10], [0, 10]]


def test_a_box_is_a_simple_polygon() -> None:
    points = polygons.of_box(1, 2, 11, 5)
    assert polygons.is_simple(points)
    assert polygons.area(points) == 30
    assert len(points) == 8


def test_the_hull_goes_round_all() -> None:
    points = polygons.hull(np.array([*SQUARE.tolist(), (5, 5), (2, 3), (10, 5)], float))
    assert sorted(map(tuple, points.tolist())) == sorted(map(tuple, SQUARE.tolist()))


def test_a_ring_that_nobody_can_see_is_none() -> None:
    assert len(polygons.fit(SQUARE / 20, ZERO, FAR)) == 0
    assert len(polygons.fit(SQUARE, ZERO, ZERO)) == 0
