"""Every defect and every call is counted once, in the row and column where it belongs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import IGNORED, Scene
from training.measure import metrics
from training.measure.metrics import confusion

LABELS = 3
places = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(4, 30), st.integers(4, 30))
defects = st.lists(st.tuples(places, st.integers(0, LABELS - 1)), max_size=5)
called = st.lists(st.tuples(places, st.integers(0, LABELS - 1), st.sampled_from([0.1, 0.4, 0.5, 0.6, 0.9])), max_size=6)


def xyxy(rows: list[tuple[int, int, int, int]]) -> np.ndarray:
    boxes = np.array(rows, np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def scene(rows: list[tuple[tuple[int, int, int, int], int]]) -> Scene:
    labels = np.array([label for _, label in rows], np.int64)
    return Scene(np.zeros((100, 100), np.uint8), xyxy([place for place, _ in rows]), labels)


def detections(rows: list[tuple[tuple[int, int, int, int], int, float]]) -> Detections:
    rows = sorted(rows, key=lambda row: -row[2])
    labels = np.array([label for _, label, _ in rows], np.int32)
    return Detections(xyxy([row[0] for row in rows]), np.array([row[2] for row in rows], np.float32), labels)


@given(st.lists(st.tuples(defects, called), max_size=3), st.sampled_from([0.0, 0.5, 0.95]))
def test_rows_hold_the_calls_and_columns_the_defects(
    images: list[tuple[list, list]],  # type: ignore[type-arg]
    threshold: float,
) -> None:
    scenes, results = [scene(truth) for truth, _ in images], [detections(calls) for _, calls in images]
    table = confusion(scenes, results, LABELS, threshold)
    for label in range(LABELS):
        assert table[:, label].sum() == sum(int((one.labels == label).sum()) for one in scenes)
        kept = sum(int(((one.labels == label) & (one.scores >= threshold)).sum()) for one in results)
        assert table[label].sum() == kept
    assert not table[LABELS, LABELS:].any()


@given(defects)
def test_calls_that_repeat_the_truth_lie_on_the_diagonal(truth: list) -> None:  # type: ignore[type-arg]
    apart = [((200 * i, 0, 20, 20), label) for i, (_, label) in enumerate(truth)]
    table = confusion([scene(apart)], [detections([(*row, 0.9) for row in apart])], LABELS)
    assert table.sum() == np.trace(table) == len(truth)


@given(defects, called, st.permutations(range(LABELS)))
def test_names_of_the_labels_do_not_matter(truth: list, calls: list, new: list[int]) -> None:  # type: ignore[type-arg]
    table = confusion([scene(truth)], [detections(calls)], LABELS)
    renamed = [(place, new[label]) for place, label in truth]
    recalled = [(place, new[label], score) for place, label, score in calls]
    other = confusion([scene(renamed)], [detections(recalled)], LABELS)
    assert np.array_equal(table, other[np.ix_([*new, LABELS], [*new, LABELS, LABELS + 1])])


def test_a_wrong_label_an_escape_a_false_call_and_a_second_call() -> None:
    truth = scene([((0, 0, 20, 20), 0), ((50, 0, 20, 20), 1), ((0, 50, 20, 20), 2)])
    calls = [
        ((0, 0, 20, 20), 1, 0.9),  # the defect of label 0, called 1
        ((1, 0, 20, 20), 0, 0.8),  # called once more: the place is taken
        ((50, 0, 20, 20), 1, 0.7),
        ((0, 50, 20, 20), 2, 0.4),  # under the threshold: an escape
        ((50, 50, 20, 20), 2, 0.6),  # nothing there
    ]
    expected = [[0, 0, 0, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0]]
    assert confusion([truth], [detections(calls)], LABELS).tolist() == expected


@pytest.mark.parametrize(
    ("call", "label", "column"),
    [
        ((0, 0, 20, 8), 0, LABELS + 1),  # IoU 0.4: the defect is missed, the box is loose
        ((0, 0, 20, 1), 0, LABELS),  # IoU 0.05: called on nothing
        ((0, 0, 20, 8), 1, LABELS),  # another label
    ],
)
def test_a_loose_box_of_the_right_label_is_told_from_a_call_on_nothing(
    call: tuple[int, int, int, int], label: int, column: int
) -> None:
    table = confusion([scene([((0, 0, 20, 20), 0)])], [detections([(call, label, 0.9)])], LABELS)
    assert table[label, column] == 1
    assert table[LABELS, 0] == 1
    assert table.sum() == 2
    # A second call on a defect that another has found is none with a loose box.
    found = [(call, label, 0.8), ((0, 0, 20, 20), 0, 0.9)]
    assert confusion([scene([((0, 0, 20, 20), 0)])], [detections(found)], LABELS)[:, LABELS + 1].sum() == 0


def test_a_call_on_a_hidden_defect_is_neither_right_nor_wrong() -> None:
    truth = scene([((0, 0, 20, 20), IGNORED), ((50, 0, 20, 20), IGNORED)])
    assert confusion([truth], [detections([((0, 0, 20, 20), 1, 0.9)])], LABELS).sum() == 0


@given(defects, called)
def test_matching_is_one_to_one_and_overlaps(truth: list, calls: list) -> None:  # type: ignore[type-arg]
    boxes, defects_ = detections(calls).boxes, scene(truth).boxes
    found = metrics.matches(boxes, defects_)
    hit = found[found >= 0]
    assert len(set(hit.tolist())) == len(hit)
    overlap = metrics.iou_table(boxes, defects_)
    assert all(overlap[row, found[row]] >= metrics.MATCH_IOU for row in np.flatnonzero(found >= 0))
    left = np.setdiff1d(np.arange(len(defects_)), hit)
    assert not (overlap[found < 0][:, left] >= metrics.MATCH_IOU).any()  # nobody who could have a defect goes without
