"""Ultralytics v8, 11, 12 (and 26 exported with end2end=False): output (B, 4 + C, N), cxcywh pixels, sigmoid done."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.heads.base import (
    Candidates,
    Head,
    at_least,
    candidates,
    check_scores,
    nchw_unit_rgb,
    one_output,
    shapes,
    xyxy,
)
from pcb_aoi.errors import ModelError


def _check(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    output = one_output(outputs, f"(B, {4 + classes}, N)")
    if output.shape[1] != 4 + classes:
        # Never read surplus rows as classes: they are masks, key points or angles.
        raise ModelError(
            f"expected (B, 4 + {classes} classes, N); the model has {shapes(outputs)}: "
            "another number of classes, another layout, or a segmentation, pose or rotated-box model"
        )
    check_scores(output[:, 4:])
    # The same shape with x1, y1, x2, y2 exists (LibreYOLO's yolo9). There, x2 >= x1 holds in every row; here it
    # would say that every box is wider than its centre is far from the left border.
    if output.shape[2] > 1 and (output[:, 2:4] >= output[:, 0:2]).all():
        raise ModelError("boxes look like x1, y1, x2, y2; head yolov8 expects centre, width and height")


def _decode(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    output = outputs[0]
    tile, label, row = np.nonzero(output[:, 4:] >= at_least(threshold))
    return candidates(tile, xyxy(output[tile, :4, row]), output[tile, 4 + label, row], label)


HEAD = Head("yolov8", nchw_unit_rgb, _check, _decode)
