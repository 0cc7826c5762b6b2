"""What CVAT accepts: a JSON list of shapes with finite, clipped, ordered numbers and declared labels.

A label's type says which shape: a box, or the contour. Where a label of type polygon has no mask (weights that give
boxes only, or a mask of nothing) the box is answered as a polygon along its sides: a task whose labels are polygons
takes no other shape, and a GET says `contours: boxes`. An annotator then sees a box, and knows what it is.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pcb_aoi.config.labelmap import CONFIDENCE
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import polygons
from pcb_aoi.engine.contours import Contours
from pcb_aoi.engine.detections import Detections

# Thinner boxes cannot be seen or dragged, and rounding could turn them into lines.
_MIN_SIDE_PX = 0.5


def shapes(
    found: Detections, config: ModelConfig, height: int, width: int, contours: Contours | None = None
) -> list[dict[str, Any]]:
    """Return one dict a detection, in order, as CVAT's automatic annotation reads them.

    `contours`: of each detection, as detector.py gives them; None: there are none.

    `confidence` is the score as it was compared with the threshold; CVAT ignores it. Where function.yaml declares the
    attribute, it holds the score in whole percent: what text and number attributes of CVAT both take.
    Labels that are not offered are not answered: CVAT 2.15 may store what nobody mapped.
    """
    boxes = np.clip(found.boxes.astype(np.float64), 0, (width, height, width, height)).round(polygons.DECIMALS)
    side = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf)
    # On images of one pixel the whole image is under the limit.
    seen = np.isfinite(boxes).all(axis=1) & (side >= min(_MIN_SIDE_PX, width, height))
    seen &= np.array(config.offered, bool)[found.labels]
    attribute = CONFIDENCE[config.language]
    return [
        {
            "label": config.names[label],
            "type": config.types[label],
            "points": points if config.types[label] == "rectangle" else _outline(points, contours, number),
            "confidence": score,
            "attributes": [{"name": attribute, "value": f"{100 * score:.0f}"}] if config.score else [],
        }
        for number, label, points, score in zip(
            np.flatnonzero(seen).tolist(),
            found.labels[seen].tolist(),
            boxes[seen].tolist(),
            found.scores[seen].tolist(),
            strict=True,
        )
    ]


def _outline(box: list[float], contours: Contours | None, number: int) -> list[float]:
    """Return x1, y1, x2, y2, ... of a detection's contour, or of its box."""
    contour = contours[number] if contours is not None else np.zeros((0, 2))
    points: list[float] = (contour if len(contour) else polygons.of_box(*box)).ravel().tolist()
    return points


def dumps(value: object) -> str:
    """Return strict JSON: a NaN would make CVAT's annotations unreadable, so it raises ValueError here."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
