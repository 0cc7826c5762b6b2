"""Boxes and scores in two outputs: the DETRs' (Q queries, logits and shares of the picture), and YOLO-NAS' pixels.

LibreYOLO's D-FINE, DEIM and RT-DETR and Hugging Face's RT-DETR and D-FINE give logits first; RF-DETR boxes first, and
takes ImageNet's normalisation. A box's classes are independent (sigmoid). The older DETR, a softmax with "no object"
behind the classes, is another layout.
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
    nchw_imagenet,
    nchw_unit_rgb,
    shapes,
    xyxy,
)
from pcb_aoi.errors import ModelError


def _pair(boxes: Float32, scores: Float32, classes: int, outputs: Sequence[Float32]) -> None:
    fits = (
        boxes.ndim == scores.ndim == 3
        and boxes.shape[2] == 4
        and scores.shape[2] == classes
        and boxes.shape[:2] == scores.shape[:2]
    )
    if not fits:
        raise ModelError(
            f"expected boxes (B, N, 4) and scores (B, N, {classes}); the model has {shapes(outputs)}: "
            "another number of classes or another layout; --classes takes one name for each column, - for one of none"
        )


def _sigmoid(logits: Float32) -> Float32:
    # Beyond 80 a float32 says 0 or 1 anyway, and exp would overflow.
    return np.float32(1) / (np.float32(1) + np.exp(-np.clip(logits, -80, 80)))


def _check_queries(boxes: Float32, logits: Float32, classes: int, outputs: Sequence[Float32]) -> None:
    _pair(boxes, logits, classes, outputs)
    if not (np.isfinite(boxes).all() and np.isfinite(logits).all()):
        raise ModelError("the model gives numbers that are not finite for a blank image")
    if logits.min() >= 0:
        raise ModelError(
            f"expected logits, got {logits.min():.3g} to {logits.max():.3g}: the sigmoid is in the model already"
        )
    if boxes.min() < -0.5 or boxes.max() > 1.5:
        raise ModelError(f"boxes must lie in 0 to 1, got {boxes.min():.3g} to {boxes.max():.3g}")
    # Where the surest class of most queries scores above 0.5 on a picture of nothing, that class is "no object".
    if (logits.max(axis=2) > 0).mean() > 0.5:
        raise ModelError(
            "多数 query 的最大类别得分都超过0.5：这是带“无目标”类的 softmax（DETR），不支持；"
            "请改用 RT-DETR 或 D-FINE / "
            "most queries score above 0.5: a softmax with a class for no object (DETR), which no head reads; "
            "train an RT-DETR or D-FINE"
        )


def _decode_queries(boxes: Float32, logits: Float32, threshold: float) -> Candidates:
    scores = _sigmoid(logits)
    tile, row, label = np.nonzero(scores >= at_least(threshold))
    return candidates(tile, xyxy(boxes[tile, row]), scores[tile, row, label], label)


def _check_logits_first(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    _check_queries(*_two(outputs)[::-1], classes, outputs)


def _decode_logits_first(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    return _decode_queries(outputs[1], outputs[0], threshold)


def _check_boxes_first(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    _check_queries(*_two(outputs), classes, outputs)


def _decode_boxes_first(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    return _decode_queries(outputs[0], outputs[1], threshold)


def _two(outputs: Sequence[Float32]) -> tuple[Float32, Float32]:
    """RF-DETR's segmentation model gives masks behind the two."""
    if len(outputs) < 2:
        raise ModelError(f"expected boxes and scores in two outputs; the model has {shapes(outputs)}")
    return outputs[0], outputs[1]


def _check_pixels(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    boxes, scores = _two(outputs)
    _pair(boxes, scores, classes, outputs)
    check_scores(scores)
    check_pixels(boxes)


def _decode_pixels(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    boxes, scores = outputs[:2]
    tile, row, label = np.nonzero(scores >= at_least(threshold))
    return candidates(tile, boxes[tile, row], scores[tile, row, label], label)


DETR = Head("detr", nchw_unit_rgb, _check_logits_first, _decode_logits_first, fit="stretch", unit=True)
DETR_IMAGENET = Head(
    "detr-imagenet", nchw_imagenet, _check_logits_first, _decode_logits_first, fit="stretch", unit=True
)
RFDETR = Head("rfdetr", nchw_imagenet, _check_boxes_first, _decode_boxes_first, fit="stretch", unit=True)
YOLO_NAS = Head("yolonas", nchw_unit_rgb, _check_pixels, _decode_pixels, fit="centre")
