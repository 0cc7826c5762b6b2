"""The project's own export: boxes (B, N, 4) xyxy in tile pixels, scores (B, N, C), calibrated.

Input is uint8 (B, T, T, 3) RGB: normalisation, box decoding, sigmoid and calibration are inside the graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.heads.base import Array, Candidates, Head, UInt8, at_least, candidates, check_scores, shapes
from pcb_aoi.errors import ModelError


def _prepare(tiles: UInt8) -> Array:
    return tiles


def _check(outputs: Sequence[Float32], classes: int, tile: int) -> None:
    fits = (
        len(outputs) == 2
        and outputs[0].ndim == outputs[1].ndim == 3
        and outputs[0].shape[2] == 4
        and outputs[1].shape[2] == classes
        and outputs[0].shape[:2] == outputs[1].shape[:2]
    )
    if not fits:
        raise ModelError(f"expected boxes (B, N, 4) and scores (B, N, {classes}); the model has {shapes(outputs)}")
    check_scores(outputs[1])


def _decode(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    boxes, scores = outputs
    tile, row, label = np.nonzero(scores >= at_least(threshold))
    return candidates(tile, boxes[tile, row], scores[tile, row, label], label)


HEAD = Head("pcb", _prepare, _check, _decode, any_side=True)
