"""Layouts that list the boxes found, one class each: all become rows (B, K, 6) of x1, y1, x2, y2, score, class.

That is what YOLO26 and YOLOv10 give end to end, and exports with suppression inside (nms=True); the others say the
same in several arrays, or without a batch. Rows of score 0 are padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.heads.base import (
    Candidates,
    Head,
    at_least,
    candidates,
    check_pixels,
    check_scores,
    count_masks,
    masks_of,
    nchw_unit_rgb,
    shapes,
)
from pcb_aoi.errors import ModelError

MOST_ROWS = 1000
"""More than any export keeps: an anchor layout with one class has six columns, too."""


def _rows(outputs: Sequence[Float32]) -> Float32:
    """(B, K, 6), with mask coefficients behind where the second output holds prototypes."""
    masks = count_masks(outputs)
    first = outputs[0]
    # LibreYOLO gives what went into its suppression as a second output: it is of no use here.
    beside = len(outputs) - 1 - bool(masks)
    if first.ndim != 3 or first.shape[2] != 6 + masks or first.shape[1] > MOST_ROWS or beside > 1:
        raise ModelError(f"expected (B, K <= {MOST_ROWS}, 6); the model has {shapes(outputs)}")
    return first


def _check_classes(ids: Float32, classes: int) -> None:
    if ids.size and not ((ids >= 0) & (ids < classes) & (ids == np.floor(ids))).all():
        raise ModelError(
            f"class ids must be 0 to {classes - 1}, got {ids.min():g} to {ids.max():g}: "
            "if the file counts from 1, write its numbers into classes in model.yaml"
        )


def _check(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    output = _rows(outputs)
    check_scores(output[..., 4])
    check_pixels(output[..., :4])
    _check_classes(output[..., 5][output[..., 4] > 0], classes)


def _decode(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    output = outputs[0]
    tile, row = np.nonzero((output[..., 4] >= at_least(threshold)) & (output[..., 4] > 0))
    rows = output[tile, row]
    # The blank image at load may have given no box at all, so the rows are checked on every answer.
    _check_classes(rows[:, 5], classes)
    check_pixels(rows[:, :4])
    masks = masks_of(outputs, rows, 6)
    return candidates(tile, rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp), masks)


def _of_parts(boxes: Float32, scores: Float32, ids: Float32) -> Float32:
    """(B, K, 4), (B, K), (B, K) -> (B, K, 6)."""
    if boxes.ndim != 3 or boxes.shape[2] != 4 or not boxes.shape[:2] == scores.shape == ids.shape:
        raise ModelError(f"expected boxes (B, K, 4), scores and classes (B, K); got {shapes((boxes, scores, ids))}")
    return np.concatenate([boxes, scores[..., None], ids[..., None]], axis=2)


def _three(outputs: Sequence[Float32], layout: str) -> tuple[Float32, Float32, Float32]:
    if len(outputs) < 3:
        raise ModelError(f"expected {layout}; the model has {shapes(outputs)}")
    return outputs[0], outputs[1], outputs[2]


def _efficient_nms(outputs: Sequence[Float32]) -> Float32:
    if len(outputs) != 4:
        raise ModelError(f"expected num_dets, det_boxes, det_scores, det_classes; the model has {shapes(outputs)}")
    count, boxes, scores, ids = outputs
    used = np.arange(scores.shape[1]) < count.reshape(-1, 1)
    return _of_parts(boxes, np.where(used, scores, np.float32(0)), ids)


def _rtdetr(outputs: Sequence[Float32]) -> Float32:
    labels, boxes, scores = _three(outputs, "labels, boxes, scores")
    return _of_parts(boxes, scores, labels)


def _torchvision(outputs: Sequence[Float32]) -> Float32:
    """boxes (n, 4), labels (n,), scores (n,) of one picture -> (1, n, 6)."""
    boxes, labels, scores = _three(outputs, "boxes, labels, scores")
    return _of_parts(boxes[None], scores[None], labels[None])


def _yolov7(outputs: Sequence[Float32]) -> Float32:
    """(n, 7), rows batch, x1, y1, x2, y2, class, score of one picture -> (1, n, 6)."""
    if len(outputs) != 1 or outputs[0].ndim != 2 or outputs[0].shape[1] != 7:
        raise ModelError(f"expected (n, 7); the model has {shapes(outputs)}")
    rows = outputs[0]
    return _of_parts(rows[None, :, 1:5], rows[None, :, 6], rows[None, :, 5])


def _check_efficient_nms(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    _check([_efficient_nms(outputs)], classes, tile)


def _decode_efficient_nms(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    return _decode([_efficient_nms(outputs)], classes, threshold)


def _check_rtdetr(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    _check([_rtdetr(outputs)], classes, tile)


def _decode_rtdetr(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    return _decode([_rtdetr(outputs)], classes, threshold)


END2END = Head("end2end", nchw_unit_rgb, _check, _decode)
EFFICIENT_NMS = Head("efficientnms", nchw_unit_rgb, _check_efficient_nms, _decode_efficient_nms)
RTDETR = Head("rtdetr", nchw_unit_rgb, _check_rtdetr, _decode_rtdetr, fit="stretch", sizes="orig_target_sizes")
TORCHVISION = Head("torchvision", nchw_unit_rgb, _check, _decode, collect=_torchvision, first_id=1)
YOLOV7 = Head("yolov7", nchw_unit_rgb, _check, _decode, collect=_yolov7)
