"""Changing a painted picture in place, and measuring the box of what visibly changed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from boards.pixels.noise import Image, IntPoint, blur

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels, end exclusive

VISIBLE = 16  # grey levels by which a pixel must change, after the blur of a camera, to belong to a defect
# A line is followed where it is fainter, as far as it holds together: a scratch on copper goes on over dark laminate.
# Two thresholds, the high one 2 to 3 times the low: J. Canny, IEEE PAMI 8(6), 679, 1986, section VIII.
FAINT = VISIBLE / 2.5


def patch_of(image: Image, shape: tuple[int, ...], corner: IntPoint) -> Image:
    """View of the image under a canvas."""
    x, y = int(corner[0]), int(corner[1])
    return image[y : y + shape[0], x : x + shape[1]]


def is_grey(pixels: NDArray[np.float32] | Image) -> bool:
    """Whether the picture carries no colour (a monochrome camera); a sample of pixels decides."""
    sample = pixels[::7, ::7].astype(np.int16)
    return bool(np.abs(sample[..., 0] - sample[..., 2]).max(initial=0) <= 1)


def commit(
    patch: Image,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    corner: IntPoint,
    margin: int,
    line: bool = False,
) -> Box | None:
    """Write the changed pixels and box the visible ones; too few visible: leave the picture as it was.

    `line`: with those where it is FAINT.
    """
    if patch.size == 0:  # beside the picture
        return None
    pixels = np.clip(after, 0, 255).astype(np.uint8)
    # Seen through the optics: a line one pixel wide loses more than half of its contrast there.
    seen = blur(np.abs(pixels - before).max(axis=2), 0.9)
    changed = seen > VISIBLE
    if int(changed.sum()) < 12 or float(seen.max()) < 2 * VISIBLE:
        return None
    patch[:] = pixels
    if line:
        changed = seen > FAINT
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    x, y = int(corner[0]), int(corner[1])
    return (
        float(x + columns[0] - margin),
        float(y + rows[0] - margin),
        float(x + columns[-1] + 1 + margin),
        float(y + rows[-1] + 1 + margin),
    )
