"""Long defects found piece by piece: pieces that touch become one box.

A scratch has no size that one look can tell: weights that name labels as `joined` in their metadata box what of a
scratch runs past each place, and all pieces of one scratch overlap. As edges are linked in an image (hysteresis:
Canny, IEEE PAMI 8, 1986), a weak piece counts where it hangs together with a strong one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine import boxes as bx
from pcb_aoi.engine.detections import Bool, Detections, Float32
from pcb_aoi.errors import ModelError

Index = npt.NDArray[np.intp]

WEAK = 0.25
"""Score from which a piece may carry a chain on; its strongest piece gives the chain its score."""
SURE = 0.4
"""Score from which a piece says how far its chain goes: weaker ones only tell which of these belong together."""
GAP = 40.0
"""Pieces fewer pixels apart than this touch, where the weights do not say: over laminate a scratch fades."""
NOT_JOINED = np.float32(-1)


def gaps(metadata: Mapping[str, str], slugs: Sequence[str]) -> Float32:
    """float32 (C,): how far apart pieces of each label may be and still touch, px; NOT_JOINED: it has no pieces.

    Raises:
        ModelError: the metadata's `joined` is no JSON list of slugs, nor an object of slugs and pixels.
    """
    result = np.full(len(slugs), NOT_JOINED)
    try:
        names = json.loads(metadata.get("joined", "[]"))
        for name in names:
            gap = float(names[name]) if isinstance(names, dict) else GAP
            if not 0 <= gap < float("inf"):
                raise ValueError(f"{name}: a gap of {gap} px")
            result[slugs.index(name)] = gap
    except (ValueError, TypeError) as error:
        raise ModelError("the labels joined, in the weights' metadata, cannot be read", detail=str(error)) from error
    return result


def floor(threshold: float, gaps: Float32) -> float:
    """The score from which candidates are wanted, for a caller who wants defects from `threshold`."""
    return min(threshold, WEAK) if (gaps >= 0).any() else threshold


def join(found: Detections, gaps: Float32) -> Detections:
    """Boxes of a label with a gap that touch become one, with the best score; the others stay, in their order.

    gaps: float32 (C,) px, as from `gaps`. The box is round the pieces that are SURE, or round the strongest.
    """
    return gather(found, gaps)[0]


def gather(found: Detections, gaps: Float32) -> tuple[Detections, Index]:
    """As `join`; also (N,): of each that went in, the position of the one that it became."""
    piece: Bool = gaps[found.labels] >= 0
    if not piece.any():
        return found, np.arange(len(found))
    pieces = found[piece]
    reach = gaps[pieces.labels, None] / np.float32(2)
    grown = np.concatenate([pieces.boxes[:, :2] - reach, pieces.boxes[:, 2:] + reach], axis=1)
    root = bx.components(len(pieces), *bx.touching(grown, pieces.labels.astype(np.intp)))
    score = pieces.scores.copy()
    np.maximum.at(score, root, pieces.scores)
    sure = pieces.scores >= np.minimum(score[root], np.float32(SURE))
    low, high = np.full_like(pieces.boxes[:, :2], np.inf), np.full_like(pieces.boxes[:, 2:], -np.inf)
    np.minimum.at(low, root[sure], pieces.boxes[sure, :2])
    np.maximum.at(high, root[sure], pieces.boxes[sure, 2:])
    heads = root == np.arange(len(pieces))
    chains = Detections(np.concatenate([low, high], axis=1), score, pieces.labels)[heads]
    alone = np.count_nonzero(~piece)
    became = np.cumsum(~piece) - 1
    became[piece] = alone + np.cumsum(heads)[root] - 1
    return Detections.concatenate([found[~piece], chains]), became
