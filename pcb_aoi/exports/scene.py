"""One annotated image, and the crops that training sees of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W) grey or (H, W, 3) RGB
Boxes = NDArray[np.float32]  # (N, 4) xyxy px
Labels = NDArray[np.int64]  # (N,) index into the model's labels, or one of the two below

IGNORED = -1  # a defect that the crop cut away too much to judge: its cells learn nothing
PADDING = -2  # an empty row of a batch


@dataclass(frozen=True)
class Scene:
    """An image with all its defects."""

    image: Image
    boxes: Boxes
    labels: Labels
    name: str = ""
    clean: Image | None = None  # the same board without defects, pixel for pixel, where it is known
    # Where defects that a crop may cut show: rows x, y, index of the defect; (P, 3). May know some defects only.
    trails: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 3), np.float32))
    taught: tuple[int, ...] | None = None  # labels it can teach; None: all (a set may box some alone)


class Source(Protocol):
    """Where training images come from."""

    def draw(self, rng: np.random.Generator) -> Scene:
        """A scene at least as large as a crop; the caller may not write to its arrays."""
        ...


@dataclass(frozen=True)
class SceneList:
    """Scenes held in memory, drawn evenly."""

    scenes: list[Scene]

    def draw(self, rng: np.random.Generator) -> Scene:
        return self.scenes[int(rng.integers(len(self.scenes)))]
