"""Anchors of four box numbers and C scores, sigmoid done: output (B, 4 + C, N), or transposed (B, N, 4 + C).

Ultralytics v8, 11, 12 and 26 give centres and sizes in pixels; LibreYOLO's yolo9 the same shape with corners, its
picodet rows of corners. Ultralytics' RT-DETR gives rows of centres and sizes as shares of the picture, and files that
came through TensorFlow columns of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.heads.base import (
    Array,
    Candidates,
    Head,
    UInt8,
    at_least,
    candidates,
    check_pixels,
    check_scores,
    is_unit,
    masks_of,
    nchw_imagenet,
    nchw_unit_rgb,
    one_output,
    shapes,
    xyxy,
)
from pcb_aoi.errors import ModelError


def split(outputs: Sequence[Float32], classes: int) -> tuple[Float32, Float32, Float32]:
    """Return views of the boxes (B, N, 4), scores (B, N, C) and mask coefficients (B, N, M), M = 0 without masks.

    Raises:
        ModelError: the rows have another length: other classes, or key points, angles or masks without prototypes.
    """
    output, masks = one_output(outputs, f"(B, {4 + classes}, N)")
    width = 4 + classes + masks
    if output.shape[1] == width:
        output = output.transpose(0, 2, 1)
    elif output.shape[2] != width:
        # Never read surplus rows as classes: they are masks, key points or angles.
        raise ModelError(
            f"expected (B, 4 + {classes} classes, N); the model has {shapes(outputs)}: "
            "another number of classes, another layout, or a pose or rotated-box model"
        )
    return output[..., :4], output[..., 4 : 4 + classes], output[..., 4 + classes :]


def are_corners(boxes: Float32) -> bool:
    """Whether the boxes (B, N, 4) are x1, y1, x2, y2: x2 >= x1 in every row.

    Were they centres and sizes, that would say that every box is wider than its centre is far from the left border.
    """
    return boxes.shape[1] > 1 and bool((boxes[..., 2:] >= boxes[..., :2]).all())


def _decoder(corners: bool) -> Callable[[Sequence[Float32], int, float], Candidates]:
    def decode(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
        boxes, scores, coefficients = split(outputs, classes)
        tile, row, label = np.nonzero(scores >= at_least(threshold))
        picked = boxes[tile, row]
        masks = masks_of(outputs, coefficients[tile, row], 0)
        return candidates(tile, picked if corners else xyxy(picked), scores[tile, row, label], label, masks)

    return decode


def _checker(corners: bool, unit: bool) -> Callable[[Sequence[Float32], int, int], None]:
    def check(outputs: Sequence[Float32], classes: int, tile: int) -> None:
        boxes, scores, _ = split(outputs, classes)
        check_scores(scores)
        if not unit:
            check_pixels(boxes)
        elif not is_unit(boxes):
            raise ModelError(f"boxes must lie in 0 to 1, got up to {boxes.max():.3g}: they are in pixels")
        if are_corners(boxes) and not corners:
            raise ModelError("boxes look like x1, y1, x2, y2; this head expects centre, width and height")
        if corners and not are_corners(boxes):
            raise ModelError("boxes look like centre, width and height; this head expects x1, y1, x2, y2")

    return check


def _head(name: str, prepare: Callable[[UInt8], Array], fit: str, *, corners: bool = False, unit: bool = False) -> Head:
    return Head(name, prepare, _checker(corners, unit), _decoder(corners), fit=fit, unit=unit)


YOLOV8 = _head("yolov8", nchw_unit_rgb, "centre")
YOLOV8_UNIT = _head("yolov8-unit", nchw_unit_rgb, "centre", unit=True)
RTDETR_ULTRALYTICS = _head("rtdetr-ultralytics", nchw_unit_rgb, "stretch", unit=True)
YOLO9 = _head("yolo9", nchw_unit_rgb, "corner", corners=True)
PICODET = _head("picodet", nchw_imagenet, "stretch", corners=True)
