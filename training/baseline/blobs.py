"""Connected pixels as calls, and pixels that stand out from their own material."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training import predict
from training.scene import Image

Mask = NDArray[np.bool_]  # (H, W)
Float = NDArray[np.float32]


@dataclass(frozen=True)
class Call:
    """`strength` is 1 for a middling find, in any unit; it ranks the calls of a label."""

    slug: str
    box: tuple[float, float, float, float]  # xyxy px, without margin
    strength: float


@dataclass(frozen=True)
class Blob:
    x: int
    y: int
    mask: Mask  # (h, w): the pixels of the blob in its box
    area: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        height, width = self.mask.shape
        return float(self.x), float(self.y), float(self.x + width), float(self.y + height)

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values (H, W, ...) under the blob, (area, ...)."""
        height, width = self.mask.shape
        return values[self.y : self.y + height, self.x : self.x + width][self.mask]

    def shape(self) -> tuple[float, float]:
        """(length, width) px of the smallest turned rectangle round the blob."""
        points = np.argwhere(self.mask).astype(np.float32)
        (_, (a, b), _) = cv2.minAreaRect(points)
        return max(a, b) + 1, min(a, b) + 1

    def roundness(self) -> float:
        """Area over the area of the disc across the longest side of the box: 1 for a disc."""
        return float(self.area / (np.pi / 4 * max(self.mask.shape) ** 2))


def blobs(mask: Mask, smallest: int = 1, largest: int = 1 << 30) -> list[Blob]:
    """Connected components (8 neighbours) of `smallest` to `largest` px."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = []
    for number, (x, y, w, h, area) in enumerate(stats.tolist()):
        if number and smallest <= area <= largest:
            found.append(Blob(x, y, labels[y : y + h, x : x + w] == number, area))
    return found


def grow(mask: Mask, radius: float) -> Mask:
    """Dilation with a disc, by distances: as fast for a large disc as for a small one."""
    if not mask.any():
        return mask
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= radius)


def shrink(mask: Mask, radius: float) -> Mask:
    """Erosion with a disc; beyond the border of the image the mask goes on."""
    return ~grow(~mask, radius)


def opened(mask: Mask, radius: float) -> Mask:
    return grow(shrink(mask, radius), radius)


def closed(mask: Mask, radius: float) -> Mask:
    return shrink(grow(mask, radius), radius)


def rgb(image: Image) -> NDArray[np.uint8]:
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def lab(image: Image) -> Float:
    """(H, W, 3): L 0 to 100, a and b; slightly smoothed."""
    smooth = cv2.GaussianBlur(rgb(image), (0, 0), 1.0)
    return np.asarray(cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def deviation(colours: Float, region: Mask, window: int) -> Float:
    """(H, W, 3): colour less the mean colour of the region round about, in units of its usual spread; 0 outside."""
    inside = region.astype(np.float32)
    weight = cv2.blur(inside, (window, window)) + 1e-6
    mean = cv2.blur(colours * inside[:, :, None], (window, window)) / weight[:, :, None]
    difference = (colours - mean) * inside[:, :, None]
    if not region.any():
        return np.asarray(difference, np.float32)
    spread = 1.4826 * np.median(np.abs(difference[region]), axis=0)
    return np.asarray(difference / np.maximum(spread, 0.8), np.float32)


def rare(calls: list[Call]) -> list[Call]:
    """Strengths divided by how many calls of an image are alike: designed features repeat, defects do not."""
    sizes = np.array([np.subtract(call.box[2:], call.box[:2]) for call in calls], np.float64).reshape(-1, 2)
    slugs = np.array([call.slug for call in calls])
    found = []
    for call, size in zip(calls, sizes, strict=True):
        alike = (np.abs(np.log(sizes / size)) < 0.25).all(axis=1) & (slugs == call.slug)
        found.append(Call(call.slug, call.box, call.strength / int(alike.sum())))
    return found


def detections(calls: list[Call], slugs: list[str], size: tuple[int, int], margin: float) -> predict.Detections:
    """Boxes widened by the margin, suppressed label by label, strengths squeezed into scores: 1 becomes 0.5."""
    height, width = size
    grown = np.array([call.box for call in calls], np.float32).reshape(-1, 4) + np.array(
        [-margin, -margin, margin, margin], np.float32
    )
    boxes = grown.clip(0, np.array([width, height, width, height], np.float32))
    strengths = np.array([max(call.strength, 0.0) for call in calls], np.float32)
    scores = strengths / (1 + strengths)
    labels = np.array([slugs.index(call.slug) for call in calls], np.int64)
    kept = [np.empty(0, np.int64)]
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        kept.append(mine[predict.suppress(boxes[mine], scores[mine])][: predict.MOST])
    chosen = np.concatenate(kept)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    return predict.Detections(boxes[chosen], scores[chosen], labels[chosen])
