"""Prepared pictures brought into the order that a network's input has: channels first or last, three or one."""

from __future__ import annotations

import numpy as np

from pcb_aoi.engine.heads.base import Array
from pcb_aoi.engine.signature import Shape

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)
"""Of red, green and blue: how OpenCV and Pillow read a grey picture."""


def arrange(items: Array, shape: Shape) -> Array:
    """Return pictures (B, 3, T, T) as an input of `shape` takes them.

    Raises:
        ValueError: they do not fit in any order; the message is the shape that would be fed.
    """
    if len(shape) == 4 and items.shape[1] == 3:
        axis = 1
        if shape[3] in (1, 3) and shape[1] not in (1, 3):
            items, axis = items.transpose(0, 2, 3, 1), 3
        if shape[axis] == 1:
            items = np.expand_dims(np.tensordot(items.astype(np.float32, copy=False), _LUMA, ([axis], [0])), axis)
    expected = items.shape
    fits = len(shape) == len(expected) and all(
        not isinstance(has, int) or has == wants for has, wants in zip(shape[1:], expected[1:], strict=True)
    )
    if not fits:
        raise ValueError(f"(B, {', '.join(map(str, expected[1:]))})")
    return np.ascontiguousarray(items)
