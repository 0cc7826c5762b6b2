"""YOLOv5, YOLOv6 and YOLOX, decoded: output (B, N, 5 + C), cxcywh pixels, score = objectness x class score.

They share the output's columns. YOLOv5 has three anchors a cell, the others one; YOLOv6 has no objectness and writes 1
in its place. YOLOX takes BGR in [0, 255], the others RGB in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.heads.base import (
    Candidates,
    Head,
    at_least,
    candidates,
    check_pixels,
    check_scores,
    is_unit,
    masks_of,
    nchw_bgr,
    nchw_unit_rgb,
    one_output,
    shapes,
    xyxy,
)
from pcb_aoi.errors import ModelError

_STRIDES = ((8, 16, 32), (4, 8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32, 64), (16, 32))
"""Of the usual grids: three levels, with one finer or coarser, with both, and the two of tiny models."""


def anchors_per_cell(rows: int, tile: int) -> int | None:
    """Return 1 or 3 when `rows` predictions are that many for each cell of a usual grid over the tile, else None."""
    cells = {sum((tile // stride) ** 2 for stride in strides) for strides in _STRIDES}
    return next((anchors for anchors in (1, 3) if any(rows == anchors * count for count in cells)), None)


def is_raw(output: Float32) -> bool:
    """Whether rows (B, N, 5 + C) hold raw grid values in place of boxes.

    Those are logarithms of sizes: negative for many cells, and never larger than a few units; the centres are offsets
    from the cell, on both sides of it. Shares of the picture are small, too, but none is negative.
    """
    boxes = output[..., :4]
    small = boxes[..., 2:].max(initial=0) < 4
    return bool(boxes[..., 2:].min(initial=0) < 0 or (small and (boxes.min(initial=0) < -0.5 or not is_unit(boxes))))


def _checker(anchors: int) -> Callable[[Sequence[Float32], int, int], None]:
    names = {1: "yolox or yolov6", 3: "yolov5"}

    def check(outputs: Sequence[Float32], classes: int, tile: int) -> None:
        output, masks = one_output(outputs, f"(B, N, {5 + classes})")
        if output.shape[2] != 5 + classes + masks:
            raise ModelError(
                f"expected (B, N, 5 + {classes} classes); the model has {shapes(outputs)}: "
                "another number of classes or another layout"
            )
        check_scores(output[..., 4 : 5 + classes])
        if is_raw(output):
            raise ModelError(
                "框是未解码的网格值；导出时请加 --decode_in_inference / "
                "boxes are raw grid values: export with decoding in the model (--decode_in_inference)"
            )
        check_pixels(output[..., :4])
        has = anchors_per_cell(output.shape[1], tile)
        if has not in (None, anchors):
            raise ModelError(
                f"{output.shape[1]} rows are {has} a cell of a tile of {tile} px: that is a file for head {names[has]}"
            )

    return check


def _decode(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    output = outputs[0]
    bound = at_least(threshold)
    # A product of two numbers in [0, 1] is at most the first: rows of low objectness need no multiplication.
    tile, row = np.nonzero(output[..., 4] >= bound)
    rows = output[tile, row]
    scores = rows[:, 4:5] * rows[:, 5 : 5 + classes]
    pick, label = np.nonzero(scores >= bound)
    masks = masks_of(outputs, rows[pick], 5 + classes)
    return candidates(tile[pick], xyxy(rows[pick, :4]), scores[pick, label], label, masks)


YOLOV5 = Head("yolov5", nchw_unit_rgb, _checker(3), _decode)
YOLOV6 = Head("yolov6", nchw_unit_rgb, _checker(1), _decode)
YOLOX = Head("yolox", nchw_bgr, _checker(1), _decode, fit="corner")
