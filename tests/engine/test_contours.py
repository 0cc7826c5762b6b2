"""contours: few points, never crossing, inside; the mask's own shape, however tiles cut it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest
from analytic import f32, i32
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from pcb_aoi.engine import contours, masks, merge, polygons, tiles
from pcb_aoi.engine.contours import Contours
from pcb_aoi.engine.detections import Detections, Float32
from pcb_aoi.engine.heads.base import Candidates
from pcb_aoi.errors import DeadlineExceeded

STEP = 4
"""Pixels a prototype's sample."""
RULES = merge.Rules(0.5, f32([-1]), outlined=np.array([True]))


@dataclass(frozen=True)
class Blob:
    """A shape on a board: a field over its pixels, positive on it, smooth as a network's prototypes are."""

    field: Float32

    @property
    def mask(self) -> np.ndarray:
        return self.field > 0

    @property
    def box(self) -> tuple[int, int, int, int]:
        y, x = np.nonzero(self.mask)
        return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


def drawn(side: int, *discs: tuple[float, float, float]) -> Blob:
    """Overlapping discs (x, y, radius): the field is the distance to the nearest rim, in samples."""
    y, x = np.mgrid[:side, :side] + 0.5
    away = [radius - np.hypot(x - cx, y - cy) for cx, cy, radius in discs]
    return Blob(np.max(away, axis=0).astype(np.float32) / STEP)


def seen(blob: Blob, grid: tiles.Grid) -> list[Candidates]:
    """What a perfect segmentation model finds: in every tile the part of the blob there, one prototype a tile."""
    found = []
    for x1, y1, x2, y2 in grid.boxes.tolist():
        whole = np.full((grid.tile, grid.tile), -9, np.float32)
        part = blob.field[y1:y2, x1:x2]
        whole[: part.shape[0], : part.shape[1]] = part
        count = grid.tile // STEP
        prototype = whole.reshape(count, STEP, count, STEP)[:, 1:3, :, 1:3].mean(axis=(1, 3))
        y, x = np.nonzero(whole > 0)
        boxes = [(x.min(), y.min(), x.max() + 1, y.max() + 1)] if len(x) > 20 else []
        detections = Detections(f32(boxes).reshape(-1, 4), f32([0.9] * len(boxes)), i32([0] * len(boxes)))
        coefficients = f32([[2.0]] * len(boxes)).reshape(-1, 1)
        found.append(Candidates(np.zeros(len(boxes), np.intp), detections, coefficients, prototype[None, None] / 2))
    return found


def traced(blob: Blob, tile: int, overlap: int, ratio: float = 1.0) -> Contours:
    height, width = blob.field.shape
    grid = tiles.plan(height, width, tile, overlap)
    merging = merge.Merge(RULES, grid, 0.5)
    for first, candidates in enumerate(seen(blob, grid)):
        merging.add(candidates, first)
    found = merging.masks()
    assert found is not None
    size = round(height * ratio), round(width * ratio)
    return contours.trace(found, merging.answer(), f32([ratio, ratio]), size)


def filled(points: np.ndarray, side: int, fine: int = 4) -> np.ndarray:
    """The pixels inside a polygon, by another hand: Pillow, on a finer grid, whose middles are looked at."""
    canvas = Image.new("1", (side * fine, side * fine))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in (points * fine - 0.5).tolist()], fill=1)
    return np.asarray(canvas)[fine // 2 :: fine, fine // 2 :: fine]


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


DISC = st.tuples(st.floats(60, 190), st.floats(60, 190), st.floats(8, 50))


@given(st.lists(DISC, min_size=1, max_size=5), st.sampled_from([0.5, 1.0, 2.7]))
def test_a_contour_is_what_cvat_and_annotators_need(discs: list[tuple[float, float, float]], ratio: float) -> None:
    """Also of blobs in several parts; scaled to the image's own pixels."""
    blob = drawn(256, *discs)
    (points,) = traced(blob, 256, 0, ratio)
    x1, y1, x2, y2 = blob.box
    assert polygons.LEAST <= len(points) <= polygons.MOST
    assert polygons.is_simple(points)
    assert (points >= np.array((x1, y1)) * ratio - 0.01).all()
    assert (points <= np.array((x2, y2)) * ratio + 0.01).all()
    assert (points == points.round(2)).all()


@given(st.floats(60, 190), st.floats(60, 190), st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), max_size=4))
def test_a_contour_covers_the_mask(x: float, y: float, more: list[tuple[float, float]]) -> None:
    """Blobs of one part: discs whose middles lie in the first."""
    blob = drawn(256, (x, y, 24), *((x + 20 * dx, y + 20 * dy, 20) for dx, dy in more))
    (points,) = traced(blob, 256, 0)
    assert iou(filled(points, 256), blob.mask) >= 0.9


@pytest.mark.parametrize("radius", [4, 6, 10])
def test_small_defects_keep_their_shape(radius: int) -> None:
    """Of two to five samples across."""
    ious = [
        iou(filled(traced(blob, 64, 0)[0], 64), blob.mask)
        for blob in (drawn(64, (30 + dx, 30 + dy, radius)) for dx in (0, 1.5, 3) for dy in (0, 2))
    ]
    assert np.median(ious) >= (0.75 if radius < 6 else 0.9)


def test_a_mask_that_fills_its_box_is_traced_along_its_sides() -> None:
    blob = Blob(np.full((64, 64), -3, np.float32))
    blob.field[17:43, 9:51] = 3
    grid = tiles.plan(64, 64, 64, 0)
    merging = merge.Merge(RULES, grid, 0.5)
    found = Detections(f32([blob.box]), f32([0.9]), i32([0]))
    merging.add(Candidates(np.zeros(1, np.intp), found, f32([[1]]), np.full((1, 1, 16, 16), 5, np.float32)), 0)
    found_masks = merging.masks()
    assert found_masks is not None
    (points,) = contours.trace(found_masks, merging.answer(), f32([1, 1]), (64, 64))
    assert iou(filled(points, 64), blob.mask) > 0.99


@given(st.floats(40, 216), st.floats(40, 216), st.floats(0, 6.3), st.integers(0, 20))
def test_tiles_cut_nothing(x: float, y: float, angle: float, shift: int) -> None:
    """A bent blob in tiles of 128 that overlap by 32 + shift: on one seam, on two, in a corner, over three tiles."""
    bend = [(x + r * np.cos(angle + r / 90), y + r * np.sin(angle + r / 90), 9 + r / 8) for r in range(-60, 61, 6)]
    blob = drawn(256, *bend)
    (whole,) = traced(blob, 256, 0)
    (joined,) = traced(blob, 128, 32 + shift)
    assert iou(filled(joined, 256), filled(whole, 256)) >= 0.9
    assert iou(filled(joined, 256), blob.mask) >= 0.85


def test_a_scratch_longer_than_three_tiles_is_one_polygon() -> None:
    blob = drawn(512, *((i, 40 + 0.8 * i, 5) for i in range(20, 490, 3)))
    (points,) = traced(blob, 128, 32)
    assert len(points) <= polygons.MOST
    assert iou(filled(points, 512), blob.mask) >= 0.85


def test_parts_are_joined_and_specks_go() -> None:
    """Two halves of a scratch that fades in between, and a speck above."""
    blob = drawn(256, *((i, 100, 8) for i in (*range(40, 100), *range(130, 200))), (120, 60, 6))
    (points,) = traced(blob, 256, 0)
    inside = filled(points, 256)
    assert iou(inside, blob.mask) >= 0.85
    assert inside[98:102, 40:200].any(axis=0).all()
    assert not inside[50:70].any()


def test_pieces_of_a_chain_are_one_polygon() -> None:
    """Of a label that comes in pieces, two of one tile that do not touch; the second is too weak to count alone."""
    blob = drawn(256, *((i, 100, 8) for i in (*range(40, 110), *range(140, 210))))
    prototype = blob.field.reshape(64, 4, 64, 4).mean(axis=(1, 3))[None, None]
    found = Detections(f32([(32, 92, 118, 108), (132, 92, 218, 108)]), f32([0.9, 0.45]), i32([0, 0]))
    rules = merge.Rules(0.5, f32([20]), outlined=np.array([True]))
    merging = merge.Merge(rules, tiles.plan(256, 256, 256, 0), 0.5)
    merging.add(Candidates(np.zeros(2, np.intp), found, f32([[1], [1]]), prototype), 0)
    found_masks = merging.masks()
    assert found_masks is not None
    (points,) = contours.trace(found_masks, merging.answer(), f32([1, 1]), (256, 256))
    inside = filled(points, 256)
    assert iou(inside, blob.mask) >= 0.85
    assert inside[98:102, 40:210].any(axis=0).all()


def test_a_hole_is_filled() -> None:
    y, x = np.mgrid[:128, :128] + 0.5
    ring = Blob((4 - np.abs(np.hypot(x - 60, y - 60) - 30) / 3).astype(np.float32))
    (points,) = traced(ring, 128, 0)
    assert iou(filled(points, 128), np.hypot(x - 60, y - 60) < 42) >= 0.95


def test_pieces_that_were_not_joined_stay_apart() -> None:
    """Two blobs side by side: each has the points of its own."""
    blob = drawn(256, (60, 60, 20), (180, 170, 30))
    prototype = blob.field.reshape(64, 4, 64, 4).mean(axis=(1, 3))[None, None]
    # In front of them one that scores too little, and would turn the field over.
    found = Detections(
        f32([(0, 0, 90, 90), (40, 40, 80, 80), (150, 140, 210, 200)]), f32([0.1, 0.8, 0.9]), i32([0, 0, 0])
    )
    merging = merge.Merge(RULES, tiles.plan(256, 256, 256, 0), 0.5)
    merging.add(Candidates(np.zeros(3, np.intp), found, f32([[-1], [1], [1]]), prototype), 0)
    found_masks = merging.masks()
    assert found_masks is not None
    large, small = contours.trace(found_masks, merging.answer(), f32([1, 1]), (256, 256))
    assert large.min(axis=0).tolist() == pytest.approx([150, 140], abs=1)
    assert small.max(axis=0).tolist() == pytest.approx([80, 80], abs=1)
    assert iou(filled(large, 256) | filled(small, 256), blob.mask) >= 0.9


def test_a_piece_ends_at_its_own_box() -> None:
    """The field is positive all over: the polygon is the two boxes of the chain, not the box round both."""
    found = Detections(f32([(8, 8, 60, 30), (50, 20, 120, 110)]), f32([0.9, 0.8]), i32([0, 0]))
    merging = merge.Merge(merge.Rules(0.5, f32([0]), outlined=np.array([True])), tiles.plan(128, 128, 128, 0), 0.5)
    merging.add(Candidates(np.zeros(2, np.intp), found, f32([[1], [1]]), np.ones((1, 1, 32, 32), np.float32)), 0)
    found_masks = merging.masks()
    assert found_masks is not None
    (points,) = contours.trace(found_masks, merging.answer(), f32([1, 1]), (128, 128))
    boxes = np.zeros((128, 128), bool)
    boxes[8:30, 8:60] = boxes[20:110, 50:120] = True
    assert iou(filled(points, 128), boxes) >= 0.97


def test_each_tile_of_a_batch_has_its_own_prototypes() -> None:
    """Two tiles in one batch, a defect in the second."""
    grid = tiles.plan(64, 112, 64, 16)
    blob = drawn(112, (90, 30, 15))
    one, other = seen(Blob(blob.field[:64]), grid)
    assert one.prototypes is not None
    assert other.prototypes is not None
    merging = merge.Merge(RULES, grid, 0.5)
    both = np.concatenate([one.prototypes, other.prototypes])
    merging.add(Candidates(np.ones(1, np.intp), other.detections, other.coefficients, both), 0)
    found = merging.masks()
    assert found is not None
    (points,) = contours.trace(found, merging.answer(), f32([1, 1]), (64, 112))
    assert iou(filled(points, 112), blob.mask) >= 0.9


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_mask_of_nothing_has_no_points(value: float) -> None:
    found = Detections(f32([(4, 4, 40, 40)]), f32([0.9]), i32([0]))
    grid = tiles.plan(64, 64, 64, 0)
    merging = merge.Merge(RULES, grid, 0.5)
    merging.add(Candidates(np.zeros(1, np.intp), found, f32([[1]]), np.full((1, 1, 16, 16), value, np.float32)), 0)
    found_masks = merging.masks()
    assert found_masks is not None
    assert [len(points) for points in contours.trace(found_masks, merging.answer(), f32([1, 1]), (64, 64))] == [0]


def test_masks_are_made_for_polygon_labels_only() -> None:
    found = Detections(f32([(0, 0, 20, 20), (30, 30, 60, 60)]), f32([0.9, 0.8]), i32([0, 1]))
    ones = np.ones((1, 2, 16, 16), np.float32)
    grid = tiles.plan(64, 64, 64, 0)
    made = masks.cut(
        Candidates(np.zeros(2, np.intp), found, np.ones((2, 2), np.float32), ones),
        np.array([False, True]),
        found.boxes,
        np.zeros(2, np.intp),
        grid,
    )
    assert made.size.tolist() == [[0, 0], [9, 9]]
    assert (made.window(1) == 2).all()


def test_contours_keep_the_deadline() -> None:
    blob = drawn(64, (30, 30, 9))
    merging = merge.Merge(RULES, tiles.plan(64, 64, 64, 0), 0.5)
    merging.add(seen(blob, tiles.plan(64, 64, 64, 0))[0], 0)
    found = merging.masks()
    assert found is not None
    with pytest.raises(DeadlineExceeded, match="0 of 1 contours"):
        contours.trace(found, merging.answer(), f32([1, 1]), (64, 64), time.monotonic() - 1)
