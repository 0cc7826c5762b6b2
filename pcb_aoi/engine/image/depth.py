"""Samples of any depth to 8 bits.

A camera of 10, 12 or 14 bits writes files of 16 bits, and no tag says how many of them are used. So the depth is read
from the samples: the fewest bits that hold all of them, but for a few burnt pixels and for a stamp in pure white. It
is never the contrast that decides: a crop would be stretched unlike its board.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Samples = npt.NDArray[Any]

BURNT = 1e-3
"""Share of samples that may lie over the depth found, and are clipped to white: burnt pixels, hot pixels."""
STAMP = 0.25
"""Share of samples that may be the largest number of the container: a white stamp or frame beside 12-bit pixels."""


def depth(samples: Samples, bits: int) -> int:
    """Return how many bits the samples use: 8, 10, 12, ..., at most `bits`.

    Args:
        samples: unsigned or non-negative integers of any shape.
        bits: of the container; `2 ** bits - 1` is its white.
    """
    white = (1 << bits) - 1
    # Of large pictures every n-th sample, as many as a percentile needs, and the maximum of all.
    few = samples.reshape(-1)[:: max(1, samples.size >> 20)]
    limit = int(samples.max(initial=0))
    burnt, stamped = BURNT * few.size, STAMP * few.size
    if few.size and np.count_nonzero(few == white) <= stamped:
        below = few[few < white]
        if below.size:
            keep = max(0, below.size - 1 - int(burnt))
            limit = int(np.partition(below, keep)[keep])
    needed = max(8, limit.bit_length())
    return min(bits, (needed + 1) // 2 * 2)


def to_8_bit(samples: Samples, bits: int | None = None) -> UInt8:
    """Bring samples of any type to uint8.

    Integers of a known depth are scaled by it; of others `depth` finds it. Signed integers of which more than a few
    are negative have their zero in the middle of the range. Floats up to 1 are fractions of white, larger ones
    integers. NaN and infinities become black; what lies over the depth becomes white.

    Args:
        samples: any numeric dtype, any shape.
        bits: the depth, where the file says it.
    """
    if samples.dtype.kind == "b":
        return samples.astype(np.uint8) * 255
    if samples.dtype.kind == "f":
        samples, container = _whole_numbers(samples)
    else:
        container = samples.dtype.itemsize * 8
        if samples.dtype.kind == "i":
            samples = _unsigned(samples, container)
    if samples.dtype == np.uint8 and bits in (None, 8):
        return samples
    bits = bits or depth(samples, container)
    white = (1 << bits) - 1
    if bits < 8:
        return (np.minimum(samples, white).astype(np.uint16) * 255 // white).astype(np.uint8)
    if bits < container:
        samples = np.minimum(samples, samples.dtype.type(white))
    shifted: UInt8 = np.right_shift(samples, samples.dtype.type(bits - 8)).astype(np.uint8)
    return shifted


def _unsigned(samples: Samples, bits: int) -> Samples:
    """Signed integers as unsigned ones of the same size."""
    unsigned: Samples = samples.view(samples.dtype.str.replace("i", "u"))
    if np.count_nonzero(samples < 0) > BURNT * samples.size:
        unsigned = unsigned ^ unsigned.dtype.type(1 << (bits - 1))
    else:
        unsigned = np.maximum(samples, 0).view(unsigned.dtype)
    return unsigned


def _whole_numbers(samples: Samples) -> tuple[Samples, int]:
    """Floats as unsigned integers, and the bits of their container."""
    clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    few = clean.reshape(-1)[:: max(1, clean.size >> 20)]
    high = float(np.quantile(few, 1 - BURNT, method="lower")) if few.size else 0.0
    if high <= 1:
        return (np.clip(clean, 0, 1) * 255).astype(np.uint8), 8
    return np.clip(clean, 0, 2**31 - 1).astype(np.uint32), 32
