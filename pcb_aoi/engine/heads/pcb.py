"""The project's own export: boxes (B, N, 4) xyxy in tile pixels, scores (B, N, C), calibrated.

Input is uint8 (B, T, T, 3) RGB: normalisation, box decoding, sigmoid and calibration are inside the graph.

A net that has learnt masks gives two more outputs, in this order: `coefficients` float (B, N, M), one row a box, and
`prototypes` float (B, M, T / s, T / s), each value in the middle of s x s pixels of the tile (s = 4, M = 8 or so).
The mask of a box is where the sum over M of coefficient x prototype is positive, within the box. No sigmoid is in the
graph, of either output: a contour is found between the grid's points by the values on both sides of it.
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
        len(outputs) in (2, 4)
        and outputs[0].ndim == outputs[1].ndim == 3
        and outputs[0].shape[2] == 4
        and outputs[1].shape[2] == classes
        and outputs[0].shape[:2] == outputs[1].shape[:2]
    )
    if not fits:
        raise ModelError(f"expected boxes (B, N, 4) and scores (B, N, {classes}); the model has {shapes(outputs)}")
    if len(outputs) == 4 and not are_masks(outputs):
        raise ModelError(f"expected coefficients (B, N, M), prototypes (B, M, h, w); the model has {shapes(outputs)}")
    check_scores(outputs[1])


def are_masks(outputs: Sequence[Float32]) -> bool:
    """Whether the last two of four outputs are the coefficients and prototypes of the boxes in the first."""
    boxes, _, coefficients, prototypes = outputs
    return (
        coefficients.ndim == 3
        and prototypes.ndim == 4
        and coefficients.shape[:2] == boxes.shape[:2]
        and coefficients.shape[2] == prototypes.shape[1]
    )


def _decode(outputs: Sequence[Float32], classes: int, threshold: float) -> Candidates:
    boxes, scores = outputs[:2]
    tile, row, label = np.nonzero(scores >= at_least(threshold))
    masks = (outputs[2][tile, row], outputs[3]) if len(outputs) == 4 else None
    return candidates(tile, boxes[tile, row], scores[tile, row, label], label, masks)


HEAD = Head("pcb", _prepare, _check, _decode)
