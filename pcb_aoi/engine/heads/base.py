"""What a head is, and the array steps that several heads share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine.detections import Bool, Detections, Float32
from pcb_aoi.errors import ModelError

UInt8 = npt.NDArray[np.uint8]
Index = npt.NDArray[np.intp]
Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Candidates:
    """Detections of a batch of tiles; `tile` (N,) is the position in the batch, boxes are in tile pixels.

    Of segmentation models also what their masks are made of: a mask is positive where the sum of the tile's
    prototypes, each times its coefficient, is (YOLACT, ICCV 2019).
    """

    tile: Index
    detections: Detections
    coefficients: Float32 | None = None
    """(N, M); None: the model gives boxes only."""
    prototypes: Float32 | None = None
    """(B, M, h, w), the whole tile on a coarser grid."""

    def __getitem__(self, index: Bool | Index) -> Candidates:
        """Select detections by a mask (N,) or by positions."""
        coefficients = None if self.coefficients is None else self.coefficients[index]
        return Candidates(self.tile[index], self.detections[index], coefficients, self.prototypes)


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
    collect: Callable[[Sequence[Float32]], Float32] | None = None
    """Of layouts whose boxes have no batch in front: the outputs of one tile -> one array (1, K, ...) for `decode`."""
    unit: bool = False
    """Boxes are shares of the tile's side, not pixels."""
    fit: str = "centre"
    """How the family brings a whole picture to its input: `centre` or `corner`, padded there, or `stretch`."""
    first_id: int = 0
    """The number of the first class."""
    sizes: str | None = None
    """The name of a second input, int64 (B, 2), that takes the tile's width and height."""


def nchw_unit_rgb(tiles: UInt8) -> Float32:
    """uint8 (B, T, T, 3) -> float32 (B, 3, T, T) in [0, 1], RGB."""
    return np.multiply(tiles.transpose(0, 3, 1, 2), np.float32(1 / 255), dtype=np.float32, order="C")


def nchw_bgr(tiles: UInt8) -> Float32:
    """uint8 (B, T, T, 3) RGB -> float32 (B, 3, T, T) in [0, 255], BGR, as YOLOX was trained."""
    return tiles[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32, order="C")


_MEAN = np.array((0.485, 0.456, 0.406), np.float32).reshape(1, 3, 1, 1)
_STD = np.array((0.229, 0.224, 0.225), np.float32).reshape(1, 3, 1, 1)


def nchw_imagenet(tiles: UInt8) -> Float32:
    """uint8 (B, T, T, 3) RGB -> float32 (B, 3, T, T), less ImageNet's mean and over its deviation."""
    return (nchw_unit_rgb(tiles) - _MEAN) / _STD


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


def candidates(
    tile: Index, boxes: Float32, scores: Float32, labels: Index, masks: tuple[Float32, Float32] | None = None
) -> Candidates:
    """Put the parts together; `masks`: coefficients (N, M) and prototypes (B, M, h, w)."""
    return Candidates(tile, Detections(boxes, scores, labels.astype(np.int32)), *(masks or ()))


def masks_of(outputs: Sequence[Float32], rows: Float32, first: int) -> tuple[Float32, Float32] | None:
    """Return the masks of rows (N, ...) whose coefficients stand from column `first` on, None without prototypes."""
    return (rows[:, first:], outputs[1]) if count_masks(outputs) else None


def count_masks(outputs: Sequence[Float32]) -> int:
    """How many prototypes (B, M, h, w) the second output holds; 0: it is something else, or is not there."""
    return outputs[1].shape[1] if len(outputs) > 1 and outputs[1].ndim == 4 else 0


def one_output(outputs: Sequence[Float32], layout: str) -> tuple[Float32, int]:
    """Return the only output of boxes and how many mask coefficients its rows end in, or raise ModelError.

    Segmentation models give prototypes (B, M, h, w) beside it, and M coefficients a box, last in each row.
    """
    masks = count_masks(outputs)
    if len(outputs) != 1 + bool(masks) or outputs[0].ndim != 3:
        raise ModelError(f"expected one output {layout}; the model has {shapes(outputs)}")
    return outputs[0], masks


def check_pixels(boxes: Float32) -> None:
    """Raise ModelError when boxes (..., 4) that should be in pixels are shares of the picture's side."""
    if is_unit(boxes):
        raise ModelError(
            "框坐标在0到1之间，不是像素；请导出以像素为单位的框（乘以输入边长） / "
            f"boxes lie in 0 to 1 (at most {np.abs(boxes).max():.3g}), not in pixels: "
            "export boxes in pixels, multiplied by the input's side"
        )


def is_unit(boxes: Float32) -> bool:
    """Whether all of the boxes (..., 4), of which some are not empty, lie in 0 to 1, a little more at the border."""
    most = np.abs(boxes).max(initial=0)
    return bool(0 < most <= 1.5)


def shapes(outputs: Sequence[Float32]) -> str:
    """Return the shapes as text for a message."""
    return ", ".join(str(output.shape) for output in outputs) or "none"


def check_scores(scores: Float32) -> None:
    """Raise ModelError unless all scores are finite and in [0, 1]."""
    if not np.isfinite(scores).all():
        raise ModelError("the model gives scores that are not finite for a blank image")
    if scores.size and (scores.min() < -1e-3 or scores.max() > 1 + 1e-3):
        raise ModelError(
            f"分数不在0到1之间（{scores.min():.3g} 到 {scores.max():.3g}），是 logits；导出时请加上 sigmoid / "
            f"scores must be in [0, 1], got {scores.min():.3g} to {scores.max():.3g}: export with sigmoid applied"
        )
