"""Which side of a picture is copper: a camera shows it bright, a thresholded channel (as of AOI masters) black.

What is an open on one is a short on the other, so a model that is to know both learns twice, and mixes them up.
Weights whose metadata say `"copper": "bright"` know the one side only: of a thresholded board they are shown the
negative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

EDGE = 16
"""Grey levels from black, and from white, within which a pixel of a thresholded picture lies, JPEG and all."""
SHARE = 0.7
"""Of the pixels. Thresholded boards of the renderer have 0.83 or more, resampled ones too; others at most 0.53."""
BOTH = 0.5
"""Of the number of half-tones that white, and black, must have: a dark picture of few conductors is black, too."""
_SAMPLES = 1 << 15


def bright_copper(metadata: Mapping[str, str]) -> bool:
    """Whether the weights have learnt copper as the bright side of every picture."""
    return metadata.get("copper") == "bright"


def thresholded(image: UInt8) -> bool:
    """Whether uint8 (H, W) or (H, W, 3) has hardly any half-tones, judged by an even sample of its pixels."""
    step = max(1, math.isqrt(image.shape[0] * image.shape[1] // _SAMPLES))
    sample = np.ascontiguousarray(image[::step, ::step])  # counting strides takes longer than the copy
    black, white = (int(np.count_nonzero(part)) / sample.size for part in (sample <= EDGE, sample >= 255 - EDGE))
    return black + white > SHARE and min(black, white) >= BOTH * (1 - black - white)
