"""Which cell learns which defect: task-aligned assignment over both levels at once.

A cell's claim on a defect is sqrt(its score for the defect's label) * IoU^6; the best `TOP` claims win. A cell
claimed twice goes to the defect it overlaps most. The learnt score of a winner is its claim, scaled so that the best
winner of a defect learns that defect's best IoU: scores then rank boxes by how well they fit.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pcb_aoi.exports.scene import IGNORED, PADDING
from training.net import box_math
from training.net.architecture import STRIDES, Prediction

TOP = 10
SCORE_POWER = 0.5
IOU_POWER = 6
# Longest side, px, from / up to which a level takes part. They overlap: in between the better claim wins.
PIECE_WEIGHT = 0.3  # of a cell that learns a piece of a scratch: there are tens of them, and ten of another defect
PIECE_LEAST = 0.1  # what such a cell learns to score before its box fits
LEVEL_RANGE = {STRIDES[0]: (0.0, 224.0), STRIDES[1]: (72.0, float("inf"))}


class Targets(NamedTuple):
    scores: Tensor  # (B, A, C) what each cell should score for each label
    boxes: Tensor  # (B, A, 4) the defect each cell should box; arbitrary where weight is zero
    weights: Tensor  # (B, A) weight of the box term, zero for background
    ignored: Tensor  # (B, A) bool: cells that count neither as defect nor as background


class PieceBatch(NamedTuple):
    """pieces.Pieces of a batch, padded with label PADDING."""

    cells: Tensor  # int64 (B, K)
    labels: Tensor  # int64 (B, K)
    boxes: Tensor  # float32 (B, K, 4)
    of: Tensor  # int64 (B, K)


def candidates(prediction: Prediction, defects: Tensor) -> Tensor:
    """bool (B, M, A): the cell's centre lies in the defect's box, widened to one cell, at a level for its size."""
    centres, strides = prediction.centres, prediction.strides
    centre = (defects[..., :2] + defects[..., 2:]).unsqueeze(2) / 2  # (B, M, 1, 2)
    size = defects[..., 2:] - defects[..., :2]
    reach = torch.maximum(size.unsqueeze(2), strides[None, None, :, None]) / 2  # (B, M, A, 2)
    inside = ((centres - centre).abs() <= reach).all(-1)
    longest = size.amax(-1, keepdim=True)  # (B, M, 1)
    fits = torch.zeros_like(inside)
    for stride, (shortest, limit) in LEVEL_RANGE.items():
        fits |= (strides == stride) & (longest >= shortest) & (longest <= limit)
    return inside & fits


@torch.no_grad()
def assign(prediction: Prediction, defects: Tensor, labels: Tensor) -> Targets:
    """Targets of every cell for defects (B, M, 4) xyxy px with labels int64 (B, M).

    Labels below zero: scene.IGNORED, scene.PADDING.
    """
    scores = prediction.logits.sigmoid()
    inside = candidates(prediction, defects)
    real = labels >= 0
    ignored = (inside & (labels == IGNORED).unsqueeze(-1)).any(1)

    overlap = box_math.iou(defects.unsqueeze(2), prediction.boxes.unsqueeze(1))  # (B, M, A)
    own = scores.transpose(1, 2).gather(1, labels.clamp(min=0).unsqueeze(-1).expand_as(overlap))
    claim = own.pow(SCORE_POWER) * overlap.pow(IOU_POWER)
    allowed = inside & real.unsqueeze(-1)
    ranked = torch.where(allowed, claim, -1.0)
    best = ranked.topk(min(TOP, ranked.shape[-1]), dim=-1).indices
    chosen = torch.zeros_like(allowed).scatter_(-1, best, True) & allowed

    owner = torch.where(chosen, overlap, -1.0).argmax(1)  # (B, A): the defect each cell overlaps most
    mine = torch.zeros_like(chosen).scatter_(1, owner.unsqueeze(1), True)
    chosen &= mine

    claim = torch.where(chosen, claim, 0.0)
    best_claim = claim.amax(-1, keepdim=True)
    best_overlap = torch.where(chosen, overlap, 0.0).amax(-1, keepdim=True)
    weights = (claim / (best_claim + 1e-12) * best_overlap).amax(1)  # (B, A)
    wanted = labels.clamp(min=0).gather(1, owner)  # (B, A)
    target_scores = torch.zeros_like(scores).scatter_(-1, wanted.unsqueeze(-1), weights.unsqueeze(-1))
    target_boxes = defects.gather(1, owner.unsqueeze(-1).expand(-1, -1, 4))
    return Targets(target_scores, target_boxes, weights, ignored & ~chosen.any(1))


@torch.no_grad()
def add_pieces(targets: Targets, prediction: Prediction, pieces: PieceBatch) -> tuple[Targets, Tensor]:
    """Targets with the pieces of long defects, and the weight (B, A, C) of each cell's score for each label.

    A piece has its cells from the start: no claims. It learns to score its IoU. A cell that boxes another defect
    keeps to that, and learns nothing of the scratch that crosses it.
    """
    share = torch.ones_like(targets.scores)
    image, row = torch.nonzero(pieces.labels != PADDING, as_tuple=True)
    cell, label, of = (part[image, row] for part in (pieces.cells, pieces.labels, pieces.of))
    mine = (label >= 0) & (targets.weights[image, cell] == 0)
    share[image[~mine], cell[~mine], of[~mine]] = 0
    image, row, cell, label = image[mine], row[mine], cell[mine], label[mine]
    boxes = pieces.boxes[image, row]
    score = box_math.iou(boxes, prediction.boxes[image, cell]).clamp(min=PIECE_LEAST)
    scores, target_boxes, weights = targets.scores.clone(), targets.boxes.clone(), targets.weights.clone()
    scores[image, cell, label] = score
    share[image, cell, label] = PIECE_WEIGHT
    target_boxes[image, cell] = boxes
    weights[image, cell] = PIECE_WEIGHT * score
    ignored = targets.ignored.clone()
    ignored[image, cell] = False
    return Targets(scores, target_boxes, weights, ignored), share
