"""YOLOv5 and YOLOX, decoded: output (B, N, 5 + C), cxcywh pixels, score = objectness x class score.

The two share the output layout and differ in the input: YOLOv5 takes RGB in [0, 1], YOLOX takes BGR in [0, 255].
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
    check_scores,
    nchw_bgr,
    nchw_unit_rgb,
    one_output,
    shapes,
    xyxy,
)
from pcb_aoi.errors import ModelError


def _check(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    output = one_output(outputs, f"(B, N, {5 + classes})")
    if output.shape[2] != 5 + classes:
        raise ModelError(
            f"expected (B, N, 5 + {classes} classes); the model has {shapes(outputs)}: "
            "another number of classes or another layout"
        )
    check_scores(output[..., 4:])
    size = output[..., 2:4]
    # Undecoded grid values are logarithms of sizes: negative for many cells, and never larger than a few units.
    if size.min() < 0 or size.max() < 4:
        raise ModelError("boxes are raw grid values: export with decoding in the model (--decode_in_inference)")


def _decode(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    output = outputs[0]
    bound = at_least(threshold)
    # A product of two numbers in [0, 1] is at most the first: rows of low objectness need no multiplication.
    tile, row = np.nonzero(output[..., 4] >= bound)
    rows = output[tile, row]
    scores = rows[:, 4:5] * rows[:, 5:]
    pick, label = np.nonzero(scores >= bound)
    return candidates(tile[pick], xyxy(rows[pick, :4]), scores[pick, label], label)


YOLOV5 = Head("yolov5", nchw_unit_rgb, _check, _decode)
YOLOX = Head("yolox", nchw_bgr, _check, _decode)
