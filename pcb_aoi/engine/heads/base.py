"""What a head is, and the array steps that several heads share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine.detections import Detections, Float32
from pcb_aoi.errors import ModelError

UInt8 = npt.NDArray[np.uint8]
Index = npt.NDArray[np.intp]
Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Candidates:
    """Detections of a batch of tiles; `tile` (N,) is the position in the batch, boxes are in tile pixels."""

    tile: Index
    detections: Detections


@dataclass(frozen=True)
class Head:
    """One export layout: how its input is made and its outputs are read."""

    name: str
    prepare: Callable[[UInt8], Array]
    """uint8 (B, T, T, 3) RGB -> the input tensor."""
    check: Callable[[Sequence[Float32], int, int], None]
    """(outputs, classes, tile) of a blank batch; raises ModelError when they are not of this layout."""
    decode: Callable[[Sequence[Float32], int, float], Candidates]
    """(outputs, classes, threshold) -> every box and class with a score of at least the threshold."""
    batched: bool = True
    """Every output has the batch in front; not where suppression inside the graph lists the boxes of all tiles."""


def nchw_unit_rgb(tiles: UInt8) -> Float32:
    """uint8 (B, T, T, 3) -> float32 (B, 3, T, T) in [0, 1], RGB."""
    return np.multiply(tiles.transpose(0, 3, 1, 2), np.float32(1 / 255), dtype=np.float32, order="C")


def nchw_bgr(tiles: UInt8) -> Float32:
    """uint8 (B, T, T, 3) RGB -> float32 (B, 3, T, T) in [0, 255], BGR, as YOLOX was trained."""
    return tiles[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32, order="C")


def at_least(threshold: float) -> np.float32:
    """Return the smallest float32 that is not below `threshold`.

    Scores are float32; comparing with the rounded threshold would let scores just below it through.
    """
    bound = np.float32(threshold)
    return bound if float(bound) >= threshold else np.nextafter(bound, np.float32(np.inf))


def xyxy(cxcywh: Float32) -> Float32:
    """(N, 4) centre x, centre y, width, height -> (N, 4) x1, y1, x2, y2."""
    half = cxcywh[:, 2:] / 2
    return np.concatenate([cxcywh[:, :2] - half, cxcywh[:, :2] + half], axis=1)


def candidates(tile: Index, boxes: Float32, scores: Float32, labels: Index) -> Candidates:
    """Put the parts together."""
    return Candidates(tile, Detections(boxes, scores, labels.astype(np.int32)))


def one_output(outputs: Sequence[Float32], layout: str) -> Float32:
    """Return the only output, or raise ModelError."""
    if len(outputs) != 1 or outputs[0].ndim != 3:
        raise ModelError(f"expected one output {layout}; the model has {shapes(outputs)}")
    return outputs[0]


def shapes(outputs: Sequence[Float32]) -> str:
    """Return the shapes as text for a message."""
    return ", ".join(str(output.shape) for output in outputs) or "none"


def check_scores(scores: Float32) -> None:
    """Raise ModelError unless all scores are finite and in [0, 1]."""
    if not np.isfinite(scores).all():
        raise ModelError("the model gives scores that are not finite for a blank image")
    if scores.size and (scores.min() < -1e-3 or scores.max() > 1 + 1e-3):
        raise ModelError(
            f"scores must be in [0, 1], got {scores.min():.3g} to {scores.max():.3g}: export with sigmoid applied"
        )
