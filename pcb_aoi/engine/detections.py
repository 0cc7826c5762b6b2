"""The one result type: a struct of arrays, never a list of objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Detections:
    """N detections: boxes float32 (N, 4) xyxy in pixels, scores float32 (N,) in [0, 1], labels int32 (N,)."""

    boxes: Float32
    scores: Float32
    labels: Int32

    @classmethod
    def empty(cls) -> Self:
        """Return no detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Self:
        """Join in order."""
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.labels for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Bool | npt.NDArray[np.intp]) -> Detections:
        """Select by a mask (N,) or by positions."""
        return Detections(self.boxes[index], self.scores[index], self.labels[index])
