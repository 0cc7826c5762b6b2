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

from pcb_aoi import boxes as bx
from pcb_aoi.detections import Bool, Detections
from pcb_aoi.errors import ModelError

Index = npt.NDArray[np.intp]

WEAK = 0.25
"""Score from which a piece may carry a chain on; its strongest piece gives the chain its score."""
GAP = 40.0
"""Pieces fewer pixels apart than this touch: a scratch fades where it crosses from copper to laminate."""


def joined_labels(metadata: Mapping[str, str], slugs: Sequence[str]) -> Index:
    """Which labels the weights find in pieces, as positions in `slugs`; none where the metadata does not say.

    Raises:
        ModelError: the metadata's `joined` is not a JSON list of slugs.
    """
    try:
        names = json.loads(metadata.get("joined", "[]"))
        return np.asarray([slugs.index(name) for name in names], np.intp)
    except (ValueError, TypeError) as error:
        raise ModelError("the labels joined, in the weights' metadata, cannot be read", detail=str(error)) from error


def floor(threshold: float, joined: Index) -> float:
    """The score from which candidates are wanted, for a caller who wants defects from `threshold`."""
    return min(threshold, WEAK) if len(joined) else threshold


def join(found: Detections, joined: Index) -> Detections:
    """Boxes of the `joined` labels that touch become one, with the best score; the others stay, in their order."""
    piece: Bool = np.isin(found.labels, joined)
    if not piece.any():
        return found
    pieces = found[piece]
    grown = pieces.boxes + np.array([-GAP, -GAP, GAP, GAP], np.float32) / np.float32(2)
    root = bx.components(len(pieces), *bx.touching(grown, pieces.labels.astype(np.intp)))
    low, high, score = pieces.boxes[:, :2].copy(), pieces.boxes[:, 2:].copy(), pieces.scores.copy()
    np.minimum.at(low, root, pieces.boxes[:, :2])
    np.maximum.at(high, root, pieces.boxes[:, 2:])
    np.maximum.at(score, root, pieces.scores)
    heads = root == np.arange(len(pieces))
    chains = Detections(np.concatenate([low, high], axis=1), score, pieces.labels)[heads]
    return Detections.concatenate([found[~piece], chains])
