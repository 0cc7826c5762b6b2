"""A whole picture brought to the size of one tile, as the exporter's own prediction does it.

`centre`: shrunk or grown to fit, the rest grey on both sides (Ultralytics, YOLOv7); `corner`: grey at the right and
the bottom (YOLOX, LibreYOLO); `stretch`: both axes to the tile's side (the DETRs). Weights that were trained on such
pictures know defects at that size and no other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from pcb_aoi.engine.tiles import Grid

UInt8 = npt.NDArray[np.uint8]

_GREY = 114
"""What all of these families pad with."""


def plan(height: int, width: int, tile: int, fit: str) -> Grid:
    """Lay a (height, width) picture into one tile; `fit` is Head.fit.

    The frame of reference is the resized picture: the tile's box starts left of it and above by the padding there.
    """
    scale = min(tile / height, tile / width)
    if fit == "stretch":
        return Grid(tile, tile, tile, scale, np.array([[0, 0, tile, tile]], np.int32), fit)
    whole = round if fit == "centre" else int  # YOLOX cuts the fraction off
    inner_height, inner_width = max(1, whole(height * scale)), max(1, whole(width * scale))
    # Of an odd rest, the larger half lies at the right and the bottom, as Ultralytics' LetterBox has it.
    left, top = ((tile - inner_width) // 2, (tile - inner_height) // 2) if fit == "centre" else (0, 0)
    box = np.array([[-left, -top, tile - left, tile - top]], np.int32)
    return Grid(inner_height, inner_width, tile, scale, box, fit)


def batches(image: UInt8, grid: Grid) -> Iterator[tuple[int, UInt8]]:
    """Yield (0, uint8 (1, tile, tile, 3)): the picture uint8 (H, W) or (H, W, 3), resized and padded."""
    height, width = image.shape[:2]
    size = (grid.width, grid.height)
    picture = Image.fromarray(np.ascontiguousarray(image))
    if (width, height) == size:
        inner = picture
    elif grid.fit == "stretch":
        inner = picture.resize(size, Image.Resampling.BILINEAR)
    else:
        # OpenCV's INTER_LINEAR, which these families resize with: it looks at four pixels however far it shrinks.
        # Pillow's resize would average, and show the weights lines softer than they learnt them.
        step = (width / grid.width, 0, 0, 0, height / grid.height, 0)
        inner = picture.transform(size, Image.Transform.AFFINE, step, Image.Resampling.BILINEAR)
    pixels = np.asarray(inner)
    left, top = -grid.boxes[0, :2]
    canvas = np.full((1, grid.tile, grid.tile, 3), _GREY, np.uint8)
    canvas[0, top : top + grid.height, left : left + grid.width] = pixels[..., None] if pixels.ndim == 2 else pixels
    yield 0, canvas
