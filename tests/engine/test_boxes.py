"""boxes: the array code equals the textbook's loops."""

from __future__ import annotations

from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcb_aoi.engine import boxes

Array = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]


def random_boxes(seed: int, count: int, span: float, size: float, groups: int = 3) -> tuple[Array, Array, Index]:
    """Boxes on a grid of 0.5, so that equal edges and equal boxes occur; scores with ties."""
    rng = np.random.default_rng(seed)
    low = (rng.random((count, 2)) * span * 2).round() / 2
    high = low + ((rng.random((count, 2)) * size * 2).round() + 1) / 2
    scores = (rng.integers(1, 12, count) / 12).astype(np.float32)
    return np.concatenate([low, high], axis=1).astype(np.float32), scores, rng.integers(0, groups, count)


def textbook_iou(a: Array, b: Array) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)  # in float32, an IoU of exactly 0.3 would be above 0.3
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return float(shared / union) if union > 0 else 0.0


def textbook_nms(found: Array, scores: Array, groups: Index, threshold: float) -> set[int]:
    order = sorted(range(len(found)), key=lambda k: (-scores[k], *found[k]))
    kept: list[int] = []
    for k in order:
        if all(groups[k] != groups[i] or textbook_iou(found[k], found[i]) <= threshold for i in kept):
            kept.append(k)
    return set(kept)


SCENES = st.tuples(st.integers(0, 10**6), st.integers(0, 60), st.floats(1, 100), st.floats(1, 60))


@given(SCENES)
def test_touching_is_every_pair_that_shares_an_area(scene: tuple[int, int, float, float]) -> None:
    found, _, groups = random_boxes(*scene)
    i, j = boxes.touching(found, groups)
    pairs = [frozenset(pair) for pair in zip(i.tolist(), j.tolist(), strict=True)]
    wanted = {
        frozenset((a, b))
        for a in range(len(found))
        for b in range(a)
        if groups[a] == groups[b] and textbook_iou(found[a], found[b]) > 0
    }
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == wanted


def test_touching_in_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, groups = random_boxes(5, 300, 50, 30)
    whole = set(zip(*(index.tolist() for index in boxes.touching(found, groups)), strict=True))
    monkeypatch.setattr(boxes, "_CHUNK", 7)
    assert set(zip(*(index.tolist() for index in boxes.touching(found, groups)), strict=True)) == whole


@given(SCENES, st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_suppress_is_textbook_nms(scene: tuple[int, int, float, float], threshold: float) -> None:
    found, scores, groups = random_boxes(*scene)
    kept = np.flatnonzero(boxes.suppress(found, scores, groups, threshold))
    # Identical boxes with identical scores are interchangeable: compare what they are, not which.
    wanted = sorted((groups[k], scores[k], *found[k]) for k in textbook_nms(found, scores, groups, threshold))
    assert sorted((groups[k], scores[k], *found[k]) for k in kept) == wanted


@given(SCENES, st.randoms())
def test_suppress_does_not_depend_on_the_order(scene: tuple[int, int, float, float], random: Random) -> None:
    found, scores, groups = random_boxes(*scene)
    order = np.array(random.sample(range(len(found)), len(found)), np.intp)
    first, second = (
        boxes.suppress(found, scores, groups, 0.5),
        boxes.suppress(found[order], scores[order], groups[order], 0.5),
    )
    assert sorted(map(tuple, found[first])) == sorted(map(tuple, found[order][second]))


@given(SCENES)
def test_suppress_twice_is_suppress_once(scene: tuple[int, int, float, float]) -> None:
    found, scores, groups = random_boxes(*scene)
    kept = boxes.suppress(found, scores, groups, 0.5)
    assert boxes.suppress(found[kept], scores[kept], groups[kept], 0.5).all()


def test_far_from_the_origin_neighbours_do_not_touch() -> None:
    """On large boards with many groups the sweep's keys are large; boxes side by side must stay apart."""
    left = np.arange(1000, dtype=np.float32) * 16 + 100_000
    found = np.stack([left, left * 0, left + 16, left * 0 + 16], axis=1)
    i, _ = boxes.touching(found, np.full(1000, 50_000))
    assert len(i) == 0


@given(st.integers(1, 60), st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=80))
def test_components_are_connected_components(count: int, edges: list[tuple[int, int]]) -> None:
    edges = [(a % count, b % count) for a, b in edges]
    parent = list(range(count))

    def root(k: int) -> int:
        while parent[k] != k:
            k = parent[k]
        return k

    for a, b in edges:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    i, j = (np.array(side, int) for side in (zip(*edges, strict=True) if edges else ((), ())))
    assert boxes.components(count, i, j).tolist() == [root(k) for k in range(count)]


def test_a_chain_of_fragments_is_one_component() -> None:
    order = np.random.default_rng(0).permutation(2000)
    assert set(boxes.components(2000, order[:-1], order[1:]).tolist()) == {0}


def test_thirty_thousand_crowded_boxes_need_no_square_matrix() -> None:
    """Far under what N x N booleans take (0.9 GB); the time is bounded by the pairs that really touch."""
    found, scores, _ = random_boxes(1, 30_000, 16_000, 40)
    kept = boxes.suppress(found, scores, np.zeros(30_000, int), 0.5)
    assert 25_000 < kept.sum() <= 30_000
