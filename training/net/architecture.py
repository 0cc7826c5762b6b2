"""The detector: a small plain-convolution net with two output levels.

The five models share it; only the number of labels differs. Level 0 (stride 8) sees defects of 10 to 100 px,
level 1 (stride 32, with pooled context) sees long scratches up to the whole tile.

Convolutions are plain, not depthwise: on a CPU depthwise ones train about four times slower at equal FLOPs. The
8x8 stride-4 "patch" stem gives a third more images per second than a stack of 3x3 stems.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 32)
Blocks = tuple[int, int, int]
BLOCKS: Blocks = (2, 2, 1)  # residual blocks at strides 8, 16 and 32
# A cell predicts an edge distance of stride * (exp(raw) - SLACK): down to half a cell *behind* its own centre, so
# that a box thinner than the stride, which contains no cell centre, can still be predicted exactly.
SLACK = 0.5
# exp(raw) is bounded to keep a wild early weight from producing infinities: 32 px * e^4 > 1,700 px.
RAW_LIMIT = 4.0
PRIOR = 0.01  # initial score of every cell and label


class Prediction(NamedTuple):
    """Raw output over all cells of all levels (A cells)."""

    logits: Tensor  # (B, A, C) before the sigmoid
    boxes: Tensor  # (B, A, 4) xyxy in input pixels
    centres: Tensor  # (A, 2) xy of each cell's centre in pixels
    strides: Tensor  # (A,) pixels


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int | None = None) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """x + conv3x3(conv1x1(x)), half the width inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = ConvBlock(width, width // 2, 1)
        self.restore = ConvBlock(width // 2, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.restore(self.reduce(x))


class Context(nn.Module):
    """Max-pooled neighbourhoods of 5, 9 and 13 cells beside the cell itself: sees a whole tile at stride 32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = ConvBlock(width, width // 2, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.merge = ConvBlock(width * 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        near = self.pool(x)
        wide = self.pool(near)
        return self.merge(torch.cat((x, near, wide, self.pool(wide)), dim=1))


class Level(nn.Module):
    """One level: a 3x3 then a 1x1 for the labels, a 3x3 then a 1x1 for the four edge distances."""

    def __init__(self, inputs: int, width: int, labels: int) -> None:
        super().__init__()
        self.label_features = ConvBlock(inputs, width, 3)
        self.labels = nn.Conv2d(width, labels, 1)
        self.box_features = ConvBlock(inputs, width, 3)
        self.distances = nn.Conv2d(width, 4, 1)
        assert self.labels.bias is not None
        assert self.distances.bias is not None
        nn.init.normal_(self.labels.weight, std=0.01)
        nn.init.constant_(self.labels.bias, -math.log(1 / PRIOR - 1))
        nn.init.normal_(self.distances.weight, std=0.01)
        nn.init.constant_(self.distances.bias, math.log(2 + SLACK))  # boxes start four cells wide

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.labels(self.label_features(x)), self.distances(self.box_features(x))


def blocks_of(names: Iterable[str]) -> Blocks:
    """How many residual blocks the net has whose tensors are called so, with or without its batch norms."""
    found = {name.rpartition(".reduce.0.weight")[0] for name in names}
    at8, at16, at32 = (sum(name.startswith(stage) for name in found) for stage in ("stage8.", "stage16.", "stage32.0."))
    return at8, at16, at32


def stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    """Halve the resolution, then residual blocks."""
    return nn.Sequential(ConvBlock(inputs, outputs, 3, 2), *(Residual(outputs) for _ in range(blocks)))


class Net(nn.Module):
    """float (B, 3, H, W) RGB in [0, 1], H and W multiples of 32 -> Prediction."""

    def __init__(self, labels: int, blocks: Blocks = BLOCKS, neck: int = 48) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBlock(3, 32, 8, 4, 2), Residual(32))
        self.stage8 = stage(32, 64, blocks[0])
        self.stage16 = stage(64, 128, blocks[1])
        self.stage32 = nn.Sequential(stage(128, 128, blocks[2]), Context(128))
        self.lateral8 = nn.Conv2d(64, neck, 1)
        self.lateral16 = nn.Conv2d(128, neck, 1)
        self.lateral32 = nn.Conv2d(128, neck, 1)
        self.smooth16 = ConvBlock(neck, neck, 3)
        self.smooth8 = ConvBlock(neck, neck, 3)
        self.head8 = Level(neck, neck, labels)
        self.head32 = Level(128, 64, labels)

    def forward(self, images: Tensor) -> Prediction:
        at8 = self.stage8(self.stem(images))
        at16 = self.stage16(at8)
        at32 = self.stage32(at16)
        neck16 = self.smooth16(self.lateral16(at16) + F.interpolate(self.lateral32(at32), scale_factor=2.0))
        neck8 = self.smooth8(self.lateral8(at8) + F.interpolate(neck16, scale_factor=2.0))
        levels = [flatten(self.head8(neck8), STRIDES[0]), flatten(self.head32(at32), STRIDES[1])]
        logits, boxes, centres, strides = (torch.cat(parts, dim=-2) for parts in zip(*levels, strict=True))
        return Prediction(logits, boxes, centres, strides[..., 0])


def flatten(maps: tuple[Tensor, Tensor], stride: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One level's maps (B, C, h, w), (B, 4, h, w) -> its share of a Prediction, strides as (hw, 1).

    In float32 whatever the autocast type: exp and the sums of pixel coordinates need the precision.
    """
    logits, raw = maps
    height, width = raw.shape[2], raw.shape[3]
    logits = logits.flatten(2).transpose(1, 2).float()
    raw = raw.flatten(2).transpose(1, 2).float()
    distances = (raw.clamp(max=RAW_LIMIT).exp() - SLACK) * stride
    x = (torch.arange(width, device=raw.device, dtype=torch.float32) + 0.5) * stride
    y = (torch.arange(height, device=raw.device, dtype=torch.float32) + 0.5) * stride
    centres = torch.stack((x.repeat(height), y.repeat_interleave(width)), dim=-1)
    boxes = torch.cat((centres - distances[..., :2], centres + distances[..., 2:]), dim=-1)
    return logits, boxes, centres, torch.full_like(centres[:, :1], stride)
