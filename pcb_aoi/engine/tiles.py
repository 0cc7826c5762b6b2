"""How a board is cut into tiles, and at which scale.

Two frames of reference: the image as it came, and the board at the model's scale (`scale` model pixels per image
pixel). Tiles live in the second, are cut from the first, and are all of one size, so that one fixed tensor shape
goes through the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from pcb_aoi.engine.detections import Bool, Detections, Float32

UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Grid:
    """The tiles of one board. All lengths are in pixels at the model's scale."""

    height: int
    width: int
    tile: int
    scale: float
    boxes: Int32
    """(N, 4) xyxy of each tile, row by row. A tile reaches past the board only if the board is smaller."""
    fit: str | None = None
    """Of a whole picture in one tile: how it lies there (whole.py)."""

    def __len__(self) -> int:
        return len(self.boxes)


def plan(height: int, width: int, tile: int, overlap: int, scale: float = 1.0) -> Grid:
    """Cut a (height, width) image, resampled by `scale`, into tiles that overlap by at least `overlap` pixels.

    The last tile of a row or column is shifted inward to end at the border: no slivers, no padding on any board
    larger than a tile.
    """
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    x, y = np.meshgrid(_starts(width, tile, overlap), _starts(height, tile, overlap))
    x1, y1 = x.ravel(), y.ravel()
    return Grid(height, width, tile, scale, np.stack([x1, y1, x1 + tile, y1 + tile], axis=1).astype(np.int32))


def _starts(length: int, tile: int, overlap: int) -> Int32:
    """Return where the tiles of one axis start."""
    count = max(1, math.ceil((length - overlap) / (tile - overlap)))
    starts = np.arange(count, dtype=np.int32) * (tile - overlap)
    return np.minimum(starts, max(0, length - tile))


def batches(image: UInt8, grid: Grid, size: int) -> Iterator[tuple[int, UInt8]]:
    """Yield (index of the first tile, tiles uint8 (B, tile, tile, 3)) for B <= size, row by row.

    `image` is uint8 (H, W) or (H, W, 3); grey is copied into three channels here, a few tiles at a time, and never
    for the whole board. Space past the border of a small board repeats its last pixels: conductors go straight on,
    which no model takes for a defect.
    """
    for first in range(0, len(grid), size):
        boxes = grid.boxes[first : first + size]
        yield first, np.stack([_cut(image, grid, *box) for box in boxes.tolist()])


def _cut(image: UInt8, grid: Grid, x1: int, y1: int, x2: int, y2: int) -> UInt8:
    x2, y2 = min(x2, grid.width), min(y2, grid.height)
    tile = image[y1:y2, x1:x2] if grid.scale == 1.0 else _resample(image, grid, x1, y1, x2, y2)
    if tile.ndim == 2:
        tile = np.repeat(tile[..., None], 3, axis=2)
    bottom, right = grid.tile - tile.shape[0], grid.tile - tile.shape[1]
    return np.pad(tile, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else tile


def _resample(image: UInt8, grid: Grid, x1: int, y1: int, x2: int, y2: int) -> UInt8:
    """Cut one tile at the model's scale; the board is never resampled as a whole."""
    height, width = image.shape[:2]
    # The exact ratio of the rounded frames, so that the last tile ends at the last pixel.
    fx, fy = width / grid.width, height / grid.height
    # A margin of source pixels around the tile feeds the filter's support: tiles agree where they overlap.
    margin = math.ceil(2 * max(fx, fy)) + 2
    left, top = max(0, math.floor(x1 * fx) - margin), max(0, math.floor(y1 * fy) - margin)
    right, bottom = min(width, math.ceil(x2 * fx) + margin), min(height, math.ceil(y2 * fy) + margin)
    box = (x1 * fx - left, y1 * fy - top, min(x2 * fx, width) - left, min(y2 * fy, height) - top)
    part = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    # Pillow's bilinear filter widens with the reduction, so thin lines are averaged and not skipped.
    return np.asarray(part.resize((x2 - x1, y2 - y1), Image.Resampling.BILINEAR, box=box))


def onto_board(found: Detections, tile: npt.NDArray[np.intp], grid: Grid) -> tuple[Detections, Bool]:
    """Move boxes (N, 4) from tile to board pixels, clipped to what the tile saw; also the mask of the rows kept.

    Dropped are boxes that are not finite, inverted, or wholly in the padding of a small board.
    """
    finite = np.isfinite(found.boxes).all(axis=1) & np.isfinite(found.scores)
    bounds = grid.boxes[tile].astype(np.float32)
    limit = np.minimum(bounds[:, 2:], np.array((grid.width, grid.height), np.float32))
    start = np.maximum(bounds[:, :2], 0)
    boxes = np.where(finite[:, None], found.boxes, 0) + np.tile(bounds[:, :2], 2)
    boxes = np.clip(boxes, np.tile(start, 2), np.tile(limit, 2)).astype(np.float32)
    good = finite & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Detections(boxes, found.scores.clip(0, 1), found.labels)[good], good


def to_image(found: Detections, grid: Grid, height: int, width: int) -> Detections:
    """Scale boxes (N, 4) from board pixels at the model's scale back to the image."""
    return Detections(found.boxes * np.tile(ratio(grid, height, width), 2), found.scores, found.labels)


def ratio(grid: Grid, height: int, width: int) -> Float32:
    """Return (2,) image pixels per board pixel, in x and y."""
    return np.array((width / grid.width, height / grid.height), np.float32)
