"""The training loss: varifocal classification + 2.5 x generalised IoU, both divided by the sum of the targets."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from training.net import box_math
from training.net.architecture import Prediction
from training.net.assign import PieceBatch, add_pieces, assign

NEGATIVE_WEIGHT = 0.75
BOX_WEIGHT = 2.5


def detection_loss(
    prediction: Prediction,
    defects: Tensor,
    labels: Tensor,
    taught: Tensor | None = None,
    pieces: PieceBatch | None = None,
) -> tuple[Tensor, Tensor]:
    """(classification, box) losses of a batch, scalars; defects (B, M, 4) xyxy px, labels int64 (B, M).

    `taught` bool (B, C): the labels that an image can teach; of the others it is not known where they are.
    `pieces`: of long defects, beside the boxes of the others.
    """
    targets, share = assign(prediction, defects, labels), None
    if pieces is not None:
        targets, share = add_pieces(targets, prediction, pieces)
    total = targets.weights.sum().clamp(min=1.0)

    # Varifocal: a defect's cells weigh as much as they should score, background cells as much as they wrongly do.
    wrong = prediction.logits.detach().sigmoid().square() * NEGATIVE_WEIGHT
    weight = targets.scores.where(targets.scores > 0, wrong)
    weight = weight.masked_fill(targets.ignored.unsqueeze(-1), 0.0)
    if taught is not None:
        weight = weight * taught.unsqueeze(1)
    if share is not None:
        weight = weight * share
    label_loss = F.binary_cross_entropy_with_logits(prediction.logits, targets.scores, weight=weight, reduction="sum")

    positive = targets.weights > 0
    fit = box_math.giou(prediction.boxes[positive], targets.boxes[positive])
    box_loss = ((1 - fit) * targets.weights[positive]).sum()
    return label_loss / total, BOX_WEIGHT * box_loss / total
