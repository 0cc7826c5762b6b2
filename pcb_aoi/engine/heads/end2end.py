"""End-to-end exports (YOLO26, YOLOv10, or nms=True): output (B, K, 6), rows x1, y1, x2, y2, score, class."""

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
)
from pcb_aoi.errors import ModelError


def _check(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    output = one_output(outputs, "(B, K, 6)")
    # More rows than any export keeps: an anchor layout with one class has six columns too.
    if output.shape[2] != 6 or output.shape[1] > 1000:
        raise ModelError(f"expected (B, K <= 1000, 6); the model has {shapes(outputs)}")
    check_scores(output[..., 4])
    _check_classes(output[..., 5], classes)


def _check_classes(ids: Float32, classes: int) -> None:
    if ids.size and not ((ids >= 0) & (ids < classes) & (ids == np.floor(ids))).all():
        raise ModelError(f"class ids must be 0 to {classes - 1}, got {ids.min():g} to {ids.max():g}")


def _decode(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    output = outputs[0]
    tile, row = np.nonzero(output[..., 4] >= at_least(threshold))
    rows = output[tile, row]
    # The blank image at load may have given no box at all, so the ids are checked on every answer.
    _check_classes(rows[:, 5], classes)
    return candidates(tile, rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp))


HEAD = Head("end2end", nchw_unit_rgb, _check, _decode)
