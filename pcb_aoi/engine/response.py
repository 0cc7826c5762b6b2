"""What CVAT accepts: a JSON list of rectangles with finite, clipped, ordered numbers and declared labels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pcb_aoi.config.labelmap import CONFIDENCE
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine.detections import Detections

# CVAT draws boxes in pixels; two decimals are far under what an annotator can see.
_DECIMALS = 2
# Thinner boxes cannot be seen or dragged, and rounding could turn them into lines.
_MIN_SIDE_PX = 0.5


def shapes(found: Detections, config: ModelConfig, height: int, width: int) -> list[dict[str, Any]]:
    """Return one dict a detection, in order, as CVAT's automatic annotation reads them.

    `confidence` is the score as it was compared with the threshold; CVAT ignores it. The text attribute holds two
    decimals: CVAT stores it where the task's label has an attribute of that name, and drops it silently elsewhere.
    """
    boxes = np.clip(found.boxes.astype(np.float64), 0, (width, height, width, height)).round(_DECIMALS)
    side = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf)
    # On images of one pixel the whole image is under the limit.
    seen = np.isfinite(boxes).all(axis=1) & (side >= min(_MIN_SIDE_PX, width, height))
    attribute = CONFIDENCE[config.language]
    return [
        {
            "label": config.names[label],
            "type": "rectangle",
            "points": points,
            "confidence": score,
            "attributes": [{"name": attribute, "value": f"{score:.2f}"}],
        }
        for label, points, score in zip(
            found.labels[seen].tolist(), boxes[seen].tolist(), found.scores[seen].tolist(), strict=True
        )
    ]


def dumps(value: object) -> str:
    """Return strict JSON: a NaN would make CVAT's annotations unreadable, so it raises ValueError here."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
