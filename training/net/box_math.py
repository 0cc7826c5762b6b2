"""Box arithmetic on tensors: all boxes are float xyxy in pixels, last dimension 4."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-7


def area(boxes: Tensor) -> Tensor:
    """(..., 4) -> (...), zero for inverted boxes."""
    size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return size[..., 0] * size[..., 1]


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Overlap area of two broadcastable sets (..., 4) -> (...)."""
    top_left = torch.maximum(a[..., :2], b[..., :2])
    bottom_right = torch.minimum(a[..., 2:], b[..., 2:])
    size = (bottom_right - top_left).clamp(min=0)
    return size[..., 0] * size[..., 1]


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of two broadcastable sets (..., 4) -> (...)."""
    overlap = intersection(a, b)
    return overlap / (area(a) + area(b) - overlap + EPSILON)


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU in (-1, 1]: keeps a gradient where the boxes do not touch."""
    overlap = intersection(a, b)
    union = area(a) + area(b) - overlap + EPSILON
    top_left = torch.minimum(a[..., :2], b[..., :2])
    bottom_right = torch.maximum(a[..., 2:], b[..., 2:])
    hull = (bottom_right - top_left).clamp(min=0)
    hull_area = hull[..., 0] * hull[..., 1] + EPSILON
    return overlap / union - (hull_area - union) / hull_area
